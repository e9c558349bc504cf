"""Connections of ``urllib3`` that check the pace of their request before each read of a socket.

``http.client`` reads heads, chunk sizes and trailers in its own loops, in which only the socket's timeout counts;
so the check is below it, in the raw stream that its buffered reader reads from. A second layer of TLS (an https
server behind an https proxy) is decrypted in a loop too, so the outer layer's socket also checks.
"""

from __future__ import annotations

import http.client
import io
import ssl
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from sealdex.transport._pace import current_pace

if TYPE_CHECKING:
    import socket

    from typing_extensions import Buffer

    from sealdex.transport._pace import Pace

_STATUS_LINE_BYTES = 16


class _PacedStream(io.RawIOBase):
    """A socket's raw stream."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int | None:
        pace = current_pace()
        if pace is None:
            return self._raw.readinto(buffer)
        pace.check()
        count = self._raw.readinto(buffer)
        if count:
            pace.received(count)
            if pace.is_connecting and len(pace.tunnel_head) < _STATUS_LINE_BYTES:
                pace.tunnel_head += bytes(memoryview(buffer)[:count])[:_STATUS_LINE_BYTES]
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PacedStream(self.fp.detach()))


class _Connecting:
    """Records in the request's pace that a connection is being made; must come before a connection class."""

    def connect(self) -> None:
        pace = current_pace()
        if pace is not None:
            pace.is_connecting = True
        try:
            super().connect()  # type: ignore[misc]  # a mixin's
        finally:
            if pace is not None:
                pace.is_connecting = False


class PacedHttpConnection(_Connecting, HTTPConnection):
    """A plain connection."""

    response_class = _PacedResponse


class PacedHttpsConnection(_Connecting, HTTPSConnection):
    """A connection with TLS. The handshake needs no check: its timeout is one for all of it, and so is a record's."""

    response_class = _PacedResponse


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = PacedHttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = PacedHttpsConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _HttpPool, "https": _HttpsPool}


def direct_pools(**options: Any) -> PoolManager:
    """Return pools of paced connections; options as ``PoolManager`` takes them."""
    manager = PoolManager(**options)
    manager.pool_classes_by_scheme = _POOLS
    return manager


def proxied_pools(proxy_url: str, **options: Any) -> ProxyManager:
    """Return pools of paced connections through an HTTP proxy; options as ``ProxyManager`` takes them."""
    manager = ProxyManager(proxy_url, **options)
    manager.pool_classes_by_scheme = _POOLS
    return manager


class OuterTlsSocket(ssl.SSLSocket):
    """TLS to a proxy, with a second layer of TLS inside."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive, if the request's pace has it."""
        pace: Pace | None = current_pace()
        if pace is None:
            return super().recv(buflen, flags)
        pace.check()
        data = super().recv(buflen, flags)
        pace.received(len(data))
        return data
