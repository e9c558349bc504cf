"""Publishes a realm on GitHub Pages: a folder, deployed as a whole, replaces what was live.

Pages has no conditional writes and keeps nothing of earlier deployments, and a runner starts with an empty disk. So a
publish starts from what is live: the whole tree is read by the realm's url, verified from the pinned root, and copied
into the folder (`on_live_state`); new files are published on top of it, in the folder. Before the deployment, it is
compared with what is live by then (`check_deployment`): version numbers must rise, nothing that clients know may be
missing, and no other deployment may have taken the same numbers. What was deployed is recorded
(`remember_deployment`), so that a stale response of the CDN isn't built upon.

Caches may serve a `timestamp.json` that is up to ten minutes old. What it references must still exist, so the
generations before the live one are copied into the folder too, up to `_GENERATIONS`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from registry_builder.baseline.diff import Sources, Survey
from registry_builder.baseline.documents import tampered
from registry_builder.baseline.fetcher import MAX_METADATA_BYTES, TIMESTAMP_KEY
from registry_builder.baseline.last_seen import Seen, memory_of
from registry_builder.baseline.state import PublishedReader, PublishedState, RolledBackError
from registry_builder.compile.index import Ingestion
from registry_builder.publication.context import Attempt, Publisher
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.reachability import Reached, artifact_problem, state_before, walk_state
from registry_builder.publication.site_update import put_site
from registry_builder.signing.metadata import TargetPin, bin_names
from registry_builder.site.search_catalog import MAX_BYTES as MAX_CATALOGUE_BYTES
from registry_builder.site.search_catalog import read_shown
from registry_builder.site.urls import CATALOGUE
from registry_builder.storage import Body, ObjectMissingError, Storage, StoredObject, headers_for
from registry_builder.storage.forwarding import ForwardingStorage
from registry_builder.storage.http import UrlStorage
from registry_builder.storage.listing import inventory_of
from sealdex.errors import SealdexError, UsageError, VerificationError
from sealdex.model.ids import PluginId

MAX_BYTES = 1_000_000_000
"""GitHub's size limit for a Pages site."""

_GENERATIONS = 5
_WORKERS = 16
_CHUNK_BYTES = 1 << 20
_NOT_DEPLOYED = "nothing was deployed"
_FIRST = (
    "if this registry was never deployed, once and by hand: publish --first-publish (in the workflow: run it with "
    "first_publish); else find out why the url doesn't serve it"
)
_STALE = (
    "a cache may still serve an earlier deployment: run it again in ten minutes; if somebody else deployed there, "
    "find out who"
)


class NotDeployableError(VerificationError):
    """A tree may not be deployed in place of what is live."""

    code = "not-deployable"


def is_pages(publisher: Publisher) -> bool:
    """Return whether a publisher writes into the folder of a realm on GitHub Pages."""
    return publisher.tree.config.realms[publisher.realm].is_pages and not publisher.storage.is_read_only


# --- before a publish -------------------------------------------------------------------------------------------------


def on_live_state(publisher: Publisher, *, first_publish: bool = False, dry_run: bool = False) -> Publisher:
    """Copy what is live into the folder, and return a publisher that continues from there; others are returned as is.

    Expired metadata is copied too: the caller decides whether it may be re-signed.

    Args:
        publisher: of any realm.
        first_publish: the user states that nothing was ever deployed.
        dry_run: nothing is written; the live site is read directly.

    Raises:
        NotDeployableError: nothing is live, or (with ``first_publish``) something is.
        VerificationError: what is live is incomplete, isn't what the trust root vouches for, or is older than recorded.
        UsageError: the folder contains something other than what is live.
        UnavailableError: the url doesn't respond.
    """
    if not is_pages(publisher):
        return publisher
    live = _Copying(_by_url(publisher))
    if dry_run:
        return replace(publisher, storage=live.storage, workers=_WORKERS)
    with _stale_answers(), _reader(publisher, live) as reader:
        state = reader.open()
        _check_first(state, live, first_publish=first_publish)
        if state is not None:
            _lay(publisher, live, state, reader)
    return publisher


@contextmanager
def _stale_answers() -> Iterator[None]:
    """Add to an error about an old response that it may come from a cache."""
    try:
        yield
    except VerificationError as error:
        if isinstance(error, RolledBackError) or getattr(error, "key", None) == TIMESTAMP_KEY:
            error.hint = f"{_STALE}; {error.hint}"
        raise


def _by_url(publisher: Publisher) -> UrlStorage:
    url = publisher.tree.config.realms[publisher.realm].url
    if url is None:
        raise RuntimeError("registry.toml was read without its checks")
    return UrlStorage(url, fresh=True)


def _reader(publisher: Publisher, storage: Storage) -> PublishedReader:
    return replace(publisher, storage=storage, workers=_WORKERS, allow_expired=True).reader(publisher.clock())


def _check_first(state: PublishedState | None, live: Storage, *, first_publish: bool) -> None:
    if state is None and not first_publish:
        raise NotDeployableError(
            f"{live.description} has no {TIMESTAMP_KEY}, so there is nothing to publish on top of",
            subject=live.description,
            untouched=_NOT_DEPLOYED,
            hint=_FIRST,
        )
    if state is not None and first_publish:
        raise NotDeployableError(
            f"version {state.timestamp.version} of {TIMESTAMP_KEY} is live at {live.description}: this isn't the first",
            subject=live.description,
            untouched=_NOT_DEPLOYED,
            hint="publish without --first-publish",
        )


def _lay(publisher: Publisher, live: _Copying, state: PublishedState, reader: PublishedReader) -> None:
    """Write everything that a verified state references into the folder, the timestamp last."""
    folder = publisher.storage
    try:
        there = folder.get(TIMESTAMP_KEY, max_bytes=MAX_METADATA_BYTES).data
    except ObjectMissingError:
        there = None
    if there is not None:
        if there == state.timestamp.data:
            return
        raise UsageError(
            f"{folder.description} contains a different state than what is live at {live.description}",
            subject=folder.description,
            untouched="nothing was written",
            hint="remove that folder, or deploy it first",
        )
    source = replace(publisher, storage=live, workers=_WORKERS, allow_expired=True)
    reached = walk_state(source, state, reader)
    if reached.problems:
        raise VerificationError(
            f"what is live at {live.description} is incomplete: "
            + "; ".join(f"{key}: {reason}" for key, reason in reached.problems[:5]),
            subject=live.description,
            untouched=_NOT_DEPLOYED,
            hint=f"{_STALE}; sealdex-builder verify-published shows all differences of a copy that you have",
        )
    pins = dict(reached.pins)
    earlier = state
    for _ in range(_GENERATIONS):
        found = state_before(source, earlier)
        if found is None:
            break
        earlier = found
        before = walk_state(source, earlier, reader)
        if before.problems:
            break  # if a generation is incomplete, earlier ones are useless too
        reached.metadata |= before.metadata
        pins |= before.pins
    _copy(publisher, live, reached.metadata | set(pins), pins)
    folder.flush()
    folder.put_if_match(TIMESTAMP_KEY, _body(TIMESTAMP_KEY, state.timestamp.data), None)


def _copy(publisher: Publisher, live: _Copying, keys: set[str], pins: Mapping[str, TargetPin]) -> None:
    folder = publisher.storage
    large = sorted(key for key in keys if key not in live.got)
    for number, key in enumerate(sorted(keys - set(large) - {TIMESTAMP_KEY})):
        folder.put_new(key, _body(key, live.got[key].data))
        if publisher.notice is not None and number % 100 == 0:
            publisher.notice("fetching documents", number, len(keys))
    with tempfile.TemporaryDirectory(prefix="sealdex-pages-") as made, ThreadPoolExecutor(4) as pool:

        def fetch(key: str) -> None:
            path = Path(made) / hashlib.sha256(key.encode()).hexdigest()
            pin = pins[key]
            digest, size = hashlib.sha256(), 0
            with path.open("wb") as file:
                for chunk in live.storage.stream(key, _CHUNK_BYTES):
                    size += file.write(chunk)
                    digest.update(chunk)
                    if size > pin.size:
                        break
            if (size, digest.hexdigest()) != (pin.size, pin.sha256):
                raise tampered(live, key, "its length or SHA-256 differs from what was signed", pin)
            folder.put_new(key, Body.of_file(path, headers_for(key), size=pin.size, sha256=pin.sha256))
            path.unlink()

        list(pool.map(fetch, large))


def _body(key: str, data: bytes) -> Body:
    return Body.of_bytes(data, headers_for(key))


class _Copying(ForwardingStorage):
    """The live site, read only; caches every small file that was read."""

    def __init__(self, storage: UrlStorage) -> None:
        super().__init__(storage)
        self.storage = storage
        self.got: dict[str, StoredObject] = {}

    def get(self, key: str, *, max_bytes: int) -> StoredObject:
        """Read a file, once."""
        found = self.got.get(key)
        if found is None or len(found.data) > max_bytes:
            found = self.storage.get(key, max_bytes=max_bytes)
            self.got[key] = found
        return found


# --- after a refresh --------------------------------------------------------------------------------------------------


def put_all_pages(publisher: Publisher) -> None:
    """Write the pages for the published state in the folder, from the published documents alone.

    A deployment replaces everything, and a refresh of signatures must neither lose the pages nor depend on
    the source tree being publishable.
    """
    now = publisher.clock()
    with publisher.reader(now) as reader:
        state = reader.open()
        if state is None:
            return
        reader.load_bins(bin_names(state.bits))
        carried = sorted(_plugin(target) for target, _ in state.pins())
        sources = Sources({}, is_complete=True, ingestion=Ingestion())
        found = Survey(is_complete=True, carried=tuple(carried))
        plan = PublishPlan(publisher.realm, publisher.storage.description, is_complete=True, bits=state.bits)
        attempt = Attempt(publisher, sources, reader, state, now, found, plan)
        put_site(attempt, snapshot=state.snapshot.version)


def _plugin(target: str) -> PluginId:
    _, namespace, name = target.split("/")
    return PluginId(namespace, name.removesuffix(".json"))


# --- before and after a deployment ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deployable:
    """A tree that may be deployed.

    Attributes:
        timestamp: its version.
        live: the version that is live; None if nothing is.
        changed: whether anything was signed since; pages may differ in any case.
        files, size: how many files it has, and their bytes.
    """

    timestamp: int
    live: int | None
    changed: bool
    files: int
    size: int


def check_deployment(publisher: Publisher, *, first_publish: bool = False) -> Deployable:
    """Compare the folder of a realm with what is live, and refuse to deploy what clients would refuse.

    Raises:
        NotDeployableError: version numbers would not rise, another deployment took them, the tree is incomplete or too
            large, or nothing is live.
        VerificationError: the folder's tree or what is live isn't what the trust root vouches for, or has expired.
        UsageError: the realm isn't published on GitHub Pages, or its folder is empty.
    """
    ours, reached = _ours(publisher)
    live = _by_url(publisher)
    with _stale_answers(), _reader(publisher, live) as reader:
        theirs = reader.open()
    changed = theirs is None or ours.timestamp.data != theirs.timestamp.data
    if theirs is None:
        _check_first(None, live, first_publish=first_publish)
    elif changed:
        _check_versions(ours, theirs, live.description)
    _check_names(publisher, ours, live)
    _check_pages(publisher, ours, live.description)
    files = list(inventory_of(publisher.storage).listed())
    size = sum(each.size for each in files)
    if size > MAX_BYTES:
        raise _refused(
            f"the tree has {size} bytes, but GitHub Pages allows at most {MAX_BYTES}",
            live.description,
            "move artifacts elsewhere and give their URL as source, or publish to S3: docs/publishing.md",
        )
    for key, pin in reached.pins.items():
        if problem := artifact_problem(publisher.storage, key, pin):
            raise _refused(f"{key}: {problem}", live.description, "remove the folder and publish again")
    return Deployable(
        ours.timestamp.version,
        theirs.timestamp.version if theirs is not None else None,
        changed,
        len(files),
        size,
    )


def remember_deployment(publisher: Publisher) -> int:
    """Record that the folder's tree is live now, so that nothing older is built upon; return its version."""
    ours, _ = _ours(publisher)
    seen = Seen(
        max(publisher.trust.roots), ours.timestamp.version, ours.timestamp.data.decode(), ours.snapshot.data.decode()
    )
    memory_of(publisher.tree.config, publisher.realm, _by_url(publisher).description).save(seen)
    return ours.timestamp.version


def _ours(publisher: Publisher) -> tuple[PublishedState, Reached]:
    if not is_pages(publisher):
        raise UsageError(
            f"realm {publisher.realm} is not published on GitHub Pages: its storage is {publisher.storage.description}",
            subject=publisher.realm,
            untouched=_NOT_DEPLOYED,
            hint='write storage = "pages:published" and its url into registry.toml',
        )
    with replace(publisher, memory=None).reader(publisher.clock()) as reader:
        state = reader.open()
        if state is None:
            raise UsageError(
                f"there is no published tree in {publisher.storage.description}",
                subject=publisher.realm,
                untouched=_NOT_DEPLOYED,
                hint="sealdex-builder publish",
            )
        reached = walk_state(publisher, state, reader)
    if reached.problems:
        key, reason = reached.problems[0]
        raise _refused(f"{key}: {reason}", publisher.storage.description, "remove the folder and publish again")
    return state, reached


def _check_versions(ours: PublishedState, theirs: PublishedState, address: str) -> None:
    sinking = [
        f"{role} from {there} to {here}"
        for role, there, here in (
            ("root", theirs.root_version, ours.root_version),
            ("snapshot", theirs.snapshot.version, ours.snapshot.version),
            *((role, version, ours.versions.get(role, 0)) for role, version in sorted(theirs.versions.items())),
        )
        if here < there
    ]
    if ours.timestamp.version <= theirs.timestamp.version:
        sinking.insert(0, f"timestamp from {theirs.timestamp.version} to {ours.timestamp.version}")
    if sinking:
        raise _refused(
            f"version numbers would not rise: {', '.join(sinking)}; clients would refuse it, or never see it",
            address,
            "another deployment was faster: run it again, starting from what is live by then",
        )


def _check_names(publisher: Publisher, ours: PublishedState, live: UrlStorage) -> None:
    """Refuse a numbered file that is live with other bytes: another deployment used its name, whatever caches say.

    Timestamp and snapshot state versions alone, so they may be equal in two different publishes.
    """
    keys = [f"metadata/{version}.{role}.json" for role, version in sorted(ours.versions.items())]
    keys.append(f"metadata/{ours.snapshot.version}.snapshot.json")

    def differs(key: str) -> bool:
        try:
            there = live.get(key, max_bytes=MAX_METADATA_BYTES).data
        except ObjectMissingError:
            return False
        return there != publisher.storage.get(key, max_bytes=MAX_METADATA_BYTES).data

    with ThreadPoolExecutor(_WORKERS) as pool:
        taken = [key for key, differing in zip(keys, pool.map(differs, keys), strict=True) if differing]
    if taken:
        raise _refused(f"another deployment has already published {taken[0]}", live.description, _STALE)


def _check_pages(publisher: Publisher, ours: PublishedState, address: str) -> None:
    """Refuse a tree without its pages: a deployment would remove the live ones."""
    try:
        shown = read_shown(publisher.storage.get(CATALOGUE, max_bytes=MAX_CATALOGUE_BYTES).data)
    except ObjectMissingError:
        shown = None
    if shown is None or shown.snapshot != ours.snapshot.version:
        raise _refused(
            "the pages of the browse site are missing: the previous publish failed before it wrote them",
            address,
            "check its output, fix the problem, and publish again, without --no-site",
        )


def _refused(reason: str, address: str, hint: str) -> SealdexError:
    return NotDeployableError(
        f"this can't be deployed to {address}: {reason}", subject=address, untouched=_NOT_DEPLOYED, hint=hint
    )


__all__ = [
    "Deployable",
    "NotDeployableError",
    "check_deployment",
    "is_pages",
    "on_live_state",
    "put_all_pages",
    "remember_deployment",
]
