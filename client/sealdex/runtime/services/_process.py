"""One run of a service: its process group, output, health and end, reported as events."""

from __future__ import annotations

import queue
import secrets
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sealdex.runtime.errors import PluginError
from sealdex.runtime.process._group import ProcessGroup, process_identity, pump
from sealdex.runtime.process._marked import end_marked
from sealdex.runtime.services._health import health_problem
from sealdex.runtime.services._plan import ServicePlan, is_taken
from sealdex.runtime.services.state import now_utc
from sealdex.store.leases import Hold

RUN_VARIABLE = "SEALDEX_RUN"
"""In the environment of all processes of one run."""
_LAST_LINES = 10
_LINE_LENGTH = 500
_LAST_WORDS_S = 1.0  # a process that left the group may keep the output open


@dataclass(frozen=True, slots=True)
class Event:
    """An event: a process exited, or its health was checked; None: the supervisor should stop.

    Attributes:
        process: the process.
        code: its exit code; None: this is the result of a health check.
        problem: what the health check found; None: it is healthy.
    """

    process: ServiceProcess | None
    code: int | None = None
    problem: str | None = None


Events = queue.SimpleQueue[Event]
"""Its ``put`` may be called in a signal handler."""


class ServiceProcess:
    """A started service.

    Args:
        plan: how it is started.
        hold: keeps its version in the store; the service inherits it. Released when it has ended.
        on_line: called with each line that it prints.
        events: receives its end and its health.

    Raises:
        PluginError: its port is taken, or it can't be started.
    """

    def __init__(
        self, plan: ServicePlan, hold: Hold | None, on_line: Callable[[ServiceProcess, str], None], events: Events
    ) -> None:
        self.plan = plan
        self.name = f"{plan.plugin} {plan.version}"
        self._hold = hold
        self._on_line = on_line
        self._events = events
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._is_over = threading.Event()
        self._run = secrets.token_hex(8)
        self._interval = min(plan.health.interval, threading.TIMEOUT_MAX) if plan.health is not None else 0.0
        try:
            self._group = self._start()
        except BaseException:
            self._release()
            raise
        self.since = time.monotonic()
        self.started_at = now_utc()
        self.pid = self._group.pid
        self.identity = process_identity(self.pid)
        self.code: int | None = None
        self._printing = self._thread(self._print)
        self._waiting = self._thread(self._wait)
        if plan.health is not None:
            self._thread(self._ask)  # not waited for: the answer may take long

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, even if that wasn't reported yet."""
        return self._group.has_ended

    @property
    def tail(self) -> str:
        """Its last output, to append to a message."""
        return "; its last output:\n" + "\n".join(self._last_lines) if self._last_lines else ""

    def ask_every(self, seconds: float) -> None:
        """Check its health at this interval from now on."""
        self._interval = min(seconds, threading.TIMEOUT_MAX)

    def stop(self, grace_s: float, is_hurried: Callable[[], bool]) -> None:
        """Stop it and all processes that it started, also in other groups; may be called again.

        Args:
            grace_s: seconds between SIGTERM and SIGKILL.
            is_hurried: polled meanwhile; True sends SIGKILL at once.
        """
        self._is_over.set()
        is_left = self.has_ended and self._group.stop(0) == 0
        self._group.stop(grace_s, is_hurried)
        self._waiting.join()
        if not is_left:  # one that ended by itself may have been there to start a daemon
            end_marked(f"{RUN_VARIABLE}={self._run}", grace_s, is_hurried)
        self._printing.join(_LAST_WORDS_S)
        self._release()

    def _start(self) -> ProcessGroup:
        plan = self.plan
        if plan.port is not None and is_taken(plan.port):
            raise PluginError(
                f"port {plan.port} is taken, so {self.name} can't listen there",
                subject=self.name,
                untouched="nothing was started",
                hint="stop the process that listens there, or use another port: --port (0: any free one)",
            )
        try:
            return ProcessGroup(
                plan.command,
                folder=plan.folder,
                env={**plan.env, RUN_VARIABLE: self._run},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=() if self._hold is None else (self._hold.fileno(),),
            )
        except OSError as error:
            raise PluginError(
                f"{self.name} can't be started: {plan.command[0]}: {error.strerror}", subject=self.name
            ) from error

    def _print(self) -> None:
        stdout = self._group.process.stdout
        if stdout is None:
            raise AssertionError("unreachable: it is a pipe")
        pump(stdout, self._printed)

    def _printed(self, line: str) -> None:
        self._last_lines.append(line[:_LINE_LENGTH])
        self._on_line(self, line)

    def _wait(self) -> None:
        self.code = self._group.wait()
        self._is_over.set()
        self._printing.join(_LAST_WORDS_S)  # so that its last output is there when its end is reported
        self._events.put(Event(self, code=self.code))

    def _ask(self) -> None:
        while not self._is_over.is_set():
            problem = health_problem(self.plan)
            self._events.put(Event(self, problem=problem))
            self._is_over.wait(self._interval)

    def _release(self) -> None:
        if self._hold is not None:
            with suppress(OSError):
                self._hold.release()

    def _thread(self, run: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread
