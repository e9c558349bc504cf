"""Keeps one service running: starts it, waits until it is well, starts it again with back-off, ends it when asked.

The first start that fails is final, so that a wrong command is known at once. Later ends with an exit code other than
0 are followed by another start, after 1, 2, 4 ... seconds, at most a minute; after ``max_restarts`` in a row without a
minute of running it is given up.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from sealdex.runtime.errors import PluginError
from sealdex.runtime.health import health_problem
from sealdex.runtime.process_group import ProcessGroup, end_group, process_identity, pump
from sealdex.runtime.service_plan import ServicePlan, is_taken
from sealdex.runtime.service_state import (
    FAILED,
    RUNNING,
    STARTING,
    STOPPED,
    WAITING,
    LogFile,
    ServiceFolder,
    ServiceState,
    is_left_behind,
)

_LAST_LINES = 10


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a supervisor waits, in seconds, and how often it tries.

    Attributes:
        health: for the health check after a start.
        grace: between SIGTERM and SIGKILL.
        first_delay, longest_delay: before a restart; each doubles the one before.
        max_restarts: in a row; 0: never start again.
        good_run: a run of this length ends a row.
    """

    health: float = 60.0
    grace: float = 10.0
    first_delay: float = 1.0
    longest_delay: float = 60.0
    max_restarts: int = 10
    good_run: float = 60.0

    def delay(self, failures: int) -> float | None:
        """Return how long to wait after so many failures in a row, or None to give up."""
        if failures > self.max_restarts:
            return None
        return min(self.longest_delay, self.first_delay * 2.0 ** (failures - 1))


class Supervisor:
    """Runs one service.

    Args:
        folder: where its state and log are kept.
        plan: how it is started.
        patience: how long to wait.
        on_line: told of each line that it prints.
        on_state: told of each change.
    """

    def __init__(
        self,
        folder: ServiceFolder,
        plan: ServicePlan,
        patience: Patience | None = None,
        *,
        on_line: Callable[[str], None] | None = None,
        on_state: Callable[[ServiceState], None] | None = None,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._patience = patience or Patience()
        self._on_line = on_line
        self._on_state = on_state
        self._events: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        """Exit code of the service, or None: it is to stop. Its ``put`` may be called in a signal handler."""
        self._is_stopping = False
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._name = f"{plan.plugin} {plan.version}"
        self._state = ServiceState(
            plugin=str(plan.plugin),
            version=plan.version,
            state=STARTING,
            supervisor=os.getpid(),
            port=plan.port,
            health_url=plan.health_url,
            log=str(folder.log_path),
        )

    def request_stop(self) -> None:
        """Let `run` end the service and return; from a signal handler or another thread."""
        self._is_stopping = True
        self._events.put(None)

    def run(self) -> ServiceState:
        """Run the service until it ends with code 0 or `request_stop`, and return its last state.

        Raises:
            PluginError: it runs already; it can't be started or doesn't become well; it failed too often.
        """
        lock = self._folder.acquire()
        if lock is None:
            raise PluginError(
                f"{self._plan.plugin} is running already",
                subject=str(self._plan.plugin),
                untouched="it goes on",
                hint=f"sealdex ps shows it; sealdex stop {self._plan.plugin} stops it",
            )
        log = LogFile(self._folder.log_path)
        try:
            before = self._folder.read(has_lock=True)
            if before is not None and is_left_behind(before) and before.pid is not None and before.identity is not None:
                log.write(f"sealdex: ending process {before.pid}, left behind by a supervisor that was killed")
                end_group(before.pid, before.identity, self._patience.grace)
            return self._keep_running(log)
        except PluginError as error:
            self._change(log, FAILED, error=str(error), pid=None)
            raise
        finally:
            log.close()
            lock.release()

    def _keep_running(self, log: LogFile) -> ServiceState:
        failures = 0
        while True:
            began = time.monotonic()
            try:
                code = self._run_once(log)
            except PluginError as error:
                if self._state.restarts == 0:
                    raise
                log.write(f"sealdex: {error}")
                code = 1
            if code is None or self._is_stopping:
                return self._change(log, STOPPED, pid=None)
            if code == 0:
                return self._change(log, STOPPED, pid=None, exit_code=0)
            failures = 1 if time.monotonic() - began >= self._patience.good_run else failures + 1
            delay = self._patience.delay(failures)
            if delay is None:
                raise PluginError(
                    f"{self._name} failed {failures} times in a row, last {_in_words(code)}{self._tail()}",
                    subject=self._name,
                    hint=f"sealdex logs {self._plan.plugin}",
                )
            self._change(log, WAITING, pid=None, exit_code=code, error=_in_words(code))
            log.write(f"sealdex: it ended {_in_words(code)}; starting again in {delay:g} s")
            if self._stopped_within(delay):
                return self._change(log, STOPPED, pid=None)
            self._change(log, STARTING, restarts=self._state.restarts + 1)

    def _run_once(self, log: LogFile) -> int | None:
        """Start the service, see it become well, wait for its end; return its exit code, None when it is to stop.

        Raises:
            PluginError: it could not be started, or the first start did not become well.
        """
        if self._plan.port is not None and is_taken(self._plan.port):
            raise PluginError(
                f"port {self._plan.port} is taken, so {self._name} can't listen there",
                subject=self._name,
                untouched="nothing was started",
                hint="end who listens there, or name another port with --port (0: any that is free)",
            )
        try:
            group = ProcessGroup(
                self._plan.command,
                folder=self._plan.folder,
                env=self._plan.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise PluginError(
                f"{self._name} can't be started: {self._plan.command[0]}: {error.strerror}", subject=self._name
            ) from error
        stdout = group.process.stdout
        if stdout is None:
            raise AssertionError("unreachable: it is a pipe")
        printing = threading.Thread(target=pump, args=(stdout, lambda line: self._printed(log, line)), daemon=True)
        printing.start()
        ending = threading.Thread(target=lambda: self._events.put(group.wait()), daemon=True)
        ending.start()
        try:
            self._change(log, STARTING, pid=group.pid, identity=process_identity(group.pid))
            is_well, code = self._become_well()
            if is_well:
                self._change(log, RUNNING, error=None)
                code = self._events.get()
            elif self._state.restarts == 0 and code is not None:
                printing.join(self._patience.grace)
                raise PluginError(
                    f"{self._name} ended {_in_words(code)} before it was well{self._tail()}",
                    subject=self._name,
                    hint=f"sealdex logs {self._plan.plugin}",
                )
            return code
        finally:
            group.stop(self._patience.grace)
            ending.join()
            printing.join(self._patience.grace)
            while not self._events.empty():  # the end of this run is no news to the next
                self._events.get()

    def _become_well(self) -> tuple[bool, int | None]:
        """Ask until it is well. Return whether it is, and otherwise its exit code or None when it is to stop.

        Raises:
            PluginError: it wasn't in time.
        """
        interval = self._plan.health.interval if self._plan.health is not None else 0.05
        deadline = time.monotonic() + self._patience.health
        while (problem := health_problem(self._plan)) is not None:
            if time.monotonic() >= deadline:
                raise PluginError(
                    f"{self._name} was not well within {self._patience.health:g} s: {problem}{self._tail()}",
                    subject=self._name,
                    untouched="it was ended again",
                    hint=f"sealdex logs {self._plan.plugin}; allow more with --health-timeout",
                )
            try:
                return False, self._events.get(timeout=interval)
            except queue.Empty:
                continue
        try:
            # it may have ended while a stranger answered, and one without a health check may end at once
            return False, self._events.get(timeout=0.2 if self._plan.health is None else 0)
        except queue.Empty:
            return True, None

    def _stopped_within(self, seconds: float) -> bool:
        with suppress(queue.Empty):
            self._events.get(timeout=0 if self._is_stopping else seconds)
        return self._is_stopping

    def _printed(self, log: LogFile, line: str) -> None:
        self._last_lines.append(line)
        log.write(line)
        if self._on_line is not None:
            self._on_line(line)

    def _tail(self) -> str:
        return "; it last said:\n" + "\n".join(self._last_lines) if self._last_lines else ""

    def _change(self, log: LogFile, state: str, **changes: object) -> ServiceState:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._state = replace(self._state, state=state, since=now, **changes)  # type: ignore[arg-type]  # its own fields
        self._folder.write(self._state)
        log.write(f"sealdex: {self._name} is {state}")
        if self._on_state is not None:
            self._on_state(self._state)
        return self._state


def _in_words(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
