"""Trust in one registry: from the pinned root to verified index documents, catalog and other signed files.

On disk, below the folder of one registry (``<store>/trust/<registry>/``):

    lock                      held while metadata is read or written; the operating system releases it after a crash
    holder                    who held it last, for messages while waiting
    metadata/                 ngclient's cache: <role>.json, root_history/<N>.root.json. Never a trust anchor: that is
                              the pinned root, on every run, and each file is verified again when it is loaded
    documents/<target path>   the last verified bytes of index documents and catalog shards, path percent-encoded;
                              checked against the signed length and SHA-256 whenever they are read

Round trips of a cold look-up: 1. ``timestamp.json``, the next root and the bundle at once; 2. the bins;
3. the index documents. Of a warm one without changes: ``timestamp.json`` and the next root at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from tuf.api.metadata import TargetFile

from sealdex.errors import NotFoundError, SealdexError, UnavailableError
from sealdex.log import Log, stopwatch
from sealdex.model.catalog import (
    CATALOG_FORMAT,
    MAX_SHARD_BYTES,
    CatalogRow,
    CatalogShard,
    is_catalog_target,
    shard_of,
    shard_target,
)
from sealdex.model.decode import DocumentError, read_wire
from sealdex.model.ids import PluginId
from sealdex.model.index import INDEX_FORMAT, MAX_INDEX_BYTES, IndexDocument, index_target
from sealdex.store.file_lock import FileLock, LockTimeoutError
from sealdex.transport import Addresses, Transport, public_url
from sealdex.trust._clock_reset import disbelieve, disbelieved_in
from sealdex.trust._documents import DocumentStore, published_name
from sealdex.trust._lock_holder import holder_of, note_holder
from sealdex.trust._session import TrustSession
from sealdex.trust.errors import NOTHING_CHANGED, mixed_up, unusable_folder
from sealdex.trust.roots import fingerprint
from sealdex.trust.signed_time import Judgement, age_text, signed_at_text

_log = Log("sealdex.trust")

_WORTH_SAYING = timedelta(hours=1)

LOCK_PATIENCE_S = 600.0
"""Seconds that another process may hold the lock. A transfer without progress ends long before that."""

_LARGE_CATALOG = 48 * 1024 * 1024
"""Bytes of all shards, some 130,000 plugins, above which they aren't held in memory together."""
_SHARDS_AT_ONCE = 4

K = TypeVar("K")
D = TypeVar("D", IndexDocument, CatalogShard)


class TrustState(Struct, frozen=True):
    """The result of a refresh.

    Attributes:
        registry: the registry's name in the configuration.
        root_version: version of the newest verified root.
        root_fingerprint: SHA-256 of the pinned root's bytes, the trust anchor.
        timestamp_version, snapshot_version, targets_version: versions of the other top-level roles.
        expires: UTC time at which each top-level role expires, by role name.
        offline: True if no request was made and the cached state was verified again.
        time: as of when it was judged, and how old it is.
    """

    registry: str
    root_version: int
    root_fingerprint: str
    timestamp_version: int
    snapshot_version: int
    targets_version: int
    expires: Mapping[str, datetime]
    offline: bool
    time: Judgement | None = None

    @property
    def expired(self) -> list[str]:
        """The top-level roles that have expired, and are used within ``max_staleness`` only."""
        return [] if self.time is None else [r for r, over in self.expires.items() if over <= self.time.present]

    @property
    def age_note(self) -> str | None:
        """How old what is trusted is, and where this host's time is from; None where neither needs saying."""
        if self.time is None:
            return None
        notes = []
        if self.time.clock_behind >= _WORTH_SAYING:
            notes.append(
                f"this host's clock is {age_text(self.time.clock_behind)} behind what was signed, so "
                f"{self.time.present:%Y-%m-%d %H:%M} UTC is taken as the present"
            )
        if self.expired and self.time.limit is not None:
            about = "" if self.time.is_stated else "at most "
            notes.append(
                f"its {', '.join(self.expired)} metadata has expired, and is used as of "
                f"{self.time.signed_at:%Y-%m-%d at %H:%M} UTC, {about}{age_text(self.time.age)} ago "
                f"(max_staleness {age_text(self.time.limit)})"
            )
        return f"registry '{self.registry}': {'; '.join(notes)}" if notes else None

    def age_report(self) -> dict[str, object]:
        """Return the same for programs; times as in RFC 3339, ages in seconds."""
        time = self.time
        if time is None:
            return {"registry": self.registry}
        return {
            "registry": self.registry,
            "signed_at": signed_at_text(time.signed_at),
            "signed_at_is_stated": time.is_stated,
            "age_seconds": int(time.age.total_seconds()),
            "expired": self.expired,
            "max_staleness_seconds": int(time.limit.total_seconds()) if time.limit is not None else None,
            "clock_behind_seconds": int(time.clock_behind.total_seconds()),
        }

    @property
    def expires_first(self) -> tuple[str, datetime]:
        """The top-level role that expires first, and when."""
        return min(self.expires.items(), key=lambda item: item[1])


class Places(Struct, frozen=True):
    """The addresses of a repository without the published tree's layout, and its cache; URLs end in a slash."""

    metadata_url: str
    targets_url: str
    metadata_folder: Path
    documents_folder: Path


class TrustedRegistry:
    """The signed files of one registry. Thread-safe and, by a lock in its folder, process-safe.

    The first query refreshes; later ones use that state until its metadata expires or ``refresh`` is called.

    Args:
        name: the registry's name in the configuration, for messages.
        url: the published tree's address, with or without trailing slash; or its addresses.
        root: the pinned root metadata. It is the trust anchor on every run, whatever the cache contains.
        folder: this registry's own trust folder, ``<store>/trust/<registry>``; created when needed.
        transport: fetches the bytes.
        offline: make no request; verify the cached chain again. Expired metadata is refused as usual.
        on_wait: called once with a text when another process holds the lock.
        places: addresses and folders, if not those of the published tree.
        fetch_ahead: request independent files at once and use the bundle; False makes ngclient's own requests only.
        keep_documents: cache index documents and shards; False where each is read once.
        max_staleness: the age up to which expired metadata is used, as of when it was signed; default: not at all.
        clock: gives this host's time, in UTC; default: the system's.
    """

    def __init__(
        self,
        name: str,
        url: str | Addresses,
        root: bytes,
        folder: Path,
        transport: Transport,
        *,
        offline: bool = False,
        on_wait: Callable[[str], None] | None = None,
        places: Places | None = None,
        fetch_ahead: bool = True,
        keep_documents: bool = True,
        max_staleness: timedelta | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._limit = max_staleness
        self._clock = clock
        self.name = name
        self.addresses = url if isinstance(url, Addresses) else Addresses([url])
        self.url = self.addresses.all[0]
        self.folder = folder
        self.offline = offline
        self._root = root
        self._transport = transport
        self._on_wait = on_wait
        self._fetch_ahead = fetch_ahead
        self._metadata = (self.addresses, "metadata/") if places is None else (Addresses([places.metadata_url]), "")
        self._places = places or Places(
            f"{self.url}metadata/", f"{self.url}targets/", folder / "metadata", folder / "documents"
        )
        self._threads = threading.RLock()
        self._lock = FileLock(folder / "lock")
        self._session: TrustSession | None = None
        self._store = DocumentStore(
            name,
            *((self.addresses, "targets/") if places is None else (Addresses([places.targets_url]), "")),
            self._places.documents_folder,
            None if offline else transport,
            keep=keep_documents,
        )

    def refresh(self) -> TrustState:
        """Update the metadata from the registry, or offline verify the cached state, and return what is trusted.

        Raises:
            VerificationError: a signature, version, hash or expiry is wrong; nothing unverified was kept.
            UnavailableError: the registry didn't answer, or offline: nothing is cached.
            ConfigError: the pinned root isn't valid.
        """
        with self._locked():
            return self._state(self._refreshed())

    def index(self, plugin: PluginId) -> IndexDocument | None:
        """Return the verified index document of a plugin, or None if the registry has signed none.

        Raises:
            VerificationError, UnavailableError: as `refresh`; or the document isn't what was signed or is of another
                plugin.
            FormatTooNewError: the document needs a newer sealdex.
        """
        return self.indexes([plugin])[plugin]

    def indexes(self, plugins: Iterable[PluginId]) -> dict[PluginId, IndexDocument | None]:
        """Return the index documents of several plugins, as `index` does, fetching missing ones in parallel."""
        paths = {plugin: index_target(plugin) for plugin in plugins}
        documents = self._documents(paths, MAX_INDEX_BYTES)
        return {plugin: None if data is None else self.read_index(plugin, data) for plugin, data in documents.items()}

    def signed_by(self, plugin: PluginId) -> str | None:
        """Return the role that signs for a plugin: ``packages`` or that of a claimed namespace; None if none does."""
        path = index_target(plugin)
        self._target_infos([path])
        with self._threads:
            return self._session.signer(path) if self._session else None

    def catalog(self) -> list[CatalogRow]:
        """Return the rows of all plugins, in the order of shards.

        Raises:
            NotFoundError: the registry publishes no catalog.
            VerificationError, UnavailableError, FormatTooNewError: as `index`.
        """
        shards = self._shard_count()
        return self._rows_of(range(shards), shards)

    def catalog_parts(self) -> list[Callable[[], list[CatalogRow]]]:
        """Return what reads the rows of all plugins, in the order of shards; of a large catalog a few shards at a time.

        Each verifies again what it reads, so nothing has to stay in memory. Shards are kept on disk.

        Raises:
            NotFoundError, VerificationError, UnavailableError, FormatTooNewError: as `catalog`; parts as well.
        """
        shards = self._shard_count()
        infos, _ = self._target_infos(map(shard_target, range(shards)))
        if sum(info.length for info in infos.values() if info is not None) <= _LARGE_CATALOG:
            rows = self._rows_of(range(shards), shards)
            return [lambda: rows]
        numbers = [range(start, min(start + _SHARDS_AT_ONCE, shards)) for start in range(0, shards, _SHARDS_AT_ONCE)]
        return [partial(self._rows_of, each, shards) for each in numbers]

    def _shard_count(self) -> int:
        first = self._shards([0])[0]
        if first is None:
            raise NotFoundError(
                f"registry '{self.name}' publishes no catalog, so it can't be searched",
                hint="install by name: sealdex install NAMESPACE/NAME",
            )
        return first.shards

    def _rows_of(self, numbers: Iterable[int], shards: int) -> list[CatalogRow]:
        rows: list[CatalogRow] = []
        for number, shard in self._shards(numbers).items():
            if shard is None or shard.shard != number or shard.shards != shards:
                raise mixed_up(self.name, shard_target(number), "is missing, or another shard is in its place")
            strangers = [row.id for row in shard.plugins if shard_of(row.id, shards) != number]
            if strangers:
                raise mixed_up(self.name, shard_target(number), f"holds {strangers[0]}, which belongs to another shard")
            rows += shard.plugins
        return rows

    def target_bytes(self, path: str, max_bytes: int) -> bytes | None:
        """Return the verified bytes of any signed file, or None if that path is not signed.

        For targets that Sealdex's format knows nothing of, as those of TUF's conformance tests.

        Args:
            path: TUF target path, relative to the targets folder.
            max_bytes: a larger file is refused before it is requested.

        Raises:
            VerificationError, UnavailableError: as `index`.
        """
        return self._documents({path: path}, max_bytes)[path]

    # --- what a mirror copies ----------------------------------------------------------------------------------------

    def all_plugins(self) -> list[PluginId]:
        """Return every plugin that some role signs, sorted; all metadata is loaded and verified for it.

        Raises:
            VerificationError, UnavailableError: as `refresh`.
        """
        with self._locked():
            session = self._fresh_session()
            try:
                session.load_all_roles()
            except SealdexError:
                self._session = None
                raise
            found = {plugin for path in session.signed_paths() if (plugin := _plugin_of(path)) is not None}
        return sorted(found)

    def catalog_targets(self) -> list[str]:
        """Return the target paths of the catalog, sorted: shards with all rows, and those by name where there are some.

        Raises:
            VerificationError, UnavailableError: as `refresh`.
        """
        infos, _ = self._target_infos([shard_target(0)])
        if infos[shard_target(0)] is None:
            return []
        with self._locked():
            signed = self._fresh_session().signed_paths()
            return sorted({path for path in signed if is_catalog_target(path)})

    def metadata_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each metadata file that the questions so far have verified; the timestamp last.

        Raises:
            VerificationError, UnavailableError: as `refresh`.
        """
        with self._locked():
            yield from self._fresh_session().files()

    def published_targets(
        self,
        paths: Iterable[str],
        max_bytes: int,
        on_bad: Callable[[str, str, SealdexError], None] | None = None,
    ) -> dict[str, tuple[str, bytes]]:
        """Return, by target path, the place in the published tree and the verified bytes of what is signed.

        Args:
            paths: TUF target paths; those that nobody signs are left out.
            max_bytes: a larger file is refused before it is requested.
            on_bad: told target path, place and error of each that is missing or wrong, which is then left out.

        Raises:
            VerificationError, UnavailableError: as `index`.
        """
        infos, digest_in_name = self._target_infos(list(paths))
        signed = {info.path: info for info in infos.values() if info is not None}
        places = {path: f"targets/{published_name(info, digest_in_name)}" for path, info in signed.items()}
        found = self._store.read(
            signed.values(),
            max_bytes,
            digest_in_name=digest_in_name,
            are_many=True,
            on_bad=None if on_bad is None else lambda path, error: on_bad(path, places[path], error),
        )
        return {path: (place, found[path]) for path, place in places.items() if path in found}

    # --- metadata, under the lock --------------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                try:
                    self._lock.acquire(timeout=0)
                except LockTimeoutError:
                    _log.info(
                        "trust.lock",
                        "{registry}: {holder} holds the lock {path}: waiting for it",
                        registry=self.name,
                        holder=holder_of(self.folder),
                        path=self.folder / "lock",
                    )
                    if self._on_wait is not None:
                        self._on_wait(
                            f"{holder_of(self.folder)} is reading the metadata of registry '{self.name}' from "
                            f"{public_url(self.url)}: waiting for it (at most {LOCK_PATIENCE_S / 60:.0f} minutes)"
                        )
                    self._lock.acquire(timeout=LOCK_PATIENCE_S)
                note_holder(self.folder)
            except LockTimeoutError as error:
                raise UnavailableError(
                    f"{holder_of(self.folder)} has held the trust folder of registry '{self.name}' for "
                    f"{LOCK_PATIENCE_S:.0f} s",
                    subject=str(self.folder),
                    untouched=NOTHING_CHANGED,
                    hint="if that process hangs, end it, then run the command again",
                ) from error
            except OSError as error:
                raise unusable_folder(error, f"registry '{self.name}'", str(self.folder)) from error
            try:
                yield
            finally:
                self._lock.release()

    def _refreshed(self) -> TrustSession:
        self._session = None
        _sweep(self._places.metadata_folder)
        session = TrustSession(
            self.name,
            *self._metadata,
            self._places.metadata_folder,
            self._root,
            None if self.offline else self._transport,
            fetch_ahead=self._fetch_ahead,
            limit=self._limit,
            clock=self._clock() if self._clock is not None else None,
            disbelieved=disbelieved_in(self._places.metadata_folder),
        )
        pinned, took = session.root.version, stopwatch()
        _log.info(
            "trust.pinned",
            "{registry} at {url}: trust starts from root {version}, SHA-256 {fingerprint}",
            registry=self.name,
            url=public_url(self.url),
            version=pinned,
            fingerprint=fingerprint(self._root),
        )
        session.refresh()
        _log.info(
            "trust.refreshed",
            "{registry}: metadata {how} in {seconds} s, root {version}",
            registry=self.name,
            how="verified again from the cache" if self.offline else "verified",
            offline=self.offline,
            seconds=took(),
            version=session.root.version,
        )
        self._session = session
        return session

    def _fresh_session(self) -> TrustSession:
        session = self._session
        # A long-running program must not trust metadata that has expired meanwhile.
        now = self._clock() if self._clock is not None else datetime.now(timezone.utc)
        if session is None:
            session = self._refreshed()
        elif self._is_over(session, now):
            self.addresses.revive()
            session = self._refreshed()
        return session

    def _is_over(self, session: TrustSession, now: datetime) -> bool:
        judged = session.judgement
        if judged.limit is not None and judged.as_of < judged.present:
            return now - judged.signed_at > judged.limit
        return self._state(session).expires_first[1] <= now

    def reset_clock(self) -> tuple[int, datetime] | None:
        """Believe the time no longer that the newest timestamp here states; return its version and that time.

        Versions still can't go back. It holds until a newer timestamp comes. None if there is no such time.
        """
        with self._locked():
            said = disbelieve(self._places.metadata_folder)
            self._session = None
        if said is not None:
            _log.info(
                "trust.clock_reset",
                "{registry}: by request, the time that timestamp {version} states isn't believed: {signed_at}",
                registry=self.name,
                version=said[0],
                signed_at=signed_at_text(said[1]),
            )
        return said

    def _state(self, session: TrustSession) -> TrustState:
        roles = session.top_level
        return TrustState(
            registry=self.name,
            root_version=roles["root"].version,
            root_fingerprint=fingerprint(self._root),
            timestamp_version=roles["timestamp"].version,
            snapshot_version=roles["snapshot"].version,
            targets_version=roles["targets"].version,
            expires={role: signed.expires for role, signed in roles.items()},
            offline=self.offline,
            time=session.judgement,
        )

    def _target_infos(self, paths: Iterable[str]) -> tuple[dict[str, TargetFile | None], bool]:
        """Return what is signed about each path, and whether published targets carry their digest in their name."""
        with self._locked():
            session = self._fresh_session()
            try:
                return session.target_infos(paths), session.root.consistent_snapshot is True
            except SealdexError:
                self._session = None  # it may have loaded metadata that was then refused: the next query starts over
                raise

    def _documents(self, paths: Mapping[K, str], max_bytes: int) -> dict[K, bytes | None]:
        infos, digest_in_name = self._target_infos(paths.values())
        signed = [info for info in infos.values() if info is not None]
        found = self._store.read(signed, max_bytes, digest_in_name=digest_in_name)
        return {key: found.get(path) for key, path in paths.items()}

    # --- what documents say ------------------------------------------------------------------------------------------

    def read_index(self, plugin: PluginId, data: bytes) -> IndexDocument:
        """Decode the verified bytes of a plugin's index document.

        Raises:
            VerificationError: it is another plugin's, or signed but unreadable.
            FormatTooNewError: the document needs a newer sealdex.
        """
        document = self._decoded(data, IndexDocument, INDEX_FORMAT, index_target(plugin))
        if document.id != plugin:
            raise mixed_up(self.name, index_target(plugin), f"is the document of {document.id}")
        return document

    def _shards(self, numbers: Iterable[int]) -> dict[int, CatalogShard | None]:
        found = self._documents({n: shard_target(n) for n in numbers}, MAX_SHARD_BYTES)
        return {
            number: None if data is None else self._decoded(data, CatalogShard, CATALOG_FORMAT, shard_target(number))
            for number, data in found.items()
        }

    def _decoded(self, data: bytes, kind: type[D], newest_format: int, path: str) -> D:
        try:
            return read_wire(data, kind, newest_format=newest_format, what=path)
        except DocumentError as error:
            raise mixed_up(self.name, path, f"is signed but can't be read: {error}") from error


def _sweep(metadata_folder: Path) -> None:
    """Remove files that a killed ngclient left half-written; called under the lock, so no process is writing."""
    for leftover in metadata_folder.glob("tmp*"):
        with suppress(OSError):
            leftover.unlink()


def _plugin_of(path: str) -> PluginId | None:
    """Return the plugin whose index document a target path names, or None."""
    folder, _, name = path.rpartition("/")
    plugin = PluginId(folder.removeprefix("index/"), name.removesuffix(".json"))
    return plugin if index_target(plugin) == path else None
