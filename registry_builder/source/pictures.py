"""Which of four kinds of picture some bytes are, and how large it is, by its header alone. Pure.

The bytes are hostile, and nothing is decoded: a header is read in one pass over bounded lengths. Libraries for this
(`imagesize`, `filetype`) read headers of pictures that one trusts, and more kinds than a page may load, SVG among them.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_SIDE = 16_384
MAX_PIXELS = 50_000_000
"""What a reader's browser decodes: a few kilobytes of PNG may be gigabytes of memory."""

ENDINGS = ("png", "jpg", "gif", "webp")

# the markers of JPEG that begin a frame; C4, C8 and CC among them are tables
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # without a length


class Picture(NamedTuple):
    """A kind, as the ending of its file, and a size in pixels."""

    ending: str
    width: int
    height: int


def picture_of(data: bytes) -> Picture | None:
    """Return what picture these bytes begin as; None for anything but PNG, JPEG, GIF and WebP, and for broken ones."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        found = _png(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        found = Picture("gif", _little(data[6:8]), _little(data[8:10])) if len(data) > 12 else None
    elif data.startswith(b"\xff\xd8\xff"):
        found = _jpeg(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        found = _webp(data)
    else:
        return None
    return found if found is not None and found.width > 0 and found.height > 0 else None


def picture_problem(data: bytes) -> str | None:
    """Return why a page may not load these bytes as a picture; None if it may."""
    found = picture_of(data)
    if found is None:
        return f"it is {_named(data)}, and pages show PNG, JPEG, GIF and WebP alone"
    if max(found.width, found.height) > MAX_SIDE or found.width * found.height > MAX_PIXELS:
        most = f"{MAX_SIDE:,} a side and {MAX_PIXELS:,} in all"
        return f"it has {found.width} by {found.height} pixels, and pages show at most {most}"
    return None


def is_svg(data: bytes) -> bool:
    """Return whether bytes look like an SVG drawing, which may hold scripts and is shown by no page."""
    return b"<svg" in data[:4096].lower()


def _named(data: bytes) -> str:
    head = data[:4096].lower()
    if not data:
        return "empty"
    if b"<svg" in head:
        return "an SVG drawing"
    if b"<html" in head or b"<!doctype" in head:
        return "a web page"
    if data.startswith((b"\x89PNG", b"GIF8", b"\xff\xd8", b"RIFF")):
        return "a picture whose header is broken"
    return "something else"


def _png(data: bytes) -> Picture | None:
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    return Picture("png", _big(data[16:20]), _big(data[20:24]))


def _jpeg(data: bytes) -> Picture | None:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _FRAMES:
            frame = data[at + 5 : at + 9]
            return Picture("jpg", _big(frame[2:]), _big(frame[:2])) if len(frame) == 4 else None
        else:
            length = _big(data[at + 2 : at + 4])
            if length < 2 or marker in {0xD9, 0xDA}:  # the picture before its size, or its end
                return None
            at += 2 + length
    return None


def _webp(data: bytes) -> Picture | None:
    kind = data[12:16]
    if len(data) < 30:
        return None
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        return Picture("webp", _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF)
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = _little(data[21:25])
        return Picture("webp", (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)
    if kind == b"VP8X":
        return Picture("webp", _little(data[24:27]) + 1, _little(data[27:30]) + 1)
    return None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")


__all__ = ["ENDINGS", "MAX_PIXELS", "MAX_SIDE", "Picture", "is_svg", "picture_of", "picture_problem"]
