"""A proxy in front of the S3 server of the tests that does what some stores and proxies do: rewrites, refuses, records.

    with S3Proxy(s3_server) as proxy:
        proxy.before.append(ignore("if-match"))            # changes a request on its way, or answers it
        proxy.after.append(weak_tags)                       # changes an answer on its way
        open_storage(proxy.uri(bucket, prefix), base=...)
        proxy.seen                                          # every request that came, in order

It signs each request again with the server's own credentials, as what it changes is signed; who asked is told by the
access key (`Passing.who`), whose secret isn't checked.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.s3_server import S3Server
    from typing_extensions import Self

_NOT_PASSED = frozenset({
    "accept-encoding", "authorization", "connection", "content-length", "expect", "host", "keep-alive",
    "transfer-encoding", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token",
})  # fmt: skip
_WHO = re.compile(r"Credential=([^/]+)/")


@dataclass
class Passing:
    """A request on its way; ``before`` functions may change it. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """The object's key in its bucket; empty for requests to the bucket."""
        return unquote(urlsplit(self.target).path).lstrip("/").partition("/")[2]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def who(self) -> str:
        """The access key that signed."""
        found = _WHO.search(self.headers.get("authorization", ""))
        return found[1] if found else ""

    @property
    def operation(self) -> str:
        """The operation of S3's API, as far as this tells them apart."""
        if not self.key:
            return f"{self.method} bucket"
        if self.method == "PUT":
            is_part = "partNumber" in self.query
            copied = "Copy" if "x-amz-copy-source" in self.headers else ""
            return f"UploadPart{copied}" if is_part else "CopyObject" if copied else "PutObject"
        if self.method == "POST":
            return "CreateMultipartUpload" if "uploads" in self.query else "CompleteMultipartUpload"
        return {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}.get(self.method, self.method)


@dataclass
class Answer:
    """What goes back; ``after`` functions may change it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Before = Callable[[Passing], "Answer | None"]
After = Callable[[Passing, Answer], None]


def refusal(status: int, code: str, more: str = "", headers: dict[str, str] | None = None) -> Answer:
    """Make an answer as S3 refuses: ``more`` is XML beside the code."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said so</Message>{more}</Error>"
    return Answer(status, {"content-type": "application/xml", **(headers or {})}, text.encode())


def ignore(*names: str) -> Before:
    """Take headers out of everything that writes, as a store that doesn't know them."""

    def before(passing: Passing) -> None:
        if passing.method in {"PUT", "POST"}:
            for name in names:
                passing.headers.pop(name, None)

    return before


def refuse(
    pattern: str, status: int, code: str, *, operation: str = "PutObject", times: int = 1_000_000, **more: Any
) -> Before:
    """Refuse the first ``times`` of an operation on keys that match ``pattern``, without asking the server."""
    left = [times]

    def before(passing: Passing) -> Answer | None:
        if not left[0] or passing.operation != operation or not fnmatchcase(passing.key, pattern):
            return None
        left[0] -= 1
        return refusal(status, code, **more)

    return before


def rewrite_tags(spell: Callable[[str], str]) -> After:
    """Spell every ETag otherwise."""

    def after(_passing: Passing, answer: Answer) -> None:
        if "etag" in answer.headers:
            answer.headers["etag"] = spell(answer.headers["etag"])

    return after


class S3Proxy:
    """The proxy on 127.0.0.1, each request in a thread of its own."""

    def __init__(self, origin: S3Server) -> None:
        self.before: list[Before] = []
        self.after: list[After] = []
        self.seen: list[Passing] = []
        self._origin = origin
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=32, retries=False)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._pool.clear()

    def uri(self, bucket: str, prefix: str) -> str:
        """Return the storage address of a prefix as seen through here."""
        port = self._server.server_address[1]
        return f"s3://{bucket}/{prefix}?endpoint_url=http://127.0.0.1:{port}&region=us-east-1"

    def operations(self) -> Counter[str]:
        """Count what was asked so far, by operation."""
        return Counter(passing.operation for passing in self.seen)

    def answer(self, passing: Passing) -> Answer:
        """Let a request through, or not."""
        self.seen.append(Passing(passing.method, passing.target, dict(passing.headers), b""))
        answer = next(filter(None, (before(passing) for before in self.before)), None) or self._ask(passing)
        for after in self.after:
            after(passing, answer)
        return answer

    def _ask(self, passing: Passing) -> Answer:
        headers = {name: value for name, value in passing.headers.items() if name not in _NOT_PASSED}
        url = self._origin.endpoint + passing.target
        request = AWSRequest(passing.method, url, headers=headers, data=passing.body)
        credentials = Credentials(self._origin.access_key, self._origin.secret_key)
        S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
        told = self._pool.request(
            passing.method, url, headers=dict(request.headers), body=passing.body, redirect=False, decode_content=False
        )
        kept = {name.lower(): value for name, value in told.headers.items() if name.lower() not in _HOP_BY_HOP}
        return Answer(told.status, kept, told.data)


_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: S3Proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.proxy.answer(Passing(self.command, self.path, headers, body))
        self.send_response(answer.status)
        if self.command == "HEAD" and "content-length" in answer.headers:
            length = answer.headers["content-length"]
        else:
            length = str(len(answer.body))
        for name, value in {**answer.headers, "content-length": length}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815  # http.server's names

    def handle_expect_100(self) -> bool:
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def log_message(self, *_: object) -> None:
        pass


def keys_of(seen: list[Passing], operation: str) -> Iterator[str]:
    """Yield the keys of one operation, in order."""
    return (passing.key for passing in seen if passing.operation == operation)
