"""The types of the transport's interface: settings, documents, answers and errors. Pure, and cheap to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct, field

from sealdex.errors import UnavailableError, VerificationError
from sealdex.lazy import regex

if TYPE_CHECKING:
    from pathlib import Path

CHUNK_BYTES = 1 << 20
"""The maximum number of bytes of one read, and so the memory of one transfer."""

CredentialsProblem = Literal["missing", "wrong", "expired", "forbidden"]
"""Why credentials don't serve, see `CredentialsRefusedError`."""


class ClientCertificate(Struct, frozen=True):
    """A client certificate for TLS, by its PEM files.

    Args:
        cert_file: the certificate, and those between it and its authority.
        key_file: its private key; ``None``: in ``cert_file``.
        passphrase: of an encrypted key.
        stamp: changes when the files do, so that a renewed certificate is used on new connections.
    """

    cert_file: str
    key_file: str | None = None
    passphrase: str | None = None
    stamp: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"ClientCertificate({self.cert_file!r}, {self.key_file!r})"  # no passphrase, wherever it is printed


class Grant(Struct, frozen=True):
    """What authorizes one request.

    Args:
        headers: added to the request's.
        query: added to the address as it is sent, and to nothing else: it carries a signature.
        certificate: shown to the server.
        expires: when that ends, in seconds since the epoch, if it is known.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    certificate: ClientCertificate | None = None
    expires: float | None = None

    def __repr__(self) -> str:
        return f"Grant(certificate={self.certificate!r}, expires={self.expires!r})"  # no secret, wherever it is printed

    def __bool__(self) -> bool:
        return bool(self.headers or self.query or self.certificate)


class Refusal(Struct, frozen=True):
    """A request that a server refused.

    Args:
        url: what was asked for.
        status: 400, 401, 403, 495 or 496; 0 if the TLS handshake failed because of the client certificate.
        grant: what was sent with it.
        code: the error code of S3's XML answers (``AccessDenied``), or the reason of the TLS alert.
        date: the server's clock, in seconds since the epoch, if it said so.
        left: a redirect had led to another origin, which is sent no credentials.
    """

    url: str
    status: int
    grant: Grant
    code: str | None = None
    date: float | None = None
    left: bool = False


class Credentials:
    """Authorizes requests; this one authorizes none. Called from several threads."""

    def grant(self, url: str) -> Grant:  # noqa: ARG002  # for who overrides it
        """Return what authorizes a GET of a URL; called once per request."""
        return Grant()

    def renewed(self, url: str, refused: Grant) -> Grant | None:  # noqa: ARG002  # the same
        """Return a newer grant after a server answered 401, to try once more; None if there is no other."""
        return None

    def explained(self, refusal: Refusal) -> HttpStatusError | None:  # noqa: ARG002  # the same
        """Return the error for a refusal, which says what is missing, wrong or expired; None: as usual."""
        return None


class TransportSettings(Struct, frozen=True):
    """Timeouts, retries and limits of a transport.

    Args:
        connect_timeout: seconds for a TCP connection and TLS handshake.
        read_timeout: seconds without data before a connection is retried.
        no_progress_window: seconds; retries continue as long as new bytes arrive within it.
        retries: retries of a request that makes no progress; ``None``: only the window limits them.
        first_contact_window: seconds within which a host must be reached for the first time.
        max_bytes_per_second: limit over all transfers of the transport together; ``None`` for none.
        min_bytes_per_second: a request slower than this on average is aborted; 0 for none. Requests that wait at the
            same time share it, and each has one no-progress window of grace.
        user_agent: the ``User-Agent`` header.
        ca_bundle: a PEM file of certificate authorities to trust instead of the system's.
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


class Permit(Protocol):
    """Decides which addresses are asked; both methods raise to refuse one."""

    def __call__(self, url: str) -> None:
        """Before a request."""

    def reached(self, url: str, address: str) -> None:
        """While it connects to an IP address; not behind a proxy."""


class Document(Struct, frozen=True):
    """A small file, read whole. ``data`` is empty if ``not_modified``: the caller's copy is still current.

    ``date`` is the server's clock when it answered, in seconds since the epoch, if it said so; ``modified`` is its
    ``Last-Modified``, as it is.
    """

    data: bytes
    etag: str | None = None
    not_modified: bool = False
    date: float | None = None
    modified: str | None = None


class Sent(Struct, frozen=True):
    """The answer to a request that isn't a plain GET; ``challenge`` is the ``WWW-Authenticate`` of a 401."""

    status: int
    data: bytes
    etag: str | None = None
    challenge: str | None = None


class RetryNotice(Struct, frozen=True):
    """One failed attempt that will be followed by another, for progress displays."""

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
        """Return the connection to the pool if the body was read to its end, else drop it."""


class Answer(Struct):
    """The head of one answer, the same for HTTP and for files, and its body.

    ``start`` is where in the file the body begins, ``length`` how many bytes of it were announced,
    ``total_size`` the size of the whole file; each ``None`` if unknown. ``retry_after`` is in seconds. ``error`` is
    to be raised for a status that refuses, if more is known than the status.
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
    modified: str | None = None
    error: HttpStatusError | None = None


class TransientError(Exception):
    """An attempt failed, but another may succeed; never reaches the user directly.

    Args:
        reason: what happened, in a few words: "connection refused".
        status: the HTTP status, if the server answered.
        retry_after: seconds the server asked to wait.
        is_unreached: no connection was made: unknown name, nothing listens, no route.
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
    """The server answered with an error status; ``status`` is 404 for a missing ``file://`` too."""

    def __init__(self, url: str, status: int, message: str | None = None, *, hint: str | None = None) -> None:
        subject = public_url(url)
        is_local = urlsplit(url).scheme == "file"
        said = _FILE_PROBLEMS.get(status, "can't be read") if is_local else f"answered {status} for {subject}"
        hints = _FILE_HINTS if is_local else _STATUS_HINTS
        super().__init__(
            message or f"{subject if is_local else host_of(url)} {said}",
            subject=subject,
            hint=hint or hints.get(status),
        )
        self.url = url
        self.status = status


class CredentialsRefusedError(HttpStatusError):
    """The server refused a request for want of valid credentials.

    Attributes:
        problem: ``missing``: none were sent; ``wrong``; ``expired``; ``forbidden``: they don't permit this.
    """

    def __init__(
        self, refusal: Refusal, problem: CredentialsProblem, message: str, *, hint: str, details: Mapping[str, object]
    ) -> None:
        super().__init__(refusal.url, refusal.status, message, hint=hint)
        self.problem = problem
        self.details = {"credentials": {"problem": problem, **details, "status": refusal.status}}


class RedirectRefusedError(UnavailableError):
    """A redirect that must not be followed: from https to http, to another scheme, or in a loop."""


class ProxyRefusedError(UnavailableError):
    """A proxy refuses requests: it refused the user and password (``is_login``), or the host."""

    def __init__(
        self, message: str, *, subject: str | None = None, hint: str | None = None, is_login: bool = False
    ) -> None:
        super().__init__(message, subject=subject, untouched="nothing was changed", hint=hint)
        self.is_login = is_login


class OtherRangeError(UnavailableError):
    """A server answered with another part of a file than the requested one."""


class EncodingError(UnavailableError):
    """A file was sent in a content coding that was not requested, so its bytes are not the file's own."""

    def __init__(self, url: str, encoding: str) -> None:
        subject = public_url(url)
        super().__init__(
            f"{host_of(url)} sent {subject} with 'Content-Encoding: {encoding}', which was not requested: "
            "its bytes are not those of the file",
            subject=subject,
            untouched="nothing was installed, and the received bytes were deleted",
            hint="a CDN's compression or a header stored with the file causes this: ask the registry's operator to "
            "turn it off for this address",
        )
        self.encoding = encoding


class TooLargeError(VerificationError):
    """More bytes arrived, or were announced, than are allowed."""

    def __init__(self, url: str, max_bytes: int) -> None:
        subject = public_url(url)
        super().__init__(
            f"{subject} is longer than the {max_bytes} bytes allowed for it; the transfer was aborted",
            subject=subject,
            untouched="no received bytes were kept",
        )
        self.max_bytes = max_bytes


_STATUS_HINTS = {
    401: "check the credentials configured for this registry: auth under [registries.NAME] in config.toml",
    403: "check the credentials configured for this registry (auth), and that the file is public if there are none",
    407: "a proxy on the way wants a user and password: name it by HTTPS_PROXY or HTTP_PROXY, http://USER:PASSWORD@HOST:PORT",
}

_FILE_PROBLEMS = {404: "is missing", 403: "can't be read: permission denied"}
_FILE_HINTS = {
    404: "the folder holds no published tree, only a part of one, or its medium isn't mounted; "
    "a mirror is made complete by: sealdex mirror create SOURCE DEST",
    403: "check the owner and permissions of the file and the folders above it",
}

_RETRIED_CLIENT_ERRORS = frozenset({408, 429})


def is_passing(status: int) -> bool:
    """Return whether a status means a temporary problem, so that another attempt may help."""
    return status >= 500 or status in _RETRIED_CLIENT_ERRORS


_STRONG_ETAG = regex(r'"[\x21\x23-\x7e]*"')


def strong_etag(etag: str | None) -> str | None:
    """Return ``etag`` if it is strong, since only that guarantees equal bytes (RFC 9110, 8.8.1), else ``None``."""
    return etag if etag is not None and _STRONG_ETAG.fullmatch(etag) else None


def public_url(url: str) -> str:
    """Return ``url`` without user, password, query and fragment, where signed URLs have their secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port, to which credentials are bound.

    Raises:
        ValueError: the address can't be read.
    """
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(parts.scheme)


def host_of(url: str) -> str:
    """Return the host (and port) a message names for ``url``; "this host" for ``file://``."""
    return urlsplit(url).netloc.rpartition("@")[2] or "this host"
