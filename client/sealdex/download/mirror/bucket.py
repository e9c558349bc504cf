"""An S3 bucket, or a prefix in one, as the place of a mirror: GET and conditional PUT, signed, over our own transport.

    s3://bucket/prefix                                                        AWS
    s3://bucket/prefix?endpoint_url=https://s3.example.org&region=eu-west-1   any other server

Options are those of the builder's storages, and ``profile``; keys, region and endpoint are found as AWS's own tools
find them. Each body is signed with its SHA-256, so that the server refuses what was damaged on the way.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit
from xml.etree import ElementTree as ET  # answers of the user's own bucket

from sealdex.config.config import Config
from sealdex.config.s3_signer import S3Signer
from sealdex.errors import ConfigError, InstallError, UnavailableError, UsageError
from sealdex.transport import Credentials, Grant, HttpStatusError, Sent, TransientError, Transport

SCHEME = "s3://"
MAX_PUT_BYTES = 5 << 30
"""What S3 takes in one PUT."""

_OPTIONS = frozenset({"endpoint_url", "region", "profile"})
_TYPES = {".json": "application/json", ".zip": "application/zip", ".gz": "application/gzip", ".txt": "text/plain"}
_IMMUTABLE = "public, max-age=31536000, immutable"
_MUTABLE = ("metadata/timestamp.json", "mirror.json", ".sealdex-mirror/")
_MAX_ANSWER_BYTES = 16 << 20
_HINT = "write s3://BUCKET/PREFIX, elsewhere than at AWS with ?endpoint_url=https://HOST&region=NAME"


class Held(NamedTuple):
    """An object: its bytes, and the tag that a conditional PUT names."""

    data: bytes
    etag: str


class Digest(NamedTuple):
    """What an object is: the SHA-256 of its bytes, how many they are, and its tag."""

    sha256: str
    size: int
    etag: str


class Bucket:
    """A prefix of a bucket; thread-safe.

    Args:
        address: ``s3://…``, see the module.
        config: limits, timeouts, proxies.

    Attributes:
        url: where the objects are, with a slash at the end.
        credentials: signs requests of others below it.
        folder: on this host, for what is known of the bucket and on its way there.

    Raises:
        UsageError: the address isn't a valid one.
    """

    def __init__(self, address: str, config: Config) -> None:
        parts = urlsplit(address)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        options = dict(pairs)
        name = parts.netloc
        if parts.scheme != "s3" or not name or "@" in name or ":" in name or not _OPTIONS.issuperset(options):
            shown = f"{parts.scheme}://{name.rpartition('@')[2]}{parts.path}"  # without a password
            raise UsageError(f"'{shown}' is not a valid bucket", untouched="nothing was copied", hint=_HINT)
        self.shown = address.partition("?")[0].rstrip("/")
        self._signer = S3Signer(self.shown, options.get("profile"), options.get("region"))
        endpoint = (
            options.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        )
        host = f"{name}.s3.{self._signer.region}.amazonaws.com"
        if endpoint is not None:
            base = f"{endpoint.rstrip('/')}/{name}"
        elif "." in name:  # a certificate for *.s3.amazonaws.com doesn't hold for it
            base = f"https://s3.{self._signer.region}.amazonaws.com/{name}"
        else:
            base = f"https://{host}"
        if urlsplit(base).scheme not in {"http", "https"}:
            raise UsageError(f"'{endpoint}' is not a valid endpoint", untouched="nothing was copied", hint=_HINT)
        self._bucket_url, self._prefix = f"{base}/", parts.path.strip("/")
        self.url = f"{base}/{quote(self._prefix, safe='/')}/" if self._prefix else f"{base}/"
        self.folder = Path(config.store) / "mirrors" / quote(self.url, safe="")[-150:]
        self.credentials = _Signed(self._signer, self.url)
        self.transport = Transport(config.transport_settings, credentials=self.credentials)
        self._sender = Transport(config.transport_settings)  # what it sends is signed here

    def __str__(self) -> str:
        return self.shown

    def get(self, key: str, max_bytes: int) -> Held | None:
        """Read an object; None where there is none."""
        answer = self._send("GET", self.url + quote(key, safe="/"), {}, frozenset({200, 404}), max_bytes=max_bytes)
        return Held(answer.data, answer.etag or "") if answer.status == 200 else None

    def digest(self, key: str) -> Digest | None:
        """Return what an object is, read in pieces; None where there is none."""
        hasher, size = hashlib.sha256(), 0
        try:
            with self.transport.stream(self.url + quote(key, safe="/")) as stream:
                for chunk in stream.chunks():
                    hasher.update(chunk)
                    size += len(chunk)
                return Digest(hasher.hexdigest(), size, stream.etag or "")
        except HttpStatusError as error:
            if error.status == 404:
                return None
            raise
        except TransientError as error:
            raise UnavailableError(
                f"{self.shown} broke off while {key} was read: {error.reason}", subject=key
            ) from error

    def put(
        self, key: str, body: bytes | Path, sha256: str, *, new: bool = False, etag: str | None = None
    ) -> str | None:
        """Write an object and return its tag; None if the condition failed.

        Args:
            key: of the published tree.
            body: its bytes, or a file of them.
            sha256: of these.
            new: only where there is none.
            etag: only in place of this.
        """
        size = len(body) if isinstance(body, bytes) else body.stat().st_size
        if size > MAX_PUT_BYTES:
            raise InstallError(
                f"{key} has {size} bytes, and S3 takes {MAX_PUT_BYTES} in one piece",
                subject=key,
                untouched="readers of the mirror see its earlier state",
                hint="leave it out of the selection, or make the mirror in a folder",
            )
        headers = {
            "Content-Type": _TYPES.get(posixpath.splitext(key)[1].lower(), "application/octet-stream"),
            "Cache-Control": "no-cache" if key.startswith(_MUTABLE) else _IMMUTABLE,
        }
        if new:
            headers["If-None-Match"] = "*"
        elif etag is not None:
            headers["If-Match"] = etag
        expected = frozenset({200, 412, 404} if etag is not None else {200, 412} if new else {200})
        url = self.url + quote(key, safe="/")
        answer = self._send("PUT", url, headers, expected, body=body, sha256=sha256)
        return answer.etag or "" if answer.status == 200 else None

    def delete(self, key: str) -> None:
        """Remove an object; one that isn't there is fine."""
        self._send("DELETE", self.url + quote(key, safe="/"), {}, frozenset({200, 204, 404}))

    def listed(self, below: str) -> Iterator[tuple[str, int]]:
        """Yield key and size of every object whose key begins with ``below``."""
        start = f"{self._prefix}/" if self._prefix else ""
        token = ""
        while True:
            more = f"&continuation-token={quote(token, safe='')}" if token else ""
            # in the order of their names, as the signature wants them
            query = f"{more[1:] + '&' if more else ''}list-type=2&prefix={quote(start + below, safe='')}"
            answer = self._send("GET", f"{self._bucket_url}?{query}", {}, frozenset({200}))
            try:
                page = ET.fromstring(answer.data)  # noqa: S314  # as above; it is bounded
            except ET.ParseError as error:
                raise ConfigError(f"{self.shown} doesn't answer a listing as S3 does: {error}") from error
            space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
            for each in page.iter(f"{space}Contents"):
                key = (each.findtext(f"{space}Key") or "").removeprefix(start)
                if key and not key.endswith("/"):
                    yield key, int(each.findtext(f"{space}Size") or 0)
            token = page.findtext(f"{space}NextContinuationToken") or ""
            if not token:
                return

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        expected: frozenset[int],
        *,
        body: bytes | Path | None = None,
        sha256: str | None = None,
        max_bytes: int = _MAX_ANSWER_BYTES,
    ) -> Sent:
        signed = {**headers, **self._signer.signed(method, url, headers, sha256)}
        try:
            return self._sender.send(method, url, headers=signed, body=body, expected=expected, max_bytes=max_bytes)
        except HttpStatusError as error:
            if error.status in {301, 400, 403}:
                error.hint = (
                    "check the keys (AWS_ACCESS_KEY_ID, ~/.aws/credentials), what they may do (GetObject, PutObject; "
                    "to verify ListBucket, to prune DeleteObject too), and the region"
                )
            raise


class _Signed(Credentials):
    """Signs requests below one address."""

    def __init__(self, signer: S3Signer, url: str) -> None:
        self._signer = signer
        self._url = url

    def grant(self, url: str) -> Grant:
        """Return the headers of a GET below this address; none for others."""
        return Grant(self._signer.signed("GET", url, {})) if url.startswith(self._url) else Grant()


__all__ = ["SCHEME", "Bucket", "Digest", "Held"]
