"""A key value store of CloudFront in this process, by its API reference: CloudFront itself can't be had here.

It holds each request to what the service asks: a signature that verifies under the key pair of the access key, the
current ETag for a change, at most 50 changes in one, pages of at most 50 keys.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from registry_builder.publication._sigv4a import AwsKeys, signing_key, string_to_sign

ARN = "arn:aws:cloudfront::123456789012:key-value-store/12345678-aaaa-bbbb-cccc-1234567890ab"
KEYS = AwsKeys("AKIDEXAMPLE", "not-a-secret")


class KeyValueStore:
    """The store: what it holds, what it was asked, and what goes wrong in it."""

    def __init__(self) -> None:
        self.data: dict[str, str] = {}
        self.version = 1
        self.asked: list[str] = []
        self.refuses: int | None = None
        self.before_change: Callable[[], None] = lambda: None
        self.changes_left = 1000

    def answer(self, method: str, path: str, etag: str | None, body: bytes) -> tuple[int, dict[str, Any]]:
        place, _, query = path.partition("?")
        assert unquote(place).startswith(f"/key-value-stores/{ARN}")
        rest = place.removeprefix(f"/key-value-stores/{ARN.replace(':', '%3A').replace('/', '%2F')}")
        self.asked.append(f"{method} {rest}")
        if self.refuses is not None:
            return self.refuses, {"Message": "User is not authorized"}
        if method == "POST":
            return self._update(etag, json.loads(body))
        if rest == "":
            return 200, {"ItemCount": len(self.data)}
        if rest == "/keys":
            asked = parse_qs(query)
            size, start = int(asked["MaxResults"][0]), int(asked.get("NextToken", ["0"])[0])
            assert size <= 50
            items = [{"Key": key, "Value": value} for key, value in sorted(self.data.items())][start:]
            more = {"NextToken": str(start + size)} if len(items) > size else {}
            return 200, {"Items": items[:size], **more}
        key = unquote(rest.removeprefix("/keys/"))
        return (200, {"Key": key, "Value": self.data[key]}) if key in self.data else (404, {"Message": "no such key"})

    def _update(self, etag: str | None, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.before_change()
        if etag != str(self.version):
            return 409, {"Message": "the store changed"}
        puts, deletes = asked.get("Puts", []), asked.get("Deletes", [])
        if not 1 <= len(puts) + len(deletes) <= 50 or any(each["Key"] not in self.data for each in deletes):
            return 400, {"Message": "the request is not valid"}
        if self.changes_left == 0:
            return 500, {"Message": "internal error"}
        self.changes_left -= 1
        for each in deletes:
            del self.data[each["Key"]]
        self.data.update({each["Key"]: each["Value"] for each in puts})
        self.version += 1
        return 200, {"ItemCount": len(self.data)}


def _is_signed(method: str, url: str, headers: Any, body: bytes) -> bool:
    said = headers.get("authorization", "")
    names = said.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    if not {"host", "x-amz-date", "x-amz-region-set"} <= set(names):
        return False
    signed = {name: headers[name] for name in names}
    moment = headers["x-amz-date"]
    text, _ = string_to_sign(method, url, signed, body, service="cloudfront-keyvaluestore", moment=moment)
    signature = bytes.fromhex(said.rpartition("Signature=")[2])
    try:
        signing_key(KEYS).public_key().verify(signature, text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


@contextmanager
def key_value_store() -> Iterator[tuple[KeyValueStore, str]]:
    """Run a store; the second value is its address."""
    store = KeyValueStore()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            host = self.headers["host"]
            if not _is_signed(self.command, urlsplit(f"http://{host}{self.path}").geturl(), self.headers, body):
                status, document = 403, {"Message": "the signature does not match"}
            else:
                status, document = store.answer(self.command, self.path, self.headers.get("if-match"), body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("etag", str(store.version))
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _handle  # noqa: N815  # the names that http.server asks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield store, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


__all__ = ["ARN", "KEYS", "KeyValueStore", "key_value_store"]
