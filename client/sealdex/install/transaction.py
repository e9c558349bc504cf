"""Installs a set of releases as one change: all are unpacked, then all are switched to."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from sealdex.archive.unpack import Progress
from sealdex.download.ready_tree import ReadyTree
from sealdex.install.install import InstallResult, install
from sealdex.install.plan import InstallRequest
from sealdex.model.ids import PluginId
from sealdex.store.change import Facts, Member
from sealdex.store.database import State
from sealdex.store.dependants import OnBroken
from sealdex.store.layout import Store
from sealdex.store.transaction import changing, settle

CASCADE = "to update those too: --cascade; to install anyway: --force"


class Job(Struct, frozen=True):
    """One release to install.

    Attributes:
        request: what to install.
        archive: its file, or the result of a delta download; None if `sealdex.install.install.needs_archive` returned
            False.
        pin: pin the plugin to this version (True), unpin it (False), or leave the pin as it is (None).
        on_progress: told about written bytes.
    """

    request: InstallRequest
    archive: str | os.PathLike[str] | ReadyTree | None
    pin: bool | None = None
    on_progress: Progress | None = None


class Deployed(Struct, frozen=True):
    """The outcome for one release: the result of `sealdex.install.install`, and the version in use before."""

    result: InstallResult
    before: str | None


def deploy(
    store: Store,
    jobs: Sequence[Job],
    *,
    command: str,
    make_current: bool = True,
    on_broken: OnBroken | None = None,
    installer: Callable[..., InstallResult] = install,
) -> list[Deployed]:
    """Install all of these releases, or none.

    Args:
        store: where to install.
        jobs: the releases; dependencies first.
        command: the request as text, for the history.
        make_current: switch to them.
        on_broken: told which other installed plugins lose something they need; without it, such a change is refused.
        installer: as `sealdex.install.install.install`.

    Raises:
        BreaksDependantsError: as `SetChange.prepare`; nothing has changed.
        VerificationError, InstallError: as `sealdex.install.install.install`, for any of them; nothing has changed.
    """
    with changing(store, command) as change:
        members = [
            member_of(store, change.facts(job.request.plugin), job.request, job.pin, make_current=make_current)
            for job in jobs
        ]
        change.prepare(members, consistent={job.request.plugin for job in jobs}, on_broken=on_broken, hint=CASCADE)
        done = [
            Deployed(
                installer(store, job.request, job.archive, make_current=False, on_progress=job.on_progress),
                member.before.version,
            )
            for job, member in zip(jobs, members, strict=True)
        ]
        change.commit()
    return done


def finish_killed(store: Store) -> None:
    """Finish or undo what a killed run left behind, so that the state seen from here on doesn't change.

    Raises:
        InstallError: that failed, or another process holds the store's lock.
    """
    if State(store).unfinished():
        with changing(store, "settle"):
            settle(store)


def pins(store: Store) -> dict[PluginId, str]:
    """Return the versions that plugins are pinned to."""
    return {plugin: row.pin for plugin, row in State(store).plugins().items() if row.pin is not None}


def member_of(store: Store, before: Facts, request: InstallRequest, pin: bool | None, *, make_current: bool) -> Member:
    """Return the effect of installing a release on its plugin; ``pin`` as in `Job`."""
    after = replace(before, version=request.version) if make_current else before
    if pin is not None:
        after = Facts(after.version, request.version if pin else None, after.enabled)
    is_new = not os.path.lexists(store.version_folder(request.plugin, request.version))
    return Member(request.plugin, before, after, unpacks=request.version if is_new else None)
