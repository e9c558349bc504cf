"""Every file that a publish writes, by name: in order, with size, headers and reason. Pure.

Signed metadata gets the next version numbers; one that an interrupted publish has taken is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.uploads import UploadKind
from registry_builder.storage import headers_for
from registry_builder.storage.headers import BUNDLE_KEY, TIMESTAMP_KEY


@dataclass(frozen=True)
class PlannedFile:
    """One file to write.

    Attributes:
        key: its path in the published tree.
        size: bytes; None for what isn't signed yet, and for an artifact of unknown length.
        why: the reason why it is written.
    """

    key: str
    size: int | None
    why: str

    @property
    def content_type(self) -> str:
        """The Content-Type with which it is stored."""
        return headers_for(self.key).content_type

    @property
    def cache_control(self) -> str:
        """The Cache-Control with which it is stored."""
        return headers_for(self.key).cache_control


def planned_files(
    plan: PublishPlan, versions: Mapping[str, int], mutable: Mapping[str, tuple[int, str]]
) -> list[PlannedFile]:
    """Return what a publish writes, in order.

    Args:
        plan: the plan.
        versions: role to the version to write; 1 for a role that isn't in it.
        mutable: key of the bundle, of each page and of each asset to size in bytes and SHA-256, as far as known.
    """
    size, _ = mutable.get(BUNDLE_KEY, (None, ""))
    bundle = [PlannedFile(BUNDLE_KEY, size, "repeats the newest metadata, to save clients requests")]
    pages = (PlannedFile(key, size, "the browse site shows what changed") for key, (size, _) in sorted(mutable.items()))
    return [
        *([] if plan.is_empty else _files(plan, versions)),
        *([] if plan.is_empty and BUNDLE_KEY not in mutable else bundle),
        *(page for page in pages if page.key != BUNDLE_KEY),
    ]


def _files(plan: PublishPlan, versions: Mapping[str, int]) -> Iterator[PlannedFile]:
    for artifact in plan.ingest:
        yield PlannedFile(artifact.key, artifact.size, f"{_release(artifact.key)} is new; copied from {artifact.url}")
    new = {str(plugin) for plugin in plan.new_plugins}
    for kind, uploads in plan.uploads:
        for upload in uploads:
            yield PlannedFile(upload.key, upload.size, _why(kind, upload.key, new))

    def signed(roles: Iterable[str]) -> Iterator[PlannedFile]:
        for role in roles:
            if role in plan.reasons:
                yield PlannedFile(f"metadata/{versions.get(role, 1)}.{role}.json", None, plan.reasons[role])

    by_people = f"signed offline, from trust/{plan.realm}/"
    yield from signed(plan.bins)
    yield from signed(["packages", "catalog", *plan.claims])
    for role, (version, data) in plan.signed_claims.items():
        yield PlannedFile(f"metadata/{version}.{role}.json", len(data), "signed by its namespace's own keys")
    if plan.targets is not None:
        yield PlannedFile(f"metadata/{plan.targets[0]}.targets.json", len(plan.targets[1]), by_people)
    yield from signed(["snapshot"])
    roots = [PlannedFile(f"metadata/{v}.root.json", len(data), by_people) for v, data in sorted(plan.roots.items())]
    timestamp = PlannedFile(TIMESTAMP_KEY, None, f"{plan.reasons['timestamp']}: the commit point")
    yield from [*roots, timestamp] if plan.reasons["timestamp"] == "first publish" else [timestamp, *roots]


def _why(kind: UploadKind, key: str, new: Iterable[str]) -> str:
    if kind == "catalogue shards":
        return "rows of it changed"
    if kind == "index documents":
        _, _, namespace, file = key.split("/")
        plugin = f"{namespace}/{file.partition('.')[2].removesuffix('.json')}"
        return f"{plugin} is new" if plugin in new else f"{plugin} changed"
    if kind == "readmes":
        return f"the README of {'/'.join(key.split('/')[1:3])} is new"
    return f"it is attached to {_release(key)}" if kind == "attachments" else f"{_release(key)} is new"


def _release(key: str) -> str:
    _, namespace, name, version, _ = key.split("/")
    return f"{namespace}/{name} {version}"


__all__ = ["PlannedFile", "planned_files"]
