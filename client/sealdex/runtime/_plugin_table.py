"""What a manager knows of each plugin: which version serves, by how many it is used, how often it crashed in a row."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sealdex.model.ids import PluginId
from sealdex.runtime.errors import PluginError
from sealdex.runtime.plugin import LoadedPlugin, PluginContext, PluginState, PluginStatus
from sealdex.runtime.process._backoff import BackOff, FailureRow
from sealdex.store.leases import Hold


@dataclass
class Serving:
    """A version that is loaded.

    Attributes:
        loaded: the version.
        context: what it was told.
        seconds: what loading and initialising took.
        hold: what keeps it from being uninstalled; None where the store can't be written.
        since: when it was loaded, in seconds of the monotonic clock.
        uses: by how many it is being used.
        is_retired: another took over; it is closed after its last use.
        is_counted: that it crashed was noted in its plugin's `Crashes`.
    """

    loaded: LoadedPlugin
    context: PluginContext
    seconds: float
    hold: Hold | None
    since: float = field(default_factory=time.monotonic)
    is_initialised: bool = False
    uses: int = 0
    is_retired: bool = False
    is_counted: bool = False


class Crashes:
    """The crashes of one plugin in a row, and when it may be started again.

    After the first one at once, by the next call; then with the pauses of a `BackOff`. Times are in seconds of the
    monotonic clock.
    """

    def __init__(self, backoff: BackOff) -> None:
        self._row = FailureRow(backoff)
        self._not_before: float | None = 0.0
        self.restarts = 0

    @property
    def count(self) -> int:
        """How many in a row."""
        return self._row.count

    def note(self, since: float, at: float) -> None:
        """Take note of a crash, of what was started at one time, at another."""
        delay = self._row.failed(at - since)
        if self._row.count == 1 and delay is not None:
            delay = 0.0
        self._not_before = None if delay is None else at + delay

    def wait(self, now: float) -> float | None:
        """Return how long it may not be started yet; None: not at all."""
        return None if self._not_before is None else max(0.0, self._not_before - now)

    def require_restart(self, name: str, why: str) -> None:
        """Refuse to start it again now where that is too early, or one crash too many.

        Raises:
            PluginError: it is; says what to do.
        """
        wait = self.wait(time.monotonic())
        if wait is None:
            raise PluginError(
                f"{name} crashed {self.count} times in a row and is not started again; last: {why}",
                subject=name,
                hint="reload it, or bring a version that works: sealdex update, sealdex rollback",
            )
        if wait > 0:
            raise PluginError(
                f"{name} crashed {self.count} times in a row; a call in {wait:.1f} s or later starts it again; "
                f"last: {why}",
                subject=name,
            )

    def forget(self) -> None:
        """Begin a new row: it was reloaded."""
        self._row.end()
        self._not_before = 0.0


@dataclass
class Entry:
    """A registered plugin.

    Attributes:
        name: what it was registered as.
        plugin: which plugin.
        pinned: its version for good; None follows the one in use.
        given: its configuration, without defaults.
        crashes: how often it crashed.
        serving: the version that serves, if any does.
        status, error: how it fared last.
        changing: held while a version is loaded or taken away, so that two reloads of one plugin come one after the
            other.
    """

    name: str
    plugin: PluginId
    pinned: str | None
    given: dict[str, Any]
    crashes: Crashes
    serving: Serving | None = None
    status: PluginStatus = PluginStatus.ENABLED
    error: str | None = None
    changing: threading.RLock = field(default_factory=threading.RLock)

    def ready(self) -> Serving:
        """Return the version that serves.

        Raises:
            PluginError: none does.
        """
        if self.serving is not None and self.serving.is_initialised:
            return self.serving
        if self.status is PluginStatus.DISABLED:
            raise PluginError(f"{self.name} is disabled", subject=self.name, hint=f"sealdex enable {self.plugin}")
        if self.serving is not None:
            raise PluginError(f"{self.name} is not initialised yet", subject=self.name, hint="call init() first")
        raise PluginError(f"{self.name} can't be used: {self.error or 'it was not loaded'}", subject=self.name)

    def state(self) -> PluginState:
        """Return how it is."""
        serving = self.serving
        return PluginState(
            name=self.name,
            plugin=self.plugin,
            version=serving.context.version if serving else None,
            status=self.status,
            error=self.error,
            kind=serving.loaded.kind if serving else None,
            load_seconds=serving.seconds if serving else None,
            restarts=self.crashes.restarts,
        )
