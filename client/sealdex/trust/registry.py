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
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from tuf.api.metadata import TargetFile

from sealdex.errors import SealdexError, UnavailableError
from sealdex.log import Log, stopwatch
from sealdex.model.decode import DocumentError, read_wire
from sealdex.model.ids import PluginId
from sealdex.model.index import INDEX_FORMAT, MAX_INDEX_BYTES, IndexDocument, index_target
from sealdex.store.file_lock import FileLock, LockTimeoutError
from sealdex.transport import Addresses, Transport, public_url
from sealdex.trust._clock_reset import disbelieve, disbelieved_in
from sealdex.trust._documents import DocumentStore
from sealdex.trust._lock_holder import holder_of, note_holder
from sealdex.trust._session import TrustSession
from sealdex.trust.errors import NOTHING_CHANGED, mixed_up, unusable_folder
from sealdex.trust.roots import fingerprint
from sealdex.trust.signed_time import Judgement, age_text, signed_at_text

_log = Log("sealdex.trust")

_WORTH_SAYING = timedelta(hours=1)

LOCK_PATIENCE_S = 600.0
"""Seconds that another process may hold the lock. A transfer without progress ends long before that."""

K = TypeVar("K")
D = TypeVar("D", bound=Struct)


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
        self.store = DocumentStore(
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
        documents = self.documents(paths, MAX_INDEX_BYTES)
        return {plugin: None if data is None else self.read_index(plugin, data) for plugin, data in documents.items()}

    def signed_by(self, plugin: PluginId) -> str | None:
        """Return the role that signs for a plugin: ``packages`` or that of a claimed namespace; None if none does."""
        path = index_target(plugin)
        self.target_infos([path])
        with self._threads:
            return self._session.signer(path) if self._session else None

    def target_bytes(self, path: str, max_bytes: int) -> bytes | None:
        """Return the verified bytes of any signed file, or None if that path is not signed.

        For targets that Sealdex's format knows nothing of, as those of TUF's conformance tests.

        Args:
            path: TUF target path, relative to the targets folder.
            max_bytes: a larger file is refused before it is requested.

        Raises:
            VerificationError, UnavailableError: as `index`.
        """
        return self.documents({path: path}, max_bytes)[path]

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
                    stop = self._transport.stop
                    self._lock.acquire(timeout=LOCK_PATIENCE_S, check=None if stop is None else stop.check)
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

    @contextmanager
    def session(self) -> Iterator[TrustSession]:
        """Yield the verified state, under the lock; after an error in the block the next query starts over.

        Raises:
            VerificationError, UnavailableError: as `refresh`.
        """
        with self._locked():
            session = self._fresh_session()
            try:
                yield session
            except SealdexError:
                self._session = None  # it may have loaded metadata that was then refused
                raise

    def target_infos(self, paths: Iterable[str]) -> tuple[dict[str, TargetFile | None], bool]:
        """Return what is signed about each path, and whether published targets carry their digest in their name."""
        with self.session() as session:
            return session.target_infos(paths), session.root.consistent_snapshot is True

    def documents(self, paths: Mapping[K, str], max_bytes: int) -> dict[K, bytes | None]:
        """Return the verified bytes of signed files by the keys of their target paths; None for what nobody signs."""
        infos, digest_in_name = self.target_infos(paths.values())
        signed = [info for info in infos.values() if info is not None]
        found = self.store.read(signed, max_bytes, digest_in_name=digest_in_name)
        return {key: found.get(path) for key, path in paths.items()}

    # --- what documents say ------------------------------------------------------------------------------------------

    def read_index(self, plugin: PluginId, data: bytes) -> IndexDocument:
        """Decode the verified bytes of a plugin's index document.

        Raises:
            VerificationError: it is another plugin's, or signed but unreadable.
            FormatTooNewError: the document needs a newer sealdex.
        """
        document = self.decoded(data, IndexDocument, INDEX_FORMAT, index_target(plugin))
        if document.id != plugin:
            raise mixed_up(self.name, index_target(plugin), f"is the document of {document.id}")
        return document

    def decoded(self, data: bytes, kind: type[D], newest_format: int, path: str) -> D:
        """Decode the verified bytes of a signed file.

        Raises:
            VerificationError: it can't be read. FormatTooNewError: it needs a newer sealdex.
        """
        try:
            return read_wire(data, kind, newest_format=newest_format, what=path)
        except DocumentError as error:
            raise mixed_up(self.name, path, f"is signed but can't be read: {error}") from error


def _sweep(metadata_folder: Path) -> None:
    """Remove files that a killed ngclient left half-written; called under the lock, so no process is writing."""
    for leftover in metadata_folder.glob("tmp*"):
        with suppress(OSError):
            leftover.unlink()
