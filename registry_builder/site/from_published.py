"""Builds the site of a mirror or a published folder, from its verified documents alone: no source tree is needed.

A mirror may have a part of a registry. What isn't there is named where a signed document names it, and never linked.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets

from registry_builder.baseline.diff import Sources, target_pin
from registry_builder.baseline.documents import DocumentReader
from registry_builder.compile.catalog import shard_bytes, shard_rows
from registry_builder.compile.index import Ingestion
from registry_builder.compile.manifest import manifest_key
from registry_builder.signing.metadata import (
    TargetPin,
    bin_bits,
    claims_of,
    delegations_of,
    shard_count,
    stated_languages,
)
from registry_builder.site._languages import ENGLISH
from registry_builder.site._words import ENGLISH_WORDS
from registry_builder.site.affected_pages import everything
from registry_builder.site.document_source import Shelf
from registry_builder.site.held_files import HeldFiles
from registry_builder.site.page_context import NO_ADDRESS, Frame, RoleLine, Signers, TrustBox, feed_namespace
from registry_builder.site.pages import AnswersOf, Builder, Page, Parts, no_answers
from registry_builder.site.registry_index import Overview, overview_of
from registry_builder.site.search_catalog import SearchFiles, catalogue_file, held_of, search_files
from registry_builder.site.templates import Templates, has_words, own_folder
from registry_builder.site.urls import CATALOGUE
from registry_builder.source.config import ROLES, SiteSection
from registry_builder.storage import UrlStorage
from sealdex.errors import NotFoundError, UnavailableError
from sealdex.model.catalog import MAX_SHARD_BYTES, CatalogRow, names_first
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import MAX_INDEX_BYTES, IndexDocument, index_target
from sealdex.text import clean
from sealdex.transport import Transport
from sealdex.trust import Published, TrustedRegistry, TrustState, all_rows, check_root, fingerprint
from sealdex.trust.role_marks import REALM_FIELD

_BATCH = 64


class PublishedSite(NamedTuple):
    """The site of a folder.

    Attributes:
        parts: its pages.
        state: what was verified.
        plugins: how many are there.
        missing: plugins of the catalog that aren't.
        missing_releases: how many releases of those that are there aren't.
        languages: of the pages.
        wordless: languages that the registry states and this program has no words for.
    """

    parts: Parts
    state: TrustState
    plugins: int
    missing: tuple[PluginId, ...]
    missing_releases: int
    languages: tuple[str, ...] = ()
    wordless: tuple[str, ...] = ()


class _Read(NamedTuple):
    """What was verified: documents with their pins, the catalog's rows and shards, and metadata by role."""

    state: TrustState
    documents: Mapping[PluginId, IndexDocument]
    pins: Mapping[PluginId, TargetPin]
    catalog: Sequence[CatalogRow]
    shards: SearchFiles
    metadata: Mapping[str, Signed]
    newest_root: bytes


def site_from_published(
    folder: Path,
    root: bytes,
    *,
    title: str | None = None,
    url: str | None = None,
    max_staleness: timedelta | None = None,
    languages: Sequence[str] = (),
    answers_of: AnswersOf = no_answers,
) -> PublishedSite:
    """Return all files of the site of a mirror or a published folder.

    Args:
        folder: the published tree; nothing is written to it.
        root: the root metadata that the user trusts.
        title: the name on the pages; default: the registry's.
        url: where they will be, for feeds and the sitemap; links are relative even without it.
        max_staleness: the age up to which expired metadata is shown; default: not at all.
        languages: of the pages; default: those that the registry states, in its signed snapshot, and English.
        answers_of: makes the documents of ``api/``; default: none.

    Raises:
        ConfigError: this program has no words in one of ``languages``.
        VerificationError: something that is there isn't what the root leads to, or has expired.
        UnavailableError: the folder lacks metadata that leads to the documents, or the catalog's shards.
    """
    check_root(root)
    with Transport() as transport:
        read = _read(folder, root, transport, max_staleness)
    held = HeldFiles(lambda key: (folder / key).is_file())
    shelf = Shelf(
        Sources({}, is_complete=True, ingestion=Ingestion(enabled=False)),
        read.documents,
        read.pins,
        DocumentReader(UrlStorage(folder.resolve().as_uri()), 1),
        held=held,
    )
    signers = _signers(read)
    stated = stated_languages(read.metadata["snapshot"]) if isinstance(read.metadata["snapshot"], Snapshot) else ()
    tags = tuple(dict.fromkeys(languages)) or tuple(filter(has_words, stated)) or (ENGLISH,)
    section = SiteSection(languages=tags)
    frame = _frame(read, title, url, tags)
    builder = Builder(Templates(own_folder(), section), frame, signers)
    overview = overview_of(shelf)
    answers = answers_of(frame, signers.bits, shelf, overview.rows, dict(enumerate(read.shards.shards)))
    pages = builder.parts(shelf, overview, _trust_box(root, read), everything(overview.rows, overview.dependents))
    missing = tuple(sorted(row.id for row in read.catalog if row.id not in read.documents))

    def common() -> Iterator[Page]:
        yield from builder.assets()
        yield from pages.common()
        yield from answers.common()
        yield from _search(read, overview, signers.bits, held=read.documents if missing else None)

    gone = [
        release.version
        for plugin, document in read.documents.items()
        for release in document.releases
        if not held.has(manifest_key(plugin, release.version))
    ]
    return PublishedSite(
        Parts([*pages.plugins, *answers.plugins], common),
        read.state,
        len(read.documents),
        missing,
        len(gone),
        tags,
        tuple(tag for tag in stated if not languages and tag not in tags),
    )


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(folder: Path, root: bytes, transport: Transport, max_staleness: timedelta | None) -> _Read:
    with tempfile.TemporaryDirectory(prefix="sealdex-site-") as trust:
        registry = TrustedRegistry(
            "published",
            folder.resolve().as_uri(),
            root,
            Path(trust),
            transport,
            keep_documents=False,
            max_staleness=max_staleness,
        )
        state = registry.refresh()
        try:
            catalog = all_rows(registry)
        except NotFoundError:
            catalog = []  # it publishes none, and its pages have no search
        documents, pins = {}, {}
        for plugin, data in _documents(registry, _named(folder)):
            documents[plugin], pins[plugin] = registry.read_index(plugin, data), target_pin(data)
        shards = _shards(registry)
        metadata: dict[str, Signed] = {}
        newest = root
        for name, data in Published(registry).metadata():  # roots come in order
            signed: Signed = Metadata.from_bytes(data).signed
            metadata[name.removesuffix(".json").partition(".")[2] or "timestamp"] = signed
            newest = data if isinstance(signed, Root) else newest
    return _Read(state, documents, pins, catalog, shards, metadata, newest)


def _named(folder: Path) -> list[PluginId]:
    """Return the plugins that an index document seems to be there of, in this or another state."""
    found = set()
    for path in (folder / "targets" / "index").glob("*/*.json"):
        _, _, name = path.name.removesuffix(".json").partition(".")
        try:
            found.add(parse_plugin_id(f"{path.parent.name}/{name}"))
        except ValueError:  # a file of somebody else's
            continue
    return sorted(found)


def _documents(registry: TrustedRegistry, plugins: Sequence[PluginId]) -> Iterator[tuple[PluginId, bytes]]:
    """Yield the verified index documents of this state that are there."""
    for start in range(0, len(plugins), _BATCH):
        batch = plugins[start : start + _BATCH]
        try:
            yield from _together(registry, batch)
        except UnavailableError:
            for plugin in batch:  # one of them is of another state: a narrowed mirror leaves its files
                try:
                    yield from _together(registry, [plugin])
                except UnavailableError:  # noqa: PERF203  # each is asked for by itself
                    continue


def _together(registry: TrustedRegistry, plugins: Sequence[PluginId]) -> list[tuple[PluginId, bytes]]:
    signed = Published(registry).targets([index_target(plugin) for plugin in plugins], MAX_INDEX_BYTES)
    return [(plugin, signed[index_target(plugin)][1]) for plugin in plugins if index_target(plugin) in signed]


def _shards(registry: TrustedRegistry) -> SearchFiles:
    """Return the catalog's shards; those by name if all of them are there, which mirrors that are older lack."""
    every = Published(registry).catalog_targets()
    pins = _pins(registry, [target for target in every if names_first(target) is None])
    with suppress(UnavailableError):
        pins |= _pins(registry, [target for target in every if names_first(target) is not None])
    return search_files(pins)


def _pins(registry: TrustedRegistry, targets: Sequence[str]) -> dict[str, TargetPin]:
    pins: dict[str, TargetPin] = {}
    for start in range(0, len(targets), _BATCH):
        found = Published(registry).targets(targets[start : start + _BATCH], MAX_SHARD_BYTES)
        pins |= {target: target_pin(data) for target, (_, data) in found.items()}
    return pins


# --- what all pages share ---------------------------------------------------------------------------------------------


def _signers(read: _Read) -> Signers:
    targets, packages = read.metadata.get("targets"), read.metadata.get("packages")
    claimed = frozenset(claims_of(targets)) if isinstance(targets, Targets) else frozenset()
    bits = bin_bits(len(read.catalog))
    if isinstance(packages, Targets) and packages.delegations is not None:
        succinct = packages.delegations.succinct_roles
        bits = succinct.bit_length if succinct is not None else bits
    return Signers(bits, claimed)


def _frame(read: _Read, title: str | None, url: str | None, languages: tuple[str, ...]) -> Frame:
    """Return the context of all pages, from the mark that signed metadata carries: ``<name>-<id>/<realm>``."""
    mark = read.metadata["root"].unrecognized_fields.get(REALM_FIELD)
    registry, _, realm = (mark if isinstance(mark, str) else "").rpartition("/")
    name, _, identity = registry.rpartition("-")
    name = clean(name or registry or "registry")
    url = url.rstrip("/") + "/" if url else None
    return Frame(
        title=clean(title or name),
        description="",
        links=(),
        name=name,
        realm=clean(realm or "public"),
        url=url,
        address=url or NO_ADDRESS,
        base=urlsplit(url).path if url else "/",
        logo=None,
        languages=languages,
        namespace=feed_namespace(name, identity, realm) if identity else uuid.NAMESPACE_URL,
    )


def _trust_box(pinned: bytes, read: _Read) -> TrustBox:
    """Return the trust box; which keys are offline isn't signed, so it isn't said."""
    root, targets = Metadata[Root].from_bytes(read.newest_root).signed, read.metadata["targets"]
    asked = {**root.roles, **(delegations_of(targets) if isinstance(targets, Targets) else {})}
    lines = []
    for role in ROLES:
        if role in asked:
            count = len(asked[role].keyids)
            keys = f"{asked[role].threshold} of {count} key{'' if count == 1 else 's'}"
            when = _expiry(read, role)
            until = f"{when:%Y-%m-%dT}" if when else ""
            held = ENGLISH_WORDS.date(until) or "not on this mirror"
            lines.append(RoleLine(role, keys, held, asked[role].threshold, count, "", until))
    version = Metadata[Root].from_bytes(pinned).signed.version
    return TrustBox(version, fingerprint(pinned), root.version, fingerprint(read.newest_root), tuple(lines))


def _expiry(read: _Read, role: str) -> datetime | None:
    signed = read.metadata.get(role)
    return signed.expires if signed is not None else None


def _search(read: _Read, overview: Overview, bits: int, *, held: Collection[PluginId] | None) -> Iterator[Page]:
    """Yield what search reads: the signed shards, and of a part which plugins are there; shards of ours without any."""
    if read.shards.shards:
        yield Page(CATALOGUE, _catalogue(read, held))
        return
    keys = []
    shards = shard_count(bits)
    for number, rows in shard_rows(overview.rows.values(), shards).items():
        data = shard_bytes(number, shards, rows)
        keys.append(f"search/shards/{target_pin(data).sha256}.{number}.json")
        yield Page(keys[-1], data)
    yield Page(CATALOGUE, catalogue_file(keys, None))


def _catalogue(read: _Read, held: Collection[PluginId] | None) -> bytes:
    dependents: dict[PluginId, list[PluginId]] = {}
    for row in read.catalog:
        for needed in row.dependencies:
            dependents.setdefault(parse_plugin_id(needed), []).append(row.id)
    there = held_of(read.catalog, held)
    return catalogue_file(read.shards, None, dependents, plugins=len(read.catalog), held=there)


__all__ = ["PublishedSite", "site_from_published"]
