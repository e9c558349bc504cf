"""Decides how a published file answers a GET or HEAD: preconditions, one range, headers. Pure.

The rules are those of RFC 9110, sections 13 (conditional requests) and 14 (range requests), as far as clients of a
published tree use them: a validator or a range that isn't understood is ignored, which is always allowed, and so are
multiple ranges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timezone
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING

from registry_builder.storage.headers import disposition_for, headers_for

if TYPE_CHECKING:
    from collections.abc import Mapping

# On each response. Clients in a browser may have another origin, and no file is to be taken for another type than
# it says it has.
_ALWAYS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "content-length, content-range, etag",
    "x-content-type-options": "nosniff",
}
_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.IGNORECASE)
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


@dataclass(frozen=True)
class FileFacts:
    """What the response depends on: the key, the size in bytes, and time and version of the file."""

    key: str
    size: int
    etag: str  # strong, with its quotes
    modified_at: int  # seconds since the epoch


@dataclass(frozen=True)
class Answer:
    """A status, headers with lower-case names, and which bytes of the file are the body (none if ``length`` is 0)."""

    status: int
    headers: dict[str, str]
    start: int = 0
    length: int = 0


def answer_for(method: str, request: Mapping[str, str], file: FileFacts) -> Answer:
    """Return the response to ``method`` (GET or HEAD) with the headers ``request`` (lower-case names) for ``file``."""
    content_type, cache_control = headers_for(file.key)
    validators = {
        **_ALWAYS,
        "cache-control": cache_control,
        "etag": file.etag,
        "last-modified": formatdate(file.modified_at, usegmt=True),
    }
    if _is_current(request, file):
        return Answer(304, validators)
    headers = {**validators, "accept-ranges": "bytes", "content-type": content_type}
    if (disposition := disposition_for(file.key)) is not None:
        headers["content-disposition"] = disposition
    start, end = 0, file.size
    status = 200
    wanted = request.get("range") if method == "GET" and _range_applies(request, validators) else None
    span = _one_range(wanted, file.size) if wanted is not None else None
    if span is not None:
        start, end = span
        if start >= end:
            return refusal(416, {"content-range": f"bytes */{file.size}"})
        status = 206
        headers["content-range"] = f"bytes {start}-{end - 1}/{file.size}"
    headers["content-length"] = str(end - start)
    return Answer(status, headers, start, 0 if method == "HEAD" else end - start)


def refusal(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Return a response without body: no file or wrong method. Never cached: a missing root may be published later."""
    return Answer(status, {**_ALWAYS, "cache-control": "no-store", "content-length": "0", **(headers or {})})


def _is_current(request: Mapping[str, str], file: FileFacts) -> bool:
    tags = request.get("if-none-match")
    if tags is not None:  # then If-Modified-Since doesn't count (section 13.2.2)
        return tags.strip() == "*" or file.etag in _ENTITY_TAG.findall(tags)
    since = request.get("if-modified-since")
    if since is None:
        return False
    try:
        date = parsedate_to_datetime(since)
        return file.modified_at <= (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return False


def _range_applies(request: Mapping[str, str], validators: Mapping[str, str]) -> bool:
    """Return whether If-Range lets the range count: a client that resumes must get the same file or all of it."""
    condition = request.get("if-range")
    return condition is None or condition in {validators["etag"], validators["last-modified"]}


def _one_range(text: str, size: int) -> tuple[int, int] | None:
    """Return the range as start and end (empty if it can't be satisfied); None if it must be ignored."""
    match = _ONE_RANGE.fullmatch(text)
    if match is None:
        return None
    first, last = match.groups()
    if first:
        if last and int(last) < int(first):
            return None
        return min(int(first), size), min(int(last) + 1, size) if last else size
    if last:
        return max(size - int(last), 0), size
    return None
