"""The process protocol, without I/O: JSON-RPC 2.0, one message per line (``docs/process-protocol.md``).

The host writes compact ASCII with members always in the order ``jsonrpc``, ``id``, ``method``, ``params``,
so that a shell script can extract ``id`` and ``method`` with a pattern.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sealdex.model.foreign_json import json_values

PROTOCOL = 1
MAX_MESSAGE_BYTES = 1024 * 1024
METHOD_NOT_FOUND = -32601


class ProtocolError(Exception):
    """The other side violates the protocol."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request: a result, or an error with code and message."""

    id: int
    result: Any = None
    error: str | None = None
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A request or notification from the plugin; ``id`` is None for a notification."""

    method: str
    params: Any
    id: Any = None


def request(number: int | None, method: str, params: Any) -> bytes:
    """Return a request, or a notification if there is no number, as a line.

    Raises:
        ValueError, TypeError: the parameters can't be written as JSON; ProtocolError: the message is too long.
    """
    message: dict[str, Any] = {"jsonrpc": "2.0"}
    if number is not None:
        message["id"] = number
    message["method"] = method
    if params not in ((), [], {}, None):
        message["params"] = params
    return _line(message)


def refusal(number: Any, code: int, text: str) -> bytes:
    """Return an error response as a line.

    Raises:
        ProtocolError: ``number``, as the plugin wrote it, can't be written as JSON, or is too long.
    """
    try:
        return _line({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}})
    except (ValueError, RecursionError):
        raise ProtocolError("it wrote a request with an id that JSON doesn't have") from None


def read(line: bytes) -> Response | Notice:
    """Read one line from the plugin.

    Raises:
        ProtocolError: it is not a JSON-RPC 2.0 message; the text says why.
    """
    try:
        message = json_values(line)
    except ValueError:
        raise ProtocolError(f"it wrote a line that is not JSON: {line[:80]!r}") from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise ProtocolError(f"it wrote a line that is not a JSON-RPC 2.0 message: {line[:80]!r}")
    number, method = message.get("id"), message.get("method")
    if isinstance(method, str):
        return Notice(method, message.get("params"), number)
    if type(number) is not int or ("result" in message) == ("error" in message):
        raise ProtocolError(
            f"it wrote an answer without a number, or without exactly one of result and error: {line[:80]!r}"
        )
    if "result" in message:
        return Response(number, message["result"])
    error = message["error"]
    text, code = (error.get("message"), error.get("code")) if isinstance(error, dict) else (None, None)
    said = str(text if text is not None else error)[:2000] or "unknown error"
    return Response(number, error=said, code=code if type(code) is int else None)


def _line(message: dict[str, Any]) -> bytes:
    data = json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {len(data)} bytes is longer than {MAX_MESSAGE_BYTES}")
    return data
