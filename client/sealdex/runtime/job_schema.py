"""The structs of jobs and their results, and reading a job from TOML or JSON.

job_id = "build-42"
commands = ["make", "make check"]

[[plugins]]
plugin_id = "acme/console-notify"
version = "1.2.0"                            # or a range: "^1.2"
checksum = "9f86d0..."                       # SHA-256 of the artifact
config = { prefix = "[build]" }
optional = true
fallback = "older"
stages = { on_failure = { method = "send", params = ["build-42 failed"], timeout = 10 } }

[stages.before]
timeout = 60
env = { STEP = "before" }

`sealdex.runtime.jobs` runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sealdex.config.toml_reader import parse_toml, read_toml_text
from sealdex.errors import ConfigError
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import PluginId, Sha256, parse_plugin_id
from sealdex.model.ranges import parse_range
from sealdex.model.versions import version_problem

STAGES = ("before", "on_success", "on_failure", "after")
COMMANDS_STAGE = "commands"
OLDER = "older"
_SETTABLE = (STAGES[0], COMMANDS_STAGE, *STAGES[1:])

Seconds = Annotated[float, Meta(gt=0)]
Variables = dict[Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z")], str]


class StageCall(Struct, forbid_unknown_fields=True, frozen=True):
    """The call in a stage: a method, with positional or named parameters.

    Attributes:
        method, params: what is called.
        timeout: seconds that this call may take.
        env: variables for this call, over those of its stage.
    """

    method: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]*\Z")]
    params: list[Any] | dict[str, Any] = []
    timeout: Seconds | None = None
    env: Variables = {}


class StageSettings(Struct, forbid_unknown_fields=True, frozen=True):
    """What holds for all of one stage.

    Attributes:
        timeout: seconds for all calls of the stage together, or for all commands.
        env: variables for its calls, or for the commands.
    """

    timeout: Seconds | None = None
    env: Variables = {}


class JobPlugin(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A plugin that a job needs.

    Attributes:
        plugin_id: ``NS/NAME``.
        version: an exact version, or a range; default: the one in the job's lock.
        checksum: SHA-256 of its artifact for this host; default: the registry's signed digest.
        name: for people.
        config: merged over its defaults.
        env: variables for the plugin: of its program, or while the host calls its code.
        stages: the calls by stage; default: see `sealdex.runtime.jobs`.
        optional: the job goes on without it if it can't be had, can't be loaded, or fails in ``before``.
        fallback: which installed version to take if the asked one can't be had or can't be loaded: ``older`` (the
            newest that is older), or a range.
        size, download_url, location: accepted but not used: the signed index has the size and address.
    """

    plugin_id: str
    version: Annotated[str, Meta(min_length=1)] | None = None
    checksum: Sha256 | None = None
    name: str | None = None
    config: dict[str, Any] = {}
    env: Variables = {}
    stages: dict[str, StageCall] | None = None
    optional: bool = False
    fallback: str | None = None
    size: int | None = None
    download_url: str | None = None
    location: str | int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether one version is asked for, not a range."""
        return self.version is not None and version_problem(self.version) is None

    @property
    def plugin(self) -> PluginId:
        """The plugin, parsed."""
        return parse_plugin_id(self.plugin_id)


class Job(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A job.

    Attributes:
        job_id: its name, for people and plugins.
        plugins: the plugins it needs, in the order in which their stages run.
        commands: lines for ``sh``; they stop at the first that fails.
        env: environment variables for the commands.
        workdir: the folder in which the commands run; default: the current folder.
        timeout: seconds for all commands together; None: no limit.
        stages: time limit and variables of each stage, and of ``commands``.
        lock: a ``sealdex.lock`` that has the exact version and digest of every plugin and its dependencies. In a file,
            relative to the file's folder.
        labels: decide beside the host's own which side of an A/B test plugins with a range are taken from.
    """

    job_id: Annotated[str, Meta(min_length=1, max_length=256)]
    plugins: tuple[JobPlugin, ...] = ()
    commands: tuple[str, ...] = ()
    env: dict[str, str] = {}
    workdir: str | None = None
    timeout: Seconds | None = None
    stages: dict[str, StageSettings] = {}
    lock: str | None = None
    labels: dict[str, str] = {}

    def settings(self, stage: str) -> StageSettings:
        """Return what holds for a stage."""
        return self.stages.get(stage, StageSettings())


class PluginExecutionResult(Struct, frozen=True):
    """The result of one plugin in one stage; times are UTC in milliseconds since 1970, ``result`` is JSON text.

    ``stage`` is also ``install``, of a plugin that couldn't be had as asked, and ``load``.
    """

    plugin_id: str
    plugin_name: str
    version: str
    stage: str
    success: bool
    error_message: str
    start_time: int
    end_time: int
    result: str


class CommandResult(Struct, frozen=True):
    """The result of one command; a negative code is the number of a signal."""

    command: str
    exit_code: int
    start_time: int
    end_time: int


class JobResult(Struct, frozen=True):
    """The result of a job; ``warnings`` says which plugins it did without, or had in another version."""

    job_id: str
    success: bool
    error_message: str
    commands: tuple[CommandResult, ...]
    plugin_results: tuple[PluginExecutionResult, ...]
    warnings: tuple[str, ...] = ()


def what_ran(job: Job, result: JobResult) -> str:
    """Return how far a job got, as text: how many of its commands were run, and which stages were called."""
    called = dict.fromkeys(each.stage for each in result.plugin_results if each.stage in STAGES)
    return f"commands run: {len(result.commands)} of {len(job.commands)}; stages called: {', '.join(called) or 'none'}"


def load_job(path: Path) -> Job:
    """Read a job from a TOML or JSON file.

    Raises:
        ConfigError: it can't be read or is invalid; every problem is named.
    """
    try:
        if path.suffix != ".json":
            values = parse_toml(read_toml_text(path), str(path), f"edit {path}")
            return _placed(job_from(values, str(path)), path.parent)
        values = json_values(read_toml_text(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the job can't be read: {error}", subject=str(path)) from error
    return _placed(job_from(values, str(path)), path.parent)


def _placed(job: Job, folder: Path) -> Job:
    return job if job.lock is None else msgspec.structs.replace(job, lock=str(folder / job.lock))


def job_from(values: Any, subject: str = "job") -> Job:
    """Convert plain data into a job.

    Raises:
        ConfigError: it is invalid; every problem is named.
    """
    try:
        job = read_values(values, Job)
    except DocumentError as error:
        raise ConfigError("\n".join(map(str, error.problems)), subject=subject) from error
    problems = [p for number, needed in enumerate(job.plugins) for p in _problems(f"plugins[{number}]", needed, job)]
    problems += [f"stages: '{s}' is not one of {', '.join(_SETTABLE)}" for s in job.stages if s not in _SETTABLE]
    names = [_shown(needed) for needed in job.plugins]
    problems += [f"plugins: {name} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise ConfigError("\n".join(problems), subject=subject)
    return job


def _problems(where: str, needed: JobPlugin, job: Job) -> Iterator[str]:
    try:
        parse_plugin_id(needed.plugin_id)
    except ValueError as error:
        yield f"{where}.plugin_id: {error}"
    if needed.version is None:
        if job.lock is None:
            yield f"{where}.version: is missing: write a version or a range, or name a lock for the job (lock = ...)"
    elif not needed.is_exact:
        yield from _range_problems(f"{where}.version", needed.version)
    if needed.fallback is not None and needed.fallback != OLDER:
        yield from _range_problems(f"{where}.fallback", needed.fallback)
    for stage in needed.stages or ():
        if stage not in STAGES:
            yield f"{where}.stages: '{stage}' is not one of {', '.join(STAGES)}"


def _range_problems(where: str, text: str) -> Iterator[str]:
    try:
        parse_range(text)
    except ValueError as error:
        yield f"{where}: {error}"


def _shown(needed: JobPlugin) -> str:
    return f"{needed.plugin_id}@{needed.version}" if needed.version is not None else needed.plugin_id


def as_plain(result: JobResult) -> Any:
    """Return a result as shown in JSON."""
    return msgspec.to_builtins(result)
