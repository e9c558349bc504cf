"""Requests without a proxy: which addresses are sent as they stand, when an answer is whole, what is kept open."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from sealdex.transport._direct import DirectConnections, Place, place_of
from sealdex.transport._exchange import BrokenError, Response, Timeouts


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://h.test", Place(False, "h.test", 80, "/")),
        ("https://h.test/a/%C3%A9.json?x=1&y=/?", Place(True, "h.test", 443, "/a/%C3%A9.json?x=1&y=/?")),
        ("https://h_1.test:8443?x", Place(True, "h_1.test", 8443, "/?x")),
        ("http://[fd00::1]:81/.well-known/..a/b.", Place(False, "fd00::1", 81, "/.well-known/..a/b.")),
    ],
)
def test_plain_addresses_are_sent_as_they_stand(url: str, place: Place) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize(
    "url",
    [
        "HTTP://h.test/",
        "http://H.test/",
        "http://häuser.test/",
        "http://h.test/ä",
        "http://h.test/a b",
        "http://h.test/%e9",
        "http://h.test/%zz",
        "http://h.test/a/../b",
        "http://h.test/a/./b",
        "http://h.test/..",
        "http://h.test/.?x",
        "http://h.test/a#b",
        "http://h.test/a\r\nX: y",
        "http://h.test\n",
        "http://me@h.test/",
        "http://h..test/",
        f"http://{'a' * 64}.test/",
        "http://h.test:0/",
        "http://h.test:65536/",
        "http://[fe80::1%25eth0]/",
        "ftp://h.test/",
    ],
)
def test_others_are_left_to_who_normalizes_them(url: str) -> None:
    assert place_of(url) is None


class _Server:
    """Answers the requests of each connection with these bytes, one after the other, then closes it."""

    def __init__(self, *connections: tuple[bytes, ...]) -> None:
        self.asked: list[list[bytes]] = []
        self.has_closed_one = threading.Event()
        self._connections = connections
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for answers in self._connections:
            wire, _ = self._socket.accept()
            self.asked.append([])
            with wire:
                for answer in answers:
                    head = b""
                    while not head.endswith(b"\r\n\r\n") and (more := wire.recv(1 << 16)):
                        head += more
                    self.asked[-1].append(head)
                    wire.sendall(answer)
            self.has_closed_one.set()
        self._socket.close()


@contextmanager
def asking(*connections: tuple[bytes, ...]) -> Iterator[tuple[_Server, DirectConnections]]:
    made = DirectConnections()
    try:
        yield _Server(*connections), made
    finally:
        made.clear()


def ask(server: _Server, made: DirectConnections, path: str = "/f", identity: str | None = None) -> Response:
    place = Place(False, "127.0.0.1", server.port, path)
    return made.get(place, {"User-Agent": "t", "Accept-Encoding": "gzip"}, Timeouts(60, 60), None, identity)


def whole(response: Response) -> bytes:
    with closing(response):
        return b"".join(iter(lambda: response.read1(1 << 16), b""))


def answer(body: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields, b"", body))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_connection_is_kept_after_a_body_that_was_read_to_its_end() -> None:
    bodies = (answer(b"one"), answer(b""), CHUNKED + b"3\r\nsix\r\n0\r\n\r\n", answer(b"end"))
    with asking(bodies) as (server, made):
        assert [whole(ask(server, made, f"/{number}")) for number in range(4)] == [b"one", b"", b"six", b"end"]
        assert len(server.asked) == 1
        host = b"Host: 127.0.0.1:%d" % server.port
        assert sorted(server.asked[0][0].splitlines()) == sorted(
            [b"GET /0 HTTP/1.1", host, b"User-Agent: t", b"Accept-Encoding: gzip", b""]
        )


@pytest.mark.parametrize(
    "first",
    [
        answer(b"one", b"Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none",
        answer(b"one") + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",  # an answer that nobody asked for
    ],
)
def test_a_connection_that_is_over_or_not_quiet_is_not_used_again(first: bytes) -> None:
    with asking((first,), (answer(b"two"),)) as (server, made):
        assert whole(ask(server, made)) == b"one"
        server.has_closed_one.wait()  # what it sent that nobody asked for may have been read with its answer
        assert whole(ask(server, made)) == b"two"


def test_a_body_that_was_left_costs_its_connection() -> None:
    with asking((answer(b"one"),), (answer(b"two"),)) as (server, made):
        with closing(ask(server, made)) as response:
            assert response.read1(1) == b"o"
        assert whole(ask(server, made)) == b"two"


def test_nobody_gets_the_connection_of_another_identity() -> None:
    with asking((answer(b"one"),), (answer(b"two"),)) as (server, made):
        assert whole(ask(server, made, identity="alice")) == b"one"
        assert whole(ask(server, made)) == b"two"
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "the connection ended early"),
        (CHUNKED + b"9\r\nshort", "the connection ended early"),
        (CHUNKED + b"zz\r\nshort", "the connection ended early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nshort", "the transfer broke"),
        (b"", "the connection broke"),
        (b"what?\r\n\r\n", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "the connection broke"),
    ],
)
def test_half_an_answer_is_none(sent: bytes, reason: str) -> None:
    with asking((sent,)) as (server, made):
        with pytest.raises(BrokenError) as caught:
            whole(ask(server, made))
        assert caught.value.reason == reason
        assert not caught.value.is_unreached


def test_a_field_that_is_repeated_is_one_list() -> None:
    with asking((answer(b"", b"Content-Encoding: gzip", b"content-encoding: br"),)) as (server, made):
        response = ask(server, made)
        assert response.headers.get("CONTENT-ENCODING") == "gzip, br"
        assert response.headers.get("ETag") is None


def test_a_reader_in_another_thread_is_woken() -> None:
    with asking((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", b"")) as (server, made):
        response = ask(server, made)
        assert response.read1(9) == b"short"
        threading.Timer(0.05, response.abort).start()
        with pytest.raises(BrokenError):
            response.read1(9)
        response.close()
        response.abort()  # harmless now
        assert response.read1(9) == b""


def test_encryption_without_a_context_is_a_mistake_and_not_plain_text() -> None:
    with pytest.raises(ValueError, match="context"):
        DirectConnections().get(Place(True, "127.0.0.1", 1, "/"), {}, Timeouts(1, 1), None)


def test_a_plain_request_needs_no_urllib3() -> None:
    program = (
        "import sys\nfrom sealdex.transport import Transport\n"
        "print(Transport().read(sys.argv[1], max_bytes=9).data, 'urllib3' in sys.modules)"
    )
    with asking((answer(b"one"),)) as (server, _):
        command = [sys.executable, "-c", program, f"http://127.0.0.1:{server.port}/f"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={"NO_PROXY": "127.0.0.1"})
    assert done.stdout.split() == ["b'one'", "False"]
