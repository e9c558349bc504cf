"""Keeps one service running: starts it, checks its health, restarts it with back-off, stops it on request.

If the first start fails, that is final, so that a wrong command is noticed at once. Later exits with a code other than
0, and health checks that fail several times in a row, lead to a restart after 1, 2, 4 ... seconds, at most a minute.
After ``max_restarts`` in a row without a minute of running the supervisor gives up.

A service that follows the version in use switches to another version when `current` names it. If the supervisor chose
the port, the new one runs beside the old until it is healthy. Otherwise both can't run at the same time: the old one is
stopped first, and restarted if the new one fails. A version that failed isn't tried again until `current` names
another.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from sealdex.errors import SealdexError
from sealdex.runtime.errors import PluginError
from sealdex.runtime.plugin import PluginStatus
from sealdex.runtime.process._backoff import BackOff, FailureRow
from sealdex.runtime.process._group import end_group
from sealdex.runtime.services._errors import already_running, not_ended
from sealdex.runtime.services._plan import ServicePlan, is_taken
from sealdex.runtime.services._process import Event, Events, ServiceProcess
from sealdex.runtime.services._report import Report, first_state
from sealdex.runtime.services._store_view import Surroundings
from sealdex.runtime.services.state import (
    ServiceFolder,
    ServiceState,
)

_ALIVE_S = 0.2
_PORTS_TRIED = 3


@dataclass(frozen=True, slots=True)
class RestartPolicy(BackOff):
    """Timeouts of a supervisor, in seconds, and its retries.

    Attributes:
        health: for the health check after a start.
        grace: between SIGTERM and SIGKILL.
        health_interval: between health checks, unless the manifest sets a longer interval.
        health_retries: health checks in a row that must fail before a restart.
        look_interval: between checks of the version in use and of whether the plugin was disabled.
    """

    health: float = 60.0
    grace: float = 10.0
    health_interval: float = 10.0
    health_retries: int = 3
    look_interval: float = 1.0


class _StopError(Exception):
    """The service must stop; the text says why."""


class Supervisor:
    """Runs one service.

    Args:
        folder: where its state and log are kept.
        plan: how it is started.
        surroundings: the store.
        policy: timeouts and retries.
        follows: whether to switch to another version when that becomes the one in use.
        on_line: called with each line that it prints.
        on_state: called after each change.
    """

    def __init__(
        self,
        folder: ServiceFolder,
        plan: ServicePlan,
        surroundings: Surroundings,
        policy: RestartPolicy | None = None,
        *,
        follows: bool = False,
        on_line: Callable[[str], None] | None = None,
        on_state: Callable[[ServiceState], None] | None = None,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._surroundings = surroundings
        self._policy = policy or RestartPolicy()
        self._follows = follows
        self._events: Events = Events()
        self._stops = 0
        self._running: list[ServiceProcess] = []
        self._row = FailureRow(self._policy)
        self._passed_over: str | None = None
        self._why_passed_over: str | None = None
        self._on_line = on_line
        self._on_state = on_state
        self._report: Report

    def request_stop(self) -> None:
        """Make `run` stop the service and return; the second time without grace. For signal handlers and threads."""
        self._stops += 1
        self._events.put(Event(None))

    def run(self) -> ServiceState:
        """Run the service until it ends with code 0 or `request_stop`, and return its last state.

        Raises:
            PluginError: it already runs; it can't be started or doesn't become healthy; it failed too often.
        """
        lock = self._folder.acquire()
        if lock is None:
            raise already_running(self._plan)
        try:
            first = first_state(
                self._plan, os.getpid(), follows=self._follows, grace=self._policy.grace, log=str(self._folder.log_path)
            )
            self._report = Report(self._folder, first, self._on_line, self._on_state)
            try:
                return self._run_to_its_end()
            finally:
                self._report.close()
        finally:
            lock.release()

    def _run_to_its_end(self) -> ServiceState:
        try:
            self._end_left_behind()
            return self._keep_running()
        except _StopError as stop:
            self._report.say(str(stop))
            self._end_all()
            return self._report.change("stopped")
        except PluginError as error:
            self._end_all()
            self._note(self._plan, PluginStatus.ERROR, str(error))
            self._report.change("failed", error=str(error))
            raise
        except Exception as error:  # otherwise its state would say that the supervisor was killed
            self._end_all()
            self._report.change("failed", error=f"{type(error).__name__}: {error}")
            raise
        finally:
            self._end_all()

    # --- the main loop -----------------------------------------------------------------------------------------------

    def _keep_running(self) -> ServiceState:
        process = self._start(self._plan)
        while True:
            failure = self._watch(process)
            if failure is None:
                process = self._go_over(process) or self._start_again(None, "could not be restarted")
                continue
            self._end(process)
            if failure == _ended(0):
                return self._report.change("stopped", exit_code=0)
            process = self._start_again(process, failure)

    def _watch(self, process: ServiceProcess) -> str | None:
        """Wait until a service fails, and return how; None: switch to another version."""
        unwell = 0
        while True:
            if process.code is not None:  # also if it ended while another event was handled
                return _ended(process.code)
            if self._wanted() is not None:
                return None
            event = self._next(self._policy.look_interval)
            if event is None or event.process is not process or event.code is not None:
                continue
            unwell = 0 if event.problem is None else unwell + 1
            health = "healthy" if event.problem is None else "unhealthy"
            if health != self._report.state.health:
                self._report.change("running", health=health, error=event.problem or self._why_passed_over)
            if event.problem is not None and unwell >= self._policy.health_retries:
                return f"was unhealthy {unwell} times in a row: {event.problem}"

    def _start_again(self, failed: ServiceProcess | None, failure: str) -> ServiceProcess:
        """Start it until it runs, with growing delays; if the version in use changed meanwhile, start that one.

        Raises:
            PluginError: it failed too often.
        """
        ran, code = (0.0, None) if failed is None else (time.monotonic() - failed.since, failed.code)
        tail = "" if failed is None else failed.tail
        while True:
            delay = self._row.failed(ran)
            if delay is None:
                raise PluginError(
                    f"{self._name} failed {self._row.count} times in a row; last it {failure}{tail}",
                    subject=self._name,
                    hint=f"sealdex logs {self._plan.plugin}",
                )
            health = self._report.state.health and "unhealthy"
            self._report.change("waiting", plan=self._plan, exit_code=code, error=f"it {failure}", health=health)
            self._report.say(f"it {failure}; restarting in {delay:g} s")
            self._pause(delay)
            self._report.change("starting", restarts=self._report.state.restarts + 1)
            if (other := self._other_plan()) is not None and (process := self._try(other)) is not None:
                return process
            try:
                return self._start(self._plan)
            except PluginError as error:
                ran, code, failure, tail = 0.0, None, f"could not be started: {error}", ""
                self._report.say(f"{error}")

    def _go_over(self, process: ServiceProcess) -> ServiceProcess | None:
        """Switch to the current version; return the running process, or None if neither version starts."""
        plan = self._other_plan()
        if plan is None:
            return process
        self._report.say(f"switching from {process.plan.version} to {plan.version}")
        if process.plan.can_run_beside(plan):
            made = self._try(plan)
            if made is None:
                return process
            self._end(process)
            return made
        self._end(process)
        made = self._try(plan)
        if made is not None:
            return made
        try:
            return self._start(self._plan)
        except PluginError as error:
            self._report.say(f"{error}")
            return None

    def _other_plan(self) -> ServicePlan | None:
        """Plan the start of the version in use if it isn't the running one; None also if that isn't possible."""
        version = self._wanted()
        if version is None:
            return None
        try:
            return self._surroundings.plan_other(self._plan, version)
        except SealdexError as error:
            self._pass_over(replace(self._plan, version=version), error)
            return None

    def _try(self, plan: ServicePlan) -> ServiceProcess | None:
        try:
            return self._start(plan)
        except PluginError as error:
            self._pass_over(plan, error)
            return None

    def _pass_over(self, plan: ServicePlan, error: SealdexError) -> None:
        self._passed_over = plan.version
        self._why_passed_over = f"not switched to {plan.version}: {error}"
        self._note(plan, PluginStatus.ERROR, f"{plan.version}: {error}")
        self._report.change(None, error=self._why_passed_over)
        self._report.say(f"{self._why_passed_over}")

    def _wanted(self) -> str | None:
        """Return the version in use if the service should switch to it.

        Raises:
            _StopError: it was disabled.
        """
        if not self._surroundings.is_enabled(self._plan):
            raise _StopError("it was disabled")
        if not self._follows:
            return None
        named = self._surroundings.version_in_use(self._plan)
        if named == self._plan.version and self._passed_over is not None:
            self._passed_over, self._why_passed_over = None, None
            self._note(self._plan, PluginStatus.ENABLED, None)
            self._report.change(None, error=None)
        return None if named in {None, self._plan.version, self._passed_over} else named

    # --- steps -------------------------------------------------------------------------------------------------------

    def _start(self, plan: ServicePlan) -> ServiceProcess:
        """Start it, and wait until it is healthy; then it is the running service.

        A port that was chosen here is free when it is chosen; whoever takes it before the service does costs a try.

        Raises:
            PluginError: it could not be started, exited, or was not healthy in time; it was stopped again.
        """
        for _ in range(_PORTS_TRIED - 1):
            try:
                return self._start_once(plan)
            except PluginError:  # noqa: PERF203  # three tries
                elsewhere = self._elsewhere(plan)
                if elsewhere is None:
                    raise
                plan = elsewhere
        return self._start_once(plan)

    def _elsewhere(self, plan: ServicePlan) -> ServicePlan | None:
        """Plan it on another port, if its own was chosen here and somebody else has it now."""
        if plan.wish.port != 0 or plan.port is None or not is_taken(plan.port):
            return None
        self._report.say(f"port {plan.port} was taken by another process; trying another port")
        with suppress(SealdexError):
            return self._surroundings.plan_other(plan, plan.version)
        return None

    def _start_once(self, plan: ServicePlan) -> ServiceProcess:
        process = ServiceProcess(plan, self._surroundings.hold(plan), self._printed, self._events)
        is_beside = bool(self._running)
        self._running.append(process)
        try:
            if not is_beside:
                self._report.change("starting", plan=plan, process=process)
            self._await_health(process)
        except PluginError:
            self._end(process)
            raise
        if plan.version != self._plan.version:
            self._row.end()
            self._passed_over, self._why_passed_over = None, None
        self._plan = plan
        if self._passed_over is None:
            self._note(plan, PluginStatus.ENABLED, None)
        health = None if plan.health is None else "healthy"
        self._report.change("running", plan=plan, process=process, health=health, error=self._why_passed_over)
        if plan.health is not None:
            process.ask_every(max(plan.health.interval, self._policy.health_interval))
        return process

    def _await_health(self, process: ServiceProcess) -> None:
        wait_s = self._policy.health if process.plan.health is not None else _ALIVE_S
        deadline = time.monotonic() + wait_s
        problem: str | None = "it did not answer yet"
        while not process.has_ended:
            event = self._next(max(0.0, deadline - time.monotonic()))
            if event is not None and event.process is process and event.code is None:
                problem = event.problem
                if problem is None and not process.has_ended:  # another process may have answered
                    return
            if time.monotonic() >= deadline:
                if process.plan.health is None:
                    return
                raise PluginError(
                    f"{process.name} was not healthy within {wait_s:g} s: {problem}{process.tail}",
                    subject=process.name,
                    untouched="it was stopped again",
                    hint=f"sealdex logs {process.plan.plugin}; to wait longer: --health-timeout",
                )
        self._end(process)
        raise PluginError(
            f"{process.name} {_ended(process.code or 0)} before it was healthy{process.tail}",
            subject=process.name,
            hint=f"sealdex logs {process.plan.plugin}",
        )

    def _next(self, timeout_s: float) -> Event | None:
        """Return the next event, or None on timeout.

        Raises:
            _StopError: it must stop.
        """
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if event.process is None:
            raise _StopError("it was asked to stop")
        return event

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self._wanted() is None:
            self._next(min(left, self._policy.look_interval))

    def _end(self, process: ServiceProcess) -> None:
        grace = self._folder.take_grace() if self._stops else None
        process.stop(self._policy.grace if grace is None else grace, lambda: self._stops > 1)
        if process in self._running:
            self._running.remove(process)

    def _end_all(self) -> None:
        while self._running:
            self._end(self._running[-1])

    def _end_left_behind(self) -> None:
        before = self._folder.read(has_lock=True)
        self._folder.take_grace()
        if before is not None and before.is_left_behind and before.pid is not None and before.identity is not None:
            # recorded at once: other processes must find this supervisor and the process it has to terminate
            self._report.left_behind(before.pid, before.identity)
            self._report.say(f"terminating process {before.pid}, left behind by a supervisor that was killed")
            if not end_group(before.pid, before.identity, before.variable, self._policy.grace):
                raise not_ended(self._plan.plugin, before.pid)
        self._report.left_behind(None, None)

    def _printed(self, process: ServiceProcess, line: str) -> None:
        self._report.printed(line, f"{process.plan.version}: " if len(self._running) > 1 else "")

    def _note(self, plan: ServicePlan, status: PluginStatus, error: str | None) -> None:
        try:
            self._surroundings.note(plan, status, error)
        except SealdexError as failure:  # a store that can't be written must not stop a running service
            self._report.say(f"its status could not be stored: {failure}")

    @property
    def _name(self) -> str:
        return f"{self._plan.plugin} {self._plan.version}"


def _ended(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
