"""The catalog: one row per plugin, in shards. Pure.

A row follows from the plugin's index document alone, so that a publish of one plugin needs no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sealdex.model.catalog import CATALOG_FORMAT, CatalogRow, CatalogShard, shard_of
from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, ReleaseEntry, latest_release


def catalogue_row(document: IndexDocument) -> CatalogRow:
    """Return the row of a plugin; `CatalogRow` documents the fields."""
    channels: dict[str, str] = {}
    for release in document.releases:  # newest first, so the first that is seen is the newest
        for channel in release.channels if release.yanked is None else ():
            channels.setdefault(channel, release.version)
    latest = latest_release(document)
    return CatalogRow(
        namespace=document.namespace,
        name=document.name,
        type=document.type,
        summary=document.summary,
        title=document.title,
        language=document.language,
        title_i18n=document.title_i18n,
        summary_i18n=document.summary_i18n,
        latest=latest.version if latest else None,
        updated_at=max((r.released_at for r in document.releases if r.released_at), default=None),
        license=document.license,
        keywords=document.keywords,
        labels=_labels(latest) if latest else {},
        tags=_tags(latest) if latest else (),
        channels=channels,
        releases=len(document.releases),
        deprecated=document.deprecated.why if document.deprecated else None,
        use=document.deprecated.use if document.deprecated else None,
        metrics=_metrics(latest) if latest else {},
        dependencies=tuple(sorted(latest.dependencies)) if latest else (),
    )


def _metrics(release: ReleaseEntry) -> dict[str, float]:
    return {name: value for evaluation in release.evaluations for name, value in evaluation.metrics.items()}


def _labels(release: ReleaseEntry) -> dict[str, tuple[str, ...]]:
    """Return each label with the values that some artifact is for; labels that one of them leaves open are left out.

    Only ``match_labels`` and ``In`` list values; the other operators leave a label open here.
    """
    shared = _allowed(release.selector)
    each = [_intersect(shared, _allowed(a.selector)) for a in release.artifacts] or [shared]
    keys = set(each[0]).intersection(*each[1:])
    return {key: tuple(sorted(set().union(*(allowed[key] for allowed in each)))) for key in sorted(keys)}


def _allowed(selector: Mapping[str, Any]) -> dict[str, set[str]]:
    allowed: dict[str, set[str]] = {key: {value} for key, value in selector.get("match_labels", {}).items()}
    for expression in selector.get("match_expressions", ()):
        if expression.get("operator") == "In":
            allowed = _intersect(allowed, {expression["key"]: set(expression["values"])})
    return allowed


def _intersect(a: dict[str, set[str]], b: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return what both allow; a label that only one of them limits is limited as there."""
    both = {key: a[key] & values if key in a else values for key, values in b.items()}
    return {**a, **both}


def _tags(release: ReleaseEntry) -> tuple[str, ...]:
    if not release.tags and not any(a.tags for a in release.artifacts):
        return ()
    return tuple(sorted({*release.tags, *(tag for a in release.artifacts for tag in a.tags)}))


def shard_rows(rows: Iterable[CatalogRow], shards: int) -> dict[int, list[CatalogRow]]:
    """Sort rows into all ``shards`` shards; including empty ones, because clients read every shard."""
    sorted_in: dict[int, list[CatalogRow]] = {number: [] for number in range(shards)}
    for row in rows:
        sorted_in[shard_of(row.id, shards)].append(row)
    return sorted_in


def shard_bytes(number: int, shards: int, rows: Iterable[CatalogRow]) -> bytes:
    """Return the bytes of one shard; the order of ``rows`` doesn't matter."""
    ordered = tuple(sorted(rows, key=_row_id))
    return encode_json(CatalogShard(CATALOG_FORMAT, number, shards, ordered))


def _row_id(row: CatalogRow) -> PluginId:
    return PluginId(row.namespace, row.name)
