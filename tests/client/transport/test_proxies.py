"""Proxies of the environment: which is used when, with what user and password, and what is said when it refuses."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from support.fake_time import FakeTime
from support.fault_server import FaultServer, Status
from support.ports import nobody_listens
from support.socks_server import SocksServer

from sealdex.errors import ConfigError, UnavailableError
from sealdex.transport import HttpStatusError, ProxyRefusedError, Transport, TransportSettings
from sealdex.transport.proxies import excepts, proxy_for, read_proxy

DATA = bytes(range(256)) * 20
URL = "http://registry.test/f"


@pytest.fixture
def transport(time: FakeTime) -> Iterator[Transport]:
    with Transport(chance=time.chance) as transport:
        yield transport


@pytest.fixture
def proxy() -> Iterator[FaultServer]:
    with FaultServer() as proxy:
        proxy.put(URL, DATA)
        yield proxy


class ConnectProxy:
    """An HTTP proxy that answers each CONNECT with one status, and leads to ``port`` if that is 200."""

    def __init__(self, status: int, port: int = 0) -> None:
        self._status = status
        self._port = port
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            head = b""
            while not head.endswith(b"\r\n\r\n") and (more := connection.recv(65536)):
                head += more  # older Pythons send it line by line
            self.asked.append(head)
            connection.sendall(b"HTTP/1.1 %d Whatever\r\nProxy-Authenticate: Basic\r\n\r\n" % self._status)
            if self._status != 200:
                return
            with socket.create_connection(("127.0.0.1", self._port)) as target:
                threading.Thread(target=_pump, args=(target, connection), daemon=True).start()
                _pump(connection, target)

    def __enter__(self) -> ConnectProxy:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


class TestLogin:
    @pytest.mark.parametrize(
        ("written", "sent"),
        [
            ("me:pw", b"me:pw"),
            ("me:p%40ss%3A%2F%25", b"me:p@ss:/%"),
            ("dom%5Cme:pw", b"dom\\me:pw"),
            ("me:p@ss", b"me:p@ss"),  # as curl reads it: the last @ counts
            ("me:p%C3%A4ss", "me:päss".encode()),
            ("me:100%", b"me:100%"),
            ("me", b"me:"),
        ],
    )
    def test_is_decoded_before_it_is_sent(
        self, proxy: FaultServer, transport: Transport, monkeypatch: pytest.MonkeyPatch, written: str, sent: bytes
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", f"http://{written}@127.0.0.1:{proxy.port}")
        assert transport.read(URL, max_bytes=10_000).data == DATA
        field = proxy.requests[0].headers["proxy-authorization"]
        assert base64.b64decode(field.removeprefix("Basic ")) == sent

    def test_that_a_tunnel_is_refused_for_is_tried_once(
        self, transport: Transport, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A company's accounts are locked after a few wrong passwords."""
        with ConnectProxy(407) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:hush@127.0.0.1:{proxy.port}")
            with pytest.raises(ProxyRefusedError, match=f"127.0.0.1:{proxy.port} refused.*407") as caught:
                transport.read("https://registry.test/f", max_bytes=10)
            with pytest.raises(ProxyRefusedError):
                transport.read("https://other.test/f", max_bytes=10)
            assert len(proxy.asked) == 1
        assert time.slept == []
        assert caught.value.exit_code == 5
        assert "HTTPS_PROXY" in str(caught.value.hint)
        assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.subject}"

    def test_that_is_wrong_is_tried_once_however_many_requests_go_out_at_once(
        self, proxy: FaultServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy.always(URL, Status(407))
        monkeypatch.setenv("HTTP_PROXY", f"http://me:wrong@127.0.0.1:{proxy.port}")

        def fetch(_: int) -> str:
            with pytest.raises(ProxyRefusedError) as caught:
                transport.read(URL, max_bytes=10)
            return str(caught.value)

        with ThreadPoolExecutor(8) as pool:
            messages = set(pool.map(fetch, range(8)))
        assert len(proxy.requests) == 1
        assert "refused the user and password" in messages.pop()

    def test_that_is_missing_is_asked_for(
        self, proxy: FaultServer, transport: Transport, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        proxy.always(URL, Status(407))
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
        with pytest.raises(ProxyRefusedError, match="requires a user and password") as caught:
            transport.read(URL, max_bytes=10)
        assert "HTTP_PROXY" in str(caught.value.hint)
        assert time.slept == []

    def test_a_proxy_that_lets_nothing_through_to_a_host_is_asked_once(
        self, transport: Transport, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ConnectProxy(403) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(ProxyRefusedError, match=r"requests to registry.test.*403"):
                transport.read("https://registry.test/f", max_bytes=10)
            assert len(proxy.asked) == 1
        assert time.slept == []

    def test_a_proxy_s_passing_trouble_is_tried_again(
        self, transport: Transport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ConnectProxy(503) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://me:pw@127.0.0.1:{proxy.port}")
            with pytest.raises(UnavailableError, match=f"the proxy http://127.0.0.1:{proxy.port} answered 503"):
                transport.read("https://registry.test/f", max_bytes=10)
            assert len(proxy.asked) > 1

    def test_a_server_without_proxy_that_answers_407_is_named_itself(
        self, transport: Transport, proxy: FaultServer
    ) -> None:
        proxy.always("/f", Status(407))
        with pytest.raises(HttpStatusError, match="407"):
            transport.read(proxy.url("/f"), max_bytes=10)


def test_an_https_server_is_reached_through_a_tunnel(
    tmp_path: Path, time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("registry.test").configure_cert(context)
    with (
        FaultServer(tls=context) as server,
        ConnectProxy(200, server.port) as proxy,
        Transport(TransportSettings(ca_bundle=tmp_path / "ca.pem"), chance=time.chance) as transport,
    ):
        server.put("/f", DATA)
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        assert transport.read("https://registry.test/f", max_bytes=10_000).data == DATA
        assert transport.read("https://registry.test/f", max_bytes=10_000).data == DATA
        assert len(proxy.asked) == 1  # one connection serves both
        assert base64.b64encode(b"me:p@ss") in proxy.asked[0]


class TestExceptions:
    @pytest.mark.parametrize(
        ("listed", "host", "port", "is_excepted"),
        [
            ("*", "registry.test", 443, True),
            ("registry.test", "registry.test", 443, True),
            ("registry.test", "cdn.registry.test", 443, True),
            (".registry.test", "cdn.registry.test", 443, True),
            (".registry.test", "registry.test", 443, True),
            ("*.registry.test", "cdn.registry.test", 443, True),
            ("registry.test", "otherregistry.test", 443, False),
            ("registry.test.", "registry.test", 443, True),
            ("registry.test", "registry.test.", 443, True),
            ("Registry.TEST", "registry.test", 443, True),
            ("a.test,registry.test", "registry.test", 443, True),
            ("a.test  registry.test", "registry.test", 443, True),
            ("registry.test:8443", "registry.test", 8443, True),
            ("registry.test:8443", "registry.test", 443, False),
            ("10.0.0.0/8", "10.1.2.3", 443, True),
            ("10.0.0.0/8", "11.1.2.3", 443, False),
            ("10.0.0.0/8", "registry.test", 443, False),
            ("10.1.2.3/8", "10.9.9.9", 443, True),
            ("127.0.0.1", "127.0.0.1", 80, True),
            ("127.0.0.1:8080", "127.0.0.1", 8080, True),
            ("127.0.0.1:8080", "127.0.0.1", 80, False),
            ("0.0.1", "127.0.0.1", 80, False),
            ("::1", "::1", 80, True),
            ("[::1]", "::1", 80, True),
            ("[::1]:8080", "::1", 8080, True),
            ("[::1]:8080", "::1", 80, False),
            ("0:0:0:0:0:0:0:1", "::1", 80, True),
            ("fd00::/8", "fd12::3", 80, True),
            ("[fd00::]/8", "fd12::3", 80, True),
            ("fd00::/8", "10.0.0.1", 80, False),
            ("10.0.0.0/8", "::ffff:10.0.0.1", 80, True),
            ("10.0.0.0/99", "10.0.0.1", 80, False),
            (",,", "registry.test", 443, False),
            ("", "registry.test", 443, False),
        ],
    )
    def test_are_names_addresses_and_networks(self, listed: str, host: str, port: int, is_excepted: bool) -> None:
        assert excepts(listed, host, port) is is_excepted

    @pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
    def test_are_read_in_either_spelling(
        self, proxy: FaultServer, transport: Transport, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv(variable, "127.0.0.0/8 [::1]")
        with FaultServer() as server:
            assert transport.read(server.put("/f", b"direct"), max_bytes=10).data == b"direct"
        assert proxy.requests == []
        assert proxy_for("http://[::1]:8000/f") is None
        assert proxy_for(URL) is not None


class TestSocks:
    @pytest.mark.parametrize("scheme", ["socks5h", "socks"])
    def test_names_are_resolved_by_the_proxy(
        self, transport: Transport, monkeypatch: pytest.MonkeyPatch, scheme: str
    ) -> None:
        with FaultServer() as server, SocksServer(server.port) as proxy:
            server.put("/f", DATA)
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
            assert transport.read(URL, max_bytes=10_000).data == DATA
            assert proxy.asked == [("registry.test", 80)]

    def test_user_and_password_are_decoded(self, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
        with FaultServer() as server, SocksServer(server.port, (b"me", b"p@ss")) as proxy:
            server.put("/f", DATA)
            monkeypatch.setenv("ALL_PROXY", f"socks5h://me:p%40ss@127.0.0.1:{proxy.port}")
            assert transport.read(URL, max_bytes=10_000).data == DATA

    def test_a_refused_login_is_tried_once(
        self, transport: Transport, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with FaultServer() as server, SocksServer(server.port, (b"me", b"right")) as proxy:
            monkeypatch.setenv("ALL_PROXY", f"socks5h://me:hush@127.0.0.1:{proxy.port}")
            for _ in range(2):
                with pytest.raises(ProxyRefusedError, match="refused the user and password") as caught:
                    transport.read(URL, max_bytes=10)
            assert proxy.logins == [(b"me", b"hush")]
        assert "hush" not in f"{caught.value} {caught.value.hint}"
        assert time.slept == []

    def test_tls_runs_through_it(self, tmp_path: Path, time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("registry.test").configure_cert(context)
        with (
            FaultServer(tls=context) as server,
            SocksServer(server.port) as proxy,
            Transport(TransportSettings(ca_bundle=tmp_path / "ca.pem"), chance=time.chance) as transport,
        ):
            server.put("/f", DATA)
            monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
            assert transport.read("https://registry.test/f", max_bytes=10_000).data == DATA

    def test_a_proxy_that_is_not_there_is_told(
        self, transport: Transport, time: FakeTime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with nobody_listens() as port:
            monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
            with pytest.raises(UnavailableError, match="connection refused"):
                transport.read("http://127.0.0.2/f", max_bytes=10)
        assert sum(time.slept) <= 3.01

    def test_without_the_extra_it_is_named(self, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "socks", None)
        monkeypatch.setenv("ALL_PROXY", "socks5h://me:hush@127.0.0.1:1")
        with pytest.raises(ConfigError, match="SOCKS") as caught:
            transport.read(URL, max_bytes=10)
        assert "sealdex[socks]" in str(caught.value.hint)
        assert "hush" not in f"{caught.value} {caught.value.hint}"


class TestAddresses:
    @pytest.mark.parametrize(
        "text",
        ["ftp://me:hush@h:1", "http://me:hush@", "http://me:hush@h:99999", "http://me:hush@h:x", "http://me:hush@[::1"],
    )
    def test_that_name_no_proxy_are_refused_without_their_password(self, text: str) -> None:
        with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
            read_proxy(text, "HTTPS_PROXY")
        assert "hush" not in f"{caught.value} {caught.value.hint}"

    @pytest.mark.parametrize(
        ("text", "url"),
        [
            ("proxy.test:3128", "http://proxy.test:3128"),
            ("HTTP://proxy.test/", "http://proxy.test:80"),
            ("https://proxy.test", "https://proxy.test:443"),
            ("http://[::1]:3128/", "http://[::1]:3128"),
            ("http://me:p/w#?@proxy.test:3128", "http://proxy.test:3128"),
            ("socks5://proxy.test", "socks5://proxy.test:1080"),
        ],
    )
    def test_are_shown_without_user_and_password(self, text: str, url: str) -> None:
        proxy = read_proxy(text, "HTTPS_PROXY")
        assert proxy.url == url
        assert "p/w" not in repr(proxy)


def test_a_proxy_without_a_user_is_named_by_the_variable_that_was_set(
    proxy: FaultServer, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.always(URL, Status(407))
    monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
    with pytest.raises(ProxyRefusedError, match="requires a user and password") as caught:
        transport.read(URL, max_bytes=10)
    hint = str(caught.value.hint)
    assert "correct http_proxy: " in hint
    assert "they were tried" not in hint
