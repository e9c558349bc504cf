"""One run of a service: its process group, what it prints, whether it is well, its end; told as events."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sealdex.runtime.errors import PluginError
from sealdex.runtime.process._group import ProcessGroup, process_identity, pump
from sealdex.runtime.services._health import health_problem
from sealdex.runtime.services._plan import ServicePlan, is_taken
from sealdex.runtime.services.state import now_utc
from sealdex.store.leases import Hold

_LAST_LINES = 10
_LAST_WORDS_S = 1.0  # a process that left the group may keep the output open for ever


@dataclass(frozen=True, slots=True)
class Event:
    """What happened: a process ended with a code, or was asked how it is; None: the supervisor is to stop.

    Attributes:
        process: whose.
        code: with which it ended; None: its health check was answered.
        problem: what the health check found; None: it is well.
    """

    process: ServiceProcess | None
    code: int | None = None
    problem: str | None = None


Events = queue.SimpleQueue[Event]
"""Its ``put`` may be called in a signal handler."""


class ServiceProcess:
    """A service that was started.

    Args:
        plan: how.
        hold: what keeps its version in the store; the service inherits it. Released when it has ended.
        on_line: told of each line that it prints.
        events: where its end and its health are told.

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
        self._interval = plan.health.interval if plan.health is not None else 0.0
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
            self._thread(self._ask)  # not waited for: who is asked may take its time

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, also when that wasn't told yet."""
        return self._group.has_ended

    @property
    def tail(self) -> str:
        """What it last said, to end a message with."""
        return "; it last said:\n" + "\n".join(self._last_lines) if self._last_lines else ""

    def ask_every(self, seconds: float) -> None:
        """Ask it how it is at this interval from now on."""
        self._interval = seconds

    def stop(self, grace_s: float, is_hurried: Callable[[], bool]) -> None:
        """End it and all that it started; may be called again.

        Args:
            grace_s: between asking and insisting.
            is_hurried: asked meanwhile; True insists at once.
        """
        self._is_over.set()
        self._group.stop(grace_s, is_hurried)
        self._waiting.join()
        self._printing.join(_LAST_WORDS_S)
        self._release()

    def _start(self) -> ProcessGroup:
        plan = self.plan
        if plan.port is not None and is_taken(plan.port):
            raise PluginError(
                f"port {plan.port} is taken, so {self.name} can't listen there",
                subject=self.name,
                untouched="nothing was started",
                hint="end who listens there, or name another port with --port (0: any that is free)",
            )
        try:
            return ProcessGroup(
                plan.command,
                folder=plan.folder,
                env=plan.env,
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
        self._last_lines.append(line)
        self._on_line(self, line)

    def _wait(self) -> None:
        self.code = self._group.wait()
        self._is_over.set()
        self._printing.join(_LAST_WORDS_S)  # so that its last words are there when its end is told
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
