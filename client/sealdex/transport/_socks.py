"""Connections through a SOCKS proxy: PySocks by way of ``urllib3.contrib.socks``, with the extra ``sealdex[socks]``."""

from __future__ import annotations

import socket
import warnings
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ConnectTimeoutError, DependencyWarning, NewConnectionError

from sealdex.errors import ConfigError
from sealdex.transport._connections import PacedHttpConnection, PacedHttpsConnection
from sealdex.transport._pace import current_pace

if TYPE_CHECKING:
    from urllib3 import PoolManager

    from sealdex.transport.proxies import Proxy


class SocksLoginError(OSError):
    """The proxy refused the user and password, or requires them."""


def socks_pools(proxy: Proxy, **options: Any) -> PoolManager:
    """Return pools of paced connections through a SOCKS proxy; options as ``PoolManager`` takes them.

    Raises:
        ConfigError: the extra isn't installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DependencyWarning)
            import socks  # noqa: PLC0415  # an extra
            from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415  # it imports the extra
    except ImportError as error:
        raise ConfigError(
            f"the proxy {proxy.url} uses SOCKS, which needs an extra of sealdex",
            subject=proxy.variable,
            hint="pip install 'sealdex[socks]', or add the host to NO_PROXY",
        ) from error

    class Socket(socks.socksocket):  # type: ignore[misc, unused-ignore]  # it may have no types
        """Checks the pace while it talks to the proxy: its replies are read in a loop."""

        def recv_into(self, *args: Any, **kwargs: Any) -> int:
            if (pace := current_pace()) is not None:
                pace.check()
            return int(super().recv_into(*args, **kwargs))

    def connected(connection: HTTPConnection, said: dict[str, Any]) -> socket.socket:
        try:
            family, *_ = socket.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise NewConnectionError(connection, "the proxy's name could not be resolved") from error
        made = Socket(family)
        try:
            made.set_proxy(
                said["socks_version"], proxy.host, proxy.port, said["rdns"], said["username"], said["password"]
            )
            made.settimeout(connection.timeout)
            made.connect((connection.host, connection.port))
        except BaseException as error:
            made.close()
            cause = getattr(error, "socket_err", None) or error
            if isinstance(cause, socks.SOCKS5AuthError):
                raise NewConnectionError(connection, "refused") from SocksLoginError()
            if isinstance(cause, TimeoutError):
                raise ConnectTimeoutError(connection, "timed out") from error
            if isinstance(cause, OSError):
                raise NewConnectionError(connection, "not connected") from cause
            raise
        return made

    class Http(PacedHttpConnection):
        def __init__(self, _socks_options: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            self._said = _socks_options
            super().__init__(*args, **kwargs)

        def _new_conn(self) -> socket.socket:
            return connected(self, self._said)

    class Https(PacedHttpsConnection):
        def __init__(self, _socks_options: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            self._said = _socks_options
            super().__init__(*args, **kwargs)

        def _new_conn(self) -> socket.socket:
            return connected(self, self._said)

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    try:
        user, password = (part.decode("utf-8") if part is not None else None for part in (proxy.user, proxy.password))
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"user and password of {proxy.variable} are not UTF-8, which SOCKS proxies require",
            subject=proxy.variable,
            hint="percent-encode them as UTF-8",
        ) from error
    manager = SOCKSProxyManager(proxy.url, user, password, **options)
    manager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}
    return manager
