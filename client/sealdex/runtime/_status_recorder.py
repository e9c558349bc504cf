"""Records the status of plugins in their entries, in the store, and for the observer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sealdex.errors import SealdexError
from sealdex.events import Observer
from sealdex.runtime._plugin_table import Entry
from sealdex.runtime.plugin import LoadedPlugin, PluginStatus, StatusKeeper, plugin_logger


class Notes:
    """Records statuses.

    Args:
        keeper: keeps them beyond the process.
        observer: told how long plugins took to load and what failed.
    """

    def __init__(self, keeper: StatusKeeper, observer: Observer) -> None:
        self._keeper = keeper
        self._observer = observer

    @contextmanager
    def of(self, entry: Entry, version: str) -> Iterator[None]:
        """Record the outcome of the block as the entry's status."""
        began = time.monotonic()
        try:
            yield
        except SealdexError as error:
            self._note(entry, version, PluginStatus.ERROR, f"{version}: {error}")
            self._observer.loaded(entry.plugin, version, time.monotonic() - began, is_well=False)
            raise
        self._note(entry, version, PluginStatus.ENABLED, None)
        self._observer.loaded(entry.plugin, version, time.monotonic() - began, is_well=True)

    def crashed(self, entry: Entry, loaded: LoadedPlugin, why: str) -> None:
        """Record that a running plugin exited unexpectedly, if it is the active version."""
        serving = entry.serving
        if serving is not None and serving.loaded is loaded:
            self._observer.crashed(entry.plugin, serving.context.version)
            self._note(entry, serving.context.version, PluginStatus.ERROR, f"{serving.context.version}: {why}")

    def _note(self, entry: Entry, version: str, status: PluginStatus, error: str | None) -> None:
        entry.status, entry.error = status, error
        try:
            self._keeper.note(entry.plugin, version, status, error)
        except SealdexError as failure:  # a store that can't be written must not stop plugins
            plugin_logger(entry.plugin).warning("the status of %s could not be stored: %s", entry.plugin, failure)
