"""Keeps CloudFront's key value store of the Model Hub's addresses as the published table says (docs/api.md).

The function in front of a bucket finds files by that store alone. It follows past the commit point, like pages, and a
publish that can't reach it warns: until the next complete publish, addresses lead where they led before. A mark in the
store names the table that it holds, so a store that has it already is left alone, and one that was left behind, or that
somebody edited on the way, is compared key by key.

Source: "Work with key value data" in the CloudFront developer guide, for the API, its quotas, and what an ETag guards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from itertools import islice
from typing import Any
from urllib.parse import quote

import msgspec

from registry_builder.publication._sigv4a import AwsKeys, signed_headers
from registry_builder.publication.context import Publisher
from registry_builder.site.static_api.keys import REWRITES
from registry_builder.site.static_api.rewrites import MAX_BYTES, read_table
from registry_builder.storage import ObjectMissingError, ObjectTooLargeError, Storage
from sealdex.errors import SealdexError, UnavailableError
from sealdex.model.decode import decode_as, encode_json
from sealdex.text import counted

MARK = "sealdex-table"
"""The key whose value is the SHA-256 of the table in the store. No address begins without a slash."""
MAX_CHANGES = 50
MAX_KEY_BYTES = 512
MAX_PAIR_BYTES = 1024

_SERVICE = "cloudfront-keyvaluestore"
_PAGE = 50
_TRIES = 3
_TIMEOUT_S = 30.0
_LAGS = (
    "at the Model Hub's addresses new versions are missing and latest.zip is the version before, until a complete "
    "publish succeeds in it"
)


Batch = tuple[dict[str, str], list[str]]
"""What is put and what is deleted, all or nothing."""


class _ChangedError(Exception):
    """Somebody else wrote to the store meanwhile."""


def table_of(storage: Storage) -> dict[str, str]:
    """Return the table that is published; empty if there is none."""
    try:
        return read_table(storage.get(REWRITES, max_bytes=MAX_BYTES).data)
    except (ObjectMissingError, ObjectTooLargeError):
        return {}


def fitting(table: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return what of a table a store has room for, and the addresses that are too long for one."""
    kept, left = {}, []
    for key, value in table.items():
        length = len(key.encode())
        if length <= MAX_KEY_BYTES and length + len(value.encode()) <= MAX_PAIR_BYTES:
            kept[key] = value
        else:
            left.append(key)
    return kept, left


def digest_of(table: Mapping[str, str]) -> str:
    """Return what marks a store that holds this table."""
    lines = "".join(f"{key}\n{value}\n" for key, value in sorted(table.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def changes(held: Mapping[str, str], table: Mapping[str, str]) -> list[Batch]:
    """Return how a store that holds ``held`` comes to hold ``table``.

    Files come before the redirects to them, and what goes away goes last. Where one batch isn't enough the first takes
    the mark away, so that a store that was left in between is compared as a whole.
    """
    put = {key: value for key, value in table.items() if held.get(key) != value}
    first = {key: value for key, value in put.items() if not key.endswith("/latest.zip")}
    steps: list[tuple[str, str | None]] = [*sorted(first.items()), *sorted((k, put[k]) for k in put.keys() - first)]
    steps += [(key, None) for key in sorted(held.keys() - table.keys() - {MARK})]
    marked = (MARK, digest_of(table))
    if len(steps) < MAX_CHANGES:
        steps.append(marked)
    else:
        steps = [(MARK, None), *steps, marked] if MARK in held else [*steps, marked]
    return [
        ({key: value for key, value in batch if value is not None}, [key for key, value in batch if value is None])
        for batch in _batches(steps)
    ]


def bring_up_to_date(publisher: Publisher, before: Mapping[str, str]) -> str | None:
    """Let the realm's store hold the published table; return what went wrong, for a warning.

    Args:
        publisher: of the realm; without ``key_value_store`` in registry.toml does nothing.
        before: the table that this publish replaced, which spares a listing of a store that holds it.
    """
    arn = publisher.tree.config.realms[publisher.realm].key_value_store
    if arn is None:
        return None
    try:
        store = _Store(arn)
        for _ in range(_TRIES):
            # read again: of two publishers at once, whoever is last here has the newest
            table, left = fitting(table_of(publisher.storage))
            try:
                store.replace(fitting(before)[0], table)
            except _ChangedError:
                continue
            break
        else:
            return f"published, but the key value store kept changing: {_LAGS}"
    except SealdexError as error:
        return f"published, but {error.message}: {_LAGS}"
    if left:
        shown = ", ".join(left[:3])
        return f"CloudFront's key value store has no room for {counted(len(left), 'address', 'addresses')}: {shown}"
    return None


class _Store:
    """A key value store, by its API; requests are signed, and refused ones are `UnavailableError`."""

    def __init__(self, arn: str) -> None:
        import urllib3  # noqa: PLC0415  # for registries that have a store alone

        self._broken = (urllib3.exceptions.HTTPError, msgspec.MsgspecError, UnicodeDecodeError)
        self._url = f"{_endpoint(arn)}/key-value-stores/{quote(arn, safe='')}"
        self._keys = _aws_keys()
        again = urllib3.Retry(total=2, status_forcelist=(500, 503), allowed_methods={"GET"}, backoff_factor=0.5)
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT_S, retries=again)

    def replace(self, before: Mapping[str, str], table: Mapping[str, str]) -> None:
        """Let the store hold a table.

        Args:
            before: what it probably holds.
            table: what it is to hold.

        Raises:
            UnavailableError: it can't be reached, or refuses.
            _ChangedError: somebody else wrote to it meanwhile.
        """
        etag = self._ask("GET", "")[1]
        mark = self._mark()
        if mark == digest_of(table):
            return
        held = {**before, MARK: mark} if mark is not None and mark == digest_of(before) else dict(self._all())
        for puts, deletes in changes(held, table):
            asked = {
                "Puts": [{"Key": key, "Value": value} for key, value in puts.items()],
                "Deletes": [{"Key": key} for key in deletes],
            }
            etag = self._ask("POST", "/keys", {name: each for name, each in asked.items() if each}, etag)[1]

    def _mark(self) -> str | None:
        found, _ = self._ask("GET", f"/keys/{MARK}", missing=True)
        return found.get("Value")

    def _all(self) -> Iterator[tuple[str, str]]:
        start = ""
        while True:
            found, _ = self._ask("GET", f"/keys?MaxResults={_PAGE}{start}")
            for item in found.get("Items") or ():
                yield item["Key"], item["Value"]
            if not (token := found.get("NextToken")):
                return
            start = f"&NextToken={quote(token, safe='')}"

    def _ask(
        self, method: str, path: str, asked: object = None, etag: str | None = None, *, missing: bool = False
    ) -> tuple[dict[str, Any], str]:
        """Return an answer's document and ETag; with ``missing`` an empty one where there is none."""
        body = b"" if asked is None else encode_json(asked)
        said = {} if etag is None else {"content-type": "application/json", "if-match": etag}
        url = self._url + path
        now = datetime.now(timezone.utc)
        headers = signed_headers(method, url, said, body, service=_SERVICE, keys=self._keys, now=now)
        try:
            answer = self._pool.request(method, url, body=body or None, headers=headers)
            if answer.status in {409, 412}:
                raise _ChangedError
            if answer.status == 404 and missing:
                return {}, ""
            if answer.status >= 400:
                raise UnavailableError(f"CloudFront's key value store refused ({answer.status}): {_why(answer.data)}")
            return decode_as(answer.data or b"{}", dict[str, Any]), answer.headers.get("etag", "")
        except self._broken as error:
            raise UnavailableError(f"CloudFront's key value store did not answer: {error}") from error


def _why(data: bytes) -> str:
    """Return the reason in an answer, which a proxy may have given as a page."""
    try:
        document = decode_as(data or b"{}", dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "the answer is not JSON: a proxy may have given it"
    return str(document.get("Message") or document.get("message") or "no reason was given")


def _batches(steps: Iterable[tuple[str, str | None]]) -> Iterator[list[tuple[str, str | None]]]:
    iterator = iter(steps)
    while batch := list(islice(iterator, MAX_CHANGES)):
        yield batch


def _endpoint(arn: str) -> str:
    return f"https://{arn.split(':')[4]}.cloudfront-kvs.global.api.aws"


def _aws_keys() -> AwsKeys:
    import boto3  # noqa: PLC0415  # a folder needs none
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # likewise

    try:
        found = boto3.session.Session().get_credentials()
        keys = None if found is None else found.get_frozen_credentials()
    except BotoCoreError as error:
        raise UnavailableError(f"AWS's credentials can't be read: {error}") from error
    if keys is None or keys.access_key is None or keys.secret_key is None:
        raise UnavailableError("there are no credentials for CloudFront's key value store")
    return AwsKeys(keys.access_key, keys.secret_key, keys.token)


__all__ = ["MARK", "MAX_CHANGES", "bring_up_to_date", "changes", "digest_of", "fitting", "table_of"]
