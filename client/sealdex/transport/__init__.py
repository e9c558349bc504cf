"""Fetches bytes from https://, http:// and file:// URLs, without deciding whether to trust them.

Its modules; ``_`` marks what is private to the room:

    types           settings, documents, answers and errors; pure, and cheap to import
    retry           whether a failed transfer is tried again and when, and the pace of transfers
    stop            what ends long operations from outside: cancelled, or out of time
    addresses       the addresses of one registry: which is asked first, and which don't answer
    proxies         which proxy a request goes through
    http_date       dates in header fields
    begun           work that was begun before anybody waits for it
    _fetch          Transport: small documents whole, big files as streams, with retries
    _tls            contexts of TLS: authorities, client certificates, and refusals of the latter
    _http           one GET: redirects, credentials, proxies and TLS
    _direct         requests without a proxy, over http.client
    _pools          requests through proxies, and with bodies, over urllib3
    _exchange       what these two share: answers, and the lack of one
    _http_errors    what a request failed of: whether it may pass, in a few words
    _files          file:// with the semantics of a web server
    _pipeline       many small files over one connection, the plain case alone
    _connections    connections of urllib3 that ask the pace of their request before each read
    _reach          which IP addresses a request may connect to
    _encoding       content codings, undone within bounds
    _pace           ends a request that only seems to move
    _socks          connections through a SOCKS proxy (an extra)
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.transport._fetch import Stream, Transport
    from sealdex.transport.addresses import Addresses, MissingEverywhereError, is_missing, is_of_missing
    from sealdex.transport.retry import GENERAL_HINTS, Attempts, Chance
    from sealdex.transport.types import (
        CHUNK_BYTES,
        ClientCertificate,
        Credentials,
        CredentialsProblem,
        CredentialsRefusedError,
        Document,
        EncodingError,
        Grant,
        HttpStatusError,
        OtherRangeError,
        ProxyRefusedError,
        RedirectRefusedError,
        Refusal,
        RetryNotice,
        Sent,
        TooLargeError,
        TransientError,
        TransportSettings,
        is_passing,
        origin_of,
        public_url,
        strong_etag,
    )
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "_fetch": ("Stream", "Transport"),
            "addresses": ("Addresses", "MissingEverywhereError", "is_missing", "is_of_missing"),
            "retry": ("Attempts", "Chance", "GENERAL_HINTS"),
            "types": (
                "CHUNK_BYTES",
                "ClientCertificate",
                "Credentials",
                "CredentialsProblem",
                "CredentialsRefusedError",
                "Document",
                "EncodingError",
                "Grant",
                "HttpStatusError",
                "OtherRangeError",
                "ProxyRefusedError",
                "RedirectRefusedError",
                "Refusal",
                "RetryNotice",
                "Sent",
                "TooLargeError",
                "TransientError",
                "TransportSettings",
                "is_passing",
                "origin_of",
                "public_url",
                "strong_etag",
            ),
        },
    )

__all__ = [
    "CHUNK_BYTES",
    "GENERAL_HINTS",
    "Addresses",
    "Attempts",
    "Chance",
    "ClientCertificate",
    "Credentials",
    "CredentialsProblem",
    "CredentialsRefusedError",
    "Document",
    "EncodingError",
    "Grant",
    "HttpStatusError",
    "MissingEverywhereError",
    "OtherRangeError",
    "ProxyRefusedError",
    "RedirectRefusedError",
    "Refusal",
    "RetryNotice",
    "Sent",
    "Stream",
    "TooLargeError",
    "TransientError",
    "Transport",
    "TransportSettings",
    "is_missing",
    "is_of_missing",
    "is_passing",
    "origin_of",
    "public_url",
    "strong_etag",
]
