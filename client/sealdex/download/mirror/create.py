"""Makes a mirror, or brings one up to date: plan, fetch what is missing, then switch by one rename of the timestamp.

Readers see the old or the new state at every moment: files and metadata have names of their own in each state, and
``timestamp.json``, which leads to them, is replaced last. A run that ends before that leaves files that the next one
finds; nothing that is there is fetched or hashed again.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex.download.mirror._fetch_all import fetch_all
from sealdex.download.mirror.lock import held
from sealdex.download.mirror.options import IncompleteError, MirrorResult, Options, OvertakenError, Watch
from sealdex.download.mirror.plan import Found, Target, plan_files
from sealdex.download.mirror.record import (
    BUNDLE_KEY,
    MIRROR_FORMAT,
    REACHED_NAME,
    RECORD_NAME,
    TIMESTAMP_KEY,
    MirrorRecord,
    NamedImage,
    read_record,
)
from sealdex.download.mirror.selection import described
from sealdex.download.mirror.sigstore_root import MAX_BYTES, digest_of, key_of
from sealdex.download.mirror.source import Source, earlier_roots, record_of_source
from sealdex.download.mirror.transfer import Fetcher, Place
from sealdex.download.mirror.tree import has_links
from sealdex.errors import InstallError, NotFoundError, SealdexError
from sealdex.model.decode import encode_json
from sealdex.store.cache import ContentCache
from sealdex.transport import Addresses, Transport, public_url
from sealdex.trust import Published, TrustedRegistry, TrustState
from sealdex.trust.metadata_bundle import Packer

if TYPE_CHECKING:
    from sealdex.download.mirror.bucket import Bucket

_STARTS = 3
"""How often a run begins that others overtake, each time with what they wrote."""


def create(
    source: Source, root: bytes, transport: Transport, dest: Path | Bucket, options: Options, watch: Watch
) -> MirrorResult:
    """Make or update the mirror in a folder or a bucket.

    Args:
        source: the registry, or another mirror of it.
        root: the root metadata that the user trusts.
        transport: makes the requests.
        dest: the mirror; a folder is made if it isn't there.
        options: what it is to have, and how.
        watch: told of waits and progress.

    Raises:
        NotFoundError: the selection names what doesn't exist.
        VerificationError: something isn't what was signed, or the source was rolled back; the mirror is as it was.
        IncompleteError: files couldn't be had; likewise.
        UnavailableError: the source doesn't answer.
        InstallError: no room, or the folder can't be written.
    """
    folder = dest if isinstance(dest, Path) else dest.folder
    with held(folder, watch) as own:
        for _ in range(_STARTS - 1):
            try:
                return _create(source, root, transport, dest, own, options, watch)
            except OvertakenError as error:  # noqa: PERF203  # the loop is the retry
                watch.waiting(f"{error.message}: starting over")
        return _create(source, root, transport, dest, own, options, watch)


def _create(
    source: Source, root: bytes, transport: Transport, dest: Path | Bucket, own: Path, options: Options, watch: Watch
) -> MirrorResult:
    shutil.rmtree(own / "staging", ignore_errors=True)  # what a killed run left; its lock was free
    place = place_of(dest, own, verify=options.verify)
    place.bring()
    folder = place.folder
    registry = TrustedRegistry(
        source.name,
        Addresses(source.urls, watch.left),
        root,
        own / "trust",
        transport,
        on_wait=watch.waiting,
        max_staleness=options.max_staleness,
    )
    state = registry.refresh()
    before = record_before(folder)
    # a link may lead to what others change: then the files are put in their places again, as after a change
    linked = not place.is_remote and (has_links(folder, "metadata") or (folder / RECORD_NAME).is_symlink())
    is_whole = before is not None and not options.verify and not linked
    if before is not None and is_whole and _is_current(before, state, options):
        return _unchanged(before, state)
    theirs = record_of_source(source, transport)
    # an archive says itself what it has, and what stands in for its record is the mirror's own
    if options.selection.is_everything and theirs is not None and options.taken_from is None:
        options = replace(options, selection=theirs.selection)  # everything that another mirror has
        if before is not None and is_whole and _is_current(before, state, options):
            return _unchanged(before, state)
    if options.sigstore_root is None and theirs is not None:
        options = replace(options, sigstore_root=_sigstore_root_of(source, theirs, transport))
    (own / "staging").mkdir(parents=True)
    try:
        run = _Run(source, registry, state, transport, place, own, options, watch, is_mirror=theirs is not None)
        result = run.run(before, root)
        if linked:
            result.warnings.append("links lay in place of metadata: files are there again")
        if theirs is not None and options.taken_from is None and (parts := described(theirs.selection)):
            result.warnings.append(f"the source is itself a mirror of a part: {', '.join(parts)}")
        return result
    finally:
        shutil.rmtree(own / "staging", ignore_errors=True)


class _Run:
    """One run over a registry whose metadata is fresh."""

    def __init__(
        self,
        source: Source,
        registry: TrustedRegistry,
        state: TrustState,
        transport: Transport,
        place: Place,
        own: Path,
        options: Options,
        watch: Watch,
        *,
        is_mirror: bool,
    ) -> None:
        self._source = source
        self._is_mirror = is_mirror
        self._registry = registry
        self._state = state
        self._transport = transport
        self._place = place
        self._own = own
        self._options = options
        self._watch = watch
        self._reached = own / "staging" / REACHED_NAME
        self._elsewhere: list[str] = []
        self._needed: dict[str, tuple[str, ...]] = {}
        # files that no finished run of ours put there are hashed once
        self._hashed = options.verify or (not place.is_remote and not (own / REACHED_NAME).exists())

    def run(self, before: MirrorRecord | None, root: bytes) -> MirrorResult:
        result = MirrorResult(self._state)
        missing = self._plan(result)
        if self._options.dry_run:
            return result
        self._require_room(result)
        self._place.require_conditions()
        self._fetch(missing, result)
        record = self._record(result, self._kept_sigstore_root(before))
        self._commit(record, before, root)
        result.record = record
        return result

    def _plan(self, result: MirrorResult) -> Path:
        """Find out what is missing, into a file of one line each; signed documents are written on the way."""
        found = Found()
        flushed = self._place.flushed()  # what was written later is there by its name and size, not yet by its bytes
        path = self._own / "staging" / "missing.jsonl"
        with path.open("wb") as lines, self._reached.open("w", encoding="utf-8") as reached:
            for each in plan_files(self._registry, self._options.selection, found):
                if isinstance(each, Target):
                    key, data = each
                    reached.write(f"{key}\n")
                    if not self._options.dry_run and key not in self._options.have:
                        self._place.put_same(key, data)
                    continue
                reached.write(f"{each.key}\n")
                if each.url is not None:
                    self._elsewhere.append(each.key)
                result.total_files += 1
                result.total_bytes += each.size or 0
                hashed = self._hashed or (flushed is not None and each.key not in flushed)
                if each.key not in self._options.have and not self._place.has(each, hashed=hashed):
                    lines.write(encode_json(each) + b"\n")
                    result.files += 1
                    result.bytes += each.size or 0
        if found.twins and self._place.folds_case():
            raise InstallError(
                "these differ in case alone, and the file system takes them for the same:\n" + "\n".join(found.twins),
                subject=str(self._place.folder),
                untouched="no file of them was written",
                hint="use a file system that tells case apart, or leave one of them out: --plugin NS/NAME@RANGE",
            )
        result.plugins, result.releases, result.warnings = found.plugins, found.releases, found.warnings
        result.images = [NamedImage(*image) for image in found.images]
        self._needed = {name: tuple(sorted(found.needed[name])) for name in sorted(found.needed)}
        return path

    def _require_room(self, result: MirrorResult) -> None:
        free = self._place.room()
        needed = result.bytes + result.files * self._options.overhead
        if free is not None and needed > free:
            raise InstallError(
                f"{needed} bytes are to be copied, and {free} are free on the disk of {self._place.folder}",
                subject=str(self._place.folder),
                untouched="nothing was copied",
                hint="make room, or select less: --latest, --platform, --namespace",
            )

    def _fetch(self, missing: Path, result: MirrorResult) -> None:
        self._watch.totals(result.files, result.bytes)
        if result.files:
            self._place.begin()
        fetcher = Fetcher(
            self._transport,
            self._registry.addresses,
            self._place,
            ContentCache(self._own / "cache"),
            max_bytes=self._options.max_bytes,
            has_copies=self._is_mirror,
            taken_from=self._options.taken_from,
            on_bytes=self._watch.moved,
        )
        failed = fetch_all(
            missing, result.files, fetcher, self._transport, self._place, self._options.threads, self._watch.moved
        )
        if failed:
            raise IncompleteError(failed, result.total_files)
        shutil.rmtree(self._own / "cache", ignore_errors=True)

    def _kept_sigstore_root(self, before: MirrorRecord | None) -> str:
        """Put Sigstore's trust root there, if one was given, and return the key of the one that the mirror has."""
        data = self._options.sigstore_root
        key = key_of(data) if data is not None else before.sigstore_root if before is not None else ""
        if data is not None and key not in self._options.have:
            self._place.put_same(key, data)
        if key:
            with self._reached.open("a", encoding="utf-8") as reached:
                reached.write(f"{key}\n")
        return key

    def _record(self, result: MirrorResult, sigstore_root: str) -> MirrorRecord:
        return MirrorRecord(
            format=MIRROR_FORMAT,
            source=self._source.shown or public_url(self._source.url),
            made_at=f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
            timestamp_version=self._state.timestamp_version,
            snapshot_version=self._state.snapshot_version,
            root_version=self._state.root_version,
            selection=self._options.selection,
            needed=self._needed,
            elsewhere=tuple(sorted(self._elsewhere)),
            images=tuple(result.images),
            files=result.total_files,
            bytes=result.total_bytes,
            sigstore_root=sigstore_root,
        )

    def _commit(self, record: MirrorRecord, before: MirrorRecord | None, root: bytes) -> None:
        """Write metadata, then what the mirror says of itself, and last the timestamp, which readers start from."""
        timestamp, bundle = b"", Packer()
        with self._reached.open("a", encoding="utf-8") as reached:
            for version, data in earlier_roots(self._registry.addresses, root, self._transport).items():
                key = f"metadata/{version}.root.json"
                self._put_metadata(key, data)
                bundle.add(f"{version}.root.json", data)
                reached.write(f"{key}\n")
            for name, data in Published(self._registry).metadata():
                key = f"metadata/{name}"
                reached.write(f"{key}\n")
                if key == TIMESTAMP_KEY:
                    timestamp = data
                else:
                    self._put_metadata(key, data)
                    bundle.add(name, data)
            reached.write(f"{BUNDLE_KEY}\n")
        self._place.commit(self._reached, record, before, bundle.packed(), timestamp)

    def _put_metadata(self, key: str, data: bytes) -> None:
        if key not in self._options.have:
            self._place.put_same(key, data)


def place_of(dest: Path | Bucket, own: Path, *, verify: bool = False) -> Place:
    """Return how files are put into a mirror; ``own`` is its folder for what is on its way."""
    if isinstance(dest, Path):
        return Place(dest, own / "staging")
    from sealdex.download.mirror.bucket_place import BucketPlace  # noqa: PLC0415  # for who has a bucket

    return BucketPlace(dest, verify=verify)


def record_before(folder: Path) -> MirrorRecord | None:
    """Return what a mirror says of the state that its readers see; None where there is no mirror yet."""
    try:
        return read_record(folder)
    except NotFoundError:
        return None


def _is_current(before: MirrorRecord, state: TrustState, options: Options) -> bool:
    has = (before.timestamp_version, before.snapshot_version, before.root_version, before.selection)
    carries = options.sigstore_root is None or before.sigstore_root == key_of(options.sigstore_root)
    return carries and has == (
        state.timestamp_version, state.snapshot_version, state.root_version, options.selection
    )  # fmt: skip


def _sigstore_root_of(source: Source, theirs: MirrorRecord, transport: Transport) -> bytes | None:
    """Return the trust root that another mirror carries; None where it carries none, or can't give it."""
    if (digest := digest_of(theirs.sigstore_root)) is None:
        return None
    try:
        data = transport.read(source.url + theirs.sigstore_root, max_bytes=MAX_BYTES).data
    except SealdexError:
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def _unchanged(before: MirrorRecord, state: TrustState) -> MirrorResult:
    return MirrorResult(
        state,
        before,
        changed=False,
        total_files=before.files,
        total_bytes=before.bytes,
        images=list(before.images),
    )


__all__ = ["create", "place_of", "record_before"]
