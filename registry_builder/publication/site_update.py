"""Writes the pages that a publish changes, past its commit point. Nothing trusts them; what fails is caught up with.

A complete publish writes every page that a change touches, and last ``search/catalogue.json``, which says which
snapshot the pages show. A publish of single plugins (``--only``) writes what is these plugins' own: their page, the
pages of releases that changed, their badges. What belongs to all (home, lists, feeds, search) waits for the next
complete publish, which finds out by itself (`registry_builder.publication.site_journal`). That keeps the cost of one
release in a registry of any size within the budget of docs/decisions/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

import msgspec

from registry_builder.baseline.state import PublishedState
from registry_builder.publication.context import Attempt
from registry_builder.publication.site_journal import changed_since
from registry_builder.signing.metadata import TargetPin, bin_of, expiry
from registry_builder.site.affected_pages import Touched, everything, touched_by
from registry_builder.site.document_source import Shelf, image_marks
from registry_builder.site.page_context import frame_digest, frame_of, signers_of, trust_box
from registry_builder.site.pages import DEPENDENTS, Builder, Page, Parts
from registry_builder.site.plugin_view import mentioned
from registry_builder.site.registry_index import Overview, overview_of
from registry_builder.site.search_catalog import (
    MAX_BYTES,
    SearchFiles,
    Shown,
    catalogue_file,
    read_shown,
    search_files,
)
from registry_builder.site.static_api.answers import api_of
from registry_builder.site.static_api.gone import SWITCHED_OFF, gone_document
from registry_builder.site.static_api.keys import OPENAPI, REWRITES, shard_of_key
from registry_builder.site.static_api.rewrites import MAX_BYTES as MAX_ANSWER_BYTES
from registry_builder.site.templates import MAX_OWN_BYTES, Templates
from registry_builder.site.urls import CATALOGUE, IMAGES, plugin_file
from registry_builder.site.writer import SHARE
from registry_builder.source.attestations import AttestationChecks
from registry_builder.source.private_names import PrivateNames, shared_problems
from registry_builder.storage import Body, ObjectMissingError, ObjectTooLargeError, Storage, headers_for
from sealdex.errors import SealdexError
from sealdex.model.decode import decode_as, encode_json, read_wire
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import INDEX_FORMAT, IndexDocument, index_target

_BATCH = 256
_MAX_DEPENDENTS_BYTES = 4 * 1024 * 1024
_MAX_IMAGES_BYTES = 16 * 1024 * 1024


def is_stored(storage: Storage, key: str) -> bool:
    """Return whether something is published under a key."""
    try:
        storage.get(key, max_bytes=MAX_OWN_BYTES)
    except ObjectMissingError:
        return False
    except ObjectTooLargeError:
        return True
    return True


def _images_file(images: Mapping[PluginId, str]) -> bytes:
    return encode_json({str(plugin): mark for plugin, mark in images.items()})


@dataclass
class SiteResult:
    """Keys of the pages that were written, and how many were made."""

    pages: int = 0
    written: list[str] = field(default_factory=list)


def put_site(attempt: Attempt, *, snapshot: int, every_page: bool = False) -> SiteResult:
    """Bring the pages in the storage up to date, as far as this publish reaches.

    Args:
        attempt: the publish, past its commit point.
        snapshot: version of the snapshot that is published now.
        every_page: write all of them, whatever the storage says that its pages show.

    Raises:
        SealdexError: a template is wrong, or what is published doesn't verify; pages are left as they were.
        UnavailableError: the storage doesn't answer.
    """
    _check_names(attempt)
    return _Job(attempt, snapshot, every_page=every_page).run()


def _check_names(attempt: Attempt) -> None:
    tree, realm = attempt.publisher.tree, attempt.publisher.realm
    if found := list(shared_problems(tree, PrivateNames(tree), (realm,))):
        raise SealdexError(str(found[0]), subject=found[0].file, untouched="the pages are as they were")


class _Job:
    def __init__(self, attempt: Attempt, snapshot: int, *, every_page: bool) -> None:
        publisher = attempt.publisher
        self._attempt = attempt
        self._publisher = publisher
        self._snapshot = snapshot
        self._every_page = every_page
        self._storage = publisher.storage
        self._state = attempt.state
        self._plan = attempt.plan
        self._done = SiteResult()
        config = publisher.tree.config
        templates = Templates(
            publisher.tree.root,
            config.site,
            allow_secrets=config.policy.allow_files,
            is_stored=lambda key: is_stored(self._storage, key),
        )
        frame = frame_of(config, publisher.realm)
        signers = signers_of(publisher.trust, self._plan.bits)
        self._api = api_of(config.api, frame, self._plan.bits)
        judge = AttestationChecks(publisher.tree.root, config.attestations).verify
        self._builder = Builder(templates, frame, signers, judge)
        # whom the registry accepts decides what pages call verified
        policy = repr(config.attestations) if config.attestations is not None else ""
        self._frame = frame_digest(frame, signers, templates.fingerprint + policy)

    def run(self) -> SiteResult:
        shown = self._shown()
        if self._attempt.found.is_complete:
            self._all(shown)
        elif self._attempt.found.changes:
            self._own(shown)
        return self._done

    # --- all pages that changed -----------------------------------------------------------------------------------

    def _all(self, shown: Shown | None) -> None:
        state, found = self._state, self._attempt.found
        then: Mapping[PluginId, TargetPin | None] | None = None
        images = image_marks(self._attempt.sources)
        images_digest = hashlib.sha256(_images_file(images)).hexdigest()[:16] if images else ""
        if not self._every_page and shown is not None and shown.frame == self._frame and state is not None:
            then = changed_since(self._storage, state, shown.snapshot)
            is_same = shown.snapshot == self._snapshot and (shown.api, shown.images) == (
                self._api.digest,
                images_digest,
            )
            if then is not None and is_same:
                return  # nothing changed, and the pages show it
        shelf = self._shelf()
        overview = overview_of(shelf)
        if then is None or state is None:
            touched = everything(overview.rows, {*overview.dependents, *self._once_needed(overview)})
            self._put_assets()
        else:
            before = {change.source.id: state.pin(index_target(change.source.id)) for change in found.changes}
            touched = self._touched(shelf, {**before, **then})
            if shown is not None and shown.images != images_digest:
                touched = self._with_images(touched, images)
        trust = trust_box(self._publisher.tree.config, self._publisher.trust, self._expiries())
        self._put_parts(self._builder.parts(shelf, overview, trust, touched))
        is_known = then is not None and shown is not None and shown.api == self._api.digest
        self._put_api(shelf, overview, touched if is_known else None, shown)
        if images or (shown is not None and shown.images):
            self._put([Page(IMAGES, _images_file(images))])
        if self._snapshot:
            current = Shown(self._frame, self._snapshot, self._api.digest, images_digest)
            files = self._search_files()
            data = catalogue_file(files, current, overview.dependents, plugins=len(overview.rows))
            self._put([Page(CATALOGUE, data)])

    def _with_images(self, touched: Touched, images: Mapping[PluginId, str]) -> Touched:
        """Add the plugins whose images aren't those that the pages show: only their own page has them."""
        data = self._read(IMAGES, _MAX_IMAGES_BYTES)
        try:
            before = {
                parse_plugin_id(plugin): mark for plugin, mark in decode_as(data or b"{}", dict[str, str]).items()
            }
        except (msgspec.DecodeError, ValueError):
            before = {}
        other = {plugin for plugin in {*images, *before} if images.get(plugin) != before.get(plugin)}
        releases = {**dict.fromkeys(other, ()), **touched.releases}
        return replace(touched, plugins=touched.plugins | other, releases=releases)

    def _once_needed(self, overview: Overview) -> list[PluginId]:
        """Return the plugins that are no longer needed, although the site may still show it."""
        if self._state is None:
            return []
        unneeded = [plugin for plugin in overview.rows if plugin not in overview.dependents]
        with ThreadPoolExecutor(self._publisher.workers) as pool:
            return [
                plugin for plugin, before in zip(unneeded, pool.map(self._dependents, unneeded), strict=True) if before
            ]

    def _touched(self, shelf: Shelf, then: Mapping[PluginId, TargetPin | None]) -> Touched:
        reader = self._attempt.reader.documents
        old = reader.indexes({plugin: pin for plugin, pin in then.items() if pin is not None})
        return touched_by((old.get(plugin), shelf.document(plugin)[0]) for plugin in then)

    def _shelf(self) -> Shelf:
        """Return the documents as they are published now."""
        state, found, sources = self._state, self._attempt.found, self._attempt.sources
        documents, pins = self._changed()
        changed = {change.source.id for change in found.changes}
        absent: set[PluginId] = set()
        differing = {}
        for plugin in (*sources.plugins, *found.carried):
            if plugin in changed:
                continue
            pin = state.pin(index_target(plugin)) if state is not None else None
            if pin is None:
                absent.add(plugin)  # it waits for something, as for the signature of who claimed its namespace
            elif plugin not in sources.plugins or pin != sources.own(plugin)[0]:
                differing[plugin] = pin
        documents |= self._attempt.reader.documents.indexes(differing)
        pins |= differing
        return Shelf(sources, documents, pins, self._attempt.reader.documents, absent)

    def _changed(self) -> tuple[dict[PluginId, IndexDocument], dict[PluginId, TargetPin]]:
        """Return the documents that this publish wrote, but for those that the source tree alone compiles to."""
        documents, pins = {}, {}
        for change in self._attempt.found.changes:
            plugin = change.source.id
            if change.pin != self._attempt.sources.own(plugin)[0]:
                documents[plugin] = read_wire(
                    change.data, IndexDocument, newest_format=INDEX_FORMAT, what=index_target(plugin)
                )
                pins[plugin] = change.pin
        return documents, pins

    def _put_api(self, shelf: Shelf, overview: Overview, touched: Touched | None, shown: Shown | None) -> None:
        catalog = {shard_of_key(key): key for key in self._search_files().shards}
        was_on = touched is None and self._answered(shown)
        self._put(self._api.left(shelf, overview.rows, self._answer, switched_off=was_on))
        self._put_parts(self._api.parts(shelf, overview.rows, catalog, touched))

    def _answer(self, key: str) -> bytes | None:
        return self._read(key, MAX_ANSWER_BYTES)

    def _answered(self, shown: Shown | None) -> bool:
        """Return whether there are documents of ``api/`` that may say something."""
        if shown is not None and shown.frame == self._frame:
            return bool(shown.api)
        described, rewritten = self._read(OPENAPI, MAX_OWN_BYTES), self._read(REWRITES, MAX_OWN_BYTES)
        return described not in {None, gone_document(OPENAPI, SWITCHED_OFF).data} or rewritten is not None

    # --- what is the plugins' own ---------------------------------------------------------------------------------

    def _own(self, shown: Shown | None) -> None:
        state, found = self._state, self._attempt.found
        if state is None:  # a first publish is complete
            return
        if shown is None or shown.frame != self._frame:
            self._put_assets()  # of other templates than the ones that the rest of the site was made with
        documents, pins = self._changed()
        shelf = Shelf(self._attempt.sources, documents, pins, self._attempt.reader.documents)
        before = {change.source.id: state.pin(index_target(change.source.id)) for change in found.changes}
        touched = self._touched(shelf, before)
        for plugin in sorted(touched.plugins):
            known = self._known(mentioned(shelf.document(plugin)[0]), state)
            self._put(
                self._builder.plugin_pages(
                    shelf,
                    plugin,
                    touched.releases[plugin],
                    dependents=self._dependents(plugin),
                    known=known,
                    first_language_only=True,  # the others wait for a publish of all: twelve PUTs are the budget
                )
            )

    def _known(self, plugins: set[PluginId], state: PublishedState) -> set[PluginId]:
        changed = {change.source.id for change in self._attempt.found.changes}
        targets = {plugin: index_target(plugin) for plugin in plugins - changed}
        self._attempt.reader.load_bins(sorted({bin_of(target, state.bits) for target in targets.values()}))
        return changed | {plugin for plugin, target in targets.items() if state.pin(target) is not None}

    def _dependents(self, plugin: PluginId) -> list[PluginId]:
        """Return the dependents of a plugin according to the site: recomputing them would read all others."""
        data = self._read(plugin_file(plugin, DEPENDENTS), _MAX_DEPENDENTS_BYTES)
        try:
            named = decode_as(data, dict)["dependents"] if data else []
            return [parse_plugin_id(each) for each in named]
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
            return []

    # --- reading and writing --------------------------------------------------------------------------------------

    def _shown(self) -> Shown | None:
        data = self._read(CATALOGUE, MAX_BYTES)
        return read_shown(data) if data else None

    def _read(self, key: str, max_bytes: int) -> bytes | None:
        try:
            return self._storage.get(key, max_bytes=max_bytes).data
        except (ObjectMissingError, ObjectTooLargeError):
            return None

    def _put_parts(self, parts: Parts) -> None:
        each, notice = self._storage.do_each, self._publisher.notice
        if each is not None:
            for pages, written in each(self._put_part, parts.plugins, share=SHARE):
                self._done.pages += pages
                self._done.written += written
                if notice is not None and self._done.pages >= _BATCH:
                    notice(f"pages: {self._done.pages}", 0, 0)
        else:
            self._put(page for part in parts.plugins for page in part())
        self._put(parts.common())

    def _put_part(self, part: Callable[[], Iterable[Page]]) -> tuple[int, list[str]]:
        outcomes = [(page.key, self._put_one(page)) for page in part()]
        return len(outcomes), [key for key, written in outcomes if written]

    def _put(self, pages: Iterable[Page]) -> None:
        """Write pages whose bytes differ, as many at once as the storage bears."""
        workers, notice = self._publisher.workers, self._publisher.notice
        iterator = iter(pages)
        with ThreadPoolExecutor(workers) as pool:
            while batch := list(islice(iterator, _BATCH)):
                outcomes = pool.map(self._put_one, batch) if workers > 1 else map(self._put_one, batch)
                self._done.written += [page.key for page, written in zip(batch, outcomes, strict=True) if written]
                self._done.pages += len(batch)
                if notice is not None and self._done.pages >= _BATCH:
                    notice(f"pages: {self._done.pages}", 0, 0)

    def _put_one(self, page: Page) -> bool:
        body = Body.of_bytes(page.data, headers_for(page.key))
        return self._storage.put_mutable(page.key, body, only_if_changed=True)

    def _put_assets(self) -> None:
        for asset in self._builder.assets():
            # looked at first: until a complete publish says that they are there, each of single plugins comes by here
            body = Body.of_bytes(asset.data, headers_for(asset.key))
            self._storage.put_mutable(asset.key, body, only_if_changed=True)

    def _expiries(self) -> dict[str, datetime]:
        config, state = self._publisher.tree.config, self._state
        expiries: dict[str, datetime] = {}
        if state is not None:
            files = {"packages": state.packages, "snapshot": state.snapshot, "timestamp": state.timestamp}
            expiries = {**{role: file.expires for role, file in files.items()}, "catalog": state.catalog.expires}
        signed = [role for role in self._plan.reasons if role in config.roles]
        return expiries | {role: expiry(config.roles[role], self._attempt.now) for role in signed}

    def _search_files(self) -> SearchFiles:
        pins = self._plan.catalog
        if pins is None:
            pins = self._state.catalog.pins if self._state is not None else {}
        return search_files(pins)


__all__ = ["SiteResult", "put_site"]
