"""Requests through proxies, requests with a body, and addresses that have to be normalized: over ``urllib3``.

What is asked of a server directly goes without it, see `sealdex.transport._direct`.
"""

from __future__ import annotations

import logging
import re
import threading
from base64 import b64encode
from typing import TYPE_CHECKING, BinaryIO

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)

from sealdex.errors import ConfigError
from sealdex.log import Log
from sealdex.transport._connections import OuterTlsSocket, direct_pools, proxied_pools
from sealdex.transport._exchange import BrokenError, Fields, Timeouts
from sealdex.transport._tls import tls_context
from sealdex.transport.types import Sent, TooLargeError, public_url

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from sealdex.transport.proxies import Proxy
    from sealdex.transport.types import ClientCertificate, TransportSettings

_log = Log("sealdex.transport")

_MAX_IDLE = 16  # keeps the connections of a prefetch and of a transfer in ranges; more are made and dropped on need


class Pools:
    """Connection pools, one per proxy; thread-safe."""

    def __init__(self, settings: TransportSettings) -> None:
        self._settings = settings
        self._pools: dict[tuple[bool, Proxy | None, ClientCertificate | None], urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        _hide_queries()

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        proxy: Proxy | None,
        timeouts: Timeouts,
        tls: ssl.SSLContext | None,
        certificate: ClientCertificate | None,
    ) -> PooledResponse:
        """Send one GET and return the head of its answer.

        Raises:
            BrokenError: there is no answer.
            ConfigError: it isn't an address that can be requested.
        """
        return PooledResponse(self._response("GET", url, headers, None, proxy, timeouts, tls, certificate))

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: BinaryIO | bytes | None,
        proxy: Proxy | None,
        timeouts: Timeouts,
        tls: ssl.SSLContext | None,
        max_bytes: int,
    ) -> Sent:
        """Send one request and read its answer whole.

        Raises:
            BrokenError: there is no answer, or not all of it.
            ConfigError: as `get`.
            TooLargeError: the answer is longer than ``max_bytes``.
        """
        response = self._response(method, url, headers, content, proxy, timeouts, tls, None)
        try:
            data = response.read(max_bytes + 1)
            response.release_conn()
        except (HTTPError, OSError) as error:
            raise _broken(error) from error
        if len(data) > max_bytes:
            response.close()
            raise TooLargeError(url, max_bytes)
        return Sent(response.status, data, response.headers.get("ETag"), response.headers.get("WWW-Authenticate"))

    def _response(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: BinaryIO | bytes | None,
        proxy: Proxy | None,
        timeouts: Timeouts,
        tls: ssl.SSLContext | None,
        certificate: ClientCertificate | None,
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool_for(proxy, tls, certificate).request(
                method,
                url,
                headers=headers,
                body=content,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=timeouts.connect, read=timeouts.read),
            )
        except LocationValueError as error:
            raise ConfigError(
                f"{public_url(url)} is not an address that can be requested", subject=public_url(url)
            ) from error
        except (HTTPError, OSError) as error:
            raise _broken(error) from error

    def _pool_for(
        self, proxy: Proxy | None, tls: ssl.SSLContext | None, certificate: ClientCertificate | None
    ) -> urllib3.PoolManager:
        # a connection that has shown a certificate is not used for requests without one
        key = (tls is not None, proxy, certificate)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._new_pool(proxy, tls)
                if proxy is not None:
                    _log.info(
                        "transport.proxy",
                        "{scheme} requests go through the proxy {proxy}, which {variable} names",
                        scheme="http" if tls is None else "https",
                        proxy=proxy.url,
                        variable=proxy.variable,
                    )
            return pool

    def _new_pool(self, proxy: Proxy | None, tls: ssl.SSLContext | None) -> urllib3.PoolManager:
        if proxy is None:
            return direct_pools(maxsize=_MAX_IDLE, ssl_context=tls)
        if proxy.is_socks:
            from sealdex.transport._socks import socks_pools  # noqa: PLC0415  # an extra

            return socks_pools(proxy, maxsize=_MAX_IDLE, ssl_context=tls)
        outer = None
        if proxy.scheme == "https":
            outer = tls_context(self._settings)
            outer.sslsocket_class = OuterTlsSocket
        return proxied_pools(
            proxy.url,
            maxsize=_MAX_IDLE,
            ssl_context=tls,
            proxy_ssl_context=outer,
            proxy_headers={"Proxy-Authorization": _basic(proxy.user, proxy.password)}
            if proxy.user is not None
            else None,
        )

    def clear(self) -> None:
        """Drop all idle connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()


class PooledResponse:
    """One answer, see `sealdex.transport._exchange.Response`."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers: Fields = response.headers
        self._response = response

    def read1(self, max_bytes: int, /) -> bytes:
        """Return what has arrived.

        Raises:
            BrokenError: the body ends early, or is garbled.
        """
        try:
            # at most one system call, so a slow server can't hold the thread in a loop
            return self._response.read1(max_bytes)
        except (HTTPError, OSError, ValueError) as error:  # http.client reports an invalid chunk header as the last
            raise _broken(error) from error

    def abort(self) -> None:
        """Wake a reader in another thread."""
        self._response.shutdown()

    def close(self) -> None:
        """Return the connection to the pool, or drop it if the body wasn't read to its end."""
        if self._response.closed:  # read to its end
            self._response.release_conn()
        else:
            self._response.close()


def _basic(user: bytes | None, password: bytes | None) -> str:
    return "Basic " + b64encode((user or b"") + b":" + (password or b"")).decode("ascii")


class _HidesQueries(logging.Filter):
    """Keeps signed queries out of urllib3's own log, which names the whole address of each request."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_QUERY.sub("?***", each) if isinstance(each, str) else each for each in record.args)
        return True


_QUERY = re.compile(r"\?\S+")
_FILTER = _HidesQueries()


def _hide_queries() -> None:
    for name in ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.poolmanager"):
        logging.getLogger(name).addFilter(_FILTER)  # once is enough: it is a set


def _broken(error: Exception) -> BrokenError:
    return BrokenError(_reason(error), is_unreached=_is_unreached(error))


def _is_unreached(error: Exception) -> bool:
    if isinstance(error, ProxyError):
        error = error.original_error
    return isinstance(error, NewConnectionError | ConnectTimeoutError)  # an unknown name is a NewConnectionError


def _reason(error: Exception) -> str:
    if isinstance(error, ProxyError):
        return "the proxy refused the request"
    if isinstance(error, NameResolutionError):
        return "its name could not be resolved"
    if isinstance(error, NewConnectionError):  # a ConnectTimeoutError too, so it comes first
        inner = error.__cause__
        return (inner.strerror or "no connection").lower() if isinstance(inner, OSError) else "no connection"
    if isinstance(error, ConnectTimeoutError):
        return "no connection within the time allowed"
    if isinstance(error, ReadTimeoutError):
        return "it fell silent"
    if isinstance(error, IncompleteRead) or any(isinstance(arg, IncompleteRead) for arg in error.args):
        return "the connection ended early"
    if isinstance(error, ProtocolError):
        return "the connection broke"
    return "the transfer broke"
