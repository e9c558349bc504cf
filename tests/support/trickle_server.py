"""A server on 127.0.0.1 that answers each connection with scripted bytes and then trickles more, one at a time.

The time between two bytes of the trickle passes on the clock of the test, which this server moves, so nobody waits. It
stops when the client hangs up; a client that never does is let go after ``limit`` bytes, so that a failing test ends.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from itertools import cycle, islice

from support.fake_time import FakeTime

SECONDS_PER_BYTE = 0.5


class TrickleServer:
    """The server; a context manager.

    Args:
        time: the clock to move.
        head: what is sent at once on each connection.
        trickle: what is sent after it, byte by byte, over and over.
        limit: bytes of trickle after which it gives up.
        tls: a server-side context makes it https, or the proxy's own TLS.
        reads_request: wait for the client's first bytes before sending any.
        talks: in place of ``head``, what to do with a new connection.
    """

    def __init__(
        self,
        time: FakeTime,
        head: bytes,
        trickle: bytes,
        *,
        limit: int = 20_000,
        tls: ssl.SSLContext | None = None,
        talks: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self._time = time
        self._head = head
        self._trickle = trickle
        self._limit = limit
        self._tls = tls
        self._talks = talks
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> TrickleServer:  # noqa: PYI034  # typing.Self came with Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join()
        self._socket.close()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/f"

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._closing:
                connection.close()
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            stack.callback(connection.close)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._talks is not None:
                self._talks(connection)
            else:
                connection.recv(65536)
            connection.sendall(self._head)
            for number in islice(cycle(self._trickle), self._limit):
                self._time.pass_by(SECONDS_PER_BYTE)
                connection.sendall(bytes([number]))
