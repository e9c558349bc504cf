"""What installing releases would do, without doing any of it: nothing is downloaded, locked or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealdex.download.fetcher import ArtifactFetcher, NotHereError
from sealdex.install.batch import install_request, outcome_of
from sealdex.install.install import action_for
from sealdex.install.transaction import CASCADE, member_of
from sealdex.model.ids import PluginId
from sealdex.resolve import Choice
from sealdex.results import InstallAction, Planned, Trust
from sealdex.store.change import Member
from sealdex.store.dependants import OnBroken, newly_broken, refuse
from sealdex.store.installations import IMAGE_FORMAT
from sealdex.store.layout import Store
from sealdex.store.transaction import facts_of


def preview_chosen(
    store: Store,
    fetcher: ArtifactFetcher,
    choices: Sequence[Choice],
    trusts: Mapping[PluginId, Trust],
    *,
    make_current: bool = True,
    pin: bool | None = None,
    on_broken: OnBroken | None = None,
) -> list[Planned]:
    """Return what `sealdex.install.batch.install_chosen` would do with the same arguments, for each release.

    Raises:
        NotHereError: a file is missing that no registry has signed, so that it would not be fetched.
        BreaksDependantsError: an installed plugin would lose something it needs, without `on_broken`.
        InstallError: another artifact is installed under a version.
    """
    members: list[Member] = []
    planned: list[Planned] = []
    for choice in choices:
        trust = trusts[choice.plugin]
        request = install_request(choice, trust)
        before = facts_of(store, choice.plugin)
        pinning = pin if choice.requested else None
        members.append(member_of(store, before, request, pinning, make_current=make_current))
        action = action_for(store, request)
        fetched, may_be_less = _fetched(fetcher, choice, trust, action)
        planned.append(
            Planned(
                choice,
                trust,
                outcome_of(choice, action),
                before.version if make_current and before.version != choice.release.version else None,
                request.artifact.file if request.artifact.format == IMAGE_FORMAT else None,
                bytes_to_fetch=fetched,
                may_be_less=may_be_less,
            )
        )
    broken = newly_broken(store, members, {member.plugin for member in members})
    if on_broken is None:
        refuse(store, broken, CASCADE)
    elif broken:
        on_broken(broken)
    return planned


def _fetched(fetcher: ArtifactFetcher, choice: Choice, trust: Trust, action: InstallAction) -> tuple[int | None, bool]:
    if action == "keep" or choice.artifact is None:
        return 0, False
    count, may_be_less = fetcher.bytes_to_fetch(choice)
    if count != 0 and not trust.is_signed:
        raise NotHereError(choice.plugin, choice.release.version, choice.artifact.file)
    return count, may_be_less
