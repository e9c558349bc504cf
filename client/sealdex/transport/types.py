"""What crosses the transport's border: settings, documents, answers and errors. Pure, and cheap to import."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit, urlunsplit

from sealdex.errors import UnavailableError, VerificationError

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES = 1 << 20
"""The most bytes that one read hands over, and so what one transfer holds in memory."""

Credentials = Callable[[str], Mapping[str, str]]
"""Gives the headers that authorise a GET of a URL (``{}`` for none); called from several threads, once a request."""


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """How patient and how greedy a transport is.

    Args:
        connect_timeout: seconds for a TCP connection and TLS handshake.
        read_timeout: seconds without a single byte after which a connection is given up and retried.
        no_progress_window: seconds; retries go on as long as new bytes arrive within it.
        retries: how often one request is tried again after it gained nothing; ``None``: the window alone decides.
        first_contact_window: seconds within which a host must be reached that never was by this transport.
        max_bytes_per_second: limit over all transfers of the transport together; ``None`` for none.
        min_bytes_per_second: slower than this on the whole, a request is given up; 0 for none. Requests that wait at
            the same time share it, and one no-progress window is granted to each.
        user_agent: the ``User-Agent`` header.
        ca_bundle: a PEM file of certificate authorities to trust in place of the system's.
    """

    connect_timeout: float = 10.0
    read_timeout: float = 20.0
    no_progress_window: float = 60.0
    retries: int | None = None
    first_contact_window: float = 3.0
    max_bytes_per_second: int | None = None
    min_bytes_per_second: int = 256
    user_agent: str = "sealdex"
    ca_bundle: Path | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A small file, read whole. ``data`` is empty when ``not_modified``: the caller's copy still holds.

    ``date`` is the server's clock when it answered, in seconds since the epoch, if it said so.
    """

    data: bytes
    etag: str | None = None
    not_modified: bool = False
    date: float | None = None


@dataclass(frozen=True, slots=True)
class RetryNotice:
    """One failed attempt that will be followed by another, for whoever shows progress."""

    host: str
    attempt: int
    reason: str
    delay_s: float


class Body(Protocol):
    """The bytes of one answer, as they arrive."""

    def read_some(self, max_bytes: int) -> bytes:
        """Return 1 to ``max_bytes`` bytes as soon as there are any, ``b""`` at the end.

        Raises:
            TransientError: the transfer broke, or ended before its announced length.
        """

    def abort(self) -> None:
        """Wake a thread that waits in ``read_some``; may be called from another thread."""

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""


@dataclass(slots=True)
class Answer:
    """The head of one answer, the same for HTTP and for files, and its body.

    ``start`` is where in the file the body begins, ``length`` how many bytes of it were announced,
    ``total_size`` the size of the whole file; each ``None`` if unknown. ``retry_after`` is in seconds.
    """

    status: int
    body: Body
    start: int = 0
    length: int | None = None
    total_size: int | None = None
    etag: str | None = None
    encoding: str = "identity"
    retry_after: float | None = None
    date: float | None = None


class TransientError(Exception):
    """An attempt failed in a way that another attempt may cure; never reaches the user as it is.

    Args:
        reason: what happened, in a few words: "connection refused".
        status: the HTTP status, if the server answered.
        retry_after: seconds the server asked to wait.
        is_unreached: no connection came about: the name isn't known, nobody listens, no route.
        is_final: another attempt would not help after all.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        is_unreached: bool = False,
        is_final: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after
        self.is_unreached = is_unreached
        self.is_final = is_final


class HttpStatusError(UnavailableError):
    """The server answered, with a status that is no success; ``status`` is 404 for a missing ``file://`` too."""

    def __init__(self, url: str, status: int, message: str | None = None, *, hint: str | None = None) -> None:
        subject = public_url(url)
        super().__init__(
            message or f"{host_of(url)} answered {status} for {subject}",
            subject=subject,
            hint=hint or _STATUS_HINTS.get(status),
        )
        self.url = url
        self.status = status


class RedirectRefusedError(UnavailableError):
    """A redirect leads somewhere no request may go: from https to http, to another scheme, or in a circle."""


class ProxyRefusedError(UnavailableError):
    """A proxy lets no request through: it refused the user and password (``is_login``), or the host."""

    def __init__(
        self, message: str, *, subject: str | None = None, hint: str | None = None, is_login: bool = False
    ) -> None:
        super().__init__(message, subject=subject, untouched="nothing was changed", hint=hint)
        self.is_login = is_login


class OtherRangeError(UnavailableError):
    """A server answered another part of a file than the one asked for."""


class EncodingError(UnavailableError):
    """A file came in a content coding that was not asked for, so that its bytes are not the file's own."""

    def __init__(self, url: str, encoding: str) -> None:
        subject = public_url(url)
        super().__init__(
            f"{host_of(url)} sent {subject} with 'Content-Encoding: {encoding}', which was not asked for: "
            "its bytes are not those of the file",
            subject=subject,
            untouched="nothing was installed, and what came was deleted",
            hint="the compression of a CDN does that, or a header stored with the file: tell who runs the registry to "
            "switch it off for this address",
        )
        self.encoding = encoding


class TooLargeError(VerificationError):
    """More bytes arrived, or were announced, than are allowed."""

    def __init__(self, url: str, max_bytes: int) -> None:
        subject = public_url(url)
        super().__init__(
            f"{subject} is longer than the {max_bytes} bytes allowed for it; the transfer was cut off",
            subject=subject,
            untouched="nothing of it was kept",
        )
        self.max_bytes = max_bytes


_STATUS_HINTS = {
    401: "check the credentials configured for this registry: auth under [registries.NAME] in config.toml",
    403: "check the credentials configured for this registry (auth), and that the file is public if there are none",
    407: "check the user and password in the proxy's address (HTTPS_PROXY)",
}

_RETRIED_CLIENT_ERRORS = frozenset({408, 429})


def is_passing(status: int) -> bool:
    """Say whether a status tells of trouble that may pass, so that another attempt may help."""
    return status >= 500 or status in _RETRIED_CLIENT_ERRORS


_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')


def strong_etag(etag: str | None) -> str | None:
    """Return ``etag`` if it is a strong one, which alone promises equal bytes (RFC 9110, 8.8.1), else ``None``."""
    return etag if etag is not None and _STRONG_ETAG.fullmatch(etag) else None


def public_url(url: str) -> str:
    """Return ``url`` without user, password, query and fragment: signed URLs carry their secrets there."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port: what credentials are bound to.

    Raises:
        ValueError: the address can't be read.
    """
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme)


def host_of(url: str) -> str:
    """Return the host (and port) a message names for ``url``; "this host" for ``file://``."""
    return urlsplit(url).netloc.rpartition("@")[2] or "this host"
