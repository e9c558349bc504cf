"""Signed files of a registry: from the cache if their digest matches, else fetched, verified and cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from sealdex.errors import SealdexError, UnavailableError, VerificationError
from sealdex.log import Log, stopwatch
from sealdex.transport import (
    Addresses,
    CredentialsRefusedError,
    HttpStatusError,
    MissingEverywhereError,
    TooLargeError,
    Transport,
    public_url,
)
from sealdex.trust._fetcher import MAX_PARALLEL
from sealdex.trust.errors import NOTHING_CHANGED, mixed_up

_log = Log("sealdex.trust")
_PIPED_BYTES = 1 << 20
"""Documents of at most this size are asked for many at a time."""

_STRONG = frozenset({"sha256", "sha384", "sha512"})


class DocumentStore:
    """Reads targets whose length and hashes ngclient has verified. Needs no lock: each file is verified on its own.

    Args:
        registry: the registry's name, for messages.
        addresses: of the registry.
        below: where the targets are below each of them, with trailing slash.
        folder: the cache, one file per target path.
        transport: fetches; None to use the cache only.
        keep: put what was fetched into the cache.
    """

    def __init__(
        self,
        registry: str,
        addresses: Addresses,
        below: str,
        folder: Path,
        transport: Transport | None,
        *,
        keep: bool = True,
    ) -> None:
        self._registry = registry
        self._addresses = addresses
        self._below = below
        self._folder = folder
        self._transport = transport
        self._keeps = keep

    def read(
        self,
        infos: Iterable[TargetFile],
        max_bytes: int,
        *,
        digest_in_name: bool,
        are_many: bool = False,
        on_bad: Callable[[str, SealdexError], None] | None = None,
    ) -> dict[str, bytes]:
        """Return the bytes of each target by path; what isn't cached is fetched in parallel.

        Args:
            infos: signed length and hashes of each.
            max_bytes: a target with a larger signed length is refused before it is requested.
            digest_in_name: whether published file names contain their digest (TUF's consistent snapshots).
            are_many: ask for them over one connection, one behind the other; what doesn't come that way, as usual.
            on_bad: told path and error of each that is missing or wrong, which is then left out; default: it raises.

        Raises:
            VerificationError: too long, without a SHA-256 or SHA-512 digest, or other bytes than the signed ones.
            UnavailableError: the registry didn't answer, or it isn't cached and there is no transport.
        """
        wanted = list(infos)
        found = {info.path: data for info in wanted if (data := self._cached(info)) is not None}
        if are_many:
            found.update(self._piped([info for info in wanted if info.path not in found], max_bytes, digest_in_name))
        missing = [info for info in wanted if info.path not in found]
        for path, data in found.items():
            _log.debug(
                "trust.document", "{path}: {bytes} bytes, from the {source}", path=path, bytes=len(data), source="cache"
            )
        is_here = self._addresses.chosen.startswith("file:")  # nothing to wait for: threads only cost
        if on_bad is not None:
            for info in missing:
                try:
                    found[info.path] = self._fetched(info, max_bytes, digest_in_name)
                except (UnavailableError, VerificationError) as error:  # noqa: PERF203  # each by itself
                    on_bad(info.path, error)
            return found
        if len(missing) < 2 or self._transport is None or is_here:
            return found | {info.path: self._fetched(info, max_bytes, digest_in_name) for info in missing}
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # 10 ms that one document needn't pay

        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            fetched = list(pool.map(lambda info: self._fetched(info, max_bytes, digest_in_name), missing))
        return found | {info.path: data for info, data in zip(missing, fetched, strict=True)}

    def _piped(self, infos: list[TargetFile], max_bytes: int, digest_in_name: bool) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of those that come the plain way and are right: all of them, as a rule."""
        base = self._addresses.chosen
        small = [info for info in infos if info.length <= min(max_bytes, _PIPED_BYTES) and _strong_digest(info)]
        pipeline = self._transport.pipeline(base) if self._transport is not None and len(small) > 1 else None
        if pipeline is None:
            return
        wanted = ((each, f"{base}{self._below}{published_name(each, digest_in_name)}", each.length) for each in small)
        for info, data in pipeline.read(wanted):
            if info is None or data is None:
                continue
            try:
                info.verify_length_and_hashes(data)
            except LengthOrHashMismatchError:
                continue
            if self._keeps:
                self._keep(info.path, data)
            yield info.path, data

    def _cached(self, info: TargetFile) -> bytes | None:
        if _strong_digest(info) is None:
            return None
        try:
            with self._file(info.path).open("rb") as file:
                data = file.read(info.length + 1)
            info.verify_length_and_hashes(data)
        except (OSError, LengthOrHashMismatchError):
            return None
        return data

    def _fetched(self, info: TargetFile, max_bytes: int, digest_in_name: bool) -> bytes:
        if info.length > max_bytes:
            raise self._refused(info, f"has {info.length} bytes; at most {max_bytes} are allowed")
        if _strong_digest(info) is None:
            raise self._refused(info, "is signed without a SHA-256 or SHA-512 digest")
        if self._transport is None:
            raise UnavailableError(
                f"{info.path} of registry '{self._registry}' is not cached, and this run is offline",
                subject=info.path,
                untouched=NOTHING_CHANGED,
                hint="run the command once without --offline",
            )
        file = published_name(info, digest_in_name)
        took = stopwatch()
        transport = self._transport
        try:
            data = self._addresses.fetch(lambda base: self._read(transport, f"{base}{self._below}{file}", info))
        except CredentialsRefusedError as error:
            raise error.restated(untouched=NOTHING_CHANGED) from error
        except HttpStatusError as error:
            raise self._missing(
                f"registry '{self._registry}' has signed {info.path}, but {error.message}"
                if error.url.startswith("file:")
                else f"registry '{self._registry}' has signed {info.path} but answers {error.status} for it",
                error,
                public_url(error.url),
            ) from error
        except MissingEverywhereError as error:
            raise self._missing(
                f"registry '{self._registry}' has signed {info.path}, but {error.message}", error, info.path
            ) from error
        _log.debug(
            "trust.document",
            "{path}: {bytes} bytes, from the {source}, in {seconds} s",
            path=info.path,
            bytes=len(data),
            source="registry",
            seconds=took(),
        )
        if self._keeps:
            self._keep(info.path, data)
        return data

    def _read(self, transport: Transport, url: str, info: TargetFile) -> bytes:
        try:
            data = transport.read(url, max_bytes=info.length).data
            info.verify_length_and_hashes(data)
        except (LengthOrHashMismatchError, TooLargeError) as error:
            raise self._refused(info, f"is not the file that was signed ({error})") from error
        return data

    def _missing(self, message: str, error: UnavailableError, subject: str) -> UnavailableError:
        return UnavailableError(
            message,
            subject=subject,
            untouched=NOTHING_CHANGED,
            hint=error.hint or "the mirror is incomplete: report this to its operator, or use another mirror",
        )

    def _refused(self, info: TargetFile, problem: str) -> VerificationError:
        return mixed_up(self._registry, info.path, problem)

    def _file(self, path: str) -> Path:
        name = quote(path, safe="")
        # File systems allow 255 bytes; paths of published trees are much shorter.
        return self._folder / (name if len(name) <= 200 else hashlib.sha256(path.encode()).hexdigest())

    def _keep(self, path: str, data: bytes) -> None:
        """Cache a verified document; if it can't be written, it is only requested again next time."""
        file = self._file(path)
        # All writers share one name for the part file: killed ones leave at most one; mixed content fails its digest.
        part = file.with_name(f"{file.name}.part")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(file)


def published_name(info: TargetFile, digest_in_name: bool) -> str:
    """Return where a target with a strong digest is below the targets of an address."""
    folder, slash, name = info.path.rpartition("/")
    return f"{folder}{slash}{_strong_digest(info)}.{name}" if digest_in_name else info.path


def _strong_digest(info: TargetFile) -> str | None:
    """Return the digest that stands in the published name of a target: the first that is listed, if it is strong.

    All that are listed are compared; TUF leaves open which one names the file, and its implementations take the first.
    """
    name, digest = next(iter(info.hashes.items()), ("", None))
    if name not in _STRONG and "sha256" in info.hashes:
        name, digest = "sha256", info.hashes["sha256"]
    return digest if name in _STRONG else None
