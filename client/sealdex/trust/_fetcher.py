"""Fetchers for ``tuf.ngclient``: prefetched answers, the bundle, the transport, or only the cache.

A fetcher only decides how many round trips a look-up takes. Everything that it returns is verified by ngclient, so
bytes from the wrong place are refused at worst.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, RepositoryError
from tuf.ngclient.fetcher import FetcherInterface

from sealdex.errors import SealdexError, UnavailableError, VerificationError
from sealdex.lazy import regex
from sealdex.log import Log
from sealdex.model.decode import decode_as
from sealdex.transport import Addresses, Document, HttpStatusError, MissingEverywhereError, TooLargeError, Transport
from sealdex.transport.begun import Begun
from sealdex.trust._validators import ValidatorFile
from sealdex.trust.metadata_bundle import MAX_BUNDLE_BYTES, Bundle
from sealdex.trust.role_marks import file_problem

_log = Log("sealdex.trust")

BUNDLE_NAME = "recent.bundle"
_TIMESTAMP = "timestamp.json"
BUNDLE_GRACE_S = 1.0
"""The bundle only saves requests: once the other files are there, it gets as long again plus these seconds."""

MAX_PARALLEL = 8
"""Maximum number of concurrent requests; object stores and proxies accept that many from one client."""

_VERSIONED = regex(r"[1-9][0-9]*\.(?P<role>.+)\.json")


class _SignedHead(msgspec.Struct):
    version: int


class _Envelope(msgspec.Struct):
    signed: _SignedHead


def stated_version(metadata: bytes) -> int | None:
    """Return the version that the bytes of a metadata file state, unverified, or None."""
    try:
        return decode_as(metadata, _Envelope).signed.version
    except msgspec.DecodeError:
        return None


class CachedMetadata:
    """The files in ngclient's folder, to be read before ngclient loads and verifies them.

    Args:
        folder: ngclient's metadata folder: ``<role>.json`` and ``root_history/<N>.root.json``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.validators = ValidatorFile(folder)

    def read(self, role: str) -> bytes | None:
        """Return the cached bytes of a role, unverified, or None."""
        try:
            return (self._folder / f"{quote(role, safe='')}.json").read_bytes()
        except OSError:
            return None

    def version(self, role: str) -> int | None:
        """Return the version in the cached file of a role, unverified, or None."""
        data = self.read(role)
        return stated_version(data) if data is not None else None

    def drop(self, role: str) -> None:
        """Delete the cached file of a role (for root, all of them), so that the next run fetches it again."""
        for root in (self._folder / "root_history").glob("*.json") if role == "root" else ():
            root.unlink(missing_ok=True)
        (self._folder / f"{quote(role, safe='')}.json").unlink(missing_ok=True)

    def newest_root(self, pinned: int) -> int:
        """Return the version of the last root that ngclient will find by counting up from the pinned one."""
        version = pinned
        while (self._folder / "root_history" / f"{version + 1}.root.json").is_file():
            version += 1
        return version


class OnlineFetcher(FetcherInterface):
    """Answers ngclient from prefetched files, then from the bundle, then from the network.

    Attributes:
        last: name and bytes of the last returned file; expiry messages take their date from it.
        companions: returns names of further metadata files that will be needed when one has to be requested; all are
            requested at once.
    """

    def __init__(
        self,
        transport: Transport,
        addresses: Addresses,
        below: str,
        max_bytes: int,
        realm: str | None,
        cache: CachedMetadata,
    ) -> None:
        """Fetch below the addresses and the path ``below`` them; ``max_bytes`` limits the size of companions.

        ``realm`` is the pinned root's, see `sealdex.trust.role_marks`; ``cache`` has the timestamp of last time.
        """
        self._cache = cache
        self._unkept: tuple[str, Document] | None = None
        self._transport = transport
        self.addresses = addresses
        self._below = below
        self._base = addresses.all[0] + below  # as ngclient was told
        self._begun: dict[str, dict[str, bytes | DownloadError]] = {}
        self._sources: dict[str, str] = {}
        self._refused: set[tuple[str, str]] = set()
        self._max_bytes = max_bytes
        self._realm = realm
        self._ahead: dict[str, bytes | DownloadError] = {}
        self._bundle: Bundle | None = None
        self._took_from_bundle = False
        self.last: tuple[str, bytes] | None = None
        self.handed: set[str] = set()
        """Names of the files that were handed over."""
        self.companions: Callable[[], Iterable[str]] = tuple

    def use(self, url: str) -> None:
        """Take timestamp and roots from this address of the registry, and ask it first for everything else."""
        self.addresses.chosen = url
        self._ahead, self._bundle, self._took_from_bundle = {}, None, False

    def first_round(self, limits: Mapping[str, int], *, bundle: bool) -> None:
        """Request several metadata files, and the bundle, at once; from an address that was asked before, nothing.

        Args:
            limits: file name to the maximum number of bytes.
            bundle: whether to request the bundle too.
        """
        chosen = self.addresses.chosen
        if (known := self._begun.get(chosen)) is not None:
            self._ahead.update(known)
            return
        began = time.monotonic()
        packed = _Aside(self._transport, chosen + self._below + BUNDLE_NAME) if bundle else None
        if all(self._transport.has_begun(chosen + self._below + name) for name in limits):
            self._begun[chosen] = {name: self._fetched(name, limit) for name, limit in limits.items()}
        else:
            self._begun[chosen] = self._fetch_all(limits)
        self._ahead.update(self._begun[chosen])
        if packed is not None:
            data = packed.within(time.monotonic() - began + BUNDLE_GRACE_S)
            _log.debug(
                "trust.bundle",
                "the bundle of metadata is {state}",
                state="used" if data is not None else "done without",
                bytes=len(data or b""),
            )
            self._bundle = Bundle(data) if data is not None else None

    def drop_bundle(self) -> bool:
        """Discard the bundle; return whether anything was taken from it, so that a retry may help."""
        took, self._took_from_bundle, self._bundle = self._took_from_bundle, False, None
        return took

    def ask_another(self) -> bool:
        """Note that the file handed over last is wrong at its address; return whether another may have it."""
        name = self.last[0] if self.last is not None else ""
        source = self._sources.get(name)
        if source is None or (name, source) in self._refused:
            return False
        self._refused.add((name, source))
        if all((name, url) in self._refused for url in self.addresses.in_turn()):
            return False
        self.addresses.leave(source, VerificationError(f"{name} is not the file that was signed", subject=name))
        return True

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return the file at ``url``; see ``FetcherInterface`` for the errors.

        Raises:
            RepositoryError: its marks say that it belongs elsewhere. It is refused here, since ngclient would replace
                the cached file with it and so forget the newest versions.
        """
        name = url.removeprefix(self._base)
        data = self._answer(name, max_length)
        if len(data) > max_length:
            raise DownloadLengthMismatchError(f"{name} is longer than the {max_length} bytes allowed for it")
        self.last = (name, data)
        self.handed.add(name)
        if problem := file_problem(name, data, self._realm):
            raise RepositoryError(problem)
        return data

    def _answer(self, name: str, max_bytes: int) -> bytes:
        if name not in self._ahead and self._bundle is not None:
            packed = self._bundle.member(name, max_bytes)
            if packed is not None:
                self._took_from_bundle = True
                self._sources.pop(name, None)
                _log.debug("trust.bundled", "{file}: {bytes} bytes, out of the bundle", file=name, bytes=len(packed))
                return packed
        if name not in self._ahead:
            limits = {} if name.endswith(".root.json") else dict.fromkeys(self.companions(), self._max_bytes)
            self._ahead.update(self._fetch_all({**limits, name: max_bytes}))
        answer = self._ahead.pop(name)
        if isinstance(answer, DownloadError):
            raise answer
        return answer

    def _fetch_all(self, limits: Mapping[str, int]) -> dict[str, bytes | DownloadError]:
        if len(limits) == 1:
            return {name: self._fetched(name, limit) for name, limit in limits.items()}
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # 10 ms that a single request needn't pay

        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            return dict(zip(limits, pool.map(self._fetched, limits, limits.values()), strict=True))

    def _fetched(self, name: str, max_bytes: int) -> bytes | DownloadError:
        """Fetch what is called by its version from any address, a timestamp or root from the chosen one only."""
        try:
            if not _may_be_anywhere(name):
                return self._read(self.addresses.chosen, name, max_bytes)
            return self.addresses.fetch(lambda url: self._read(url, name, max_bytes))
        except SealdexError as error:
            return _as_download_error(error)

    def _read(self, url: str, name: str, max_bytes: int) -> bytes:
        if (name, url) in self._refused:
            raise VerificationError(f"its {name} is not the file that was signed", subject=name)
        try:
            if name == _TIMESTAMP:
                data = self._timestamp(url + self._below + name, max_bytes)
            else:
                data = self._transport.read(url + self._below + name, max_bytes=max_bytes, begun=True).data
        except SealdexError as error:
            self.addresses.failed(url, error)
            raise
        if _may_be_anywhere(name):
            self._sources[name] = url
        return data

    def _timestamp(self, url: str, max_bytes: int) -> bytes:
        """Return the timestamp of an address; the cached one, where it says that it hasn't changed."""
        cached = self._cache.read("timestamp")
        known = self._cache.validators.of(url, cached)
        document = self._transport.read(
            url,
            max_bytes=max_bytes,
            etag=known.etag,
            modified=known.modified,
            begun=cached is None,  # another process may have kept a newer one since
        )
        if document.not_modified and cached is not None:
            _log.debug("trust.unchanged", "{file} has not changed since last time", file=_TIMESTAMP)
            return cached
        self._unkept = url, document
        return document.data

    def keep_validators(self) -> None:
        """Record by what to ask for the timestamp next time; called once the last one is verified."""
        if self._unkept is not None:
            self._cache.validators.note(*self._unkept)
            self._unkept = None

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, self._max_bytes)


def _may_be_anywhere(name: str) -> bool:
    """Return whether a file is what its name says wherever it is; the last root and the timestamp are an answer."""
    versioned = _VERSIONED.fullmatch(name)
    return versioned is not None and versioned["role"] != "root"


class _Aside:
    """Reads the bundle once, in a thread that delays neither the refresh nor the end of the process."""

    def __init__(self, transport: Transport, url: str) -> None:
        self._begun = transport.take_begun(url) or Begun(
            lambda given_up: transport.read(url, max_bytes=MAX_BUNDLE_BYTES, retry=False, cancelled=given_up),
            BUNDLE_NAME,
        )

    def within(self, seconds: float) -> bytes | None:
        """Return the bytes if they arrive within this many seconds; else abort the transfer and return None."""
        if not self._begun.wait(seconds):
            self._begun.give_up()
            return None
        try:
            return self._begun.result().data
        except SealdexError:
            return None  # continue without it


class OfflineFetcher(FetcherInterface):
    """Answers ngclient from its own cache, so that the whole chain is verified again without a request.

    To ngclient the cache looks like a repository whose newest state is the cached one.
    """

    def __init__(self, cache: CachedMetadata, metadata_url: str) -> None:
        """Answer for files below ``metadata_url`` (with trailing slash)."""
        self._cache = cache
        self._base = metadata_url
        self.last: tuple[str, bytes] | None = None

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return the cached file of that name and version; see ``FetcherInterface`` for the errors."""
        name = url.removeprefix(self._base)
        versioned = _VERSIONED.fullmatch(name)
        role = versioned["role"] if versioned else name.removesuffix(".json")
        if role == "root":
            raise DownloadHTTPError("no newer root is cached", 404)
        data = self._cache.read(role)
        if data is None or (versioned and name != f"{self._cache.version(role)}.{role}.json"):
            raise _as_download_error(
                UnavailableError(
                    f"{name} is not among the cached metadata, and this run is offline",
                    hint="run the command once without --offline",
                )
            )
        if len(data) > max_length:
            raise DownloadLengthMismatchError(f"{name} is longer than the {max_length} bytes allowed for it")
        self.last = (name, data)
        return data

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self.download_bytes(url, MAX_BUNDLE_BYTES)


def _as_download_error(error: SealdexError) -> DownloadError:
    """Wrap an error of the transport in one that ngclient knows; the original is its ``__cause__``."""
    if isinstance(error, HttpStatusError):
        wrapped: DownloadError = DownloadHTTPError(str(error), error.status)
    elif isinstance(error, MissingEverywhereError):
        wrapped = DownloadHTTPError(str(error), 404)
    elif isinstance(error, TooLargeError):
        wrapped = DownloadLengthMismatchError(str(error))
    else:
        wrapped = DownloadError(str(error))
    wrapped.__cause__ = error
    return wrapped
