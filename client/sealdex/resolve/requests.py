"""Requests: ``NS/NAME[@RANGE]`` from the user, a range from another release."""

from __future__ import annotations

from msgspec import Struct

from sealdex.errors import UsageError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.ranges import VersionRange, parse_range

ANY_RANGE = "*"


PINNED = "the pin on this host"
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
        return str(self.plugin) if self.range == ANY_RANGE else f"{self.plugin}@{self.range}"


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
    """

    plugin: PluginId
    range: str
    by: str | None = None
    chain: tuple[str, ...] = ()
    channel: str | None = None
    prereleases: bool = False
    installed: bool = False

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
    """Read ``NS/NAME`` or ``NS/NAME@RANGE``.

    Raises:
        UsageError: not of that form; the message says what to write.
    """
    name, at, wanted = text.partition("@")
    try:
        plugin = parse_plugin_id(name.strip())
        found = parse_range(wanted.strip() or ANY_RANGE)
    except ValueError as error:
        raise UsageError(
            str(error),
            subject=text,
            untouched="nothing was changed",
            hint="write NAMESPACE/NAME or NAMESPACE/NAME@RANGE, such as acme/slack@1.2.0 or 'acme/slack@^1.2'",
        ) from error
    if at and not wanted.strip():
        raise UsageError(f"'{text}' ends in '@' without a range", hint=f"leave out the '@', or write {plugin}@1.2.0")
    return Request(plugin, str(found))
