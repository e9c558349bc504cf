"""What holds for all releases of a plugin (``plugin.yaml``) and what happened to them later (``status.json``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from sealdex.model.ids import IdentifierPart, PluginType, Sha256, Timestamp, parse_plugin_id
from sealdex.model.release import Channel
from sealdex.model.versions import VersionText

PLUGIN_FORMAT = 1
STATUS_FORMAT = 1

Keyword = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]+([._+-][a-z0-9]+)*$(?!\n)",
        max_length=64,
        extra={"expects": "a keyword in lower case, such as 'speech' or 'ros-2'"},
    ),
]
WebAddress = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^\s]+$(?!\n)",
        max_length=2048,
        extra={"expects": "an address such as https://example.com/"},
    ),
]


class Owner(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A person or team that answers for the plugin."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    email: Annotated[str, Meta(max_length=254)] | None = None
    github: Annotated[str, Meta(max_length=64)] | None = None


class Plugin(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``plugin.yaml``. Namespace and name come from the folder it lies in.

    Attributes:
        type: one of the registry's types; the seeds' spelling (``HAL_DRIVER``) is read as the same.
        summary: one line for lists.
        license: an SPDX expression.
        realm: the realm the plugin is published to.
        links: other addresses by label.
    """

    schema: str | None = field(default=None, name="$schema")
    format: Annotated[int, Meta(ge=1)] = PLUGIN_FORMAT
    type: PluginType
    summary: Annotated[str, Meta(min_length=1, max_length=250)]
    description: str | None = None
    license: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    keywords: tuple[Keyword, ...] = ()
    owners: tuple[Owner, ...] = ()
    homepage: WebAddress | None = None
    repository: WebAddress | None = None
    documentation: WebAddress | None = None
    icon: str | None = None
    links: dict[str, WebAddress] = {}
    realm: IdentifierPart = "public"


class StatusEvent(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """One thing that happened after publishing. Events are only ever appended, so a merge keeps both sides' lines.

    Attributes:
        action: what happened.
        at, by, why: when, who and the reason.
        version: the release it is about; None for the plugin as a whole (``deprecate``).
        channel: the channel, for ``promote`` and ``demote``.
        use: the plugin to use instead, for ``deprecate``.
        name, sha256, size, metrics, dataset: what an evaluation or attachment brings.
    """

    action: Literal["yank", "unyank", "deprecate", "undeprecate", "promote", "demote", "evaluate", "attest"]
    at: Timestamp
    by: Annotated[str, Meta(min_length=1, max_length=254)]
    why: Annotated[str, Meta(max_length=2000)] = ""
    version: VersionText | None = None
    channel: Channel | None = None
    use: str | None = None
    name: str | None = None
    sha256: Sha256 | None = None
    size: Annotated[int, Meta(ge=0)] | None = None
    metrics: dict[str, float] = {}
    dataset: str | None = None


class PluginStatus(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``status.json``: the events of one plugin, oldest first."""

    schema: str | None = field(default=None, name="$schema")
    format: Annotated[int, Meta(ge=1)] = STATUS_FORMAT
    events: tuple[StatusEvent, ...] = ()


class Mark(Struct, omit_defaults=True, frozen=True):
    """Who did something, when and why, as the index document shows it; ``use`` names the successor."""

    at: str
    by: str
    why: str = ""
    use: str | None = None


class FoldedStatus(Struct, frozen=True):
    """The state that the events add up to.

    Attributes:
        deprecated: set while the plugin is deprecated.
        yanked: version to mark, for releases yanked now.
        channels: version to the channels it was promoted to (beyond its own).
    """

    deprecated: Mark | None
    yanked: dict[str, Mark]
    channels: dict[str, tuple[str, ...]]


def fold_status(events: tuple[StatusEvent, ...]) -> FoldedStatus:
    """Add up events in order; a later one wins over an earlier one."""
    deprecated: Mark | None = None
    yanked: dict[str, Mark] = {}
    channels: dict[str, list[str]] = {}
    for event in events:
        mark = Mark(at=event.at, by=event.by, why=event.why, use=event.use)
        version = event.version or ""
        if event.action == "deprecate":
            deprecated = mark
        elif event.action == "undeprecate":
            deprecated = None
        elif event.action == "yank":
            yanked[version] = mark
        elif event.action == "unyank":
            yanked.pop(version, None)
        elif event.action == "promote" and event.channel is not None:
            if event.channel not in channels.setdefault(version, []):
                channels[version].append(event.channel)
        elif event.action == "demote" and event.channel in channels.get(version, []):
            channels[version].remove(event.channel)
    return FoldedStatus(deprecated=deprecated, yanked=yanked, channels={v: tuple(c) for v, c in channels.items() if c})


def status_problems(status: PluginStatus) -> Iterator[tuple[str, str]]:
    """Yield (field path, problem) for events that lack what their action needs."""
    for i, event in enumerate(status.events):
        where = f"events[{i}]"
        about_release = event.action not in {"deprecate", "undeprecate"}
        if about_release and event.version is None:
            yield f"{where}.version", f"is missing: '{event.action}' is about one release"
        if event.action in {"promote", "demote"} and event.channel is None:
            yield f"{where}.channel", f"is missing: '{event.action}' needs a channel"
        if event.use is not None:
            try:
                parse_plugin_id(event.use)
            except ValueError as error:
                yield f"{where}.use", str(error)
