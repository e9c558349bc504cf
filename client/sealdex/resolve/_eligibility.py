"""Whether one release fits: range, pre-release, channel, yanked, rollout, environment; each reason with its flag."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from msgspec import Struct

from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.model.index import STABLE, ArtifactEntry, IndexDocument, ReleaseEntry, choose_artifact
from sealdex.model.precedence import version_sort_key
from sealdex.model.ranges import parse_range
from sealdex.resolve._ab_tests import refusal
from sealdex.resolve.requests import PINNED, UNKNOWN_HOST, Want, request_problem

_MAX_RANGES = 4

ReasonKind = Literal["range", "prerelease", "channel", "yanked", "rollout", "environment", "unreadable", "mirror"]


class Policy(Struct, frozen=True):
    """What may be chosen.

    Attributes:
        channel: the channel that is asked for. Releases come from it or from ``stable``, whichever has the newest.
            Another channel than ``stable`` admits the pre-releases that are in it.
        prereleases: accept pre-releases even if the range doesn't name them, whatever their channel.
        yanked: accept yanked releases.
        ignore_rollout: accept releases whose staged rollout or A/B test doesn't include this host.
        host: the random host id that decides about rollouts and A/B tests; `UNKNOWN_HOST`: in none of them; None
            accepts all.
        labels: labels that decide about A/B tests beside the host's and over them, such as those of a job.
    """

    channel: str = STABLE
    prereleases: bool = False
    yanked: bool = False
    ignore_rollout: bool = False
    host: str | None = None
    labels: dict[str, str] = {}


class Reason(Struct, frozen=True, omit_defaults=True):
    """One reason against a release.

    Attributes:
        kind: the kind of reason.
        words: the reason as text.
        flag: the flag that would accept it, if there is one.
        missing_tags: the tags that would by themselves make it acceptable on this host, if only those are missing.
    """

    kind: ReasonKind
    words: str
    flag: str | None = None
    missing_tags: tuple[str, ...] = ()


class Verdict(Struct, frozen=True):
    """The verdict on a release: it fits if there are no reasons against it."""

    artifact: ArtifactEntry | None
    reasons: tuple[Reason, ...]

    @property
    def fits(self) -> bool:
        """Whether the release may be chosen."""
        return not self.reasons


def judge(release: ReleaseEntry, wants: Sequence[Want], policy: Policy, environment: Environment) -> Verdict:
    """Decide whether a release fits all demands on its plugin, with all reasons if it doesn't.

    Args:
        release: the candidate.
        wants: all demands on the plugin; one by the user makes it a requested plugin.
        policy: the channel, and what else is accepted.
        environment: the host.
    """
    pinned = any(want.is_pin for want in wants)
    channel = channel_for(wants, policy)
    misplaced = None if pinned or admits_channel(release, channel) else _channel_reason(release, channel)
    # a pre-release named by its exact version was requested, whatever else depends on the plugin; and one that only
    # another channel has needs that channel alone
    prereleases = (
        policy.prereleases
        or pinned
        or any(want.prereleases for want in wants)
        or asks_for_prereleases(release, channel)
        or (misplaced is not None and misplaced.flag is not None)
    )
    reasons = [*_range_reasons(release, wants, admit_prereleases=prereleases)]
    if misplaced is not None:
        reasons.append(misplaced)
    if not pinned:
        if release.yanked is not None and not policy.yanked:
            why = f": {release.yanked.why}" if release.yanked.why else ""
            reasons.append(Reason("yanked", f"yanked by {release.yanked.by}{why}", "--yanked"))
        host = None if policy.ignore_rollout else policy.host
        if host is not None and (words := _held_back(host, wants[0].plugin, release, policy, environment)):
            reasons.append(Reason("rollout", words, "--ignore-rollout"))
    reasons += _unreadable_dependencies(release)
    artifact, mismatches = choose_artifact(release, environment)
    if artifact is None and mismatches:
        shown = [str(each) for each in mismatches[:4]]
        more = [f"{len(mismatches) - 4} more"] if len(mismatches) > 4 else []
        reasons.append(Reason("environment", " or ".join([*shown, *more]), missing_tags=mismatches[0].missing_tags))
    return Verdict(artifact, tuple(reasons))


def _held_back(
    host: str, plugin: PluginId, release: ReleaseEntry, policy: Policy, environment: Environment
) -> str | None:
    if release.ab is not None:
        return refusal(release.ab, plugin.namespace, host, {**environment.labels, **policy.labels})
    if reached(host, plugin, release):
        return None
    words = "this host is not one of them" if host else "it isn't known whether this host is one of them"
    return f"rolled out to {release.rollout}% of hosts, and {words}"


def judge_everywhere(
    release: ReleaseEntry, wants: Sequence[Want], policy: Policy, environments: Sequence[Environment]
) -> Verdict:
    """Judge for the host, which is the first environment; add the reasons of each further environment."""
    here, *others = (judge(release, wants, policy, environment) for environment in environments)
    reasons = list(here.reasons)
    for environment, verdict in zip(environments[1:], others, strict=True):
        where = ", ".join(f"{key}={value}" for key, value in sorted(environment.labels.items()))
        reasons += [Reason(r.kind, f"on {where}: {r.words}") for r in verdict.reasons if r.kind == "environment"]
    return Verdict(here.artifact, tuple(reasons))


Lacking = Callable[[IndexDocument, ReleaseEntry, ArtifactEntry | None], str | None]
"""Says why a release, or its artifact for this host, isn't to be had where it would be fetched from; None: it is."""


def heed_lacking(verdict: Verdict, document: IndexDocument, release: ReleaseEntry, lacking: Lacking | None) -> Verdict:
    """Add to a verdict that the release isn't to be had."""
    why = lacking(document, release, verdict.artifact) if lacking is not None else None
    return verdict if why is None else Verdict(verdict.artifact, (*verdict.reasons, Reason("mirror", why)))


def reached(host: str, plugin: PluginId, release: ReleaseEntry) -> bool:
    """Return whether a staged rollout includes a host; pure, and a host stays included as the share grows.

    Takes the first eight bytes of the SHA-256 of host id, plugin and version as a fraction of 2^64.
    """
    if release.rollout >= 100:
        return True
    if host == UNKNOWN_HOST:
        return False
    digest = hashlib.sha256(f"{host}\n{plugin}\n{release.version}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * 100 < release.rollout << 64


def channel_for(wants: Iterable[Want], policy: Policy) -> str:
    """Return the channel that is asked for a plugin."""
    return next((want.channel for want in wants if want.channel), policy.channel)


def admits_channel(release: ReleaseEntry, channel: str) -> bool:
    """Return whether a release is in the channel that is asked for, or in ``stable``."""
    return channel in release.channels or STABLE in release.channels


def asks_for_prereleases(release: ReleaseEntry, channel: str) -> bool:
    """Return whether a release is in the channel that is asked for, and this one isn't only for finished releases."""
    return channel != STABLE and channel in release.channels


def _range_reasons(release: ReleaseEntry, wants: Sequence[Want], *, admit_prereleases: bool) -> Iterable[Reason]:
    version = release.semver
    misfits = [want for want in wants if not want.parsed.contains(version, include_prereleases=True)]
    for pin in (want for want in misfits if want.by == PINNED):
        yield Reason("range", f"pinned to {pin.range.removeprefix('=')} on this host{_since(pin)}")
    outside = [want for want in misfits if want.by != PINNED]
    if outside:
        ranges = dict.fromkeys(
            f"{want.range}, which {want.by} needs" if want.installed and want.by else want.range for want in outside
        )
        yield Reason("range", f"not in {_listed(list(ranges))}")
    elif not misfits and not all(
        want.parsed.contains(version, include_prereleases=admit_prereleases) for want in wants
    ):
        yield Reason("prerelease", "pre-release", "--pre")


def _since(pin: Want) -> str:
    return f" since {pin.since}" if pin.since else ""


def _listed(ranges: Sequence[str]) -> str:
    shown = " nor in ".join(ranges[:_MAX_RANGES])
    return shown if len(ranges) <= _MAX_RANGES else f"{shown} nor in {len(ranges) - _MAX_RANGES} more ranges"


def _channel_reason(release: ReleaseEntry, channel: str) -> Reason:
    if not release.channels:
        return Reason("channel", "in no channel")
    listed = ", ".join(release.channels)
    words = f"only in channel {listed}" if len(release.channels) == 1 else f"only in channels {listed}"
    return Reason("channel", f"{words}, not {channel}", f"--channel {release.channels[0]}")


def _unreadable_dependencies(release: ReleaseEntry) -> Iterable[Reason]:
    for name, wanted in release.dependencies.items():
        if problem := request_problem(name, wanted):
            yield Reason("unreadable", f"has a dependency that this sealdex can't read ({problem})")


def newest_first(document: IndexDocument) -> list[ReleaseEntry]:
    """Return the releases by descending precedence, whatever the order in the document."""
    return sorted(document.releases, key=lambda release: version_sort_key(release.version), reverse=True)


def newest_in(document: IndexDocument, wanted: str) -> ReleaseEntry | None:
    """Return the newest release in a range regardless of other criteria; a pre-release only if there is no other.

    Raises:
        ValueError: `wanted` is not a valid range.
    """
    parsed, newest = parse_range(wanted), newest_first(document)
    for admit in (False, True):
        for release in newest:
            if parsed.contains(release.semver, include_prereleases=admit):
                return release
    return None
