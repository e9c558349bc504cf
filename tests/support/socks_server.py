"""A small SOCKS5 server on 127.0.0.1 (RFC 1928, 1929): CONNECT to one place, whatever is asked for."""

from __future__ import annotations

import contextlib
import socket
import threading


class SocksServer:
    """The server; a context manager. ``asked`` lists host and port of each CONNECT, ``logins`` what was tried.

    Args:
        port: of the server on 127.0.0.1 that every connection is led to.
        login: user and password that are wanted; None for neither.
    """

    def __init__(self, port: int, login: tuple[bytes, bytes] | None = None) -> None:
        self._target = port
        self._login = login
        self.asked: list[tuple[str, int]] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> SocksServer:  # noqa: PYI034  # typing.Self came with Python 3.11
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

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._closing:
                connection.close()
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if not self._greeted(connection):
                return
            _, _, _, kind = _exactly(connection, 4)
            if kind == 1:
                host = socket.inet_ntoa(_exactly(connection, 4))
            elif kind == 4:
                host = socket.inet_ntop(socket.AF_INET6, _exactly(connection, 16))
            else:
                host = _exactly(connection, _exactly(connection, 1)[0]).decode()
            self.asked.append((host, int.from_bytes(_exactly(connection, 2), "big")))
            with socket.create_connection(("127.0.0.1", self._target)) as target:
                connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
                back = threading.Thread(target=_pump, args=(target, connection), daemon=True)
                back.start()
                _pump(connection, target)
                back.join()

    def _greeted(self, connection: socket.socket) -> bool:
        methods = _exactly(connection, _exactly(connection, 2)[1])
        wanted = 2 if self._login is not None else 0
        if wanted not in methods:
            connection.sendall(b"\x05\xff")
            return False
        connection.sendall(bytes([5, wanted]))
        if self._login is None:
            return True
        user = _exactly(connection, _exactly(connection, 2)[1])
        login = (user, _exactly(connection, _exactly(connection, 1)[0]))
        self.logins.append(login)
        connection.sendall(b"\x01\x00" if login == self._login else b"\x01\x01")
        return login == self._login


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
