"""Servers and proxies that send a byte now and then, in whatever part of an answer, hold no client.

Attacker: the server, a proxy, or someone on the line, who wants to block a host's updates without being noticed as an
outage. Change: a byte every half second in a place where the sockets' own timeouts start again with each. Refusal:
``UnavailableError`` after a window without progress. Nothing is left: documents are kept in memory only.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.fake_time import FakeTime
from support.fault_server import Endless, FaultServer
from support.trickle_server import TrickleServer

from sealdex.errors import CancelledError, TimedOutError, UnavailableError
from sealdex.transport import TransientError, Transport, TransportSettings, _direct
from sealdex.transport._pace import Line, Pace, TooSlowError
from sealdex.transport.stop import Stop

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OPEN_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
# which it is depends on how far the server runs ahead of the client
TOO_SLOW = "no complete head|fewer than 1024 bytes|slower than 256 bytes"


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


@pytest.fixture
def transport(time: FakeTime) -> Iterator[Transport]:
    with Transport(TransportSettings(retries=0), chance=time.chance) as transport:
        yield transport


@pytest.mark.parametrize(
    ("head", "trickle"),
    [
        pytest.param(b"", b"HTTP/1.1 200 OKOKOKOKOK", id="status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 500 + b"\r\n", id="header fields"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"y", id="one header field"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="100 Continue"),
        pytest.param(CHUNKED + b"5;", b"x", id="chunk extension"),
        pytest.param(CHUNKED + b"1\r\na\r\n0\r\n", b"X: y\r\n", id="trailers"),
        pytest.param(CHUNKED, b"1\r\na\r\n", id="chunks of a byte"),
        pytest.param(OPEN_END, b"a", id="body"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: /f\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nX: ",
            b"y",
            id="after a redirect",
        ),
    ],
)
def test_a_trickle_anywhere_in_an_answer_ends_in_a_window(
    time: FakeTime, transport: Transport, head: bytes, trickle: bytes
) -> None:
    with TrickleServer(time, head, trickle) as server:
        with pytest.raises(UnavailableError, match=TOO_SLOW) as caught:
            transport.read(server.url, max_bytes=1_000_000)
        assert caught.value.exit_code == 5
        with pytest.raises((UnavailableError, TransientError), match=TOO_SLOW), transport.stream(server.url) as stream:
            for _ in stream.chunks():
                pass


def test_a_trickle_under_tls_ends_as_well(time: FakeTime, authority: trustme.CA, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    settings = TransportSettings(retries=0, ca_bundle=tmp_path / "ca.pem")
    with (
        TrickleServer(time, b"HTTP/1.1 200 OK\r\nX: ", b"y", tls=context) as server,
        Transport(settings, chance=time.chance) as transport,
        pytest.raises(UnavailableError, match=TOO_SLOW),
    ):
        transport.read(server.url, max_bytes=1000)


@pytest.mark.parametrize("trickle", [b"HTTP/1.1 200 OKOKOK", b"HTTP/1.1 200 OK\r\nX: yyyyy"])
def test_a_proxy_that_trickles_its_answer_to_connect_ends_as_well(
    time: FakeTime, transport: Transport, monkeypatch: pytest.MonkeyPatch, trickle: bytes
) -> None:
    with TrickleServer(time, trickle, b"y") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(UnavailableError, match=TOO_SLOW):
            transport.read("https://registry.test/f", max_bytes=1000)


def test_a_trickle_within_two_layers_of_tls_ends_as_well(
    time: FakeTime, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy holds back the handshake of the inner layer, which is not read by the system's ssl but in a loop."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def connect(connection: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (more := connection.recv(65536)):
            head += more
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.recv(65536)

    settings = TransportSettings(retries=0, ca_bundle=tmp_path / "ca.pem")
    record = b"\x16\x03\x03\x40\x00"  # a handshake record of 16 KiB
    with (
        TrickleServer(time, record, b"\x00", tls=context, talks=connect) as proxy,
        Transport(settings, chance=time.chance) as transport,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
        with pytest.raises(UnavailableError, match=TOO_SLOW):
            transport.read("https://registry.test/f", max_bytes=1000)


def test_a_socks_proxy_that_trickles_ends_as_well(
    time: FakeTime, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    # its last reply holds a name of up to 255 bytes, so this trickle has an end; it comes after the window's
    with TrickleServer(time, b"\x05\x00\x05\x00\x00\x03\xff", b"x") as proxy:
        monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        with pytest.raises(UnavailableError, match=TOO_SLOW):
            transport.read("http://registry.test/f", max_bytes=1000)


@pytest.mark.parametrize(
    "endless",
    [b"HTTP/1.1 100 Continue\r\n\r\n" * 4096, CHUNKED + b"1\r\na\r\n0\r\n" + b"X: y\r\n" * 4096],
    ids=["100 Continue", "trailers"],
)
def test_what_is_not_the_file_is_bounded_even_at_full_speed(
    time: FakeTime, transport: Transport, endless: bytes
) -> None:
    repeated = endless[-4096 * 25 :] if endless.startswith(b"HTTP/1.1 100") else endless[-4096 * 6 :]
    sent = [0]

    def flood(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(endless)
        while sent[0] < 64 << 20:  # so that a failing test ends
            connection.sendall(repeated)
            sent[0] += len(repeated)

    with (
        TrickleServer(time, b"", b"x", talks=flood, limit=1) as server,
        pytest.raises(UnavailableError, match="too much data that is not the file"),
    ):
        transport.read(server.url, max_bytes=1_000_000)
    assert sent[0] < 64 << 20


def test_a_slow_but_honest_line_goes_on_for_hours(time: FakeTime) -> None:
    """Iridium carries 2,400 bits a second: 300 bytes, shared by all requests of the moment."""
    line = Line()
    pace = Pace(60, 256, lambda: time.now, line)
    with line.occupied(), line.occupied():  # two others wait as well
        for _ in range(3000):
            with pace.waiting():
                pace.check()
                time.pass_by(3)
                pace.received(300)
            pace.arrived(300)
    assert time.now > 9000


def test_slower_than_the_floor_on_the_whole_ends_a_request_for_good(time: FakeTime) -> None:
    """A kilobyte in each window is progress, and would still take years for an artifact."""
    pace = Pace(60, 256, lambda: time.now, Line())

    def drip() -> None:
        while True:
            with pace.waiting():
                time.pass_by(50)
                pace.check()
            pace.arrived(1024)

    with pytest.raises(TooSlowError):
        drip()
    assert pace.verdict is not None
    assert pace.verdict.is_final
    assert time.now - 1000 < 200


def test_the_floor_holds_over_attempts(time: FakeTime) -> None:
    pace = Pace(60, 256, lambda: time.now, Line())
    for _ in range(2):
        pace.attempt()
        with pace.waiting():
            time.pass_by(40)
        pace.arrived(1024)
    pace.attempt()
    with pytest.raises(TooSlowError), pace.waiting():
        pace.check()


def test_time_that_is_not_spent_waiting_is_not_counted(time: FakeTime) -> None:
    """A rate limit of the user's own, a slow disk, a suspended host."""
    with FaultServer() as server:
        settings = TransportSettings(max_bytes_per_second=10)
        with Transport(settings, chance=time.chance) as transport:
            assert len(transport.read(server.put("/f", bytes(5000)), max_bytes=5000).data) == 5000
        assert time.now > 1400


def test_a_request_that_is_no_longer_waited_for_ends_at_its_next_read(time: FakeTime) -> None:
    cancelled = threading.Event()
    with FaultServer() as server, Transport(chance=time.chance) as transport:
        server.always("/f", Endless())
        threading.Timer(0.01, cancelled.set).start()
        with pytest.raises(UnavailableError, match="it was cancelled"):
            transport.read(server.url("/f"), max_bytes=1 << 40, retry=False, cancelled=cancelled)


def test_what_is_read_from_its_start_each_time_has_to_gain_more_each_time(time: FakeTime) -> None:
    """Attacker: cuts a document off a little later each time, to have it sent for as often as there are kilobytes."""
    with Transport(chance=time.chance) as transport:
        attempts = transport._attempts("http://h/f", retry=True, cancelled=None)
        counted = 0
        for position in range(0, 5_000_000, 1024):
            before = attempts._best
            attempts.reached(position)
            counted += attempts._best != before
    assert counted < 120


@pytest.fixture
def silent() -> Iterator[tuple[str, threading.Event]]:
    """A server that takes a connection and says nothing, and what is set once it has read something."""
    reached = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken: list[socket.socket] = []

        def take() -> None:
            try:
                taken.append(listening.accept()[0])
                taken[0].recv(1)
                reached.set()
            except OSError:
                return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", reached
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(60)
        for each in taken:
            each.close()


PATIENT = TransportSettings(read_timeout=3600, connect_timeout=3600, no_progress_window=3600, retries=0)


def cancelled_read(url: str, stop: Stop, reached: threading.Event) -> None:
    def cancel() -> None:
        assert reached.wait(60)
        stop.cancel()

    thread = threading.Thread(target=cancel)
    with Transport(PATIENT, stop=stop) as transport:
        thread.start()
        try:
            with pytest.raises(CancelledError):
                transport.read(url, max_bytes=1000)
        finally:
            thread.join(60)


def test_a_cancelled_request_ends_while_a_server_says_nothing(silent: tuple[str, threading.Event]) -> None:
    place, reached = silent
    cancelled_read(f"http://{place}/f", Stop(), reached)


def test_a_cancelled_request_ends_while_a_proxy_says_nothing(
    silent: tuple[str, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, reached = silent
    monkeypatch.setenv("HTTP_PROXY", f"http://{place}")
    cancelled_read("http://registry.example/f", Stop(), reached)


def test_a_cancelled_request_ends_while_no_connection_comes_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall that drops packets: here a server whose queue is full."""
    begun, connect = threading.Event(), _direct._connect

    def connects(*args: Any) -> None:
        begun.set()
        connect(*args)

    monkeypatch.setattr(_direct, "_connect", connects)
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        cancelled_read(f"http://127.0.0.1:{listening.getsockname()[1]}/f", Stop(), begun)


def test_time_that_is_over_ends_a_request_while_a_server_says_nothing(silent: tuple[str, threading.Event]) -> None:
    place, reached = silent
    stop = Stop(lambda: 100.0 if reached.is_set() else 0.0)
    with Transport(PATIENT, stop=stop) as transport, stop.within(50), pytest.raises(TimedOutError):
        transport.read(f"http://{place}/f", max_bytes=1000)
