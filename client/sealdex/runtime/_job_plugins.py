"""Brings the plugins of a job: exact versions, ranges or those of a lock; and what a job does without one of them.

A job may say that it does without a plugin (``optional``), or with an installed version that is older (``fallback``).
That is for what can't be had. What fails to verify stops every job: nobody who tampers with a plugin gets to choose
another one, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from sealdex.client import Client
from sealdex.errors import (
    ConfigError,
    InstallError,
    NoMatchError,
    NoRegistryError,
    NotFoundError,
    SealdexError,
    UnavailableError,
    UsageError,
    VerificationError,
)
from sealdex.install.fallback import satisfying
from sealdex.lockfile.lock_file import LockDocument, LockedPlugin, read_lock
from sealdex.model.index import choose_artifact
from sealdex.model.precedence import version_sort_key
from sealdex.model.ranges import parse_range
from sealdex.model.versions import parse_version
from sealdex.resolve import Policy, Request
from sealdex.runtime.errors import PluginError
from sealdex.runtime.job_schema import OLDER, Job, JobPlugin
from sealdex.store.database import StoredStatus
from sealdex.store.installations import Installation, find_installation, installed_versions
from sealdex.store.layout import Store
from sealdex.store.verify import verify_installation, worse_than_extra
from sealdex.store.yanked import yanked_releases

CANT_BE_HAD = (NotFoundError, UnavailableError, InstallError, PluginError)
"""Errors after which a job may do with less; `VerificationError` is none of them."""


class Ready(NamedTuple):
    """A plugin of a job that is installed; ``needed`` has the exact version."""

    needed: JobPlugin
    installation: Installation


class Shortfall(NamedTuple):
    """A plugin that couldn't be had as asked: why, and which version was taken instead; None: it is done without."""

    needed: JobPlugin
    error: SealdexError
    instead: str | None

    def __str__(self) -> str:
        asked = f"{self.needed.plugin_id} {self.needed.version or ''}".rstrip()
        taken = "the job does without it" if self.instead is None else f"{self.instead} is used instead"
        return f"{asked}: {taken}: {self.error.message}"


def bring(client: Client, job: Job) -> tuple[list[Ready], list[Shortfall]]:
    """Install what is missing of a job's plugins, and return them in order; versions in use aren't changed.

    Raises:
        ConfigError: the lock lacks a plugin, or has another version than the job asks for.
        VerificationError: an artifact doesn't have its checksum; nothing was run.
        NotFoundError, NoMatchError, UnavailableError, InstallError: as `Client.install`, of a plugin that is needed.
    """
    lock = _lock_of(job)
    ready: list[Ready] = []
    short: list[Shortfall] = []
    for needed in job.plugins:
        try:
            ready.append(_brought(client, needed, lock, job.labels, short))
        except CANT_BE_HAD as error:  # noqa: PERF203  # each plugin has a way out of its own
            older = older_of(client, needed)
            if older is None and not needed.optional:
                raise
            short.append(Shortfall(needed, error, older.version if older is not None else None))
            if older is not None:
                ready.append(Ready(pinned(needed, older.version), older))
    names = [(str(each.needed.plugin), each.installation.version) for each in ready]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        listed = ", ".join(f"{name} {version}" for name, version in twice)
        raise UsageError(f"two plugins of the job came to be the same: {listed}", untouched="nothing was run")
    return ready, short


def pinned(needed: JobPlugin, version: str) -> JobPlugin:
    """Return a plugin of a job with an exact version."""
    return msgspec.structs.replace(needed, version=version)


def older_of(client: Client, needed: JobPlugin, failed: str | None = None) -> Installation | None:
    """Return the installed version that a job falls back to: the newest that is intact, not yanked and not disabled.

    Args:
        client: has the store.
        needed: what the job asks for.
        failed: the version that couldn't be loaded; the one returned is older.
    """
    if needed.fallback is None:
        return None
    store, plugin = Store(client.config.store), needed.plugin
    if not StoredStatus(store).is_enabled(plugin):
        return None
    yanked = yanked_releases(store)
    wanted = None if needed.fallback == OLDER else parse_range(needed.fallback)
    below = failed or (needed.version if needed.is_exact else None)
    for each in reversed(installed_versions(store, plugin)):
        version = parse_version(each.version)
        is_in_range = (
            version.prerelease is None or below is None or parse_version(below).prerelease is not None
            if wanted is None
            else wanted.contains(version)
        )
        if (
            is_in_range
            and (below is None or version_sort_key(each.version) < version_sort_key(below))
            and (*plugin, each.version) not in yanked
            and not worse_than_extra(verify_installation(each, quick=True))
        ):
            return each
    return None


def ensure(client: Client, needed: JobPlugin, also: Sequence[str] = ()) -> Installation:
    """Return the installation of a job's plugin, installing it if necessary; the version in use isn't changed.

    Args:
        client: installs.
        needed: the plugin, with an exact version.
        also: requests for exactly the dependencies that a lock has.

    Raises:
        VerificationError: its artifact doesn't have the checksum; nothing was installed.
        NotFoundError, NoMatchError, UnavailableError, InstallError: as `Client.install`.
    """
    store, plugin = Store(client.config.store), needed.plugin
    found = find_installation(store, plugin, needed.version or "")
    if found is None or worse_than_extra(verify_installation(found, quick=True)):
        request = f"{plugin}@={needed.version}"
        for choice in client.resolve(request, *also):
            if choice.plugin == plugin and choice.artifact is not None:
                _compare(needed, choice.artifact.sha256, "nothing was installed or run")
        client.install(request, *also, make_current=False, fallback=False)
        found = find_installation(store, plugin, needed.version or "")
        if found is None:
            raise PluginError(
                f"{plugin} {needed.version} has no files to load", subject=str(plugin), untouched="nothing was run"
            )
    _compare(needed, found.artifact_sha256, "nothing was run")
    return found


def _brought(
    client: Client, needed: JobPlugin, lock: LockDocument | None, labels: dict[str, str], short: list[Shortfall]
) -> Ready:
    if lock is not None:
        locked, also = _locked(client, needed, lock)
        return Ready(locked, ensure(client, locked, also))
    if needed.is_exact:
        return Ready(needed, ensure(client, needed))
    request = Request(needed.plugin, needed.version or "*")
    try:
        resolution = client.resolve(request, policy=Policy(labels=labels))
    except (UnavailableError, NoRegistryError) as error:
        found = satisfying(Store(client.config.store), request)
        if found is None or worse_than_extra(verify_installation(found, quick=True)):
            raise
        _compare(needed, found.artifact_sha256, "nothing was run")
        short.append(Shortfall(needed, error, found.version))
        return Ready(pinned(needed, found.version), found)
    chosen = pinned(needed, next(c.release.version for c in resolution if c.plugin == needed.plugin))
    return Ready(chosen, ensure(client, chosen))


def _lock_of(job: Job) -> LockDocument | None:
    if job.lock is None:
        return None
    lock = read_lock(Path(job.lock))
    problems: list[str] = []
    for number, needed in enumerate(job.plugins):
        locked = lock.by_id.get(needed.plugin)
        if locked is None:
            problems.append(f"plugins[{number}]: {needed.plugin_id} is not in the lock")
        elif needed.version is not None and not _admits(needed, locked):
            problems.append(
                f"plugins[{number}].version: the lock has {needed.plugin_id} {locked.version}, not {needed.version}"
            )
    if problems:
        raise ConfigError(
            "\n".join(problems),
            subject=job.lock,
            untouched="nothing was run",
            hint="to bring the lock up to date: sealdex lock",
        )
    return lock


def _admits(needed: JobPlugin, locked: LockedPlugin) -> bool:
    if needed.is_exact:
        return needed.version == locked.version
    return parse_range(needed.version or "*").contains(parse_version(locked.version), include_prereleases=True)


def _locked(client: Client, needed: JobPlugin, lock: LockDocument) -> tuple[JobPlugin, list[str]]:
    """Return a plugin with the version and digest of a lock, and requests for what it depends on there."""
    block = lock.by_id[needed.plugin]
    artifact, mismatches = choose_artifact(block.release, client.environment)
    if artifact is None and mismatches:
        raise NoMatchError(
            f"{block.name} {block.version} in the lock doesn't fit this host: {' or '.join(map(str, mismatches))}",
            subject=block.name,
            untouched="nothing was run",
        )
    digest = artifact.sha256 if artifact is not None else None
    if needed.checksum is not None and digest is not None:
        _compare(needed, digest, "nothing was installed or run")
    exact = msgspec.structs.replace(needed, version=block.version, checksum=needed.checksum or digest)
    return exact, [f"{each.name}@={each.version}" for each in _below(block, lock)]


def _below(block: LockedPlugin, lock: LockDocument) -> Iterator[LockedPlugin]:
    by_name = {each.name: each for each in lock.plugin}
    seen, waiting = {block.name}, list(block.dependencies)
    while waiting:
        name = waiting.pop()
        if name not in seen and name in by_name:
            seen.add(name)
            waiting += by_name[name].dependencies
            yield by_name[name]


def _compare(needed: JobPlugin, digest: str, untouched: str) -> None:
    if needed.checksum is not None and needed.checksum != digest:
        raise VerificationError(
            f"{needed.plugin_id} {needed.version} has SHA-256 {digest}, but the job requires {needed.checksum}",
            subject=needed.plugin_id,
            untouched=untouched,
            hint="ask the author of the job: it was made for another file, or somebody changed it",
        )
