"""Explains why nothing fits: first as data (releases, reasons against each, flags that help), then as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from sealdex.errors import NoMatchError, NotFoundError
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument
from sealdex.resolve._eligibility import Lacking, Policy, Reason, heed_lacking, judge_everywhere, newest_first
from sealdex.resolve.requests import ANY_RANGE, PINNED, Request, Want
from sealdex.similar import most_similar

_MAX_GROUPS = 12
_MAX_VERSIONS = 6
_MAX_WANTS = 12


class PassedOver(Struct, frozen=True, omit_defaults=True):
    """A release that exists and doesn't fit."""

    version: str
    reasons: tuple[Reason, ...]


class Explanation(Struct, frozen=True):
    """Why one plugin can't be resolved.

    Attributes:
        plugin: the plugin.
        wants: all demands on it; demands that exclude each other are a conflict.
        exists: whether the registry has it at all.
        passed_over: its releases, newest first, each with the reasons against it.
        hints: what would help: flags or ranges, with their effect.
    """

    plugin: PluginId
    wants: tuple[Want, ...]
    exists: bool
    passed_over: tuple[PassedOver, ...] = ()
    hints: tuple[str, ...] = ()


class UnknownPluginError(NotFoundError):
    """A requested plugin doesn't exist in its registry; a caller with a catalog adds the nearest names."""

    def __init__(self, plugin: PluginId, registry: str | None = None, near: Sequence[PluginId] = ()) -> None:
        where = f" in registry '{registry}'" if registry else ""
        meant = f"; did you mean {' or '.join(map(str, near))}?" if near else ""
        super().__init__(
            f"there is no plugin {plugin}{where}{meant}",
            subject=str(plugin),
            untouched="nothing was installed",
            hint=f"sealdex search {plugin.name}",
            details={"near": [str(each) for each in near]},
        )
        self.plugin = plugin
        self.near = tuple(near)


class NothingFitsError(NoMatchError):
    """Releases exist but none fits, or demands exclude each other; ``explanations`` has the details as data."""

    def __init__(self, explanations: Sequence[Explanation]) -> None:
        self.explanations = tuple(explanations)
        hints = [hint for explanation in self.explanations for hint in explanation.hints]
        super().__init__(
            "\n".join(line for explanation in self.explanations for line in describe(explanation)),
            subject=", ".join(str(explanation.plugin) for explanation in self.explanations),
            untouched="nothing was installed",
            hint="; or ".join(hints[:3]) or f"sealdex info {self.explanations[0].plugin}",
            details={"explanations": _plain(self.explanations)},
        )


class StillSearchingError(NoMatchError):
    """The search for releases that fit together was aborted; ``explanations`` has the last conflict."""

    code = "still-searching"

    def __init__(
        self, requests: Sequence[Request], explanations: Sequence[Explanation], seconds: float, decisions: int
    ) -> None:
        self.explanations = tuple(explanations)
        asked = ", ".join(map(str, requests))
        lines = [line for explanation in self.explanations for line in describe(explanation)]
        so_far = ["the last conflict:", *(f"  {line}" for line in lines)] if lines else []
        headline = (
            f"no releases of {asked} and its dependencies that fit together were found within {seconds:g} seconds "
            f"({decisions} decisions); there may still be some"
        )
        super().__init__(
            "\n".join([headline, *so_far]),
            subject=asked,
            untouched="nothing was installed",
            hint="give versions of the plugins above: sealdex install NAMESPACE/NAME@VERSION NAMESPACE/OTHER@VERSION; "
            "or search longer: --set install.resolve_timeout=600",
            details={"explanations": _plain(self.explanations)},
        )  # fmt: skip


def _plain(explanations: Sequence[Explanation]) -> Any:
    shown = msgspec.to_builtins(explanations)
    for plain, explanation in zip(shown, explanations, strict=True):
        plain["plugin"] = str(explanation.plugin)
        for want in plain["wants"]:
            want["plugin"] = str(explanation.plugin)
    return shown


def explain(
    plugin: PluginId,
    document: IndexDocument | None,
    wants: Sequence[Want],
    policy: Policy,
    environments: Sequence[Environment],
    lacking: Lacking | None = None,
) -> Explanation:
    """Explain why no release of a plugin fits all demands on it; the first environment is the host's."""
    if document is None:
        return Explanation(plugin, tuple(wants), exists=False)
    judged = [
        (r, heed_lacking(judge_everywhere(r, wants, policy, environments), document, r, lacking))
        for r in newest_first(document)
    ]
    passed = tuple(PassedOver(release.version, verdict.reasons) for release, verdict in judged if verdict.reasons)
    return Explanation(plugin, tuple(wants), exists=True, passed_over=passed, hints=tuple(_hints(passed, wants)))


def _hints(passed_over: Sequence[PassedOver], wants: Sequence[Want]) -> Iterable[str]:
    """Yield flags that would by themselves make a release acceptable, newest first, each set of flags once."""
    seen: set[tuple[str, ...]] = set()
    by_user = all(want.by is None for want in wants)  # then they can leave out the range
    for release in passed_over:
        flags = tuple(reason.flag or "" for reason in release.reasons)
        if flags and all(flags) and flags not in seen:
            seen.add(flags)
            yield f"{' '.join(flags)} would choose {release.version}"
    if holding := sorted({_name(want.by) for want in wants if want.installed and want.by is not None}):
        yield f"--cascade also updates {' and '.join(holding)}; --force breaks what is installed"
    if by_user and any(want.range != ANY_RANGE and not want.installed for want in wants):
        outside = next((r for r in passed_over if [reason.kind for reason in r.reasons] == ["range"]), None)
        if outside is not None:
            yield f"without the range, {outside.version} would be chosen"
    if any(want.by == PINNED for want in wants):
        yield f"--unpin removes the pin of {wants[0].plugin}"
    if tags := _missing_tags(passed_over):
        yield f"if this host has {', '.join(tags)}, add it to tags = [...] under [environment] in config.toml"
    if any(reason.kind == "environment" for release in passed_over for reason in release.reasons):
        yield "sealdex env shows the labels and tags of this host; [environment] in config.toml adds to them"


def _missing_tags(passed_over: Sequence[PassedOver]) -> list[str]:
    """Return the tags that would by themselves make a release acceptable, of the newest such release."""
    for release in passed_over:
        if all(reason.missing_tags for reason in release.reasons):
            return [tag for reason in release.reasons for tag in reason.missing_tags]
    return []


def describe(explanation: Explanation) -> list[str]:
    """Format an explanation as lines: the demands, then the releases, grouped by the reasons against them."""
    lines = [_headline(explanation)]
    if len(explanation.wants) > 1 or any(want.by for want in explanation.wants):
        lines += [f"  {line}" for line in _format_wants(explanation.wants)]
    groups: dict[tuple[str, ...], list[str]] = {}
    for release in explanation.passed_over:
        groups.setdefault(tuple(reason.words for reason in release.reasons), []).append(release.version)
    shown = list(groups.items())[:_MAX_GROUPS]
    lines += [f"  {_versions(versions)}: {'; '.join(words)}" for words, versions in shown]
    rest = sum(len(versions) for versions in list(groups.values())[_MAX_GROUPS:])
    if rest:
        lines.append(f"  and {rest} more releases for various reasons")
    return lines


def _headline(explanation: Explanation) -> str:
    plugin = explanation.plugin
    if not explanation.exists:
        return f"there is no plugin {plugin}, which is needed"
    if not explanation.passed_over:
        return f"{plugin} has no releases"
    if len({want.range for want in explanation.wants}) > 1:
        return f"no release of {plugin} meets all demands on it"
    wanted = explanation.wants[0].range if explanation.wants else ANY_RANGE
    return f"no release of {plugin} fits" + ("" if wanted == ANY_RANGE else f" {wanted}") + " here"


def _format_wants(wants: Sequence[Want]) -> list[str]:
    """Format a line for each demand; releases of one plugin with the same demand share a line."""
    groups: dict[tuple[str, ...], list[Want]] = {}
    for want in wants:
        key: tuple[str, ...] = (str(want.by), want.range)
        if want.by not in {None, PINNED} and not want.installed:
            key = (want.range, _name(str(want.by)), *map(_name, want.chain[:-1]))
        groups.setdefault(key, []).append(want)
    lines = [_format_want(same) for same in list(groups.values())[:_MAX_WANTS]]
    rest = len(groups) - len(lines)
    return lines if not rest else [*lines, f"and {rest} more demand{'s' if rest > 1 else ''}"]


def _format_want(same: Sequence[Want]) -> str:
    want = same[0]
    if want.installed:
        if want.by is None:
            return f"{want.plugin} {want.range.removeprefix('>=')} is installed and is not downgraded"
        return f"{want.by}, which is installed, needs {want.plugin} {want.range}"
    if want.by is None:
        return f"you asked for {want.plugin}" + ("" if want.range == ANY_RANGE else f"@{want.range}")
    if want.by == PINNED:
        since = f" since {want.since}" if want.since else ""
        return f"{PINNED} keeps {want.plugin} at {want.range.removeprefix('=')}{since}"
    if len(same) == 1:
        through = f" ({' -> '.join(want.chain)})" if len(want.chain) > 1 else ""
        return f"{want.by} needs {want.plugin} {want.range}{through}"
    by, versions = _name(want.by), [(other.by or "").split(" ", 1)[-1] for other in same]
    ways = {other.chain[:-1] for other in same}
    way = want.chain[:-1] if len(ways) == 1 else map(_name, want.chain[:-1])
    through = f" ({' -> '.join([*way, by])})" if len(want.chain) > 1 else ""
    return f"{by} {_versions(versions)} need {want.plugin} {want.range}{through}"


def _name(release: str) -> str:
    return release.split(" ", 1)[0]


def _versions(versions: Sequence[str]) -> str:
    if len(versions) <= _MAX_VERSIONS:
        return ", ".join(versions)
    return f"{versions[0]}, {versions[1]} ... {versions[-1]} ({len(versions)} releases)"


def nearest(wanted: PluginId, known: Iterable[PluginId], count: int = 3) -> list[PluginId]:
    """Return the names most similar to a mistyped one: the same name in other namespaces first."""
    ids = list(known)
    same_name = sorted(plugin for plugin in ids if plugin.name == wanted.name)[:count]
    texts = {str(plugin): plugin for plugin in ids}
    close = most_similar(str(wanted), texts, count)
    return list(dict.fromkeys([*same_name, *(texts[text] for text in close)]))[:count]
