"""Connections of ``urllib3`` that check the pace of their request before each read of a socket.

A second layer of TLS (an https server behind an https proxy) is decrypted in a loop, so the outer layer's socket checks
it too.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from sealdex.transport._exchange import PacedResponse, TellsAlert
from sealdex.transport._pace import current_pace
from sealdex.transport._reach import check_peer

if TYPE_CHECKING:
    import socket

    from sealdex.transport._pace import Pace


class _Connecting:
    """Records in the request's pace that a connection is being made, and checks to whom; before a connection class."""

    def connect(self) -> None:
        pace = current_pace()
        if pace is not None:
            pace.is_connecting = True
        try:
            super().connect()  # type: ignore[misc]  # a mixin's
        finally:
            if pace is not None:
                pace.is_connecting = False

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]  # a mixin's
        try:
            check_peer(made)
        except BaseException:
            made.close()
            raise
        return made


class PacedHttpConnection(_Connecting, HTTPConnection):
    """A plain connection."""

    response_class = PacedResponse


class PacedHttpsConnection(_Connecting, TellsAlert, HTTPSConnection):
    """A connection with TLS. The handshake needs no check: its timeout is one for all of it, and so is a record's."""

    response_class = PacedResponse


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
        pace.wait_for(self)
        data = super().recv(buflen, flags)
        pace.received(len(data))
        return data
