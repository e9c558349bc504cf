"""The configured registries of a host: each plugin is asked for in the one registry that its namespace belongs to."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from contextlib import suppress

from sealdex.config import Config
from sealdex.errors import NotFoundError, SealdexError
from sealdex.model.catalogue import CatalogueRow
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.observing import Observer
from sealdex.resolve import UnknownPluginError, nearest
from sealdex.results import Trust
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry, TrustState


class Registries:
    """Opens registries when they are first asked and refreshes each once. Safe for threads.

    Offline, nothing is asked: what was trusted last is verified again, and refused once it has expired.
    """

    def __init__(self, config: Config, transport: Transport, observer: Observer, *, offline: bool = False) -> None:
        self._offline = offline
        self._config = config
        self._transport = transport
        self._observer = observer
        self._open: dict[str, TrustedRegistry] = {}
        self._states: dict[str, TrustState] = {}
        self._lock = threading.RLock()

    def refresh(self, name: str) -> TrustState:
        """Bring a registry's metadata up to date, and say what is trusted now."""
        with self._lock:
            if name not in self._open:
                self._open[name] = TrustedRegistry(
                    name,
                    self._config.section(name).url,
                    self._config.root_bytes(name),
                    self._config.trust_folder(name),
                    self._transport,
                    offline=self._offline,
                    on_wait=self._observer.waiting,
                )
            self._states[name] = self._open[name].refresh()
            return self._states[name]

    def documents(self, plugins: Collection[PluginId]) -> dict[PluginId, IndexDocument | None]:
        """Return the index document of each plugin from its registry, None where that doesn't have it."""
        wanted: dict[str, list[PluginId]] = {}
        for plugin in plugins:
            wanted.setdefault(self._config.registry_for(plugin.namespace), []).append(plugin)
        found: dict[PluginId, IndexDocument | None] = {}
        for name, mine in wanted.items():
            found.update(self._refreshed(name).indexes(mine))
        return found

    def rows(self, name: str) -> list[CatalogueRow]:
        """Return a registry's catalogue, without the namespaces that are not looked up there.

        So none can show a stranger under a name that belongs to another registry.
        """
        return [row for row in self._refreshed(name).catalogue() if self._is_of(name, row.namespace)]

    def trust(self, plugin: PluginId) -> Trust:
        """Return on whose word a plugin's document is believed."""
        name = self._config.registry_for(plugin.namespace)
        registry = self._refreshed(name)
        return Trust(name, registry.signed_by(plugin), self._states[name].root_version)

    def url_of(self, plugin: PluginId) -> str:
        """Return the address of the published tree that a plugin belongs to."""
        return self._config.section(self._config.registry_for(plugin.namespace)).url

    def unknown(self, plugin: PluginId) -> UnknownPluginError:
        """Return the error for a plugin that its registry doesn't have, with the nearest names that it has."""
        name = self._config.registry_for(plugin.namespace)
        near: Sequence[PluginId] = ()
        with suppress(SealdexError):  # the advice isn't worth a second error
            near = nearest(plugin, [row.id for row in self.rows(name)])
        return UnknownPluginError(plugin, name, near)

    def _refreshed(self, name: str) -> TrustedRegistry:
        with self._lock:
            if name not in self._states:
                self.refresh(name)
            return self._open[name]

    def _is_of(self, name: str, namespace: str) -> bool:
        with suppress(NotFoundError):
            return self._config.registry_for(namespace) == name
        return False
