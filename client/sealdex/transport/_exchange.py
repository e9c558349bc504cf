"""What both ways of sending a request share: how an answer is read, and how the lack of one is told.

`sealdex.transport._direct` asks servers themselves, `sealdex.transport._pools` asks through proxies.
"""

from __future__ import annotations

import http.client
import io
import socket
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from sealdex.transport._pace import current_pace

if TYPE_CHECKING:
    from typing_extensions import Buffer

_STATUS_LINE_BYTES = 16


class BrokenError(Exception):
    """A request got no answer, or not all of it; the library's error is the cause.

    Attributes:
        reason: in a few words, without addresses, which may contain secrets.
        is_unreached: there was no connection.
    """

    def __init__(self, reason: str, *, is_unreached: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_unreached = is_unreached


class Timeouts(Struct, frozen=True):
    """In seconds: for a connection, and for each wait for bytes."""

    connect: float
    read: float


class Fields(Protocol):
    """Header fields of an answer."""

    def get(self, name: str, /) -> str | None:
        """Return a field's value, in any case of its name; of a field that is repeated, all joined by commas."""


class Response(Protocol):
    """An answer whose body is still to be read; undecoded."""

    status: int
    headers: Fields

    def read1(self, max_bytes: int, /) -> bytes:
        """Return what has arrived, waiting if it is nothing; empty at the end.

        Raises:
            BrokenError: the body doesn't end as it should.
        """

    def abort(self) -> None:
        """Wake a reader in another thread; harmless once the body has ended."""

    def close(self) -> None:
        """Keep the connection for another request, or drop it if the body wasn't read to its end."""


class TellsAlert:
    """Says why a server ended a connection before the request could be sent; must come before a connection class.

    In TLS 1.3 a client's handshake is over before the server has judged its certificate. A server that refuses it sends
    an alert and closes. If both arrive before the request goes out, sending fails, though the alert can still be read.
    """

    sock: Any  # a socket, None before it is connected, or what urllib3 has for TLS in TLS

    def send(self, data: Any) -> None:
        """Send bytes, as ``http.client.HTTPConnection`` does.

        Raises:
            OSError: with a server's alert, if it sent one.
        """
        try:
            super().send(data)  # type: ignore[misc]  # a mixin's
        except TimeoutError:
            raise
        except OSError as error:
            alert = None if self.sock is None else _alert(self.sock)
            if alert is None:
                raise
            raise alert from error


def _alert(wire: socket.socket) -> OSError | None:
    """Return the alert that has arrived on a connection to which nothing can be sent any more."""
    try:
        wire.settimeout(0)
        wire.recv(1)
    except OSError as error:
        return error if getattr(error, "reason", None) else None  # of ssl.SSLError alone, which isn't imported for http
    return None


class _PacedStream(io.RawIOBase):
    """A socket's raw stream; checks the pace of its request before each read.

    ``http.client`` reads heads, chunk sizes and trailers in its own loops, in which only the socket's timeout counts;
    so the check is below it, in the raw stream that its buffered reader reads from.
    """

    def __init__(self, raw: io.RawIOBase, wire: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int | None:
        pace = current_pace()
        if pace is None:
            return self._raw.readinto(buffer)
        pace.check()
        if isinstance(self._wire, socket.socket):  # else a second layer of TLS, whose first one waits
            pace.wait_for(self._wire)
        count = self._raw.readinto(buffer)
        if count:
            pace.received(count)
            if pace.is_connecting and len(pace.tunnel_head) < _STATUS_LINE_BYTES:
                pace.tunnel_head += bytes(memoryview(buffer)[:count])[:_STATUS_LINE_BYTES]
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class PacedResponse(http.client.HTTPResponse):
    """An answer as the standard library parses it, read at the pace of its request."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_PacedStream(self.fp.detach(), sock))
