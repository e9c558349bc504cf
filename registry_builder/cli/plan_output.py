"""A publish plan, for people and for programs; the same for --dry-run and publish."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sealdex.cli.progress import in_bytes
from sealdex.text import counted

if TYPE_CHECKING:
    from registry_builder.compile.removed_events import RemovedEvent
    from registry_builder.publication.plan import PublishPlan, Upload
    from registry_builder.publication.planned_files import PlannedFile
    from sealdex.cli.output import Output

_SHOWN = 20


def file_documents(files: Iterable[PlannedFile]) -> list[dict[str, Any]]:
    """Return every file that a publish writes, as plain values."""
    return [
        {
            "key": file.key,
            "size": file.size,
            "content_type": file.content_type,
            "cache_control": file.cache_control,
            "why": file.why,
        }
        for file in files
    ]


def show_files(out: Output, files: Iterable[PlannedFile]) -> None:
    """Print every file that a publish writes."""
    out.table(
        ("path", "size", "type", "why"),
        [(f.key, "-" if f.size is None else in_bytes(f.size), f.content_type.partition(";")[0], f.why) for f in files],
        worded=("why",),
    )


def plan_document(plan: PublishPlan) -> dict[str, Any]:
    """Return a plan as plain values: what changes, what is uploaded and what is signed."""
    return {
        "realm": plan.realm,
        "storage": plan.storage,
        "changes": not plan.is_empty,
        "new_plugins": [str(plugin) for plugin in plan.new_plugins],
        "changed_plugins": [str(plugin) for plugin in plan.changed_plugins],
        "new_releases": [f"{plugin}@{version}" for plugin, version in plan.new_releases],
        "not_in_tree": {
            "plugins": [str(plugin) for plugin in plan.carried],
            "releases": [f"{plugin}@{version}" for plugin, version in plan.kept],
            "events": [_event(event) for each in plan.older for event in each.events],
        },
        "held": [str(plugin) for plugin in plan.held],
        "waiting": [each.document() for each in plan.waiting],
        "uploads": {
            kind: [{"key": u.key, "size": u.size, "sha256": u.sha256} for u in uploads]
            for kind, uploads in plan.uploads
        },
        "ingest": [{"key": a.key, "url": a.url, "size": a.size, "sha256": a.sha256} for a in plan.ingest],
        "sign": dict(plan.reasons),
        "offline": [
            *(f"{version}.root.json" for version in sorted(plan.roots)),
            *([f"{plan.targets[0]}.targets.json"] if plan.targets else []),
        ],
        "bins": 1 << plan.bits,
        "files": file_count(plan),
        "bytes": byte_count(plan),
    }


def file_count(plan: PublishPlan) -> int:
    """Return how many files the plan writes, without the bundle and pages."""
    uploads = sum(len(uploads) for _, uploads in plan.uploads)
    return uploads + len(plan.ingest) + len(plan.reasons) + len(plan.roots) + (plan.targets is not None)


def byte_count(plan: PublishPlan) -> int:
    """Return the bytes of files whose size is known before signing; artifacts of unknown length count as 0."""
    uploads = sum(upload.size for _, uploads in plan.uploads for upload in uploads)
    return uploads + sum(artifact.size or 0 for artifact in plan.ingest)


def show_plan(out: Output, plan: PublishPlan) -> None:
    """Print what a plan changes; long lists are cut, --json has all of it."""
    if plan.is_empty:
        out.line(f"realm {plan.realm}: {plan.storage} is up to date")
    else:
        out.line(f"realm {plan.realm}: {plan.storage}", style="bold")
        new = {*plan.new_plugins}
        releases = [f"  + {plugin} {version}" for plugin, version in plan.new_releases]
        touched = {plugin for plugin, _ in plan.new_releases}
        others = [f"  ~ {plugin}" for plugin in plan.changed_plugins if plugin not in touched]
        empty = [f"  + {plugin} (no release yet)" for plugin in new if plugin not in touched]
        _lines(out, [*releases, *sorted(empty), *others])
        is_first = plan.reasons.get("timestamp") == "first publish"
        rewritten = "catalog" in plan.reasons and _has_shards(plan) and not is_first
        if rewritten and not (plan.new_plugins or plan.changed_plugins):
            by_name = "shards by name of the catalog that publishes of some plugins left to this one"
            other = "rows of the catalog that another version of sealdex-builder wrote differently"
            out.line(f"  ~ {other if _has_shards(plan, of_all_rows=True) else by_name}")
        for kind, uploads in plan.uploads:
            if uploads:
                out.line(f"  upload {counted(len(uploads), kind.removesuffix('s'))}, {in_bytes(_bytes(uploads))}")
        if plan.ingest:
            out.line(f"  copy {counted(len(plan.ingest), 'artifact')} from elsewhere into the store")
        offline = [
            *(f"{v}.root.json" for v in sorted(plan.roots)),
            *([f"{plan.targets[0]}.targets.json"] if plan.targets else []),
        ]
        if offline:
            out.line(f"  publish {', '.join(offline)} from trust/{plan.realm}/")
        out.line(f"  sign {_signed(plan)}")
    for plugin in plan.carried[:_SHOWN]:
        out.warn(f"{plugin} is published but not in the source tree: it stays published")
    if len(plan.carried) > _SHOWN:
        out.warn(f"and {len(plan.carried) - _SHOWN} more plugins that are not in the source tree")
    for plugin, version in plan.kept[:_SHOWN]:
        out.warn(f"{plugin} {version} is published but not in the source tree: it stays published")
    if len(plan.kept) > _SHOWN:
        out.warn(f"and {len(plan.kept) - _SHOWN} more releases that are not in the source tree")
    for each in plan.older:
        accepted = each.plugin not in plan.held
        if each.events and accepted:
            events = ", ".join(map(str, each.events))
            out.warn(f"{each.plugin} loses published events that are not in the source tree: {events}")


def _event(event: RemovedEvent) -> dict[str, str]:
    said = {
        "action": event.action,
        "version": event.version,
        "detail": event.detail,
        "at": event.at,
        "by": event.by,
        "why": event.why,
    }
    return {"plugin": str(event.plugin), **{name: value for name, value in said.items() if value}}


def _has_shards(plan: PublishPlan, *, of_all_rows: bool = False) -> bool:
    keys = (upload.key for _, uploads in plan.uploads for upload in uploads)
    return any(key.startswith("targets/catalog/") and not (of_all_rows and ".names-" in key) for key in keys)


def _lines(out: Output, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        out.line(line)
    if len(lines) > _SHOWN:
        out.line(f"  ... and {len(lines) - _SHOWN} more")


def _signed(plan: PublishPlan) -> str:
    bins = [role for role in plan.reasons if role in plan.bins]
    others = [role for role in plan.reasons if role not in plan.bins]
    reasons = sorted(set(plan.reasons.values()))
    some = [f"{len(bins)} of {1 << plan.bits} bins"] if bins else []
    return f"{', '.join([*some, *others])} ({', '.join(reasons)})"


def _bytes(uploads: Iterable[Upload]) -> int:
    return sum(upload.size for upload in uploads)


__all__ = ["byte_count", "file_count", "file_documents", "plan_document", "show_files", "show_plan"]
