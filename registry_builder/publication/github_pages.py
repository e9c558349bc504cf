"""Publishes a realm on GitHub Pages: a folder, deployed as a whole, replaces what was live.

Pages has no conditional writes and keeps nothing of earlier deployments, and a runner starts with an empty disk. So a
publish starts from what is live: the whole tree is read by the realm's url, verified from the pinned root, and copied
into the folder (`on_live_state`); new files are published on top of it, in the folder. Before the deployment, it is
compared with what is live by then (`pages_deployment`): version numbers must rise, nothing that clients know may be
missing, and no other deployment may have taken the same numbers. What was deployed is recorded
(in the same module), so that a stale response of the CDN isn't built upon.

Caches may serve a `timestamp.json` that is up to ten minutes old. What it references must still exist, so the
generations before the live one are copied into the folder too, up to `_GENERATIONS`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from registry_builder.baseline.diff import Sources, Survey
from registry_builder.baseline.documents import tampered
from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.baseline.state import PublishedReader, PublishedState
from registry_builder.compile.index import Ingestion
from registry_builder.publication._pages_live import (
    NOT_DEPLOYED,
    STALE,
    WORKERS,
    NotDeployableError,
    by_url,
    check_first,
    is_pages,
    reader_of,
    stale_answers,
)
from registry_builder.publication.context import Attempt, Publisher
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.reachability import state_before, walk_state
from registry_builder.publication.site_update import put_site
from registry_builder.signing.metadata import TargetPin, bin_names
from registry_builder.storage import Body, ObjectMissingError, StoredObject, headers_for
from registry_builder.storage.forwarding import ForwardingStorage
from registry_builder.storage.headers import TIMESTAMP_KEY
from registry_builder.storage.http import UrlStorage
from sealdex.errors import UsageError, VerificationError
from sealdex.model.index import plugin_of_target

_GENERATIONS = 5
_CHUNK_BYTES = 1 << 20


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
    live = _Copying(by_url(publisher))
    if dry_run:
        return replace(publisher, storage=live.storage, workers=WORKERS)
    with stale_answers(), reader_of(publisher, live) as reader:
        state = reader.open()
        check_first(state, live, first_publish=first_publish)
        if state is not None:
            _lay(publisher, live, state, reader)
    return publisher


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
            f"{folder.description} contains another state than the one that is live at {live.description}",
            subject=folder.description,
            untouched="nothing was written",
            hint="remove that folder, or deploy it first",
        )
    source = replace(publisher, storage=live, workers=WORKERS, allow_expired=True)
    reached = walk_state(source, state, reader)
    if reached.problems:
        raise VerificationError(
            f"what is live at {live.description} is incomplete: "
            + "; ".join(f"{key}: {reason}" for key, reason in reached.problems[:5]),
            subject=live.description,
            untouched=NOT_DEPLOYED,
            hint=f"{STALE}; sealdex-builder verify-published shows all differences of a copy that you have",
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
        carried = sorted(plugin_of_target(target) for target, _ in state.pins())
        sources = Sources({}, is_complete=True, ingestion=Ingestion())
        found = Survey(is_complete=True, carried=tuple(carried))
        plan = PublishPlan(publisher.realm, publisher.storage.description, is_complete=True, bits=state.bits)
        attempt = Attempt(publisher, sources, reader, state, now, found, plan)
        put_site(attempt, snapshot=state.snapshot.version)


__all__ = ["NotDeployableError", "is_pages", "on_live_state", "put_all_pages"]
