"""An archive argument on the command line: ``PATH`` or ``PATH:os=linux,arch=amd64|arm64,+cuda-11.8``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from registry_builder import authoring
from sealdex.errors import UsageError
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.selectors import Selector

if TYPE_CHECKING:
    from registry_builder.authoring.release import Archive, Image

# The labels begin at the last colon that is followed by KEY= or +TAG, so that C:\dist\x.zip stays a path.
_ARGUMENT = re.compile(
    r"(?P<path>.+?)(?::(?P<labels>(?:[A-Za-z0-9][^=:,/\\]*(?:/[^=:,/\\]+)?=|\+)[^:\\]*))?", re.DOTALL
)


def parse_archive(text: str) -> Archive:
    """Parse one argument.

    Raises:
        UsageError: a label is not ``key=value``, or has invalid characters.
    """
    match = _ARGUMENT.fullmatch(text)
    if match is None:
        raise UsageError("an archive's name is empty")
    if match["labels"] is None:
        return authoring.Archive(Path(text))
    labels: dict[str, str] = {}
    expressions: list[dict[str, object]] = []
    tags: list[str] = []
    for part in match["labels"].split(","):
        key, equals, value = part.partition("=")
        if part.startswith("+"):
            tags.append(part[1:])
        elif not equals or key in labels or any(e["key"] == key for e in expressions):
            raise UsageError(f"'{part}' in '{text}' is not a separate label", hint="write key=value, each key once")
        elif "|" in value:
            expressions.append({"key": key, "operator": "In", "values": value.split("|")})
        else:
            labels[key] = value
    try:
        selector = read_values({"match_labels": labels, "match_expressions": expressions}, Selector)
    except DocumentError as error:
        raise UsageError(f"'{text}': {error}", hint="write ARCHIVE:os=linux,arch=amd64") from error
    return authoring.Archive(Path(match["path"]), selector or None, tuple(tags))


def parse_image(text: str) -> Image:
    """Parse ``REPOSITORY@sha256:DIGEST[:LABELS]``, with labels as those of an archive.

    Raises:
        UsageError: as `parse_archive`.
    """
    reference, digest = text[: _digest_end(text)], text[_digest_end(text) :]
    if not digest:
        return authoring.Image(reference)
    labels = parse_archive(f"image{digest}")
    return authoring.Image(reference, labels.selector, labels.tags)


def _digest_end(text: str) -> int:
    found = re.search(r"@sha256:[0-9a-f]{64}", text)
    return found.end() if found is not None else len(text)


__all__ = ["parse_archive", "parse_image"]
