"""What holds for all releases of a plugin (``plugin.yaml``) and what happened to them later (its events)."""

# annotations are types here, not text (no __future__): msgspec evaluates each that is text, whenever a command starts

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from sealdex.model.ids import (
    FileName,
    IdentifierPart,
    PluginType,
    Sha256,
    Timestamp,
    file_name_problem,
    parse_plugin_id,
)
from sealdex.model.release import Channel
from sealdex.model.versions import VersionText
from sealdex.model.wording import Keyword, LanguageTag, Title, wording_problems

PLUGIN_FORMAT = 1
STATUS_FORMAT = 1

Summary = Annotated[str, Meta(min_length=1, max_length=250)]
WebAddress = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^\s]+$(?!\n)",
        max_length=2048,
        extra={"expects": "an address such as https://example.com/"},
    ),
]
AttachmentKind = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$(?!\n)",
        max_length=32,
        examples=["evaluation", "in-toto", "cyclonedx", "spdx", "sigstore-bundle"],
        extra={"expects": "a kind such as 'in-toto' or 'cyclonedx'"},
    ),
]
MetricName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9]+([._@/-][A-Za-z0-9]+)*$(?!\n)",
        max_length=64,
        examples=["top1", "mAP@0.5"],
        extra={"expects": "a metric's name such as top1 or latency-ms"},
    ),
]
_TAKE_BACK = frozenset({"unyank", "undeprecate", "demote"})
EVALUATION = "evaluation"
"""The kind of an attachment that is an evaluation's report."""


class Owner(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A person or team that answers for the plugin."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    email: Annotated[str, Meta(max_length=254)] | None = None
    github: Annotated[str, Meta(max_length=64)] | None = None


class Plugin(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``plugin.yaml``. Namespace and name come from its folder.

    Attributes:
        type: one of the registry's types; the seeds' spelling (``HAL_DRIVER``) is read as the same.
        title: the plugin's name for people, in any script; where it is missing, its name stands alone.
        summary: one line for lists.
        language: the language of title, summary, description and README.md; by default it is recognised by the script.
        title_i18n, summary_i18n: the same in other languages, by tag such as ``zh`` or ``pt-BR``.
        keywords: letters, marks and digits of any script, lower case, in groups joined by ``.``, ``_``, ``+``, ``-``.
        license: an SPDX expression.
        realm: the realm the plugin is published to.
        links: other addresses by label.
    """

    schema: str | None = field(default=None, name="$schema")
    format: Annotated[int, Meta(ge=1)] = PLUGIN_FORMAT
    type: PluginType
    summary: Summary
    title: Title | None = None
    language: LanguageTag | None = None
    title_i18n: dict[LanguageTag, Title] = {}
    summary_i18n: dict[LanguageTag, Summary] = {}
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

    def __post_init__(self) -> None:
        """Hold what its types can't say; `field_problems` names every problem with its path."""
        if problem := next(wording_problems(_worded(self)), None):
            raise ValueError(": ".join(problem))

    @staticmethod
    def field_problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield (field path, problem) for what its types don't find; for `sealdex.model.decode.problems_in`."""
        return wording_problems(values)


def _worded(plugin: Plugin) -> dict[str, Any]:
    return {name: getattr(plugin, name) for name in ("keywords", "title", "title_i18n", "summary_i18n")}


EventAction = Literal["yank", "unyank", "deprecate", "undeprecate", "promote", "demote", "evaluate", "attest", "move"]


class StatusEvent(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """One thing that happened after publishing. Events are only ever added.

    Attributes:
        action: what happened.
        at, by, why: when, who and the reason.
        version: the release it is about; None for the plugin as a whole (``deprecate``).
        channel: the channel, for ``promote`` and ``demote``.
        use: the plugin to use instead, for ``deprecate``.
        name, sha256, size: the attached file, which is in ``attachments/<version>/`` beside the releases.
        url: its address, if it is elsewhere.
        kind: what an attested file is, such as ``in-toto`` or ``cyclonedx``.
        metrics: what an evaluation measured, by name.
        dataset, evaluator: what it measured with, and who or what did.
        from_realm, to_realm: the realm that the plugin left with ``move``, and the one that it is in since.
        versions: the releases that it had then, which the realm that it left keeps.
    """

    action: EventAction
    at: Timestamp
    by: Annotated[str, Meta(min_length=1, max_length=254)]
    why: Annotated[str, Meta(max_length=2000)] = ""
    version: VersionText | None = None
    channel: Channel | None = None
    use: str | None = None
    name: FileName | None = None
    sha256: Sha256 | None = None
    size: Annotated[int, Meta(ge=0)] | None = None
    url: WebAddress | None = None
    kind: AttachmentKind | None = None
    metrics: dict[MetricName, float] = {}
    dataset: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    evaluator: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    from_realm: IdentifierPart | None = None
    to_realm: IdentifierPart | None = None
    versions: tuple[VersionText, ...] = ()


class EventFile(StatusEvent, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``status/<time>-<number>-<action>-<version>-<digest>.json``: one event of a plugin."""

    schema: str | None = field(default=None, name="$schema")
    format: Annotated[int, Meta(ge=1)] = STATUS_FORMAT

    @property
    def event(self) -> StatusEvent:
        """The event alone, as in status.json."""
        return StatusEvent(**{name: getattr(self, name) for name in StatusEvent.__struct_fields__})


class PluginStatus(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``status.json``: events of one plugin, oldest first, and where the later ones are.

    Attributes:
        events_in: ``status`` when further events are in the folder of that name, one a file. A builder that doesn't
            know the field refuses the file, and so overlooks none of them.
        events: events that come before those.
    """

    schema: str | None = field(default=None, name="$schema")
    format: Annotated[int, Meta(ge=1)] = STATUS_FORMAT
    events_in: Literal["status"] | None = None
    events: tuple[StatusEvent, ...] = ()


class Mark(Struct, omit_defaults=True, frozen=True):
    """Who did something, when and why, as the index document shows it; ``use`` names the successor."""

    at: str
    by: str
    why: str = ""
    use: str | None = None


class MovedTo(Struct, omit_defaults=True, frozen=True):
    """Where a plugin is since it moved: later releases are there alone. Clients say so, and never go there by it.

    Attributes:
        realm: the realm's name.
        at, by, why: when, who and the reason.
        url: where that realm is read, as far as its configuration says.
    """

    realm: str
    at: str
    by: str
    why: str = ""
    url: str | None = None

    def __str__(self) -> str:
        place = f" at {self.url}" if self.url else ""
        return f"realm {self.realm}{place}" + (f": {self.why}" if self.why else "")


class TakenBack(Struct, omit_defaults=True, frozen=True):
    """An event that took an earlier one back (``unyank``, ``undeprecate``, ``demote``) and so left no other trace.

    It tells a publisher that a source tree without it is older. Clients need none of it.
    """

    action: str
    at: str
    by: str
    version: str | None = None
    channel: str | None = None


class Attachment(Struct, frozen=True, omit_defaults=True):
    """A further file of a release: an evaluation report, an SBOM, a statement; ``url`` if it is elsewhere."""

    name: FileName
    kind: str
    size: Annotated[int, Meta(ge=0)]
    sha256: Sha256
    url: str | None = None


class Evaluation(Struct, omit_defaults=True, frozen=True):
    """What somebody measured of a release; ``report`` names the attachment with all of it."""

    at: str
    by: str
    metrics: dict[str, float] = {}
    dataset: str | None = None
    evaluator: str | None = None
    report: str | None = None
    why: str = ""


class FoldedStatus(Struct, frozen=True):
    """The state that the events add up to.

    Attributes:
        deprecated: set while the plugin is deprecated.
        yanked: version to mark, for releases yanked now.
        channels: version to the channels it was promoted to (beyond its own).
        attachments, evaluations: version to what was attached and measured, in the order of the events.
        taken_back: the events that took others back.
    """

    deprecated: Mark | None
    yanked: dict[str, Mark]
    channels: dict[str, tuple[str, ...]]
    attachments: dict[str, tuple[Attachment, ...]] = {}
    evaluations: dict[str, tuple[Evaluation, ...]] = {}
    taken_back: tuple[TakenBack, ...] = ()


def fold_status(events: tuple[StatusEvent, ...]) -> FoldedStatus:
    """Add up events in order; a later one wins over an earlier one."""
    deprecated: Mark | None = None
    yanked: dict[str, Mark] = {}
    channels: dict[str, list[str]] = {}
    attachments: dict[str, dict[str, Attachment]] = {}
    evaluations: dict[str, list[Evaluation]] = {}
    for event in events:
        mark = mark_of(event)
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
        elif event.action in {"evaluate", "attest"}:
            if (attachment := attachment_of(event)) is not None:
                attachments.setdefault(version, {}).setdefault(attachment.name, attachment)
            if event.action == "evaluate":
                evaluations.setdefault(version, []).append(evaluation_of(event))
    return FoldedStatus(
        deprecated=deprecated,
        yanked=yanked,
        channels={v: tuple(c) for v, c in channels.items() if c},
        attachments={v: tuple(a.values()) for v, a in attachments.items()},
        evaluations={v: tuple(e) for v, e in evaluations.items()},
        taken_back=tuple([taken_back_of(event) for event in events if event.action in _TAKE_BACK]),
    )


def last_move(events: Sequence[StatusEvent]) -> StatusEvent | None:
    """Return the last ``move`` among events, or None."""
    return next((event for event in reversed(events) if event.action == "move"), None)


def mark_of(event: StatusEvent) -> Mark:
    """Return how the index document shows a yank or a deprecation."""
    return Mark(at=event.at, by=event.by, why=event.why, use=event.use)


def taken_back_of(event: StatusEvent) -> TakenBack:
    """Return how the index document shows an event that takes another back."""
    return TakenBack(event.action, event.at, event.by, event.version, event.channel)


def attachment_of(event: StatusEvent) -> Attachment | None:
    """Return how the index document shows the file of an evaluation or attestation; None when it has none."""
    if event.name is None or event.sha256 is None or event.size is None:
        return None
    kind = EVALUATION if event.action == "evaluate" else event.kind or "other"
    return Attachment(name=event.name, kind=kind, size=event.size, sha256=event.sha256, url=event.url)


def evaluation_of(event: StatusEvent) -> Evaluation:
    """Return how the index document shows an evaluation."""
    return Evaluation(
        at=event.at,
        by=event.by,
        metrics=event.metrics,
        dataset=event.dataset,
        evaluator=event.evaluator,
        report=event.name,
        why=event.why,
    )


def status_problems(status: PluginStatus) -> Iterator[tuple[str, str]]:
    """Yield (field path, problem) for events that lack what their action needs."""
    for i, name, problem in event_problems(status.events):
        yield f"events[{i}].{name}", problem


def event_problems(events: Sequence[StatusEvent]) -> Iterator[tuple[int, str, str]]:
    """Yield (number of the event, field, problem) for events of one plugin that lack what their action needs."""
    names: dict[tuple[str | None, str], str | None] = {}
    for i, event in enumerate(events):
        about_release = event.action not in {"deprecate", "undeprecate", "move"}
        if event.action == "move":
            for name in ("from_realm", "to_realm"):
                if getattr(event, name) is None:
                    yield i, name, "is missing: 'move' names the realm that the plugin leaves, and the one it goes to"
        if about_release and event.version is None:
            yield i, "version", f"is missing: '{event.action}' is about one release"
        if event.action in {"promote", "demote"} and event.channel is None:
            yield i, "channel", f"is missing: '{event.action}' needs a channel"
        for name in _missing_of_file(event):
            yield i, name, f"is missing: a file of '{event.action}' has name, sha256 and size"
        if event.name is not None:
            if problem := file_name_problem(event.name):
                yield i, "name", f"'{event.name}' {problem}"
            # case matters to few stores and not to every disk
            if names.setdefault((event.version, event.name.lower()), event.sha256) != event.sha256:
                yield i, "name", f"'{event.name}' is another file of this release already: take another name"
        if event.use is not None:
            try:
                parse_plugin_id(event.use)
            except ValueError as error:
                yield i, "use", str(error)


def _missing_of_file(event: StatusEvent) -> Iterator[str]:
    file = {"name": event.name, "sha256": event.sha256, "size": event.size}
    if event.action == "attest" or any(value is not None for value in (*file.values(), event.url)):
        yield from (name for name, value in file.items() if value is None)
