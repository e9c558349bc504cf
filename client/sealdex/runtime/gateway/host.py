"""What both interfaces of a gateway ask: the verified client, and the store. No answer comes from anything unsigned."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sealdex.arguments import requests_of
from sealdex.client import Client
from sealdex.errors import NotFoundError, SealdexError, UnavailableError, UsageError, VerificationError
from sealdex.locate import locate
from sealdex.model.ids import PluginId, normalise_type, parse_plugin_id
from sealdex.model.index import choose_artifact
from sealdex.model.versions import version_problem
from sealdex.results import Located, PluginInfo
from sealdex.runtime.gateway._engine import plugin_record
from sealdex.store.database import ENABLED, State
from sealdex.store.installations import Installation
from sealdex.store.layout import Store
from sealdex.store.manifests import installed_manifest
from sealdex.store.switch import set_enabled

MAX_LISTED_WITH_FILES = 200


@dataclass(frozen=True)
class Available:
    """A plugin that a registry offers; digest and size where its document was asked for, and something fits here."""

    plugin: PluginId
    version: str
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True)
class Delivered:
    """The file of a release: its bytes, or where they are if there are too many for a message.

    Attributes:
        located: what it is and where.
        data: verified bytes; None if they are too many or their number isn't known, or if it is an image.
    """

    located: Located
    data: bytes | None


class Host:
    """The host of a gateway.

    Args:
        client: the verified client.
        refresh: seconds after which registries are asked whether there is something newer.
    """

    def __init__(self, client: Client, *, refresh: float = 60.0) -> None:
        self._client = client
        self._refresh = refresh
        self._fresh_until = 0.0
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        self._store = Store(client.config.store)

    # --- registries --------------------------------------------------------------------------------------------------

    def available(self, plugin_type: str = "") -> list[Available]:
        """Return what the registries offer, of one type or all."""
        self._bring_up_to_date()
        wanted = normalise_type(plugin_type)
        rows = [
            found.row
            for found in self._client.search("")
            if found.row.latest is not None and (not wanted or normalise_type(found.row.type) == wanted)
        ]
        documents = self._client.documents([row.id for row in rows]) if len(rows) <= MAX_LISTED_WITH_FILES else {}
        listed = []
        for row in rows:
            document = documents.get(row.id)
            release = document.release(row.latest or "") if document is not None else None
            artifact = choose_artifact(release, self._client.environment)[0] if release is not None else None
            sha256, size = (artifact.sha256, artifact.size or 0) if artifact is not None else ("", 0)
            listed.append(Available(row.id, row.latest or "", sha256, size))
        return listed

    def info(self, plugin: str) -> PluginInfo:
        """Return what is signed about a plugin; raises as `Client.info`."""
        self._bring_up_to_date()
        return self._client.info(plugin_of(plugin))

    def locate(self, plugin: str, version: str = "") -> Located:
        """Return where a release's file is and what it must be; the newest that fits without a version."""
        self._bring_up_to_date()
        asked = plugin_of(plugin)
        located = locate(self._client.queries, requests_of([_request(asked, version)]))
        return next(each for each in located if each.choice.plugin == asked)

    def deliver(self, plugin: str, version: str, limit: int) -> Delivered:
        """Return a release's file, verified, if it has at most ``limit`` bytes."""
        located = self.locate(plugin, version)
        if located.image is not None or located.size is None or located.size > limit:
            return Delivered(located, None)
        with self._client.queries.cache_held():  # so that nothing is evicted before it is read
            exact = _request(located.choice.plugin, located.choice.release.version)
            fetched = next(each for each in self._client.fetch(exact) if each.choice.plugin == located.choice.plugin)
            data = fetched.path.read_bytes() if fetched.path is not None else b""
        if hashlib.sha256(data).hexdigest() != located.sha256:
            raise VerificationError(f"the file of {plugin} changed in the cache", subject=plugin)
        return Delivered(located, data)

    def _bring_up_to_date(self) -> None:
        with self._lock:
            if time.monotonic() < self._fresh_until:
                return
            for name in self._client.config.registries:
                with suppress(UnavailableError):  # what it last verified holds until it expires
                    self._client.refresh(name)
            self._fresh_until = time.monotonic() + self._refresh

    # --- what is installed -------------------------------------------------------------------------------------------

    def installed(self, *, plugin_type: str = "", status: int | None = None) -> list[dict[str, Any]]:
        """Return the plugins in use as the engine's table has them."""
        wanted = normalise_type(plugin_type)
        return [
            record
            for record in self._records()
            if (not wanted or normalise_type(record["pluginType"]) == wanted)
            and (status is None or record["isEnabled"] == status)
        ]

    def detail(self, plugin: str) -> dict[str, Any]:
        """Return one plugin in use.

        Raises:
            NotFoundError: it isn't installed.
        """
        asked = plugin_of(plugin)
        found = self._client.current(asked)
        if found is None:
            raise NotFoundError(f"{asked} is not installed", subject=str(asked), hint=f"sealdex install {asked}")
        return self._record(found)

    def metrics(self) -> list[dict[str, Any]]:
        """Return what runs, as the engine's metrics have it."""
        return [
            {
                "name": record["name"],
                "type": record["pluginType"],
                "version": record["version"],
                "path": record["path"],
                "description": record["description"],
            }
            for record in self.installed(status=ENABLED)
        ]

    def _records(self) -> Iterator[dict[str, Any]]:
        for plugin in sorted({PluginId(each.namespace, each.name) for each in self._client.list()}):
            if (found := self._client.current(plugin)) is not None:
                yield self._record(found)

    def _record(self, found: Installation) -> dict[str, Any]:
        plugin = PluginId(found.namespace, found.name)
        manifest = document = None
        with suppress(SealdexError):  # an archive that nobody signed, or damage, which `verify` names
            manifest = installed_manifest(found)
        with suppress(SealdexError):
            known = self._client.queries.known(plugin)
            document = known.document if known is not None else None
        return plugin_record(found, manifest, document, State(self._store).plugin(plugin).status)

    # --- changes -----------------------------------------------------------------------------------------------------

    def install(self, plugin: str, version: str = "") -> dict[str, Any]:
        """Install a release, or bring a plugin up to date, and return what is in use."""
        asked = plugin_of(plugin)
        self._bring_up_to_date()
        with self._changing:
            self._client.install(_request(asked, version))
        return self.detail(plugin)

    def update(self, plugin: str, version: str = "") -> dict[str, Any]:
        """Bring an installed plugin up to date, or to a version.

        Raises:
            NotFoundError: it isn't installed.
        """
        self.detail(plugin)
        return self.install(plugin, version)

    def uninstall(self, plugin: str) -> None:
        """Remove all versions of a plugin."""
        with self._changing:
            self._client.uninstall(plugin_of(plugin))

    def enable(self, plugin: str, *, enabled: bool) -> dict[str, Any]:
        """Let hosts load a plugin, or stop them from doing so, and return it."""
        with self._changing:
            set_enabled(self._store, [plugin_of(plugin)], enabled=enabled)
        return self.detail(plugin)


def plugin_of(text: str) -> PluginId:
    """Return a plugin by its name, which is not to become a path unchecked.

    Raises:
        UsageError: it isn't ``namespace/name``.
    """
    try:
        return parse_plugin_id(text)
    except ValueError as error:
        raise UsageError(f"the plugin's id is wrong: {error}", hint="write NAMESPACE/NAME") from error


def _request(plugin: PluginId, version: str) -> str:
    if not version:
        return str(plugin)
    if (problem := version_problem(version)) is not None:
        raise UsageError(f"the version '{version}' {problem}")
    return f"{plugin}@={version}"


__all__ = ["Available", "Delivered", "Host", "plugin_of"]
