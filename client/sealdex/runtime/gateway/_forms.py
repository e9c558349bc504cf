"""The fields of a request's body: JSON, a form, or a multipart form as ``curl -F`` sends it. Pure."""

from __future__ import annotations

import json
from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

from sealdex.errors import UsageError

_FILE = "file"


def fields_of(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the fields by name; of an uploaded file there is only ``file``, with its name.

    Raises:
        UsageError: the body isn't what the Content-Type says.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return {}
    try:
        # curl -d says that JSON is a form
        if kind == "application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{"):
            return dict(parse_qsl(body.decode(), strict_parsing=True, max_num_fields=64))
        if kind == "multipart/form-data":
            return _multipart(content_type, body)
        values = json.loads(body)
    except (ValueError, RecursionError, LookupError) as error:
        raise UsageError(f"the request's body can't be read: {error}") from error
    if not isinstance(values, dict):
        raise UsageError("the request's body is not a JSON object")
    return values


def _multipart(content_type: str, body: bytes) -> dict[str, Any]:
    if "\r" in content_type or "\n" in content_type:
        raise ValueError("its Content-Type has a line end")
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise ValueError("it has no parts")
    found: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            raise ValueError("a part has no name")  # noqa: TRY004  # of the body, not of an argument
        content = part.get_payload(decode=True)
        if part.get_filename() is not None:
            found[_FILE] = part.get_filename()
        elif isinstance(content, bytes):
            found[name] = content.decode()
    return found


__all__ = ["fields_of"]
