"""Builds the whole site from a source tree alone; nothing needs to be published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from registry_builder.baseline.diff import Sources, target_pin
from registry_builder.baseline.documents import target_key
from registry_builder.compile.catalog import shard_bytes, shard_rows
from registry_builder.compile.catalog_names import name_shards
from registry_builder.compile.index import Ingestion
from registry_builder.signing.metadata import bin_bits, shard_count
from registry_builder.signing.offline_metadata import Trust
from registry_builder.site.affected_pages import everything
from registry_builder.site.document_source import Shelf
from registry_builder.site.page_context import frame_of, signers_of, trust_box
from registry_builder.site.pages import AnswersOf, Builder, Page, Parts, no_answers
from registry_builder.site.registry_index import Overview, overview_of
from registry_builder.site.search_catalog import catalogue_file, search_files
from registry_builder.site.templates import Templates
from registry_builder.site.urls import CATALOGUE
from registry_builder.source.attestations import AttestationChecks
from registry_builder.source.realms import plugins_of
from registry_builder.source.tree import SourceTree
from sealdex.model.catalog import names_target, shard_target


def site_from_tree(
    tree: SourceTree,
    realm: str,
    trust: Trust,
    assets: Mapping[str, bytes] | None = None,
    answers_of: AnswersOf = no_answers,
) -> Parts:
    """Return all files of the site, including the catalog's shards, which search reads.

    Args:
        tree: the source tree.
        realm: the realm whose plugins it shows.
        trust: the realm's trust material.
        assets: further assets by name.
        answers_of: makes the documents of ``api/``; default: none.

    Raises:
        SealdexError: the tree has errors, or a template has.
        ConfigError: the logo is missing.
    """
    plugins = plugins_of(tree, realm, None)
    sources = Sources(plugins, is_complete=True, ingestion=Ingestion(enabled=tree.config.registry.ingest))
    shelf = Shelf(sources)
    bits = bin_bits(len(plugins))
    builder = Builder(
        Templates(tree.root, tree.config.site, assets, allow_secrets=tree.config.policy.allow_files),
        frame_of(tree.config, realm),
        signers_of(trust, bits),
        AttestationChecks(tree.root, tree.config.attestations).verify,
    )
    overview = overview_of(shelf)
    shards = dict(_shards(overview, shard_count(bits)))
    files = search_files({target: target_pin(page.data) for target, page in shards.items()})
    catalog = {number: shards[shard_target(number)].key for number in range(shard_count(bits))}
    answers = answers_of(frame_of(tree.config, realm), bits, shelf, overview.rows, catalog)
    pages = builder.parts(
        shelf, overview, trust_box(tree.config, trust, {}), everything(overview.rows, overview.dependents)
    )

    def common() -> Iterator[Page]:
        yield from builder.assets()
        yield from pages.common()
        yield from answers.common()
        yield from shards.values()
        yield Page(CATALOGUE, catalogue_file(files, None, overview.dependents, plugins=len(overview.rows)))

    return Parts([*pages.plugins, *answers.plugins], common)


def _shards(overview: Overview, shards: int) -> Iterator[tuple[str, Page]]:
    for number, rows in shard_rows(overview.rows.values(), shards).items():
        yield _shard(shard_target(number), shard_bytes(number, shards, rows))
    for first, data in name_shards(overview.rows.values()).items():
        yield _shard(names_target(first), data)


def _shard(target: str, data: bytes) -> tuple[str, Page]:
    return target, Page(target_key(target, target_pin(data).sha256), data)
