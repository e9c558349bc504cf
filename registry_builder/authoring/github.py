"""The workflows of a registry's repository on GitHub, and the action with which authors' repositories release to it.

Rules that the templates follow and tests check: a ``run:`` contains no expression (values come
through ``env:``, so that no field of a manifest and no branch name is ever run by a shell), every action is pinned by
commit, every installed package by version and digest, permissions are given per job, what runs on a pull request
has no secrets, and a push to a signing branch can only request a run on main.

`RECORD` holds the SHA-256 of each file as written, so that an upgrade replaces only files that nobody edited. The
versions of actions don't count as edits, since Dependabot raises them; an upgrade keeps those that are newer than ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
import msgspec

from registry_builder.authoring.cloud.github_identity import Task, environment_of
from registry_builder.authoring.github_install import DEPENDENCIES, PROGRAMS, Programs, dependencies_text
from registry_builder.authoring.scaffold import TEMPLATES, Made
from registry_builder.source.atomic_write import replace_file, write_new
from registry_builder.source.config import CONFIG_NAME, RegistryConfig, read_config
from registry_builder.source.realms import PUBLIC_REALM
from registry_builder.storage import folder_of
from sealdex.errors import ConfigError
from sealdex.model.decode import decode_as

ACTIONS = {
    "checkout": "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0",
    "python": "actions/setup-python@e797f83bcb11b83ae66e0230d6156d7c80228e7c # v6.0.0",
    "cache": "actions/cache@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0",
    "aws": "aws-actions/configure-aws-credentials@a03048d87541d1d9fcf2ecf528a4a65ba9bd7838 # v5.0.0",
    "upload": "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2",
    "download": "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093 # v4.3.0",
    "pages_artifact": "actions/upload-pages-artifact@7b1f4a764d45c48632c6b24a0339c27f5614fb0b # v4.0.0",
    "pages": "actions/deploy-pages@d6db90164ac5ed86f2b6aed7e0febac5b3c0c03e # v4.0.5",
    "provenance": "actions/attest-build-provenance@977bb373ede98d70efdf65b84cb5f73e068dcc2a # v3.0.0",
}
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
FILES = {
    ".github/workflows/validate.yml": "github/validate.yml.j2",
    ".github/workflows/publish.yml": "github/publish.yml.j2",
    ".github/workflows/refresh.yml": "github/refresh.yml.j2",
    ".github/workflows/sign.yml": "github/sign.yml.j2",
    ".github/workflows/release-plugin.yml": "github/release-plugin.yml.j2",
    ".github/dependabot.yml": "github/dependabot.yml.j2",
    "action.yml": "github/action.yml.j2",
}
RUNNER = "ubuntu-24.04"
"""The image of all jobs: one version, so that a job changes when somebody changes it."""


RECORD = ".github/sealdex/written.json"
_MAX_FILE_BYTES = 1 << 20
_PIN = re.compile(rb"(?P<action>uses: [\w./-]+)@[0-9a-f]{40} # v(?P<version>[0-9]+(?:\.[0-9]+)*)")


@dataclass(frozen=True)
class Upgraded:
    """What an upgrade did to each file, and the digests that the workflows now require."""

    written: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    edited: tuple[Path, ...]
    digests: Mapping[str, str]


def write_workflows(folder: Path, *, version: str) -> Made:
    """Write the workflows into a source tree; existing files are left alone.

    Args:
        folder: the source tree, which is the top of the repository.
        version: of sealdex-builder, which the workflows install.

    Raises:
        ConfigError: there is no source tree, its registry.toml is invalid, or several realms are on GitHub Pages.
    """
    written: list[Path] = []
    kept: list[Path] = []
    record = _read_record(folder)
    for name, data in _rendered(folder, Programs(version)).items():
        try:
            write_new(folder / name, data)
            written.append(folder / name)
            record[name] = _digest(_without_pins(data))
        except FileExistsError:  # noqa: PERF203  # each file stands for itself
            kept.append(folder / name)
    _write_record(folder, record)
    return Made(folder, tuple(written), tuple(kept))


def upgrade_workflows(
    folder: Path,
    *,
    version: str,
    digests: Mapping[str, str] | None = None,
    drop_digests: bool = False,
    force: bool = False,
) -> Upgraded:
    """Write this version's files of `write_workflows`; files that were edited are left alone.

    Args:
        folder: the source tree, the top of the repository.
        version: of sealdex-builder, which the workflows install from now on.
        digests: the SHA-256 of each distribution's wheel. None keeps those that are recorded for this version.
        drop_digests: go on without digests if the recorded ones are for another version.
        force: also replace edited files.

    Raises:
        ConfigError: there is no source tree, its registry.toml is invalid, or digests would be lost.
    """
    programs = Programs(version, digests or {})
    there = folder / PROGRAMS
    before = Programs.read(_text(there)) if there.exists() else None
    if digests is None and before is not None and before.digests:
        if before.version == version:
            programs = before
        elif not drop_digests:
            raise ConfigError(
                f"its digests are for version {before.version}, and the digests of {version} are not known",
                subject=PROGRAMS,
                untouched="nothing was written",
                hint="give both wheels with --wheel FILE, or continue without digests: --drop-digests",
            )
    record = _read_record(folder)
    written: list[Path] = []
    unchanged: list[Path] = []
    edited: list[Path] = []
    for name, data in _rendered(folder, programs).items():
        path = folder / name
        found = _bytes(path) if path.exists() else None
        wanted = data if found is None or force else _with_newer_pins(data, found)
        if found is not None and _digest(found) == _digest(wanted):
            unchanged.append(path)
        elif found is None or force or name == PROGRAMS or record.get(name) in _digests(found):
            replace_file(path, wanted)
            written.append(path)
        else:
            edited.append(path)
            continue
        record[name] = _digest(_without_pins(data))
    _write_record(folder, record)
    return Upgraded(tuple(written), tuple(unchanged), tuple(edited), programs.digests)


def _rendered(folder: Path, programs: Programs) -> dict[str, bytes]:
    """Return every file by its path in the repository."""
    config = read_config(folder)
    values = _values(config)
    files = {name: _environment().get_template(template).render(values) for name, template in FILES.items()}
    # bundles are verified if the registry says whose bundles count
    files[DEPENDENCIES] = dependencies_text(sigstore=config.attestations is not None)
    files[PROGRAMS] = programs.text()
    return {name: text.encode() for name, text in files.items()}


def _values(config: RegistryConfig) -> dict[str, object]:
    on_pages = [folder_of(section.storage) for section in config.realms.values() if section.is_pages]
    if len(on_pages) > 1:
        raise ConfigError(
            "a repository has one site on GitHub Pages, and registry.toml has several realms there",
            subject=CONFIG_NAME,
            untouched="nothing was written",
            hint="publish all realms but one elsewhere",
        )
    registry = config.registry
    named = (section.uri.removeprefix("env:") for section in config.keys.values() if section.uri.startswith("env:"))
    number = int(registry.id, 16)
    return {
        "dependencies": DEPENDENCIES,
        "programs": PROGRAMS,
        "title": (registry.title or registry.name).replace(":", " ").replace("#", " "),
        "actions": ACTIONS,
        "runner": RUNNER,
        "pages": on_pages[0] if on_pages else None,  # the folder that is deployed
        "realms": _realms(config),
        # keys whose private half is the secret of the same name, see keys/README.md
        "secrets": sorted({name for name in named if _VARIABLE.fullmatch(name)}),
        # spread over the day, so that not all registries ask for runners at the same minute
        "minute": number % 60,
        "hour": number // 60 % 24,
    }


def _realms(config: RegistryConfig) -> list[dict[str, object]]:
    """Return what the templates need of each realm: its jobs, each with an environment, and so with a role of its own.

    Credentials of one realm's jobs can't read another realm's storage, and those of a refresh can't publish. A realm
    that not everybody can read is compared with pull requests by a role, where it is in S3.
    """
    several = len(config.realms) > 1
    found: list[dict[str, object]] = []
    for name, section in config.realms.items():
        task: Task
        jobs: dict[str, object] = {}
        for task in ("publish", "refresh"):
            environment = environment_of(task, name)
            jobs[task] = {
                "job": _job_id(environment),
                # secrets of an environment that only main can use; for Pages, GitHub prescribes its name
                "environment": "github-pages" if section.is_pages else environment,
            }
        in_s3 = section.storage.startswith("s3://")
        by_url = section.readers is None and (name == PUBLIC_REALM or not several)
        environment = environment_of("validate", name)
        job = f"compare{environment.removeprefix('validate')}"
        jobs["validate"] = {"job": _job_id(job), "environment": environment}
        found.append(
            {
                "name": name,
                **jobs,
                "label": f" {name}" if several else "",
                "pages": folder_of(section.storage) if section.is_pages else None,
                "in_s3": in_s3,
                "by_url": by_url,
                "is_compared_by_url": by_url and section.url is not None,
                "by_role": in_s3 and not by_url,
                # a cache of its own, whose name is not the beginning of another realm's
                "cache": "sealdex-builder-seen-" if name == PUBLIC_REALM else f"sealdex-builder:{name}:seen-",
            }
        )
    return found


def _job_id(name: str) -> str:
    return name.replace("_", "__").replace(".", "_")  # ids of jobs have no dots


def _read_record(folder: Path) -> dict[str, str]:
    """Return the digest of each file as it was written; empty if unknown, and then all files count as edited."""
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        return dict(decode_as(_bytes(path), dict[str, str]))
    except msgspec.MsgspecError as error:
        raise ConfigError(
            f"was not written by init --github: {error}",
            subject=str(path),
            untouched="nothing was written",
            hint="restore it from git, or remove it: without it, only --force replaces files",
        ) from error


def _write_record(folder: Path, record: Mapping[str, str]) -> None:
    data = msgspec.json.format(msgspec.json.encode(dict(sorted(record.items()))), indent=2) + b"\n"
    if not (folder / RECORD).exists() or _bytes(folder / RECORD) != data:
        replace_file(folder / RECORD, data)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()  # a checkout may have other line ends


def _digests(found: bytes) -> set[str]:
    """Return the digests that a file has in the record if nobody edited it."""
    return {_digest(found), _digest(_without_pins(found))}  # the first in records of older versions


def _without_pins(data: bytes) -> bytes:
    return _PIN.sub(rb"\g<action>", data)


def _with_newer_pins(data: bytes, found: bytes) -> bytes:
    """Return a file with the pins of actions that ``found`` has in a newer version."""
    there = {match["action"]: match for match in _PIN.finditer(found)}

    def newer(match: re.Match[bytes]) -> bytes:
        other = there.get(match["action"])
        return other[0] if other is not None and _number(other) > _number(match) else match[0]

    return _PIN.sub(newer, data)


def _number(pin: re.Match[bytes]) -> tuple[int, ...]:
    return tuple(map(int, pin["version"].split(b".")))


def _text(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace")


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise ConfigError(
            f"can't be read: {error.strerror or error}", subject=str(path), untouched="nothing was written"
        ) from error


def _environment() -> jinja2.Environment:
    # delimiters that appear neither in GitHub's ${{ }} nor in any shell
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701  # the result is YAML, never HTML
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        variable_start_string="@{",
        variable_end_string="}@",
        block_start_string="@%",
        block_end_string="%@",
        comment_start_string="@#",
        comment_end_string="#@",
    )


__all__ = ["ACTIONS", "FILES", "RECORD", "Upgraded", "upgrade_workflows", "write_workflows"]
