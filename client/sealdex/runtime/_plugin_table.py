"""The table of a manager's plugins: the active version of each, its users, and its crashes in a row."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sealdex.model.ids import PluginId
from sealdex.runtime._schema_check import ParamsCheck
from sealdex.runtime.errors import PluginError
from sealdex.runtime.plugin import LoadedPlugin, PluginContext, PluginState, PluginStatus
from sealdex.runtime.process._backoff import BackOff, FailureRow
from sealdex.store.leases import Hold


@dataclass
class Serving:
    """A loaded version.

    Attributes:
        loaded: the version.
        context: the context that it was given.
        params: checks the parameters of its calls.
        seconds: seconds that loading and initializing took.
        hold: prevents it from being uninstalled; None if the store can't be written.
        since: when it was loaded, in seconds of the monotonic clock.
        uses: number of current users.
        is_retired: another version took over; it is closed after its last use.
        is_counted: its crash was counted in its plugin's `Crashes`.
    """

    loaded: LoadedPlugin
    context: PluginContext
    params: ParamsCheck
    seconds: float
    hold: Hold | None
    since: float = field(default_factory=time.monotonic)
    is_initialised: bool = False
    uses: int = 0
    is_retired: bool = False
    is_counted: bool = False


class Crashes:
    """The crashes of one plugin in a row, and when it may be restarted.

    After the first crash the next call restarts it at once; after that, with the delays of a `BackOff`. Times are in
    seconds of the monotonic clock.
    """

    def __init__(self, backoff: BackOff) -> None:
        self._row = FailureRow(backoff)
        self._not_before: float | None = 0.0
        self.restarts = 0

    @property
    def count(self) -> int:
        """The number of crashes in a row."""
        return self._row.count

    def note(self, since: float, at: float) -> None:
        """Record a crash: when the program was started and when it crashed."""
        delay = self._row.failed(at - since)
        if self._row.count == 1 and delay is not None:
            delay = 0.0
        self._not_before = None if delay is None else at + delay

    def wait(self, now: float) -> float | None:
        """Return how long to wait before a restart; None: it isn't restarted any more."""
        return None if self._not_before is None else max(0.0, self._not_before - now)

    def require_restart(self, name: str, why: str) -> None:
        """Refuse a restart if it is too early, or if there were too many crashes.

        Raises:
            PluginError: it is refused; with a hint.
        """
        wait = self.wait(time.monotonic())
        if wait is None:
            raise PluginError(
                f"{name} crashed {self.count} times in a row and is not restarted; last: {why}",
                subject=name,
                hint="reload it, or switch to a working version: sealdex update, sealdex rollback",
            )
        if wait > 0:
            raise PluginError(
                f"{name} crashed {self.count} times in a row; a call in {wait:.1f} s or later restarts it; last: {why}",
                subject=name,
            )

    def forget(self) -> None:
        """Reset the count after a reload."""
        self._row.end()
        self._not_before = 0.0


@dataclass
class Entry:
    """A registered plugin.

    Attributes:
        name: the name it was registered under.
        plugin: the plugin.
        pinned: its fixed version; None follows the version in use.
        given: its configuration, without defaults.
        crashes: its crashes in a row.
        env: variables for its program.
        serving: the active version, if there is one.
        status, error: its last status.
        changing: lock held while a version is loaded or closed, so that two reloads of one plugin run one after the
            other.
    """

    name: str
    plugin: PluginId
    pinned: str | None
    given: dict[str, Any]
    crashes: Crashes
    env: dict[str, str] = field(default_factory=dict)
    serving: Serving | None = None
    status: PluginStatus = PluginStatus.ENABLED
    error: str | None = None
    changing: threading.RLock = field(default_factory=threading.RLock)

    def ready(self) -> Serving:
        """Return the active version.

        Raises:
            PluginError: there is none.
        """
        if self.serving is not None and self.serving.is_initialised:
            return self.serving
        if self.status is PluginStatus.DISABLED:
            raise PluginError(f"{self.name} is disabled", subject=self.name, hint=f"sealdex enable {self.plugin}")
        if self.serving is not None:
            raise PluginError(f"{self.name} is not initialized yet", subject=self.name, hint="call init() first")
        raise PluginError(f"{self.name} can't be used: {self.error or 'it was not loaded'}", subject=self.name)

    def state(self) -> PluginState:
        """Return its state."""
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
