"""The API for services of a store: run one here, start one in the background, list, stop, read logs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from sealdex.errors import NotFoundError
from sealdex.log import Log, stopwatch
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.versions import version_problem
from sealdex.runtime._virtualenv import python_environment
from sealdex.runtime.errors import PluginError, PluginTimeoutError
from sealdex.runtime.process._group import HAS_GROUPS, end_group, process_identity
from sealdex.runtime.services._errors import already_running, not_ended
from sealdex.runtime.services._plan import ServicePlan, ServiceWish, free_port, plan_service
from sealdex.runtime.services._process import RUN_VARIABLE
from sealdex.runtime.services._program import is_started_as, module_command
from sealdex.runtime.services._store_view import Surroundings
from sealdex.runtime.services.state import (
    OVER,
    ServiceFolder,
    ServiceState,
    remember,
)
from sealdex.runtime.services.supervisor import RestartPolicy, Supervisor
from sealdex.store.activation import require_installed
from sealdex.store.database import StoredStatus
from sealdex.store.installations import current
from sealdex.store.layout import Store
from sealdex.store.manifests import installed_manifest
from sealdex.store.plugin_config import kept_config

_log = Log("sealdex.runtime")

LOG_FILE = "SEALDEX_LOG_FILE"
_POLL_S = 0.05
_MARGIN_S = 30.0


def _with_log_file(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a supervisor: it runs elsewhere, and still logs into the same file.

    A service that starts another in the background doesn't take it along when it ends.
    """
    file = environ.get(LOG_FILE)
    kept = {name: value for name, value in environ.items() if name != RUN_VARIABLE}
    return {**kept, **({LOG_FILE: str(Path(file).absolute())} if file else {})}


class Services:
    """The services of one store.

    Args:
        store: the folder with the installed plugins.
    """

    def __init__(self, store: Store | Path | str) -> None:
        self._store = store if isinstance(store, Store) else Store(os.fspath(store))

    @property
    def store(self) -> Store:
        """The store with the installed services."""
        return self._store

    def plan(
        self,
        plugin: PluginId,
        version: str | None = None,
        *,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        with_env: bool = False,
        on_line: Callable[[str], None] | None = None,
    ) -> ServicePlan:
        """Plan the start of an installed service; creates its virtual environment if requested.

        Args:
            plugin: the plugin.
            version: the version; default: the one in use.
            port: overrides the manifest's; 0 for any free port.
            env: variables that override or extend the manifest's.
            with_env: create and use a virtual environment from its ``requirements.txt``.
            on_line: called with each line that pip prints.

        Raises:
            NotFoundError: it isn't installed. InstallError: the environment can't be created.
            PluginError: it is not a service, or disabled, or this system (Windows) can't run services.
            ConfigError: what is set for it on this host doesn't match its schema, or a secret can't be read.
        """
        if not HAS_GROUPS:
            raise PluginError(
                "services need process groups, which this system doesn't have: they run on Linux and macOS",
                subject=str(plugin),
                untouched="nothing was started",
                hint=f"sealdex install {plugin}, then run it as this system does services: sealdex path {plugin}",
            )
        found = current(self._store, plugin) if version is None else require_installed(self._store, plugin, version)
        if found is None:
            raise NotFoundError(
                f"{plugin} is not installed", subject=str(plugin), hint=f"sealdex install {plugin}"
            )  # fmt: skip
        if not StoredStatus(self._store).is_enabled(plugin):
            raise PluginError(
                f"{plugin} is disabled",
                subject=str(plugin),
                untouched="nothing was started",
                hint=f"sealdex enable {plugin}",
            )
        plan = plan_service(
            found,
            installed_manifest(found),
            os.environ,
            port=free_port() if port == 0 else port,
            env=env,
            environment_folder=python_environment(self._store, found, on_line) if with_env else None,
            kept=kept_config(self._store, plugin),
        )
        return replace(plan, wish=ServiceWish(port, dict(env or {}), with_env))

    def supervisor(
        self,
        plan: ServicePlan,
        policy: RestartPolicy | None = None,
        *,
        follows: bool = False,
        on_line: Callable[[str], None] | None = None,
        on_state: Callable[[ServiceState], None] | None = None,
    ) -> Supervisor:
        """Return a supervisor that runs a service in this process; see `Supervisor`."""
        return Supervisor(
            ServiceFolder(self._store, plan.plugin),
            plan,
            Surroundings(self._store, self._plan_other),
            policy,
            follows=follows,
            on_line=on_line,
            on_state=on_state,
        )

    def _plan_other(self, plan: ServicePlan, version: str) -> ServicePlan:
        wish = plan.wish
        return self.plan(plan.plugin, version, port=wish.port, env=wish.env, with_env=wish.with_env)

    def start(self, plan: ServicePlan, policy: RestartPolicy | None = None, *, follows: bool = False) -> ServiceState:
        """Start a service under a supervisor in the background, and wait until it is healthy.

        Args:
            plan: how to start it.
            policy: timeouts and retries.
            follows: whether it switches to another version when that becomes the one in use.

        Raises:
            PluginError: it already runs, can't be started, or doesn't become healthy.
        """
        folder = ServiceFolder(self._store, plan.plugin)
        if folder.is_supervised():
            raise already_running(plan)
        policy = policy or RestartPolicy()
        folder.make()
        before = _author(folder.read())
        order = {
            "store": self._store.root,
            "plugin": plan.plugin,
            "version": plan.version,
            "port": plan.port,
            "wish": asdict(plan.wish),
            "follows": follows,
            "patience": asdict(policy),
        }
        # so that no folder is kept busy, and `-m`, which searches there first, imports nothing from the caller's
        away = Path(self._store.root).anchor
        with folder.log_path.open("ab") as log:
            process = subprocess.Popen(
                module_command("sealdex.runtime.services"),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=away,
                env=_with_log_file(os.environ),
            )
        if process.stdin is None:
            raise AssertionError("unreachable: it is a pipe")
        with suppress(BrokenPipeError), process.stdin as stdin:  # it ended at once, which is noticed below
            stdin.write(json.dumps(order).encode())
        took = stopwatch()
        state = self._started(folder, process, plan, policy, before)
        _log.info(
            "runtime.started",
            "{plugin} {version} is {state} after {seconds} s: supervisor {pid}, log {log}",
            plugin=plan.plugin,
            version=plan.version,
            state=state.state,
            seconds=took(),
            pid=process.pid,
            log=folder.log_path,
        )
        return state

    def _started(
        self,
        folder: ServiceFolder,
        process: subprocess.Popen[bytes],
        plan: ServicePlan,
        policy: RestartPolicy,
        before: tuple[object, ...],
    ) -> ServiceState:
        """Wait until the supervisor has written how the start went; what ``before`` wrote doesn't count."""
        deadline = time.monotonic() + policy.health + policy.grace + _MARGIN_S
        while time.monotonic() < deadline:
            has_ended = process.poll() is not None
            state = folder.read()
            # of an earlier supervisor that had the same process id: in a container they begin at 1 again
            is_old = _author(state) == before
            if state is not None and not is_old and is_started_as(process.pid, state.supervisor):
                if state.state in {"running", "stopped"}:
                    return state
                if state.state == "failed":
                    raise PluginError(
                        state.error or f"{plan.plugin} failed",
                        subject=str(plan.plugin),
                        hint=f"sealdex logs {plan.plugin}",
                    )
            if has_ended:
                if folder.is_supervised():  # another process was first
                    raise already_running(plan)
                raise PluginError(
                    f"the supervisor of {plan.plugin} ended before the service was started",
                    subject=str(plan.plugin),
                    hint=f"sealdex logs {plan.plugin}",
                )
            time.sleep(_POLL_S)
        raise PluginTimeoutError(
            f"{plan.plugin} was not started in time",
            subject=str(plan.plugin),
            untouched=f"its supervisor, process {process.pid}, goes on trying",
            hint=f"to see why: sealdex logs {plan.plugin}; to end it: sealdex stop {plan.plugin}",
        )

    def list(self) -> list[ServiceState]:
        """Return the states of all services, running or ended, by plugin."""
        found = []
        for path in sorted(Path(self._store.root, "run").glob("*/*/state.json")):
            state = ServiceFolder(self._store, (path.parts[-3], path.parts[-2])).read()
            if state is not None:
                found.append(state)
        return found

    def stop(self, plugin: PluginId, grace: float | None = None) -> ServiceState:
        """Stop a service and its supervisor, even if that was killed; return its last state.

        Args:
            plugin: the plugin.
            grace: seconds that it has to stop; default: those that it was started with.

        Raises:
            NotFoundError: it doesn't run. PluginTimeoutError: the supervisor doesn't end.
            PluginError: what a killed supervisor left behind can't be ended.
        """
        folder = self._folder(plugin)
        state = folder.read()
        if state is not None:
            _log.info(
                "runtime.stopping",
                "{plugin} is {state} under supervisor {pid}: asked to end",
                plugin=plugin,
                state=state.state,
                pid=state.supervisor,
            )
        if state is not None and state.is_left_behind and state.pid is not None and state.identity is not None:
            if not end_group(state.pid, state.identity, state.variable, state.grace if grace is None else grace):
                raise not_ended(plugin, state.pid)
            remember(folder, replace(state, state="stopped", pid=None))
        elif state is not None and state.state not in OVER:
            if grace is not None:
                with suppress(OSError):  # on a full disk too it is to be stopped; as it was started, then
                    folder.ask_grace(grace)
            self._end_supervisor(folder, state, state.grace if grace is None else grace)
        else:
            raise NotFoundError(f"{plugin} is not running", subject=str(plugin), hint="to see what runs: sealdex ps")
        return folder.read() or state

    def log(self, plugin: PluginId) -> ServiceFolder:
        """Return the folder with a service's log.

        Raises:
            NotFoundError: it has never run.
        """
        return self._folder(plugin)

    def _end_supervisor(self, folder: ServiceFolder, state: ServiceState, grace: float) -> None:
        is_asked = False
        deadline = time.monotonic() + grace + _MARGIN_S
        while folder.is_supervised():
            state = folder.read() or state
            # a new supervisor may not have written its state yet; a process that reuses the id is left alone
            if not is_asked and process_identity(state.supervisor) == state.supervisor_identity:
                with suppress(ProcessLookupError):
                    os.kill(state.supervisor, signal.SIGTERM)
                is_asked = True
            if time.monotonic() >= deadline:
                raise PluginTimeoutError(
                    f"the supervisor of {state.plugin} (process {state.supervisor}) did not exit",
                    subject=state.plugin,
                    hint=f"kill -9 {state.supervisor}, then: sealdex stop {state.plugin}",
                )
            time.sleep(_POLL_S)

    def _folder(self, plugin: PluginId) -> ServiceFolder:
        folder = ServiceFolder(self._store, plugin)
        if not folder.log_path.exists() and folder.read() is None:  # a log may have been removed to free its space
            raise NotFoundError(
                f"{plugin} has never been started here", subject=str(plugin), hint=f"sealdex run {plugin}"
            )
        return folder


def _author(state: ServiceState | None) -> tuple[object, ...]:
    """Return what distinguishes the supervisor that wrote a state, where process ids repeat."""
    if state is None:
        return ()
    # where the system tells no identity, the time of the last change
    return (state.supervisor, state.supervisor_identity or state.since)


def asked_release(text: str) -> tuple[PluginId, str | None]:
    """Read ``NS/NAME`` or ``NS/NAME@VERSION``.

    Raises:
        ValueError: it is neither.
    """
    name, at, version = text.partition("@")
    if at and (problem := version_problem(version)):
        raise ValueError(f"'{version}' {problem}")
    return parse_plugin_id(name), version or None


__all__ = ["Services", "asked_release"]
