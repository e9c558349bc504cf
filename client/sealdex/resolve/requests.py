"""What is asked for: ``NS/NAME[@RANGE]`` from a person, a range from another release."""

from __future__ import annotations

from msgspec import Struct

from sealdex.errors import UsageError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.ranges import VersionRange, parse_range

ANY_RANGE = "*"


PINNED = "the pin on this host"
"""Who asks for the one version that a pinned plugin stays at."""


class Request(Struct, frozen=True):
    """One plugin that somebody asks for, and the range its version must be in.

    Attributes:
        plugin, range: the two.
        channel: where it comes from; None: as the policy says.
        prereleases: admit those of this plugin.
        is_floor: nobody asked for the range: it says that what is installed isn't made older.
    """

    plugin: PluginId
    range: str = ANY_RANGE
    channel: str | None = None
    prereleases: bool = False
    is_floor: bool = False

    def __str__(self) -> str:
        return str(self.plugin) if self.range == ANY_RANGE else f"{self.plugin}@{self.range}"


class Want(Struct, frozen=True):
    """One reason for which a plugin is being resolved.

    Attributes:
        plugin: what is wanted.
        range: the range its version must be in.
        by: the release that depends on it, as ``namespace/name version``; None: the user asks for it.
        chain: the releases from a requested one down to `by`, as text.
        channel, prereleases: as the request says.
        installed: what asks is installed and not up for a choice: the release in `by`, or of a floor the plugin itself.
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
        """Whether the user names exactly one version: then channel and rollout don't matter, nor that it was yanked."""
        sets = self.parsed.sets
        return self.by in {None, PINNED} and len(sets) == 1 and len(sets[0]) == 1 and sets[0][0].operator == "="


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
        raise UsageError(f"'{text}' ends in '@' without a range", hint=f"leave it out, or write {plugin}@1.2.0")
    return Request(plugin, str(found))
