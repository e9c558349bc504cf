"""Hosts of images for tests: one TLS server on this machine that answers for every name, and what stands for DNS.

The address check stays what it is: names resolve to public addresses unless a test says otherwise, and only the last
step, which socket is dialled, is turned to this machine by `Wire.dial_for_tests`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import trustme

from registry_builder.site.images._fetch import Wire

PUBLIC = "93.184.216.34"
NAMES = ("img.example", "other.example", "rebound.example", "cdn.example")


@dataclass
class ImageHost:
    """What is answered, what was asked, and where names are.

    Attributes:
        files: ``host/path`` to bytes, or to the address that it redirects to.
        headers: ``host/path`` to further headers of the answer.
        asked: ``host/path`` of each request.
        names: host to the answers of DNS, one after the other; the last one stays.
        dialled: each IP address that a connection was made to.
    """

    authority: trustme.CA
    port: int = 0
    files: dict[str, bytes | str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    names: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    dialled: list[str] = field(default_factory=list)
    trickles: set[str] = field(default_factory=set)
    """``host/path`` whose headers come a byte at a time, for `TRICKLE_S`."""
    trickled: list[str] = field(default_factory=list)
    """Those of them that were waited for until the end."""
    trickling: Event = field(default_factory=Event)
    """Set when the first of them has begun."""

    def clear(self) -> None:
        """Forget everything."""
        for each in (self.files, self.headers, self.names):
            each.clear()
        self.trickles.clear()
        self.trickling.clear()
        for told in (self.asked, self.dialled, self.trickled):
            told.clear()

    @property
    def wire(self) -> Wire:
        """How images are fetched from here."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return Wire(self._resolve, context, self._dial)

    def _resolve(self, host: str) -> Sequence[str]:
        answers = self.names.get(host, [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _dial(self, address: str, port: int) -> tuple[str, int]:
        assert port == 443
        self.dialled.append(address)
        return "127.0.0.1", self.port


TRICKLE_S = 40.0


@contextmanager
def image_host() -> Iterator[ImageHost]:
    """Run the server."""
    host = ImageHost(trustme.CA())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class asks for this name
            key = f"{self.headers['Host']}{self.path}"
            host.asked.append(key)
            if key in host.trickles:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                host.trickling.set()
                for _ in range(int(TRICKLE_S / 0.05)):
                    time.sleep(0.05)
                    try:
                        self.wfile.write(b"x")
                    except OSError:
                        return
                host.trickled.append(key)
                return
            found = host.files.get(key)
            self.send_response(404 if found is None else 302 if isinstance(found, str) else 200)
            if isinstance(found, str):
                self.send_header("Location", found)
            body = found if isinstance(found, bytes) else b""
            more = host.headers.get(key, {})
            for name, value in {"Content-Length": str(len(body)), "Content-Type": "image/png", **more}.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        host.authority.issue_cert(*NAMES).configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        host.port = server.server_address[1]
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield host
        server.shutdown()


Serve = Callable[[], ImageHost]
