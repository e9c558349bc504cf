"""Lines of access logs as answers: CloudFront (tab-separated or JSON), S3, nginx (combined or JSON). Pure.

Sources: "Standard logging reference" in CloudFront's developer guide; "Amazon S3 server access log format" in the S3
user guide; the documentation of nginx's ``ngx_http_log_module``.

A format is recognised by the first line. Fields with a name may come in any order and under the usual names; their
spelling is normalised first, so that ``cs(User-Agent)``, ``cs_user_agent`` and ``http_user_agent`` are all understood.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sealdex.model.foreign_json import json_values

AGENT: Final = b"sealdex"
"""What each line has that our client caused; other lines aren't looked at."""

_OURS = re.compile(r"sealdex(?:/\S+)?(?: .*)?")
_TIME = r"\[(\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMBINED = re.compile(rf"\S+ \S+ .*?{_TIME} {_QUOTED} (\d{{3}}) (\d+|-) {_QUOTED} {_QUOTED}(?: .*)?")
_S3 = re.compile(rf"[0-9a-f]{{16,}} (\S+) {_TIME} \S+ \S+ (\S+) ([A-Z0-9_.]+) (\S+) (.*)")
_S3_REST = re.compile(r'"[^"]*" (\d{3}) \S+ (\d+|-) (?:\d+|-) \S+ \S+ (?:"[^"]*"|-) "([^"]*)"(?: .*)?')
_S3_GET = "REST.GET.OBJECT"
_CLOUDFRONT_FIELDS = """
date time x-edge-location sc-bytes c-ip cs-method cs-host cs-uri-stem sc-status cs-referer cs-user-agent
cs-uri-query cs-cookie x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken
x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status
fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len
sc-range-start sc-range-end
"""
_CLOUDFRONT_LINE = re.compile(r"\d{4}-\d{2}-\d{2}\t\d{2}:\d{2}:\d{2}\t")
_RANGE = re.compile(r"bytes[= ](\d+)-")
_NO_VALUE = frozenset({"", "-"})
_MILLISECONDS = 100_000_000_000  # a time in seconds that large is in the year 5138

_METHOD = ("cs-method", "request-method", "method")
_PATH = ("cs-uri-stem", "request-uri", "uri", "path")
_STATUS = ("sc-status", "status")
_AGENT = ("cs-user-agent", "http-user-agent", "user-agent", "agent")
_BYTES = ("body-bytes-sent", "sc-bytes", "bytes-sent", "bytes")
_RANGES = ("sc-range-start", "sent-http-content-range", "content-range", "http-range", "range")
_IDS = ("x-edge-request-id", "request-id")
_TIMES = ("timestamp-ms", "timestamp", "time-iso8601", "time-local", "msec", "time")

_JSON_FIELDS = "request_method, request_uri, status, body_bytes_sent, http_user_agent, time_iso8601"
_TAB_FIELDS = "date, time, cs-method, cs-uri-stem, sc-status, cs(User-Agent)"


@dataclass(frozen=True)
class Answer:
    """One answer of a server to our client.

    Attributes:
        day: in UTC.
        path: as requested, without a query.
        bucket: of an S3 log.
        size: how many bytes were sent; None if the log doesn't say.
        start: the first byte of the range that was sent; None for a whole answer, or if the log doesn't say.
        says_ranges: whether the log says which range was sent.
        id: of the request, if the log has one.
    """

    day: date
    method: str
    path: str
    status: int
    size: int | None = None
    start: int | None = None
    says_ranges: bool = False
    id: str | None = None
    bucket: str | None = None


Reader = Callable[[str], Answer | None]
"""Reads one line; None where it isn't an answer to our client. Raises ValueError, which says what is wrong."""


def reader_for(line: str) -> Reader:
    """Return what reads a log that begins with this line.

    Raises:
        ValueError: no log that is understood begins like that, or it lacks fields.
    """
    if line.startswith("#"):
        return TabReader()
    if line.startswith("{"):
        _named(_object(line), _JSON_FIELDS)
        return lambda each: _named(_object(each), _JSON_FIELDS)
    if _CLOUDFRONT_LINE.match(line) and line.count("\t") + 1 == len(_CLOUDFRONT_FIELDS.split()):
        return TabReader(_CLOUDFRONT_FIELDS.split())  # "plain" of standard logs v2 has no line of #Fields
    if _S3.fullmatch(line):
        return _s3
    if _COMBINED.fullmatch(line):
        return _combined
    raise ValueError(
        "is not a log of CloudFront (standard), S3 (server access) or nginx (combined, or JSON with escape=json)"
    )


class TabReader:
    """Reads CloudFront's tab-separated lines, by their ``#Fields`` line."""

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self._fields = list(fields)

    def __call__(self, line: str) -> Answer | None:
        """See `Reader`."""
        if line.startswith("#"):
            name, _, rest = line.partition(":")
            if name == "#Fields":
                self._fields = [_normal(each) for each in rest.split()]
            return None
        if not self._fields:
            raise ValueError("comes before a line that begins with '#Fields:'")
        values = line.split("\t" if "\t" in line else " ")
        if len(values) != len(self._fields):
            raise ValueError(f"has {len(values)} columns, but #Fields names {len(self._fields)}")
        return _named(dict(zip(self._fields, values, strict=True)), _TAB_FIELDS)


def _object(line: str) -> dict[str, str]:
    try:
        values = json_values(line)
    except ValueError as error:
        raise ValueError(f"is not valid JSON (in nginx, log_format needs escape=json): {error}") from error
    if not isinstance(values, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004  # the one error of a line
    return {_normal(name): _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _named(values: Mapping[str, str], needed: str) -> Answer | None:
    """Return the answer that fields with names tell of."""
    method, path = _first(values, _METHOD), _first(values, _PATH)
    if "request" in values and (method is None or path is None):
        method, path = _request(values["request"])
    agent, status = _first(values, _AGENT), _first(values, _STATUS)
    moment = f"{values['date']}T{values['time']}Z" if {"date", "time"} <= values.keys() else _first(values, _TIMES)
    if method is None or path is None or agent is None or status is None or moment is None:
        raise ValueError(f"lacks a field that is needed; they are: {needed}")
    if not is_ours(agent):
        return None
    return Answer(
        day=_day(moment),
        method=method,
        path=_bare(path),
        status=_number(status, "status"),
        size=_size(_first(values, _BYTES)),
        start=_start(_first(values, _RANGES)),
        says_ranges=any(name in values for name in _RANGES),
        id=_id(_first(values, _IDS)),
    )


def _id(text: str | None) -> str | None:
    return None if text is None or text in _NO_VALUE else text


def _first(values: Mapping[str, str], names: Sequence[str]) -> str | None:
    found = [values[name] for name in names if name in values]
    return next((each for each in found if each not in _NO_VALUE), found[0] if found else None)


def _combined(line: str) -> Answer | None:
    match = _COMBINED.fullmatch(line)
    if match is None:
        raise ValueError("is not a line of nginx's format 'combined'")
    moment, request, status, size, _, agent = match.groups()
    if not is_ours(agent):
        return None
    method, path = _request(request)
    return Answer(_day(moment), method, _bare(path), int(status), _size(size))


def _s3(line: str) -> Answer | None:
    match = _S3.fullmatch(line)
    if match is None:
        raise ValueError("is not a line of an S3 server access log")
    bucket, moment, request, operation, key, rest = match.groups()
    # S3 doesn't escape quotes; our client sends none, so a line that doesn't fit isn't its
    if operation != _S3_GET or (match := _S3_REST.fullmatch(rest)) is None or not is_ours(match[3]):
        return None
    return Answer(_day(moment), "GET", f"/{key}", int(match[1]), _size(match[2]) or 0, id=_id(request), bucket=bucket)


def is_ours(agent: str) -> bool:
    """Return whether a ``User-Agent``, as written or percent-encoded, is that of our client."""
    return _OURS.fullmatch(agent) is not None or _OURS.fullmatch(unquote(agent)) is not None


def _request(request: str) -> tuple[str, str]:
    method, _, rest = request.partition(" ")
    return method, rest.rpartition(" ")[0] or rest


def _bare(path: str) -> str:
    if path.startswith(("http://", "https://")):
        try:
            path = urlsplit(path).path
        except ValueError:
            return ""
    return path.partition("?")[0]


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"has a {field} that is not a number of at most 18 digits")
    return int(text)


def _size(text: str | None) -> int | None:
    return None if text is None or text in _NO_VALUE else _number(text, "size")


def _start(text: str | None) -> int | None:
    if text is None or text in _NO_VALUE:
        return None
    match = _RANGE.match(text)
    if match is None and not text.isdigit():
        return None  # of several ranges, or from the end: our client asks for neither
    return _number(match[1] if match else text, "range")


def _day(moment: str) -> date:
    try:
        return _moment(moment).astimezone(timezone.utc).date()
    except (ValueError, OverflowError):
        raise ValueError("has a time that can't be read") from None


def _moment(text: str) -> datetime:
    if re.fullmatch(r"[0-9]{1,18}(?:\.[0-9]{1,9})?", text, re.ASCII):
        seconds = float(text)
        since = seconds / 1000 if seconds >= _MILLISECONDS else seconds
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=since)
    if "/" in text:
        return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z")
    found = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


__all__ = ["AGENT", "Answer", "Reader", "is_ours", "reader_for"]
