"""Transport: reading documents and streams over http(s) and file URLs, from servers that fail and servers that lie."""

from __future__ import annotations

import gzip
import math
import os
import ssl
import subprocess
import sys
import time as clock
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import trustme
from support.fake_time import FakeTime
from support.fault_server import (
    Cut,
    Endless,
    Etag,
    Fault,
    FaultServer,
    Gzip,
    IgnoreRange,
    OtherRange,
    Redirect,
    Silence,
    Status,
)
from support.ports import nobody_listens

from sealdex.errors import ConfigError, UnavailableError
from sealdex.transport import (
    Credentials,
    Grant,
    HttpStatusError,
    RedirectRefusedError,
    RetryNotice,
    TooLargeError,
    TransientError,
    Transport,
    TransportSettings,
    public_url,
    strong_etag,
)
from sealdex.transport.types import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 20


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def transport(time: FakeTime) -> Iterator[Transport]:
    with Transport(chance=time.chance) as transport:
        yield transport


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def file_url(path: Path) -> str:
    return "file://" + quote(str(path))


class TestRead:
    def test_gives_bytes_and_entity_tag_and_asks_for_gzip(self, server: FaultServer, transport: Transport) -> None:
        document = transport.read(server.put("/f", DATA), max_bytes=len(DATA))
        assert document.data == DATA
        assert document.etag is not None
        assert not document.not_modified
        assert server.requests[0].headers["accept-encoding"] == "gzip"
        assert server.requests[0].headers["user-agent"] == "sealdex"

    def test_with_the_entity_tag_of_an_unchanged_file_brings_no_bytes(
        self, server: FaultServer, transport: Transport
    ) -> None:
        url = server.put("/f", DATA)
        etag = transport.read(url, max_bytes=10_000).etag
        again = transport.read(url, max_bytes=10_000, etag=etag)
        assert (again.data, again.not_modified, again.etag) == (b"", True, etag)
        server.put("/f", b"new")
        assert transport.read(url, max_bytes=10_000, etag=etag).data == b"new"

    def test_a_304_that_was_not_asked_for_is_no_answer(self, server: FaultServer, transport: Transport) -> None:
        server.always("/f", Status(304))
        with pytest.raises(HttpStatusError):
            transport.read(server.url("/f"), max_bytes=10)

    @pytest.mark.parametrize("code", [403, 404, 410, 401])
    def test_client_errors_are_told_at_once_with_their_status(
        self, server: FaultServer, transport: Transport, time: FakeTime, code: int
    ) -> None:
        server.always("/f", Status(code))
        with pytest.raises(HttpStatusError) as caught:
            transport.read(server.url("/f"), max_bytes=10)
        assert caught.value.status == code
        assert caught.value.exit_code == 5
        assert len(server.requests) == 1
        assert time.slept == []

    def test_undoes_gzip(self, server: FaultServer, transport: Transport) -> None:
        server.always("/f", Gzip())
        assert transport.read(server.put("/f", DATA), max_bytes=len(DATA)).data == DATA

    def test_keeps_its_connection_over_an_error_page(self, server: FaultServer, transport: Transport) -> None:
        url = server.put("/f", DATA)
        ports: set[int] = set()
        original = server._server.process_request

        def note(request: Any, client_address: Any) -> None:
            ports.add(client_address[1])
            original(request, client_address)

        server._server.process_request = note  # type: ignore[method-assign]  # counts connections
        with pytest.raises(HttpStatusError):
            transport.read(server.url("/missing"), max_bytes=10)
        transport.read(url, max_bytes=10_000)
        transport.read(url, max_bytes=10_000)
        assert len(ports) == 1


class TestRetries:
    @pytest.mark.parametrize(
        "fault",
        [Status(429), Status(500), Status(503), Status(408), Silence(), Cut(7), Cut(7, reset=True), Gzip(cut=9)],
    )
    def test_passing_faults_are_tried_again(
        self, server: FaultServer, transport: Transport, time: FakeTime, fault: Status
    ) -> None:
        server.script("/f", fault, fault)
        assert transport.read(server.put("/f", DATA), max_bytes=10_000).data == DATA
        assert len(server.requests) == 3
        assert len(time.slept) == 2

    def test_the_server_s_wish_to_wait_is_honoured(
        self, server: FaultServer, transport: Transport, time: FakeTime
    ) -> None:
        # The date counts from the server's own clock, whatever this host's says.
        dated = {"Retry-After": "Wed, 21 Oct 2015 07:28:09 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}
        server.script(
            "/f",
            Status(429, {"Retry-After": "7"}),
            Silence(),
            Status(503, {"Retry-After": "nonsense"}),
        )
        server.script("/g", Status(503, dated))
        transport.read(server.put("/f", DATA), max_bytes=10_000)
        assert time.slept[0] == 7
        assert max(time.slept[1:]) < 1
        transport.read(server.put("/g", DATA), max_bytes=10_000)
        assert 7 <= time.slept[3] <= 9

    def test_a_wish_to_wait_beyond_the_window_ends_it_at_once(
        self, server: FaultServer, transport: Transport, time: FakeTime
    ) -> None:
        server.always("/f", Status(429, {"Retry-After": "86400"}))
        with pytest.raises(HttpStatusError, match="retry in 86400 s") as caught:
            transport.read(server.url("/f"), max_bytes=10)
        assert caught.value.status == 429
        assert time.slept == []

    def test_a_window_without_progress_ends_them_and_says_how_many_there_were(
        self, server: FaultServer, time: FakeTime
    ) -> None:
        notices: list[RetryNotice] = []
        server.always("/f", Status(503))
        with (
            Transport(chance=time.chance, on_retry=notices.append) as transport,
            pytest.raises(HttpStatusError) as caught,
        ):
            transport.read(server.url("/f?signature=hush"), max_bytes=10)
        assert sum(time.slept) == pytest.approx(60, abs=0.01)
        assert f"{len(server.requests)} attempts in 60 s" in str(caught.value)
        assert f"127.0.0.1:{server.port}" in str(caught.value)
        assert len(notices) == len(time.slept)
        assert (notices[0].attempt, notices[0].reason) == (1, "it answered 503")

    def test_delays_grow_with_full_jitter_up_to_a_ceiling(self, server: FaultServer, time: FakeTime) -> None:
        server.always("/f", Status(503))
        time.luck = 0.999
        with Transport(chance=time.chance) as transport, pytest.raises(UnavailableError):
            transport.read(server.url("/f"), max_bytes=10)
        assert [round(delay, 1) for delay in time.slept[:7]] == [0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0]

    def test_a_refused_connection_is_told_without_the_secrets_of_the_address(self, transport: Transport) -> None:
        with nobody_listens() as port, pytest.raises(UnavailableError, match="connection refused") as caught:
            transport.read(f"http://127.0.0.1:{port}/f?X-Amz-Signature=hush", max_bytes=10)
        assert "hush" not in str(caught.value)
        assert "hush" not in str(caught.value.subject)

    @pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (4, 5)])
    def test_a_number_of_retries_ends_them_before_the_window(
        self, server: FaultServer, time: FakeTime, retries: int, attempts: int
    ) -> None:
        server.always("/f", Status(503))
        with Transport(TransportSettings(retries=retries), chance=time.chance) as transport:
            with pytest.raises(HttpStatusError, match="answered 503"):
                transport.read(server.url("/f"), max_bytes=10)
            assert len(server.requests) == attempts
            assert len(time.slept) == retries

    def test_the_window_ends_them_before_their_number(self, server: FaultServer, time: FakeTime) -> None:
        server.always("/f", Status(503))
        settings = TransportSettings(retries=1000, no_progress_window=5)
        with Transport(settings, chance=time.chance) as transport, pytest.raises(HttpStatusError):
            transport.read(server.url("/f"), max_bytes=10)
        assert sum(time.slept) == pytest.approx(5, abs=0.01)

    def test_progress_starts_the_number_of_retries_anew_but_for_none(self, time: FakeTime) -> None:
        attempts = Transport(TransportSettings(retries=1), chance=time.chance).attempts("http://h/f")
        for position in range(10_000, 200_000, 10_000):
            attempts.reached(position)
            attempts.failed(TransientError("broke"))
        with pytest.raises(UnavailableError):
            attempts.failed(TransientError("broke"))
        never = Transport(TransportSettings(retries=0), chance=time.chance).attempts("http://h/f")
        never.reached(10_000)
        with pytest.raises(UnavailableError):
            never.failed(TransientError("broke"))

    def test_a_host_that_never_answered_is_given_up_soon(self, time: FakeTime) -> None:
        with (
            nobody_listens() as port,
            Transport(chance=time.chance) as transport,
            pytest.raises(UnavailableError, match="refused") as caught,
        ):
            transport.read(f"http://127.0.0.1:{port}/f", max_bytes=10)
        assert sum(time.slept) == pytest.approx(3, abs=0.01)
        assert len(time.slept) > 2
        assert "registry list" in str(caught.value.hint)

    def test_an_unknown_name_is_given_up_soon(self, time: FakeTime) -> None:
        with Transport(chance=time.chance) as transport, pytest.raises(UnavailableError, match="resolved"):
            transport.read("http://plugins.invalid/f", max_bytes=10)  # a name that RFC 2606 keeps unknown
        assert sum(time.slept) <= 3.01

    def test_a_host_that_answered_once_is_given_the_whole_window(self, time: FakeTime) -> None:
        with Transport(chance=time.chance) as transport:
            with FaultServer() as server:
                transport.read(server.put("/f", DATA), max_bytes=10_000)
            transport.close()  # drops the connection, which may outlive the server's port
            with nobody_listens(server.port), pytest.raises(UnavailableError):
                transport.read(server.url("/f"), max_bytes=10_000)
        assert sum(time.slept) == pytest.approx(60, abs=0.01)

    def test_what_can_be_done_without_is_asked_for_once(self, server: FaultServer, time: FakeTime) -> None:
        notices: list[RetryNotice] = []
        faults: tuple[Fault, ...] = (Status(503), Silence(), Cut(7))
        for number, fault in enumerate(faults):
            server.always(f"/{number}", fault)
            server.put(f"/{number}", DATA)
            with (
                Transport(chance=time.chance, on_retry=notices.append) as transport,
                pytest.raises(UnavailableError),
            ):
                transport.read(server.url(f"/{number}"), max_bytes=10_000, retry=False)
            assert len(server.asked(f"/{number}")) == 1
        assert (time.slept, notices) == ([], [])

    def test_progress_keeps_a_transfer_going_beyond_the_window(self, time: FakeTime) -> None:
        attempts = Transport(chance=time.chance).attempts("http://h/f")
        for position in range(0, 200_000, 10_000):
            attempts.reached(position)
            time.pass_by(50)
            attempts.failed(TransientError("broke"))
        assert time.now > 1900

    def test_progress_that_is_lost_again_is_none(self, time: FakeTime) -> None:
        attempts = Transport(chance=time.chance).attempts("http://h/f")

        def forever() -> None:
            while True:
                attempts.reached(50_000)
                time.pass_by(20)
                attempts.failed(TransientError("broke"))

        with pytest.raises(UnavailableError):
            forever()

    def test_a_server_that_drips_holds_nobody(
        self, transport: Transport, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Attacker: the server or someone on the way, who sends a byte now and then to hold a client for ever.

        Refusal: fewer than 1 KiB in a window is no progress. Nothing is left: a document is kept in memory only.
        """
        monkeypatch.setattr(transport, "_get", lambda *_: Answer(200, _Drip(time)))
        with pytest.raises(UnavailableError, match="fewer than 1024 bytes in 60 s"):
            transport.read("http://host/f", max_bytes=10_000_000)

    def test_what_has_come_whole_is_no_drip_however_late(
        self, transport: Transport, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A host with much to do gets to a small answer that has long been there."""
        monkeypatch.setattr(transport, "_get", lambda *_: Answer(200, _Drip(time, seconds=500, left=1), length=1))
        assert transport.read("http://host/f", max_bytes=10).data == b"."

    def test_the_rate_is_kept(self, server: FaultServer, time: FakeTime) -> None:
        settings = TransportSettings(max_bytes_per_second=1000)
        with Transport(settings, chance=time.chance) as transport:
            transport.read(server.put("/f", DATA), max_bytes=10_000)
        assert time.now - 1000 == pytest.approx(len(DATA) / 1000)


class _Drip:
    """A body of one byte in three seconds, without end unless told."""

    def __init__(self, time: FakeTime, seconds: float = 3, left: float = math.inf) -> None:
        self._time = time
        self._seconds = seconds
        self._left = left

    def read_some(self, _max_bytes: int) -> bytes:
        if not self._left:
            return b""
        self._left -= 1
        self._time.pass_by(self._seconds)
        assert self._time.now < 10_000, "the client is held for ever"
        return b"."

    def abort(self) -> None: ...

    def close(self) -> None: ...


class TestStream:
    def test_gives_the_whole_or_a_part_uncompressed(self, server: FaultServer, transport: Transport) -> None:
        url = server.put("/f", DATA)
        with transport.stream(url) as stream:
            assert (stream.status, stream.start, stream.length, stream.total_size) == (200, 0, 5120, 5120)
            assert b"".join(stream.chunks()) == DATA
            etag = stream.etag
        with transport.stream(url, start=100, end=200, if_range=etag) as stream:
            assert (stream.status, stream.start, stream.length, stream.total_size) == (206, 100, 100, 5120)
            assert b"".join(stream.chunks()) == DATA[100:200]
        with transport.stream(url, start=5000) as stream:
            assert b"".join(stream.chunks()) == DATA[5000:]
        assert [request.headers.get("range") for request in server.requests] == [
            None,
            "bytes=100-199",
            "bytes=5000-",
        ]
        assert {request.headers["accept-encoding"] for request in server.requests} == {"identity"}

    def test_a_changed_file_comes_whole(self, server: FaultServer, transport: Transport) -> None:
        url = server.put("/f", DATA)
        with transport.stream(url, start=9, if_range='"another"') as stream:
            assert (stream.status, stream.start) == (200, 0)
            assert b"".join(stream.chunks()) == DATA

    def test_a_range_beyond_the_end_is_416(self, server: FaultServer, transport: Transport) -> None:
        with transport.stream(server.put("/f", DATA), start=len(DATA)) as stream:
            assert (stream.status, stream.total_size) == (416, len(DATA))
            assert list(stream.chunks()) == []

    def test_a_server_without_ranges_sends_the_whole(self, server: FaultServer, transport: Transport) -> None:
        server.always("/f", IgnoreRange())
        with transport.stream(server.put("/f", DATA), start=9) as stream:
            assert stream.status == 200

    def test_a_weak_entity_tag_is_not_shown(self, server: FaultServer, transport: Transport) -> None:
        server.always("/f", Etag('W/"1"'))
        with transport.stream(server.put("/f", DATA)) as stream:
            assert stream.etag is None

    @pytest.mark.parametrize("fault", [Cut(100), Cut(100, reset=True)])
    def test_a_broken_body_is_for_the_caller_to_resume(
        self, server: FaultServer, transport: Transport, fault: Cut
    ) -> None:
        server.always("/f", fault)
        with transport.stream(server.put("/f", DATA)) as stream, pytest.raises(TransientError):
            list(stream.chunks())

    def test_another_range_than_the_one_asked_for_is_refused(self, server: FaultServer, transport: Transport) -> None:
        """Attacker: a server or cache that answers other bytes than asked, to have them written over good ones."""
        server.always("/f", OtherRange())
        with (
            pytest.raises(UnavailableError, match="another part"),
            transport.stream(server.put("/f", DATA), start=10, end=20),
        ):
            pytest.fail("the wrong range was handed out")

    def test_a_part_longer_than_announced_is_cut_off(self, server: FaultServer, transport: Transport) -> None:
        """Attacker: the server; its Content-Range says 10 bytes, and its body goes on over what follows them."""
        server.always("/f", Status(206, {"Content-Range": "bytes 0-9/5120"}, DATA))
        with transport.stream(server.url("/f"), end=10) as stream:
            received = bytearray()
            with pytest.raises(TransientError, match="more than it announced"):
                received.extend(byte for chunk in stream.chunks() for byte in chunk)
            assert len(received) <= 10

    @pytest.mark.parametrize("field", [f"bytes 0-9/{'9' * 5000}", f"bytes {'1' * 5000}-9/10", "bytes 0-9", "x", ""])
    def test_a_part_that_can_t_be_understood_is_refused(
        self, server: FaultServer, transport: Transport, field: str
    ) -> None:
        server.always("/f", Status(206, {"Content-Range": field}, DATA))
        with pytest.raises(UnavailableError, match="without saying which"), transport.stream(server.url("/f"), end=10):
            pytest.fail("it was handed out")


class TestEndlessData:
    """Attacker: the server, or who holds the line of an http:// one. Change: more bytes than agreed, without end.

    Refusal: ``TooLargeError``, exit code 4, after at most ``max_bytes`` and a chunk. Nothing is left behind.
    """

    @pytest.mark.parametrize("fault", [Endless(), Endless(announce=1 << 40), Endless(announce=5121)])
    def test_is_cut_off(self, server: FaultServer, transport: Transport, fault: Endless) -> None:
        server.always("/f", fault)
        with pytest.raises(TooLargeError) as caught:
            transport.read(server.url("/f"), max_bytes=5120)
        assert caught.value.exit_code == 4
        assert len(server.requests) == 1

    def test_a_gzip_bomb_is_cut_off_before_it_unfolds(self, server: FaultServer, transport: Transport) -> None:
        bomb = gzip.compress(bytes(64 << 20))
        server.always("/f", Gzip(raw=bomb))
        tracemalloc.start()
        try:
            with pytest.raises(TooLargeError):
                transport.read(server.put("/f", b""), max_bytes=100_000)
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()

    def test_gzip_that_unfolds_to_nothing_is_cut_off(self, server: FaultServer, transport: Transport) -> None:
        deflate = zlib.compressobj(wbits=31)
        head = deflate.compress(b"x") + deflate.flush(zlib.Z_SYNC_FLUSH)
        server.always("/f", Gzip(raw=head + b"\x00\x00\x00\xff\xff" * 400_000))  # empty stored blocks
        with pytest.raises(TooLargeError):
            transport.read(server.put("/f", b""), max_bytes=100_000)

    @pytest.mark.parametrize("field", ["identity", "aws-chunked", "Identity , AWS-Chunked", "", ","])
    def test_codings_that_change_nothing_are_none(self, server: FaultServer, transport: Transport, field: str) -> None:
        server.always("/f", Status(200, {"Content-Encoding": field}, DATA))
        assert transport.read(server.url("/f"), max_bytes=len(DATA)).data == DATA

    @pytest.mark.parametrize("field", ["gzip, identity", "GZIP", "x-gzip", "aws-chunked,gzip", " gzip "])
    def test_gzip_is_undone_however_it_is_written(self, server: FaultServer, transport: Transport, field: str) -> None:
        server.always("/f", Status(200, {"Content-Encoding": field}, gzip.compress(DATA)))
        assert transport.read(server.url("/f"), max_bytes=len(DATA)).data == DATA

    def test_an_encoding_that_was_not_asked_for_is_refused(self, server: FaultServer, transport: Transport) -> None:
        server.always("/f", Status(200, {"Content-Encoding": "br"}, b"?"))
        with pytest.raises(UnavailableError, match="Content-Encoding: br"):
            transport.read(server.url("/f"), max_bytes=10)


class TestRedirects:
    def test_are_followed(self, server: FaultServer, transport: Transport) -> None:
        server.always("/a", Redirect("/b"))
        server.always("/b", Redirect(server.url("/c"), code=307))
        server.put("/c", DATA)
        assert transport.read(server.url("/a"), max_bytes=10_000).data == DATA

    @pytest.mark.parametrize(
        ("location", "asked"),
        [
            ("/gr\u00fc\u00dfe/\u63d2\u4ef6.json?q=\u00e9", "/gr%C3%BC%C3%9Fe/%E6%8F%92%E4%BB%B6.json?q=%C3%A9"),
            ("/gr%C3%BC%C3%9Fe", "/gr%C3%BC%C3%9Fe"),
            ("/a b", "/a%20b"),
        ],
    )
    def test_to_a_raw_utf_8_path_are_encoded_once(
        self, server: FaultServer, transport: Transport, location: str, asked: str
    ) -> None:
        raw = location.encode().decode("latin-1")  # header fields are sent as Latin-1: this sends UTF-8's bytes
        server.always("/a", Redirect(raw))
        with pytest.raises(HttpStatusError):
            transport.read(server.url("/a"), max_bytes=10)
        assert server.requests[1].path == asked

    def test_in_a_circle_end(self, server: FaultServer, transport: Transport) -> None:
        server.always("/a", Redirect("/a"))
        with pytest.raises(RedirectRefusedError):
            transport.read(server.url("/a"), max_bytes=10)
        assert len(server.requests) == 6

    @pytest.mark.parametrize(
        "location", ["file:///etc/hostname", "ftp://127.0.0.1/f", "http://user:pw@127.0.0.1/f", "http://[bad/f", "//"]
    )
    def test_to_anything_else_than_a_plain_web_address_are_refused(
        self, server: FaultServer, transport: Transport, location: str
    ) -> None:
        """Attacker: the server; it would have the client read a local file or another protocol, or log in."""
        server.always("/f", Redirect(location))
        with pytest.raises(RedirectRefusedError) as caught:
            transport.read(server.url("/f"), max_bytes=1000)
        assert "pw" not in str(caught.value)


class TestCredentials:
    """Attacker: one who can make a registry redirect (an open redirect is enough) and wants the client's token.

    Refusal: credentials go to the origin they were asked for, and to no other; the transfer itself goes on without.
    """

    @pytest.fixture
    def asked_for(self) -> list[str]:
        return []

    @pytest.fixture
    def with_token(self, time: FakeTime, asked_for: list[str]) -> Iterator[Transport]:
        class Bearer(Credentials):
            def grant(self, url: str) -> Grant:
                asked_for.append(url)
                return Grant({"Authorization": "Bearer hush"})

        with Transport(credentials=Bearer(), chance=time.chance) as transport:
            yield transport

    def test_are_sent_and_stay_over_a_redirect_within_the_origin(
        self, server: FaultServer, with_token: Transport, asked_for: list[str]
    ) -> None:
        server.always("/a", Redirect("/b"))
        server.put("/b", DATA)
        with_token.read(server.url("/a"), max_bytes=10_000)
        assert [request.headers["authorization"] for request in server.requests] == ["Bearer hush"] * 2
        # Each URL is asked for, since a signature (SigV4) holds for one of them only.
        assert asked_for == [server.url("/a"), server.url("/b")]

    def test_do_not_follow_to_another_port(self, server: FaultServer, with_token: Transport) -> None:
        with FaultServer() as thief:
            server.always("/f", Redirect(thief.put("/f", DATA)))
            assert with_token.read(server.url("/f"), max_bytes=10_000).data == DATA
            assert "authorization" in server.requests[0].headers
            assert "authorization" not in thief.requests[0].headers

    def test_do_not_follow_to_another_host(self, server: FaultServer, with_token: Transport) -> None:
        server.put("/g", DATA)
        server.always("/f", Redirect(server.url("/g", host="localhost")))
        with_token.read(server.url("/f"), max_bytes=10_000)
        assert "authorization" not in server.requests[1].headers

    def test_do_not_come_back_with_a_chain_that_left(
        self, server: FaultServer, with_token: Transport, asked_for: list[str]
    ) -> None:
        """A thief who bounces the request back chooses its path, and so what the token is used for."""
        with FaultServer() as thief:
            server.always("/f", Redirect(thief.url("/bounce")))
            thief.always("/bounce", Redirect(server.put("/g", DATA)))
            with_token.read(server.url("/f"), max_bytes=10_000)
        assert "authorization" not in server.asked("/g")[0].headers
        assert asked_for == [server.url("/f")]


class TestTls:
    @pytest.fixture
    def bundle(self, authority: trustme.CA, tmp_path: Path) -> Path:
        path = tmp_path / "ca.crt"
        authority.cert_pem.write_to_path(str(path))
        return path

    @pytest.fixture
    def secure(self, authority: trustme.CA) -> Iterator[FaultServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with FaultServer(tls=context) as server:
            yield server

    def test_trusts_the_authorities_of_the_bundle(self, secure: FaultServer, bundle: Path, time: FakeTime) -> None:
        with Transport(TransportSettings(ca_bundle=bundle), chance=time.chance) as transport:
            assert transport.read(secure.put("/f", DATA), max_bytes=10_000).data == DATA

    def test_an_unknown_authority_is_refused_without_retries(
        self, secure: FaultServer, transport: Transport, time: FakeTime
    ) -> None:
        """Attacker: on the line, with a certificate of an authority the client doesn't trust."""
        with pytest.raises(UnavailableError, match="does not verify"):
            transport.read(secure.put("/f", DATA), max_bytes=10_000)
        assert secure.requests == []
        assert time.slept == []

    def test_a_host_without_authorities_is_told_that_it_has_none(
        self, secure: FaultServer, bundle: Path, time: FakeTime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A slim container, or Python of python.org on macOS; other authorities than the right one are another case."""
        monkeypatch.setitem(sys.modules, "truststore", None)  # as where the extra isn't installed
        (tmp_path / "empty").mkdir()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
        url = secure.put("/f", DATA)
        with Transport(TransportSettings(), chance=time.chance) as transport:
            with pytest.raises(UnavailableError, match="this host has no certificate authorities") as refused:
                transport.read(url, max_bytes=10_000)
            assert "ca-certificates" in (refused.value.hint or "")
            monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
            with pytest.raises(UnavailableError, match="does not verify"):
                transport.read(url, max_bytes=10_000)  # the context was made before
        assert secure.requests == []
        assert time.slept == []
        with Transport(TransportSettings(), chance=time.chance) as transport:
            assert transport.read(url, max_bytes=10_000).data == DATA

    def test_the_certificate_of_another_host_is_refused(
        self, secure: FaultServer, bundle: Path, time: FakeTime
    ) -> None:
        """Attacker: on the line, with a genuine certificate of a host of their own."""
        secure.put("/f", DATA)
        with (
            Transport(TransportSettings(ca_bundle=bundle), chance=time.chance) as transport,
            pytest.raises(UnavailableError, match="does not verify"),
        ):
            transport.read(secure.url("/f", host="localhost"), max_bytes=10_000)
        assert secure.requests == []

    def test_a_redirect_out_of_encryption_is_refused(
        self, secure: FaultServer, server: FaultServer, bundle: Path, time: FakeTime
    ) -> None:
        """Attacker: can make the registry redirect, and reads the line of the plain http:// host it leads to."""
        secure.always("/f", Redirect(server.put("/f", DATA)))
        with (
            Transport(TransportSettings(ca_bundle=bundle), chance=time.chance) as transport,
            pytest.raises(RedirectRefusedError, match="not encrypted"),
        ):
            transport.read(secure.url("/f"), max_bytes=10_000)
        assert server.requests == []
        assert time.slept == []

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_an_unusable_bundle_is_a_configuration_error(
        self, secure: FaultServer, tmp_path: Path, content: str | None
    ) -> None:
        bundle = tmp_path / "ca"
        if content is not None:
            bundle.write_text(content)
        with (
            Transport(TransportSettings(ca_bundle=bundle)) as transport,
            pytest.raises(ConfigError, match="CA bundle"),
        ):
            transport.read(secure.url("/f"), max_bytes=10)


class TestProxy:
    def test_of_the_environment_is_used_but_for_hosts_that_are_excepted(
        self, server: FaultServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with FaultServer() as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://me:pw@127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            proxy.put("http://registry.test/f", DATA)
            assert transport.read("http://registry.test/f", max_bytes=10_000).data == DATA
            assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6cHc="
            assert transport.read(server.put("/f", b"direct"), max_bytes=10_000).data == b"direct"
            assert len(proxy.requests) == 1


class TestFiles:
    def test_are_read_like_documents_of_a_server(self, transport: Transport, tmp_path: Path) -> None:
        path = tmp_path / "with space & ünicode%41.json"
        path.write_bytes(DATA)
        document = transport.read(file_url(path), max_bytes=len(DATA))
        assert document.data == DATA
        again = transport.read(file_url(path), max_bytes=len(DATA), etag=document.etag)
        assert again.not_modified
        os.utime(path, ns=(1, 1))
        assert not transport.read(file_url(path), max_bytes=len(DATA), etag=document.etag).not_modified

    def test_have_ranges(self, transport: Transport, tmp_path: Path) -> None:
        path = tmp_path / "f"
        path.write_bytes(DATA)
        url = file_url(path)
        with transport.stream(url, start=100, end=200) as stream:
            assert (stream.status, stream.start, stream.total_size) == (206, 100, len(DATA))
            assert b"".join(stream.chunks()) == DATA[100:200]
            etag = stream.etag
        with transport.stream(url, start=100, if_range=etag) as stream:
            assert b"".join(stream.chunks()) == DATA[100:]
        with transport.stream(url, start=100, if_range='"another"') as stream:
            assert (stream.status, b"".join(stream.chunks())) == (200, DATA)
        with transport.stream(url, start=len(DATA)) as stream:
            assert (stream.status, stream.total_size) == (416, len(DATA))

    def test_that_are_missing_answer_404(self, transport: Transport, tmp_path: Path, time: FakeTime) -> None:
        (tmp_path / "file").write_bytes(b"")
        for missing in ("none", "file/none"):
            with pytest.raises(HttpStatusError) as caught:
                transport.read(file_url(tmp_path / missing), max_bytes=10)
            assert caught.value.status == 404
        assert time.slept == []

    def test_beyond_the_limit_are_refused(self, transport: Transport, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(DATA)
        with pytest.raises(TooLargeError):
            transport.read(file_url(tmp_path / "f"), max_bytes=100)

    def test_that_are_no_regular_files_are_refused(self, transport: Transport, tmp_path: Path) -> None:
        """Attacker: may write to the mirror's folder; a pipe would hold the client, a device has no end."""
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", tmp_path):
            with pytest.raises(UnavailableError, match="not a regular file"):
                transport.read(file_url(path), max_bytes=10)
        with pytest.raises(UnavailableError, match="not a regular file"):
            transport.read("file:///dev/zero", max_bytes=10)

    @pytest.mark.parametrize("url", ["file://host/f", "file:///f?q", "file:///a%00b", "file:f"])
    def test_addresses_that_are_no_path_are_refused(self, transport: Transport, url: str) -> None:
        with pytest.raises(ConfigError):
            transport.read(url, max_bytes=10)


class TestAddresses:
    @pytest.mark.parametrize(
        "url", ["ftp://h/f", "h/f", "https:///f", "http://user:pw@h/f", "http://h:99999/f", "http://[bad/f", ""]
    )
    def test_that_cannot_be_asked_are_refused(self, transport: Transport, url: str) -> None:
        with pytest.raises(ConfigError) as caught:
            transport.read(url, max_bytes=10)
        assert "pw" not in str(caught.value)

    def test_are_shown_without_their_secrets(self) -> None:
        assert public_url("https://me:pw@h.test:1/a?X-Amz-Signature=hush#x") == "https://h.test:1/a"

    def test_only_strong_entity_tags_join_parts(self) -> None:
        assert strong_etag('"a"') == '"a"'
        assert [strong_etag(tag) for tag in (None, 'W/"a"', "a", '"a\r\nX: y"', "")] == [None] * 5


def test_importing_the_transport_or_reading_a_file_loads_no_network_code(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    code = (
        "import sys; from sealdex.transport import Transport; "
        f"Transport().read({file_url(tmp_path / 'f')!r}, max_bytes=9); "
        "print([m for m in ('urllib3', 'ssl', 'socket', 'http.client') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not hasattr(clock, "tzset"), reason="Windows has no tzset")
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Lima"])
def test_a_date_without_a_zone_is_gmt_wherever_the_host_is(
    zone: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", zone)
        clock.tzset()
        server.always("/f", Status(200, {"Date": "Wed, 21 Oct 2015 07:28:00"}, b"x"))
        with Transport() as transport:
            assert transport.read(server.url("/f"), max_bytes=1).date == 1445412480.0
    clock.tzset()
