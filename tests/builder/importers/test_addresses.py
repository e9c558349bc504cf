"""Addresses that foreign metadata names: which last, which are made on request, and which are asked."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from registry_builder.importers.addresses import ascii_address, host_in, is_generated, only_public, unstable_address
from sealdex.errors import VerificationError
from sealdex.transport import Transport


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://harbor.example/chartrepo/team/charts/a.tgz", "Harbor"),
        ("https://x.example/api/v2.0/projects/a/b", "Harbor"),
        ("https://b.example/a.zip?X-Amz-Signature=1&X-Amz-Expires=9", "signed for a time"),
        ("https://oss.example/a.zip?OSSAccessKeyId=1", "signed for a time"),
        ("https://x.example/latest/a.zip", "its bytes change"),
        ("https://x.example/a-nightly.zip", "its bytes change"),
        ("oci://x.example/a:1", "a tag"),
        ("https://files.example/greatest/a-1.0.zip", None),
        ("https://files.example/a-1.0.zip?download=1", None),
        ("http://[broken", None),
    ],
)
def test_which_addresses_last(url: str, why: str | None) -> None:
    said = unstable_address(url)
    assert (said is None) if why is None else (why in (said or ""))


@pytest.mark.parametrize(
    ("url", "is_made"),
    [
        ("https://github.com/a/b/archive/refs/tags/v1.zip", True),
        ("https://codeload.github.com/a/b/tar.gz/v1", True),
        ("https://api.github.com/repos/a/b/zipball/v1", True),
        ("https://gitlab.example/a/b/-/archive/v1/b-v1.zip", True),
        ("https://github.com/a/b/releases/download/v1/b.zip", False),
        ("https://github.com.evil.example/archive/b.zip", False),
    ],
)
def test_archives_that_a_forge_makes(url: str, is_made: bool) -> None:
    assert is_generated(url) is is_made


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [
        ("127.0.0.1", True),
        ("10.0.0.7", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("fe80::1%eth0", True),
        ("93.184.216.34", False),
        ("2606:2800:220:1::1", False),
    ],
)
def test_addresses_of_private_networks(address: str, is_refused: bool) -> None:
    def resolve(host: str) -> list[str]:
        return ["93.184.216.34", address] if host == "files.example" else []

    permit = only_public(["hub.example:8080"], resolve)
    if is_refused:
        with pytest.raises(VerificationError, match="private network"):
            permit("https://files.example/a.zip")
    else:
        permit("https://files.example/a.zip")
    permit("http://hub.example:8080/a.zip")
    permit("https://unknown.example/a.zip")  # a proxy may know it


def test_addresses_in_other_scripts() -> None:
    assert ascii_address("https://x.example/插件 1.zip?a=%20") == "https://x.example/%E6%8F%92%E4%BB%B6%201.zip?a=%20"
    assert host_in("https://Hub.example/x") == "hub.example:443"


@pytest.fixture
def redirecting() -> Iterator[tuple[str, list[str]]]:
    """A server that redirects everything below /away to its own address of the loopback network."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class asks for this name
            asked.append(self.path)
            port = self.headers["Host"].rpartition(":")[2]
            self.send_response(302 if self.path == "/away" else 200)
            self.send_header("Location", f"http://127.0.0.1:{port}/secret")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"localhost:{server.server_address[1]}", asked
        server.shutdown()


def test_redirects_into_a_private_network_are_refused(redirecting: tuple[str, list[str]]) -> None:
    """Attacker: a server that the source names. Change: a redirect to this machine. Refusal: before it is asked."""
    host, asked = redirecting
    with Transport(permit=only_public([host])) as transport, pytest.raises(VerificationError, match="private network"):
        transport.read(f"http://{host}/away", max_bytes=100)
    assert asked == ["/away"]


def test_attack_a_name_that_changes_its_address_is_not_connected_to(
    redirecting: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attacker: answers for a name in the DNS. Change: another address when it is asked again (DNS rebinding).

    Refusal: of the connection, whichever way the request goes.
    """
    host, asked = redirecting
    resolved = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **more: resolved("127.0.0.1", *rest, **more))
    url = f"http://files.example:{host.rpartition(':')[2]}/a.zip"
    permit = only_public([], lambda _host: ["93.184.216.34"])
    with Transport(permit=permit) as transport:
        for ask in (
            lambda: transport.read(url, max_bytes=100),
            lambda: transport.send("GET", url, headers={}, expected=frozenset({200}), max_bytes=100),
        ):
            with pytest.raises(VerificationError, match="private network"):
                ask()
    assert asked == []
