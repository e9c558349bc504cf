"""The configured registries of a host: each plugin is looked up in the one registry that has its namespace."""

from __future__ import annotations

import shutil
import threading
import weakref
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex.config.config import Config
from sealdex.config.document import max_staleness_of
from sealdex.errors import NoRegistryError, NotFoundError, SealdexError, UnavailableError
from sealdex.events import Observer
from sealdex.log import Log
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.resolve import UnknownPluginError, nearest
from sealdex.results import PluginInfo, Trust
from sealdex.store.layout import Store
from sealdex.store.writable import can_write, copy_for_a_run
from sealdex.store.yanked import note_yanked
from sealdex.transport import Addresses, Transport, public_url
from sealdex.trust.registry import TrustedRegistry, TrustState

if TYPE_CHECKING:
    from sealdex.model.catalog import CatalogRow
    from sealdex.trust.catalog_rows import ReadRows

_log = Log("sealdex.trust")

_MOST_FAILURES = 3


class Registries:
    """Opens registries when they are first needed and refreshes each once. Thread-safe.

    Offline, no requests are made: the last trusted state is verified again, and refused if it has expired.
    """

    def __init__(self, config: Config, transport: Transport, observer: Observer, *, offline: bool = False) -> None:
        self._offline = offline
        self._config = config
        self._transport = transport
        self._observer = observer
        self._open: dict[str, TrustedRegistry] = {}
        self._addresses: dict[str, Addresses] = {}
        self._told: set[tuple[str, str]] = set()
        self._states: dict[str, TrustState] = {}
        self._cached: Registries | None = None
        self._lock = threading.RLock()

    def refresh(self, name: str) -> TrustState:
        """Bring a registry's metadata up to date, and return what is trusted now.

        Addresses that didn't answer before are asked again.
        """
        with self._lock:
            if name in self._open:
                self._open[name].addresses.revive()
            return self._refresh(name)

    def addresses(self, name: str) -> Addresses:
        """Return the addresses of a registry, with what is known of them in this run."""
        with self._lock:
            if name not in self._addresses:
                urls = self._config.section(name).addresses
                self._addresses[name] = Addresses(urls, lambda url, error: self._left(name, url, error))
            return self._addresses[name]

    def _left(self, name: str, url: str, error: SealdexError) -> None:
        """Tell once that an address of a registry isn't used for something, and why."""
        with self._lock:
            is_new = (url, error.message) not in self._told
            self._told.add((url, error.message))
        if is_new:
            self._observer.left(name, public_url(url), error)

    def _refresh(self, name: str) -> TrustState:
        with self._lock:
            if name not in self._open:
                self._open[name] = TrustedRegistry(
                    name,
                    self.addresses(name),
                    self._config.root_bytes(name),
                    self._trust_folder(name),
                    self._transport,
                    offline=self._offline,
                    on_wait=self._observer.waiting,
                    max_staleness=max_staleness_of(self._config.section(name)),
                )
            is_first = name not in self._states
            state = self._states[name] = self._open[name].refresh()
            if is_first and (note := state.age_note) is not None:
                self._observer.aged(note, state.age_report())
            return self._states[name]

    def _trust_folder(self, name: str) -> Path:
        """Return where a registry's metadata is kept; if the store can't be written, a temporary copy for this run.

        So the last verified state is still used, but updates are lost; both are anchored in the pinned root.
        """
        folder = self._config.trust_folder(name)
        if can_write(folder / "lock") and can_write(folder / "metadata"):
            return folder
        copy = copy_for_a_run(folder, ("metadata", "documents"))
        weakref.finalize(self, shutil.rmtree, copy, ignore_errors=True)
        return copy

    def documents(self, plugins: Collection[PluginId]) -> dict[PluginId, IndexDocument | None]:
        """Return the index document of each plugin from its registry, None if that doesn't have it."""
        wanted: dict[str, list[PluginId]] = {}
        for plugin in plugins:
            wanted.setdefault(self._config.registry_for(plugin.namespace), []).append(plugin)
        found: dict[PluginId, IndexDocument | None] = {}
        for name, mine in wanted.items():
            _log.debug("trust.asked", "{registry} is asked for {plugins}", registry=name, plugins=mine)
            found.update(self._refreshed(name).indexes(mine))
        note_yanked(Store(self._config.store), found)
        return found

    def answers(
        self, plugins: Collection[PluginId]
    ) -> dict[PluginId, IndexDocument | UnavailableError | NoRegistryError | None]:
        """As `documents`, but with the error instead of the document if a plugin's registry couldn't be reached.

        The answers of other registries aren't affected. Verification errors are raised as usual.
        """
        found: dict[PluginId, IndexDocument | UnavailableError | NoRegistryError | None] = {}
        wanted: dict[str, list[PluginId]] = {}
        for plugin in plugins:
            try:
                wanted.setdefault(self._config.registry_for(plugin.namespace), []).append(plugin)
            except NoRegistryError as error:  # noqa: PERF203  # each is asked about by itself
                found[plugin] = error
        for name, mine in wanted.items():
            _log.debug("trust.asked", "{registry} is asked for {plugins}", registry=name, plugins=mine)
            try:
                found.update(self._refreshed(name).indexes(mine))
            except UnavailableError as error:
                _log.info("trust.unreachable", "{registry} can't be asked: {reason}", registry=name, reason=error)
                found.update(self._one_by_one(name, mine, error))
        told = {plugin: answer for plugin, answer in found.items() if isinstance(answer, IndexDocument)}
        note_yanked(Store(self._config.store), told)
        return found

    def _one_by_one(
        self, name: str, plugins: Sequence[PluginId], error: UnavailableError
    ) -> dict[PluginId, IndexDocument | UnavailableError | None]:
        """Ask a registry for each plugin separately, after it didn't answer for all of them at once.

        Raises:
            UnavailableError: it answers for its timestamp but not for several of its plugins. It isn't down then, and
                each further request would take as long as the last.
        """
        found: dict[PluginId, IndexDocument | UnavailableError | None] = {}
        if name not in self._states:
            return dict.fromkeys(plugins, error)
        if not self.addresses(name).usable():
            return dict.fromkeys(plugins, error)
        try:
            self._refresh(name)
        except UnavailableError as down:
            return dict.fromkeys(plugins, down)
        failures = 0
        for plugin in plugins:
            try:
                found.update(self._refreshed(name).indexes([plugin]))
            except UnavailableError as why:  # noqa: PERF203  # the same
                found[plugin] = why
                failures += 1
                if failures > _MOST_FAILURES and not self._offline:
                    raise
        return found

    def known(self, plugin: PluginId) -> PluginInfo | None:
        """Return the last verified document of a plugin, verified again without a request.

        None if that isn't possible: nothing is cached, it has expired, or no registry is configured for it. So None
        doesn't mean that the plugin doesn't exist.
        """
        with suppress(SealdexError):
            asked = self if self._offline else self._offline_view()
            document = asked.documents([plugin])[plugin]
            return PluginInfo(document, asked.trust(plugin)) if document is not None else None
        return None

    def _offline_view(self) -> Registries:
        with self._lock:
            if self._cached is None:
                self._cached = Registries(self._config, self._transport, self._observer, offline=True)
            return self._cached

    def row_parts(self, name: str) -> list[ReadRows]:
        """Return what reads a registry's catalog, without the namespaces that are not looked up there.

        So no registry can show a plugin under a name that belongs to another registry.
        """
        from sealdex.trust.catalog import row_parts as parts_of  # noqa: PLC0415  # who installs by name needs none of it

        return [partial(self._own, name, read) for read in parts_of(self._refreshed(name))]

    def _own(self, name: str, read: ReadRows) -> list[CatalogRow]:
        return [row for row in read() if self._is_of(name, row.namespace)]

    def trust(self, plugin: PluginId) -> Trust:
        """Return which registry and role signed a plugin's document."""
        name = self._config.registry_for(plugin.namespace)
        registry = self._refreshed(name)
        return Trust(name, registry.signed_by(plugin), self._states[name].root_version)

    def addresses_of(self, plugin: PluginId) -> Addresses:
        """Return the addresses of the published tree that has a plugin."""
        return self.addresses(self._config.registry_for(plugin.namespace))

    def is_partial(self, plugin: PluginId) -> bool:
        """Return whether the registry of a plugin is declared to have a part only."""
        return self._config.section(self._config.registry_for(plugin.namespace)).partial

    def unknown(self, plugin: PluginId) -> UnknownPluginError:
        """Return the error for a plugin that its registry doesn't have, with the most similar names."""
        name = self._config.registry_for(plugin.namespace)
        near: Sequence[PluginId] = ()
        with suppress(SealdexError):  # a failing suggestion must not hide the error
            parts = self.row_parts(name)
            if len(parts) == 1:  # a large catalog is too much to read for a suggestion
                near = nearest(plugin, [row.id for row in parts[0]()])
        return UnknownPluginError(plugin, name, near)

    def open(self, name: str) -> None:
        """Bring a registry's metadata up to date, unless that was done before; raises as `refresh`."""
        self._refreshed(name)

    def _refreshed(self, name: str) -> TrustedRegistry:
        with self._lock:
            if name not in self._states:
                self._refresh(name)
            return self._open[name]

    def _is_of(self, name: str, namespace: str) -> bool:
        with suppress(NotFoundError):
            return self._config.registry_for(namespace) == name
        return False
