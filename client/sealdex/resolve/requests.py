"""Requests: ``NS/NAME[@RANGE]`` from the user, a range from another release."""

from __future__ import annotations

import re

from msgspec import Struct

from sealdex.errors import UsageError
from sealdex.lazy import regex
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import STABLE
from sealdex.model.ranges import VersionRange, parse_range
from sealdex.model.versions import version_problem

ANY_RANGE = "*"


PINNED = "the pin on this host"
UNKNOWN_HOST = ""
"""As the host id of a policy: a host whose id isn't known, and which no staged rollout reaches."""
"""Named as the source of the demand for a pinned plugin's version."""


class Request(Struct, frozen=True):
    """A requested plugin and the range its version must be in.

    Attributes:
        plugin, range: the two.
        channel: the channel to take it from; None: that of the policy.
        prereleases: accept pre-releases of this plugin.
        is_floor: the range was not requested: it only prevents a downgrade of what is installed.
    """

    plugin: PluginId
    range: str = ANY_RANGE
    channel: str | None = None
    prereleases: bool = False
    is_floor: bool = False

    def __str__(self) -> str:
        if self.range == ANY_RANGE:
            return f"{self.plugin}@{STABLE}" if self.channel == STABLE else str(self.plugin)
        return f"{self.plugin}@{self.range}"


class Want(Struct, frozen=True):
    """One demand on a plugin.

    Attributes:
        plugin: the plugin.
        range: the range its version must be in.
            by: the release that depends on it, as ``namespace/name version``; None: the user requests it.
            chain: the releases from a requested one down to `by`, as text.
            channel, prereleases: as in the request.
            installed: the demand comes from an installed release that is not being changed: the release in `by`, or for
                a floor the plugin itself.
        since: of a pin: when it was made, by whom and by which command, as text.
    """

    plugin: PluginId
    range: str
    by: str | None = None
    chain: tuple[str, ...] = ()
    channel: str | None = None
    prereleases: bool = False
    installed: bool = False
    since: str | None = None

    @property
    def parsed(self) -> VersionRange:
        """The range, parsed."""
        return parse_range(self.range)

    @property
    def is_pin(self) -> bool:
        """Whether the user names exactly one version: then channel, rollout and yanks don't matter."""
        sets = self.parsed.sets
        return self.by in {None, PINNED} and len(sets) == 1 and len(sets[0]) == 1 and sets[0][0].operator == "="


def request_problem(plugin: str, wanted: str) -> str | None:
    """Say what is wrong with a plugin's name or the range that is wanted of it; None: nothing is."""
    try:
        parse_plugin_id(plugin)
        parse_range(wanted)
    except ValueError as error:
        return str(error)
    return None


def parse_request(text: str) -> Request:
    """Read ``NS/NAME`` or ``NS/NAME@RANGE``, and what people write who know other package managers.

    ``@latest`` asks for no range, ``@stable`` for the channel of that name, ``NAME==1.2.0`` and ``NAME>=1`` for the
    same as with an ``@``; commas may stand between comparators. What means something else elsewhere is refused.

    Raises:
        UsageError: not of that form; the message says what to write.
    """
    name, at, wanted = _split(text)
    try:
        plugin = parse_plugin_id(name)
        if wanted in _WORDS:
            return Request(plugin, channel=_WORDS[wanted])
        found = parse_range(_spaced(wanted, plugin) or ANY_RANGE)
    except ValueError as error:
        raise UsageError(
            str(error),
            subject=text,
            untouched="nothing was changed",
            hint=_advice(name, wanted),
        ) from error
    if at and not wanted:
        raise UsageError(f"'{text}' ends in '@' without a range", hint=f"leave out the '@', or write {plugin}@1.2.0")
    return Request(plugin, str(found))


_WORDS = {"latest": None, "stable": STABLE}
_OPERATOR = regex(r"[<>=~^!]")
_BARE_WORD = regex(r"[a-z][a-z0-9_-]*", re.IGNORECASE)
_EXACTLY = regex(r"==\s*([^\s,|]+)")
_WILD = frozenset("xX")


def _split(text: str) -> tuple[str, str, str]:
    """Return the plugin, ``@`` if the text has one, and what is wanted of it."""
    operator = _OPERATOR.search(text)
    if "@" not in text and operator is not None:
        return text[: operator.start()].strip(), "", text[operator.start() :].strip()
    name, at, wanted = text.partition("@")
    return name.strip(), at, wanted.strip()


def _spaced(wanted: str, plugin: PluginId) -> str:
    """Return a range as `parse_range` reads it, or refuse what pip would read in another way."""
    for operator, instead in (("~=", "^1.2' or '~1.2"), ("!=", "<1.2.0 || >1.2.0")):
        if operator in wanted:
            raise ValueError(f"'{operator}' is not a comparator of version ranges: write '{plugin}@{instead}'")
    return " || ".join(
        _and(_EXACTLY.sub(lambda found: f"={_in_full(found[1], plugin)}", p)) for p in wanted.split("||")
    )


def _in_full(version: str, plugin: PluginId) -> str:
    """Return the version behind ``==``, which is exact for pip, where ``=1`` of npm is any release of 1."""
    if version_problem(version):
        raise ValueError(
            f"'=={version}' is not one version: write {plugin}@{version} for any release of {version}, "
            "or a version in full, such as 1.0.0"
        )
    return version


def _and(part: str) -> str:
    if "," not in part:
        return part.strip()
    comparators = [each.strip() for each in part.split(",")]
    if not all(comparators):
        raise ValueError(f"a comparator is missing beside a comma in '{part.strip()}'")
    return " ".join(comparators)


def _advice(name: str, wanted: str) -> str:
    if ":" in name:
        return f"write {name.replace(':', '@', 1)}"
    if "/" not in name and name:
        return f"sealdex search {name}; then write NAMESPACE/NAME"
    if _BARE_WORD.fullmatch(wanted) and wanted not in _WILD:
        return f"for what is in a channel: {name} --channel {wanted}; for the newest release: {name}"
    return "write NAMESPACE/NAME or NAMESPACE/NAME@RANGE, such as acme/slack@1.2.0 or 'acme/slack@^1.2'"
