"""GET without a proxy, over the standard library's ``http.client``: connections that are kept, TLS, one answer each.

``urllib3`` stands on the same ``http.client``; what it adds for a server that is asked directly is a pool, and its
import takes longer than a small registry's whole answer. So it is imported for proxies (`sealdex.transport._pools`) and
for addresses that have to be normalized; `place_of` knows the plain ones. Nothing is retried or redirected here.
"""

from __future__ import annotations

import errno
import http.client
import os
import select
import socket
import ssl
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sealdex import disk
from sealdex.lazy import regex
from sealdex.transport._exchange import BrokenError, PacedResponse, TellsAlert, Timeouts
from sealdex.transport._pace import TooSlowError, current_pace
from sealdex.transport._reach import check_address

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from sealdex.transport._exchange import Fields

_MAX_IDLE = 16
"""Connections to one server that are kept: those of a prefetch, and of a transfer in ranges."""

_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})"
_PLAIN = regex(
    r"(?P<scheme>https?)://"
    r"(?:(?P<name>[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*)|\[(?P<v6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?"
    rf"(?P<target>(?:/(?!\.\.?(?:[/?]|$)){_CHARACTER}*)*(?:\?(?:{_CHARACTER}|[/?])*)?)"
)
"""An address that is sent as it stands: nothing in it has another spelling."""
_MAX_PORT = 65535


class Place(Struct, frozen=True):
    """Where a request goes: the server, and what is asked of it."""

    is_tls: bool
    host: str
    port: int
    target: str


def place_of(url: str) -> Place | None:
    """Return the parts of a plain address; None if it has to be normalized before it can be sent."""
    found = _PLAIN.fullmatch(url)
    if found is None:
        return None
    is_tls = found["scheme"] == "https"
    port = int(found["port"] or (443 if is_tls else 80))
    if not 0 < port <= _MAX_PORT:
        return None
    target = found["target"]
    return Place(is_tls, found["name"] or found["v6"], port, target if target.startswith("/") else f"/{target}")


class _Connection(TellsAlert, http.client.HTTPConnection):
    """A connection; encrypted, with a context."""

    response_class = PacedResponse

    timeout: float

    def __init__(self, place: Place, timeout: float, context: ssl.SSLContext | None) -> None:
        super().__init__(place.host, place.port, timeout=timeout)
        self.default_port = 443 if place.is_tls else 80  # it isn't named in the Host field
        self._context = context

    def connect(self) -> None:
        """Connect to the first of the host's addresses that answers.

        Raises:
            BrokenError: none does.
        """
        try:
            plain = _connected(self.host, self.port, self.timeout)
        except socket.gaierror as error:
            raise BrokenError("its name could not be resolved", is_unreached=True) from error
        except TimeoutError as error:
            raise BrokenError("no connection within the time allowed", is_unreached=True) from error
        except OSError as error:
            raise BrokenError((error.strerror or "no connection").lower(), is_unreached=True) from error
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = plain
        if self._context is not None:
            self.sock = self._context.wrap_socket(plain, server_hostname=self.host)

    @property
    def is_usable(self) -> bool:
        """Whether it is open and quiet: a server that closed it, or sends what nobody asked for, makes it readable."""
        if self.sock is None:
            return False
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            return not poll.poll(0)
        return not select.select([self.sock], [], [], 0)[0]


class DirectConnections:
    """Connections to servers, kept for the next request; thread-safe."""

    def __init__(self) -> None:
        self._idle: dict[Hashable, list[_Connection]] = defaultdict(list)
        self._lock = threading.Lock()

    def get(
        self,
        place: Place,
        headers: Mapping[str, str],
        timeouts: Timeouts,
        context: ssl.SSLContext | None,
        identity: Hashable = None,
    ) -> DirectResponse:
        """Send one GET and return the head of its answer.

        Args:
            place: where to.
            headers: all but ``Host``.
            timeouts: of this request.
            context: for TLS.
            identity: whose connection it is; another's isn't used.

        Raises:
            BrokenError: there is no answer.
        """
        if place.is_tls and context is None:
            raise ValueError("TLS needs a context")
        key = (place.is_tls, place.host, place.port, identity)
        connection = self._kept(key) or _Connection(place, timeouts.connect, context)
        try:
            if connection.sock is None:
                connection.connect()
            wire = connection.sock
            wire.settimeout(timeouts.read)
            connection.request("GET", place.target, headers=dict(headers))
            answer = connection.getresponse()
            return DirectResponse(answer, wire, connection, lambda: self._keep(key, connection))
        except BaseException as error:
            connection.close()
            if isinstance(error, http.client.HTTPException | OSError | ValueError):
                raise BrokenError(_reason(error)) from error
            raise

    def _kept(self, key: Hashable) -> _Connection | None:
        while True:
            with self._lock:
                if not self._idle[key]:
                    return None
                connection = self._idle[key].pop()
            if connection.is_usable:
                return connection
            connection.close()

    def _keep(self, key: Hashable, connection: _Connection) -> None:
        with self._lock:
            if len(self._idle[key]) < _MAX_IDLE:
                self._idle[key].append(connection)
                return
        connection.close()

    def clear(self) -> None:
        """Close all that are kept."""
        with self._lock:
            idle = [connection for each in self._idle.values() for connection in each]
            self._idle.clear()
        for connection in idle:
            connection.close()


class _Fields:
    def __init__(self, message: http.client.HTTPMessage) -> None:
        self._message = message

    def get(self, name: str, /) -> str | None:
        values = self._message.get_all(name)
        return ", ".join(map(str, values)) if values else None


class DirectResponse:
    """One answer, see `sealdex.transport._exchange.Response`."""

    def __init__(
        self, answer: http.client.HTTPResponse, wire: socket.socket, connection: _Connection, keep: Callable[[], None]
    ) -> None:
        if len(set(answer.headers.get_all("Content-Length") or ())) > 1:
            raise ValueError("several lengths")  # whichever counts, somebody on the way may have read another
        self.status = answer.status
        self.headers: Fields = _Fields(answer.headers)
        self._answer = answer
        self._wire = wire
        self._connection = connection
        self._keep = keep
        self._left = None if answer.chunked else answer.length
        self._is_whole = self._left == 0
        self._is_closed = False

    def read1(self, max_bytes: int, /) -> bytes:
        """Return what has arrived: one read of the socket at most, so a slow server can't hold the thread in a loop.

        Raises:
            BrokenError: the body ends early, or is garbled.
        """
        if self._is_whole or self._is_closed:
            return b""
        try:
            data = self._answer.read1(max_bytes if self._left is None else min(max_bytes, self._left))
            if not data and self._left:
                raise http.client.IncompleteRead(b"", self._left)
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise BrokenError(_reason(error)) from error
        if self._left is not None:
            self._left -= len(data)
        self._is_whole = not data or self._left == 0
        return data

    def abort(self) -> None:
        """Wake a reader in another thread."""
        if not self._is_closed:
            self._wire.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Keep the connection if it can be, else drop it."""
        if self._is_closed:
            return
        self._is_closed = True
        self._answer.close()
        if self._is_whole and not self._answer.will_close and self._connection.sock is not None:
            self._keep()
        else:
            self._connection.close()


def _connected(host: str, port: int, seconds: float) -> socket.socket:
    """Connect to the first address of a host that answers, each within so many seconds, or until the request ends."""
    failed: OSError | None = None
    # as bytes, since for text the codec of international names is imported
    for family, kind, protocol, _, address in socket.getaddrinfo(host.encode("ascii"), port, 0, socket.SOCK_STREAM):
        check_address(str(address[0]))
        try:
            made = socket.socket(family, kind, protocol)
        except OSError as error:  # a system without IPv6
            failed = error
            continue
        try:
            _connect(made, address, seconds)
        except OSError as error:
            made.close()
            if isinstance(error, TooSlowError):
                raise
            failed = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failed or OSError("no address")


def _connect(made: socket.socket, address: Any, seconds: float) -> None:
    made.settimeout(seconds)
    pace = current_pace()
    if pace is None or not pace.can_be_ended or disk.ON_WINDOWS:
        made.connect(address)
        return
    made.setblocking(False)
    code = made.connect_ex(address)
    made.settimeout(seconds)
    if code == errno.EINPROGRESS:
        pace.wait_for(made, to_write=True)
        code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it fell silent"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended early"
    if isinstance(error, ssl.SSLError | ValueError):  # http.client reports an invalid chunk header as the latter
        return "the transfer broke"
    return "the connection broke"
