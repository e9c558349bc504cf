"""Runs jobs: installs and loads the job's plugins, then runs its stages and commands.

Order: install, load, ``before``, the commands, ``on_success`` or ``on_failure``, ``after``. If a plugin can't be
installed, nothing of the job is run. If one fails to load, or in ``before``, the job fails: its commands aren't run,
but ``on_failure`` and ``after`` are. Failures in a later stage are reported and have no other effect. A job goes on
without a plugin that is ``optional``, and with an installed version of one that has a ``fallback``.

Without ``stages`` each plugin's ``stage(stage, job)`` is called, or ``send("Job build-42 before")`` if it has no
``stage``; a plugin with neither is only loaded. Programs of the plugins come first in the commands' ``PATH``.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any

from sealdex.client import Client
from sealdex.errors import SealdexError, UsageError
from sealdex.model.release import PublishedManifest
from sealdex.runtime._job_limits import Deadline
from sealdex.runtime._job_plugins import Ready, Shortfall, bring, older_of, pinned
from sealdex.runtime.errors import MethodNotFoundError, PluginError, PluginTimeoutError
from sealdex.runtime.job_schema import (
    COMMANDS_STAGE,
    CommandResult,
    Job,
    JobPlugin,
    JobResult,
    PluginExecutionResult,
    job_from,
)
from sealdex.runtime.manager import PluginManager
from sealdex.runtime.plugin import failure_text
from sealdex.runtime.process._group import ProcessGroup, pump
from sealdex.runtime.process_variables import process_variables
from sealdex.store.database import StoredStatus
from sealdex.store.installations import Installation
from sealdex.store.layout import Store
from sealdex.store.leases import hold
from sealdex.store.manifests import installed_manifest

INSTALL_STAGE = "install"
LOAD_STAGE = "load"
_GRACE_S = 10.0


def run_job(
    job: Job | dict[str, Any],
    *,
    client: Client | None = None,
    on_line: Callable[[str], None] | None = None,
    on_result: Callable[[PluginExecutionResult | CommandResult], None] | None = None,
    load_timeout: float | None = None,
) -> JobResult:
    """Run a job to its end.

    Args:
        job: the job.
        client: installs the plugins and has the store; default: the user's own. It makes no request if all plugins are
            installed.
        on_line: called with each line that the commands print. What it raises ends no command: the rest of that
            command's output is dropped, and the first of it is raised when the job has ended.
        on_result: called with the result of each stage and command.
        load_timeout: seconds for loading each plugin; default: that of the configuration.

    Raises:
        ConfigError: the job is invalid. NotFoundError, NoMatchError, VerificationError, UnavailableError, InstallError:
            a plugin can't be installed. After these errors nothing of the job was run.
    """
    asked = job if isinstance(job, Job) else job_from(job)
    if client is None:
        with Client() as own:
            return run_job(asked, client=own, on_line=on_line, on_result=on_result, load_timeout=load_timeout)
    if asked.workdir is not None and not Path(asked.workdir).is_dir():
        raise UsageError(f"the job's workdir {asked.workdir} is not a folder", untouched="nothing was run")
    ready, short = bring(client, asked)
    load_timeout = load_timeout or client.config.document.runtime.load_timeout
    with ExitStack() as stack:

        def keep(each: Installation) -> None:  # also programs of its commands, which no manager loads
            held = hold(Store(client.config.store), each.id, each.version, "job")
            if held is not None:
                stack.callback(held.release)

        for each in ready:
            keep(each.installation)
        plugins = stack.enter_context(
            PluginManager(client.config.store, load_timeout=load_timeout, observer=client.observer)
        )
        return _Run(client, asked, ready, short, plugins, keep, on_line, on_result).run()


class _Run:
    """One run of one job."""

    def __init__(
        self,
        client: Client,
        job: Job,
        ready: list[Ready],
        short: list[Shortfall],
        plugins: PluginManager,
        keep: Callable[[Installation], None],
        on_line: Callable[[str], None] | None,
        on_result: Callable[[PluginExecutionResult | CommandResult], None] | None,
    ) -> None:
        self._client = client
        self._job = job
        self._ready = ready
        self._plugins = plugins
        self._keep = keep
        self._status = StoredStatus(Store(client.config.store))
        self._on_line = on_line or (lambda _: None)
        self._on_result = on_result or (lambda _: None)
        self._loaded: list[JobPlugin] = []
        self._results: list[PluginExecutionResult] = []
        self._commands: list[CommandResult] = []
        self._warnings: list[str] = []
        self._unheard: Exception | None = None
        for each in short:
            self._warnings.append(str(each))
            self._record(each.needed, INSTALL_STAGE, partial(_raise, each.error))

    def run(self) -> JobResult:
        """Run everything and return the result."""
        problem = self._load() or self._stage("before", stop_at_first=True) or self._run_commands()
        self._stage("on_failure" if problem else "on_success")
        self._stage("after")
        if self._unheard is not None:
            raise self._unheard
        return JobResult(
            self._job.job_id, problem is None, problem or "", tuple(self._commands), tuple(self._results),
            tuple(self._warnings),
        )  # fmt: skip

    def _load(self) -> str | None:
        problem = None
        for number, each in enumerate(self._ready):
            failed = self._load_one(each)
            if failed is None:
                continue
            older = older_of(self._client, each.needed, failed=each.installation.version)
            if older is not None:
                self._keep(older)
                again = Ready(pinned(each.needed, older.version), older)
                self._warnings.append(f"{older.version} is used instead: {failed}")
                self._ready[number] = again
                failed = self._load_one(again)
            if failed is not None and each.needed.optional:
                self._warnings.append(f"the job does without {each.needed.plugin_id}: {failed}")
                failed = None
            problem = problem or failed
        return problem

    def _load_one(self, each: Ready) -> str | None:
        """Load a plugin, if it is one that a host loads, and return what went wrong."""
        needed = each.needed
        if not self._status.is_enabled(needed.plugin):
            return self._record(needed, LOAD_STAGE, partial(_refuse_disabled, needed))
        manifest = installed_manifest(each.installation)
        kind = manifest.runtime.kind if manifest.runtime is not None else "python"
        if needed.stages is None and not _is_loadable(manifest, kind):
            return None  # a model, a service, a native program: it can only be installed

        def load() -> None:
            if kind == "process" and any(call.env for call in (needed.stages or {}).values()):
                raise PluginError(
                    f"{needed.plugin_id} is a program, whose variables are set when it starts, not in a stage",
                    hint="move env from the stage to the plugin",
                )
            name = _name(needed)
            with process_variables(needed.env if kind == "python" else {}):
                self._plugins.register(
                    needed.plugin, version=needed.version, config=needed.config, name=name, env=needed.env
                )
                self._plugins.init(name)

        failed = self._record(needed, LOAD_STAGE, load)
        if failed is None:
            self._loaded.append(needed)
        return failed

    def _stage(self, stage: str, *, stop_at_first: bool = False) -> str | None:
        problem = None
        deadline = Deadline(self._job.settings(stage).timeout)
        for needed in self._loaded:
            if needed.stages is not None and stage not in needed.stages:
                continue

            def call(needed: JobPlugin = needed) -> Any:
                return self._call(needed, stage, deadline)

            failed = self._record(needed, stage, call)
            if failed is not None and needed.optional:
                self._warnings.append(failed)
                continue
            problem = problem or failed
            if problem is not None and stop_at_first:
                return problem
        return problem

    def _call(self, needed: JobPlugin, stage: str, deadline: Deadline) -> Any:
        name = _name(needed)
        if deadline.is_over:
            raise PluginTimeoutError(
                f"the time limit of the stage, {deadline.seconds:g} s, was reached before its call"
            )
        asked = needed.stages[stage] if needed.stages is not None else None
        env = {**needed.env, **self._job.settings(stage).env, **(asked.env if asked is not None else {})}
        with process_variables(env if self._plugins.state(name).kind == "python" else {}):
            if asked is not None:
                params = () if isinstance(asked.params, dict) else tuple(asked.params)
                named = asked.params if isinstance(asked.params, dict) else {}
                limit = deadline.left(asked.timeout)
                return self._plugins.call_within(limit, name, asked.method, params, named)
            about: dict[str, Any] = {
                "job_id": self._job.job_id, "plugin_id": needed.plugin_id, "version": needed.version,
            }  # fmt: skip
            if env:
                about["env"] = env
            for method, given in (("stage", (stage, about)), ("send", (f"Job {self._job.job_id} {stage}",))):
                try:
                    return self._plugins.call_within(deadline.left(), name, method, given)
                except MethodNotFoundError:  # noqa: PERF203  # two tries
                    continue
        raise MethodNotFoundError(f"{name} has neither stage nor send")

    def _record(self, needed: JobPlugin, stage: str, call: Callable[[], Any]) -> str | None:
        began, problem, result = _now_ms(), None, None
        try:
            result = call()
        except MethodNotFoundError as error:
            if needed.stages is None:
                return None
            problem = str(error)
        except SealdexError as error:
            problem = str(error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # a plugin may raise anything, and the job goes on to its end
            problem = failure_text(error)
        record = PluginExecutionResult(
            plugin_id=needed.plugin_id,
            plugin_name=needed.name or needed.plugin.name,
            version=needed.version or "",
            stage=stage,
            success=problem is None,
            error_message=problem or "",
            start_time=began,
            end_time=_now_ms(),
            result=_as_json(result),
        )
        self._results.append(record)
        self._on_result(record)
        return None if problem is None else f"{stage}: {needed.plugin_id} {needed.version}: {problem}"

    def _run_commands(self) -> str | None:
        installed = [each.installation for each in self._ready]
        programs = [str(Path(i, i.bin).parent) for i in installed if i.bin is not None]
        path = os.pathsep.join([*programs, os.environ.get("PATH", os.defpath)])
        ours = self._job.settings(COMMANDS_STAGE)
        env = {**os.environ, "PATH": path, "SEALDEX_JOB": self._job.job_id, **self._job.env, **ours.env}
        deadline = Deadline(min((s for s in (self._job.timeout, ours.timeout) if s is not None), default=None))
        for command in self._job.commands:
            if deadline.is_over:
                return f"commands: '{command}' was not run: the job's time limit of {deadline.seconds:g} s was reached"
            began = _now_ms()
            try:
                code = self._run_command(command, env, deadline)
            except OSError as error:
                return f"commands: '{command}' can't be started: {error.strerror or error}"
            is_late = code is None
            done = CommandResult(command, -9 if code is None else code, began, _now_ms())
            self._commands.append(done)
            self._on_result(done)
            if is_late:
                return (
                    f"commands: '{command}' was terminated: the job's time limit of {deadline.seconds:g} s was reached"
                )
            if code:
                return f"commands: '{command}' ended with {code}"
        return None

    def _run_command(self, command: str, env: dict[str, str], deadline: Deadline) -> int | None:
        group = ProcessGroup(
            ["/bin/sh", "-c", command],
            folder=Path(self._job.workdir or Path.cwd()),
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        stdout = group.process.stdout
        if stdout is None:
            raise AssertionError("unreachable: it is a pipe")
        printing = threading.Thread(target=self._print, args=(stdout,), daemon=True)
        printing.start()
        try:
            return group.wait(deadline.left())
        finally:
            group.stop(_GRACE_S)
            printing.join(_GRACE_S)

    def _print(self, stdout: IO[bytes]) -> None:
        try:
            pump(stdout, self._on_line)
        except Exception as error:  # noqa: BLE001  # it is raised when the job has ended, see `run`
            self._unheard = self._unheard or error


def _is_loadable(manifest: PublishedManifest, kind: str) -> bool:
    entry_point = manifest.entry_point
    if entry_point is None or kind not in {"python", "process"}:
        return False
    is_program = kind == "python" and ":" not in entry_point  # as that of a service is, which `sealdex run` starts
    return not (is_program and manifest.service is not None)


def _raise(error: Exception) -> None:
    raise error


def _refuse_disabled(needed: JobPlugin) -> None:
    raise PluginError(f"{needed.plugin} is disabled", hint=f"sealdex enable {needed.plugin}")


def _name(needed: JobPlugin) -> str:
    return f"{needed.plugin_id}@{needed.version}"


def _as_json(result: Any) -> str:
    """Return what a plugin returned as JSON, or as text where it is nothing that JSON has."""
    try:
        return json.dumps(result, default=str)
    except Exception:  # noqa: BLE001  # its own methods are called, and may raise anything
        return json.dumps(f"a {type(result).__name__} that is not JSON")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
