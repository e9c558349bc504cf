"""The structs of jobs and their results, and reading a job from TOML or JSON.

job_id = "build-42"
commands = ["make", "make check"]

[[plugins]]
plugin_id = "acme/console-notify"
version = "1.2.0"
checksum = "9f86d0..."                       # SHA-256 of the artifact
config = { prefix = "[build]" }
stages = { on_failure = { method = "send", params = ["build-42 failed"] } }

`sealdex.runtime.jobs` runs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sealdex.config.toml_reader import parse_toml, read_toml_text
from sealdex.errors import ConfigError
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import PluginId, Sha256, parse_plugin_id
from sealdex.model.versions import VersionText

STAGES = ("before", "on_success", "on_failure", "after")


class StageCall(Struct, forbid_unknown_fields=True, frozen=True):
    """The call in a stage: a method, with positional or named parameters."""

    method: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]*\Z")]
    params: list[Any] | dict[str, Any] = []


class JobPlugin(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A plugin that a job needs.

    Attributes:
        plugin_id: ``NS/NAME``.
        version: the exact version.
        checksum: SHA-256 of its artifact for this host; default: the registry's signed digest.
        name: for people.
        config: merged over its defaults.
        stages: the calls by stage; default: see `sealdex.runtime.jobs`.
        size, download_url, location: accepted but not used: the signed index has the size and address.
    """

    plugin_id: str
    version: VersionText
    checksum: Sha256 | None = None
    name: str | None = None
    config: dict[str, Any] = {}
    stages: dict[str, StageCall] | None = None
    size: int | None = None
    download_url: str | None = None
    location: str | int | None = None

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
    """

    job_id: Annotated[str, Meta(min_length=1, max_length=256)]
    plugins: tuple[JobPlugin, ...] = ()
    commands: tuple[str, ...] = ()
    env: dict[str, str] = {}
    workdir: str | None = None
    timeout: Annotated[float, Meta(gt=0)] | None = None


class PluginExecutionResult(Struct, frozen=True):
    """The result of one plugin in one stage; times are UTC in milliseconds since 1970, ``result`` is JSON text."""

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
    """The result of a job."""

    job_id: str
    success: bool
    error_message: str
    commands: tuple[CommandResult, ...]
    plugin_results: tuple[PluginExecutionResult, ...]


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
            return job_from(parse_toml(read_toml_text(path), str(path), f"edit {path}"), str(path))
        values = json_values(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the job can't be read: {error}", subject=str(path)) from error
    return job_from(values, str(path))


def job_from(values: Any, subject: str = "job") -> Job:
    """Convert plain data into a job.

    Raises:
        ConfigError: it is invalid; every problem is named.
    """
    try:
        job = read_values(values, Job)
    except DocumentError as error:
        raise ConfigError("\n".join(map(str, error.problems)), subject=subject) from error
    problems = []
    for number, needed in enumerate(job.plugins):
        try:
            parse_plugin_id(needed.plugin_id)
        except ValueError as error:
            problems.append(f"plugins[{number}].plugin_id: {error}")
        unknown = [stage for stage in needed.stages or () if stage not in STAGES]
        problems += [f"plugins[{number}].stages: '{s}' is not one of {', '.join(STAGES)}" for s in unknown]
    names = [f"{needed.plugin_id}@{needed.version}" for needed in job.plugins]
    problems += [f"plugins: {name} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise ConfigError("\n".join(problems), subject=subject)
    return job


def as_plain(result: JobResult) -> Any:
    """Return a result as shown in JSON."""
    return msgspec.to_builtins(result)
