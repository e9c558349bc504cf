"""Publishes the state and log of a service for other processes and for callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sealdex.log import Log
from sealdex.runtime.process._group import process_identity
from sealdex.runtime.services._log import LogFile
from sealdex.runtime.services._plan import ServicePlan
from sealdex.runtime.services._process import ServiceProcess
from sealdex.runtime.services.state import ServiceFolder, ServicePhase, ServiceState, now_utc, remember

_log = Log("sealdex.runtime")


class Report:
    """Keeps state and log of one service; created by the holder of its lock.

    Args:
        folder: its folder.
        first: the initial state.
        on_line: called with each line that the service prints.
        on_state: called after each change.
    """

    def __init__(
        self,
        folder: ServiceFolder,
        first: ServiceState,
        on_line: Callable[[str], None] | None,
        on_state: Callable[[ServiceState], None] | None,
    ) -> None:
        self._folder = folder
        self._on_line = on_line
        self._on_state = on_state
        self._log = LogFile(folder.log_path)
        self.state = first

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def say(self, text: str) -> None:
        """Add a line of the supervisor to the log."""
        self._log.write(f"sealdex: {text}")
        _log.info("runtime.service", "{text}", text=text, plugin=self.state.plugin, version=self.state.version)

    def printed(self, line: str, prefix: str = "") -> None:
        """Add a line that the service printed."""
        self._log.write(prefix + line)
        on_line = self._on_line
        if on_line is not None:
            self._show(lambda: on_line(line))

    def left_behind(self, pid: int | None, identity: str | None) -> None:
        """Record which process of an earlier supervisor is being terminated; None: none."""
        self.state = replace(self.state, pid=pid, identity=identity)
        remember(self._folder, self.state)

    def change(
        self,
        state: ServicePhase | None,
        *,
        plan: ServicePlan | None = None,
        process: ServiceProcess | None = None,
        **changes: object,
    ) -> ServiceState:
        """Record a change.

        Args:
            state: the new state; None: unchanged.
            plan: the version; default: unchanged.
            process: the running process; default: none if the state changes.
            changes: further fields of `ServiceState`.
        """
        if plan is not None:
            changes |= {"version": plan.version, "port": plan.port, "health_url": plan.health_url}
        if process is not None:
            changes |= {"pid": process.pid, "identity": process.identity, "started_at": process.started_at}
        elif state is not None and state != self.state.state:
            changes |= {"pid": None, "identity": None, "started_at": None}
        self.state = replace(self.state, state=state or self.state.state, since=now_utc(), **changes)  # type: ignore[arg-type]  # its own fields
        remember(self._folder, self.state)
        health = f", {self.state.health}" if self.state.state == "running" and self.state.health is not None else ""
        self.say(f"{self.state.plugin} {self.state.version} is {self.state.state}{health}")
        on_state = self._on_state
        if on_state is not None:
            self._show(lambda: on_state(self.state))
        return self.state

    def _show(self, show: Callable[[], None]) -> None:
        try:
            show()
        except Exception:  # noqa: BLE001  # whatever becomes of who is told: log and service continue
            self._on_line = self._on_state = None


def first_state(plan: ServicePlan, supervisor: int, **fields: object) -> ServiceState:
    """Return the state of a service that this supervisor is about to start."""
    return ServiceState(
        plugin=str(plan.plugin),
        version=plan.version,
        state="starting",
        supervisor=supervisor,
        supervisor_identity=process_identity(supervisor),
        port=plan.port,
        health_url=plan.health_url,
        **fields,  # type: ignore[arg-type]  # its own fields
    )
