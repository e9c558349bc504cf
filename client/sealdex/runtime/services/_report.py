"""What a supervisor tells of its service: its state for other processes, its log, and whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sealdex.log import Log
from sealdex.runtime.process._group import process_identity
from sealdex.runtime.services._log import LogFile
from sealdex.runtime.services._plan import ServicePlan
from sealdex.runtime.services._process import ServiceProcess
from sealdex.runtime.services.state import RUNNING, STARTING, ServiceFolder, ServiceState, now_utc, remember

_log = Log("sealdex.runtime")


class Report:
    """Keeps state and log of one service; made by who holds its lock.

    Args:
        folder: where.
        first: the state to begin with.
        on_line: told of each line that the service prints.
        on_state: told of each change.
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
        """Give the log back."""
        self._log.close()

    def say(self, text: str) -> None:
        """Add a line of the supervisor's own to the log."""
        self._log.write(f"sealdex: {text}")
        _log.info("runtime.service", "{text}", text=text, plugin=self.state.plugin, version=self.state.version)

    def printed(self, line: str, prefix: str = "") -> None:
        """Take a line that the service printed."""
        self._log.write(prefix + line)
        on_line = self._on_line
        if on_line is not None:
            self._show(lambda: on_line(line))

    def left_behind(self, pid: int | None, identity: str | None) -> None:
        """Say which process of an earlier supervisor is being ended; None: none is."""
        self.state = replace(self.state, pid=pid, identity=identity)
        remember(self._folder, self.state)

    def change(
        self, state: str, *, plan: ServicePlan | None = None, process: ServiceProcess | None = None, **changes: object
    ) -> ServiceState:
        """Take note of a change.

        Args:
            state: as it is now.
            plan: the version that it is about; as before when left out.
            process: what runs; nothing does when it is left out and the state is another one.
            changes: further fields of `ServiceState`.
        """
        if plan is not None:
            changes |= {"version": plan.version, "port": plan.port, "health_url": plan.health_url}
        if process is not None:
            changes |= {"pid": process.pid, "identity": process.identity, "started_at": process.started_at}
        elif state != self.state.state:
            changes |= {"pid": None, "identity": None, "started_at": None}
        self.state = replace(self.state, state=state, since=now_utc(), **changes)  # type: ignore[arg-type]  # its own fields
        remember(self._folder, self.state)
        health = f", {self.state.health}" if state == RUNNING and self.state.health is not None else ""
        self.say(f"{self.state.plugin} {self.state.version} is {state}{health}")
        on_state = self._on_state
        if on_state is not None:
            self._show(lambda: on_state(self.state))
        return self.state

    def _show(self, show: Callable[[], None]) -> None:
        try:
            show()
        except (OSError, ValueError):  # who was shown it is gone; the log goes on, and so does the service
            self._on_line = self._on_state = None


def first_state(plan: ServicePlan, supervisor: int, **fields: object) -> ServiceState:
    """Return the state of a service that this supervisor is going to start."""
    return ServiceState(
        plugin=str(plan.plugin),
        version=plan.version,
        state=STARTING,
        supervisor=supervisor,
        supervisor_identity=process_identity(supervisor),
        port=plan.port,
        health_url=plan.health_url,
        **fields,  # type: ignore[arg-type]  # its own fields
    )
