"""Copies of what stays at an author's address: a mirror may have them where the registry would, and is asked first.

``mirror.json`` isn't signed. It says for which files a request is worthwhile, below the address that this host is
configured with; which bytes are right, and where else they are, is signed. So at most a request is wasted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import msgspec

from sealdex.download.download import HostLimitError
from sealdex.errors import SealdexError, UnavailableError, VerificationError
from sealdex.log import Log
from sealdex.model.decode import decode_as
from sealdex.transport import Addresses, Transport, public_url

_log = Log("sealdex.download")

RECORD_NAME = "mirror.json"
"""What a mirror says of itself, see `sealdex.download.mirror.record`."""

_MAX_BYTES = 16 * 1024 * 1024
_FORMAT = 1

_T = TypeVar("_T")


class _Record(msgspec.Struct):
    format: int
    elsewhere: tuple[str, ...] = ()


class Copies:
    """Knows which addresses have copies of what is elsewhere; asks each address once. Thread-safe.

    Args:
        transport: makes the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._listed: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def fetch(
        self,
        addresses: Addresses,
        key: str,
        work: Callable[[str | None], _T],
        *,
        are_expected: bool,
        also: tuple[type[SealdexError], ...] = (),
    ) -> _T:
        """Return what ``work`` returns for the first address that has a copy; else for the author's.

        Args:
            addresses: of the registry.
            key: the place in the published tree where a copy would be.
            work: fetches and checks the file below an address of the registry; for None, at the author's.
            are_expected: ask for a copy whatever ``mirror.json`` says, as of a registry that is declared partial.
            also: further errors of a copy than unavailability and wrong content for which the author's is asked.

        Raises:
            SealdexError: what ``work`` raises for the author's address.
        """
        kinds: tuple[type[SealdexError], ...] = (UnavailableError, VerificationError, *also)
        for base in addresses.in_turn():
            if not are_expected and key not in self._at(base):
                continue
            try:
                return work(base)
            except kinds as error:
                addresses.failed(base, error)
                _log.info(
                    "download.copy",
                    "{url} has no good copy of {key}: {reason}: the author's address is asked",
                    url=public_url(base),
                    key=key,
                    reason=error,
                )
        return work(None)

    def place(self, addresses: Addresses, key: str, *, are_expected: bool) -> str | None:
        """Return the first address of a registry that a copy would be asked of; None: the author's is asked."""
        return next((base for base in addresses.in_turn() if are_expected or key in self._at(base)), None)

    def forget(self, addresses: Addresses) -> None:
        """Ask the addresses of a registry again what they have: a long-running program's mirror gets more."""
        with self._lock:
            for base in addresses.all:
                self._listed.pop(base, None)

    def _at(self, base: str) -> frozenset[str]:
        """Return the keys that an address says to have copies of; none if it isn't a mirror, or can't be asked."""
        with self._lock:
            if base not in self._listed:
                self._listed[base] = self._read(base)
            return self._listed[base]

    def _read(self, base: str) -> frozenset[str]:
        try:
            data = self._transport.read(base + RECORD_NAME, max_bytes=_MAX_BYTES, retry=False).data
            record = decode_as(data, _Record)
        except (SealdexError, msgspec.DecodeError) as error:
            _log.debug("download.no_copies", "{url} is not a mirror: {reason}", url=public_url(base), reason=error)
            return frozenset()
        return frozenset(record.elsewhere) if record.format == _FORMAT else frozenset()


def limits_of(size: int | None) -> tuple[type[SealdexError], ...]:
    """Return the errors after which another address is asked: without a signed size, too much is wrong content too."""
    return (HostLimitError,) if size is None else ()


__all__ = ["RECORD_NAME", "Copies", "limits_of"]
