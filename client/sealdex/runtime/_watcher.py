"""Follows `current`: reloads a plugin when the version in use changes.

By polling: a check costs one ``readlink`` per plugin, works on every file system, and needs no watch descriptors, of
which hosts have few. A version that failed to load is not tried again until `current` names another one. Disabled
plugins are closed, and loaded again when they are enabled.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.runtime.plugin import PluginState
from sealdex.store.installations import current_version_named
from sealdex.store.layout import Store

_log = logging.getLogger("sealdex.runtime")


class Followers(Protocol):
    """The plugins of a watcher: the part of `PluginManager` that it needs."""

    @property
    def store(self) -> Store:
        """The store in which they are installed."""

    def followed(self) -> list[tuple[str, PluginId]]:
        """Return name and plugin of the entries that follow the version in use."""

    def switched(self) -> list[tuple[str, bool]]:
        """Return the plugins that were disabled (False) or enabled again (True) since the last call."""

    def state(self, name: str) -> PluginState:
        """Return the state of one plugin."""

    def unload(self, name: str) -> PluginState:
        """Close a plugin that was disabled."""

    def reload(self, name: str) -> PluginState:
        """Switch to the version in use now."""


class Watcher:
    """Created by `PluginManager.watch`.

    Args:
        manager: the manager of the plugins.
        interval_s: seconds between checks.
        on_change: called after each reload.
    """

    def __init__(
        self, manager: Followers, interval_s: float, on_change: Callable[[PluginState], None] | None = None
    ) -> None:
        self._manager = manager
        self._interval_s = interval_s
        self._on_change = on_change
        self._tried: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Check at intervals, in a thread, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="sealdex plugin watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a reload in progress is waited for."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def look(self) -> list[PluginState]:
        """Check once: reload switched plugins, close disabled ones, and return the states of those."""
        changed: list[PluginState] = []
        for name, is_enabled in self._manager.switched():
            try:
                changed.append(self._reload(name) if is_enabled else self._unload(name))
            except SealdexError:  # noqa: PERF203  # unregistered meanwhile
                continue
        for name, plugin in self._manager.followed():
            try:
                named = current_version_named(self._manager.store, plugin)
                before = self._manager.state(name).version
                if named == before:
                    self._tried.pop(name, None)
                if named is None or named in {before, self._tried.get(name)}:
                    continue
                self._tried[name] = named
                changed.append(self._reload(name))
            except SealdexError:  # unregistered meanwhile
                continue
        return changed

    def _reload(self, name: str) -> PluginState:
        try:
            state = self._manager.reload(name)
            _log.info("reloaded %s: now using %s", name, state.version)
        except SealdexError as error:
            state = self._manager.state(name)
            _log.warning("%s was not reloaded, still using %s: %s", name, state.version or "nothing", error)
        if self._on_change is not None:
            self._on_change(state)
        return state

    def _unload(self, name: str) -> PluginState:
        state = self._manager.unload(name)
        _log.info("closed %s, which was disabled", name)
        if self._on_change is not None:
            self._on_change(state)
        return state

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            try:
                self.look()
            except Exception:  # noqa: BLE001, PERF203  # a store that is being moved, say: the next look may fare better
                _log.exception("checking for switched plugins failed")
