"""Text that people edit, as bytes: byte order marks, line ends, encodings, conflict markers, pointers of Git LFS. Pure.

Git and editors change files in ways that their authors don't see. What can be undone is undone (`with_plain_lines`),
and the rest is named together with the command that mends it.
"""

from __future__ import annotations

import codecs
import hashlib
import re

BOM = codecs.BOM_UTF8
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
MAX_POINTER_BYTES = 1024  # https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# Encodings that are told by the characters which a text in them has, from first to last, and by how many of all.
_SCRIPTS = (
    ("SHIFT_JIS", "\u3040", "\u30ff", 0.3),
    ("EUC-JP", "\u3040", "\u30ff", 0.3),
    ("EUC-KR", "\uac00", "\ud7a3", 0.8),
)
_CONFLICT = re.compile(rb"^(?:<{7} .*|<{7}|={7}|>{7} .*|>{7}|\|{7} .*)\r?$", re.MULTILINE)


def with_plain_lines(data: bytes) -> bytes:
    """Return a text in UTF-8 without a byte order mark and with LF; the same object where there is nothing to change.

    Other encodings are left as they are: their bytes can't be told from line ends.
    """
    if data[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return data
    data = data.removeprefix(BOM)
    return data.replace(b"\r\n", b"\n") if b"\r\n" in data else data


def without_mark(data: bytes) -> bytes:
    """Return a document without the byte order mark that Windows' editors write before UTF-8."""
    return data.removeprefix(BOM)


def text_problem(data: bytes, name: str) -> str | None:
    """Say why a text can't be published, or None when it can: its encoding, or a merge that wasn't finished.

    Args:
        data: the file's bytes.
        name: what it is called in the command that converts it.
    """
    if is_lfs_pointer(data):
        return POINTER_PROBLEM
    if (encoding := other_encoding(data)) is not None:
        known = f"but, as it seems, in {encoding}" if encoding else "and not in an encoding that can be told"
        return f"is not in UTF-8 {known}: {convert_command(name, encoding)}"
    return conflict_problem(data)


def convert_command(name: str, encoding: str) -> str:
    """Return the advice that brings a file into UTF-8; an empty ``encoding`` stands for one that isn't known."""
    return f"convert it with: iconv -f {encoding or 'ENCODING'} -t UTF-8 {name} > {name}.utf8 && mv {name}.utf8 {name}"


def other_encoding(data: bytes) -> str | None:
    """Return the encoding that a text which isn't UTF-8 is probably in; None for UTF-8, empty when nothing fits."""
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return name
    if b"\0" in data:
        even, odd = data[::2].count(0), data[1::2].count(0)
        return "UTF-16LE" if odd > even else "UTF-16BE" if even > odd else ""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _guess(data)
    return None


def _guess(data: bytes) -> str:
    """Tell the probable encoding of a text that isn't UTF-8: the person who converts it sees whether it is right."""
    for name, first, last, share in _SCRIPTS:
        if _share(data, name, first, last) >= share:
            return name
    runs = re.findall(rb"[\x80-\xff]+", data)
    # bytes above 127 come in pairs in Chinese, and mostly stand alone between Latin letters
    if sum(len(run) == 1 for run in runs) * 2 < len(runs):
        for narrow, name in (("GB2312", "GB18030"), ("BIG5", "BIG5"), ("GB18030", "GB18030")):
            if _share(data, narrow, "\u3000", "\uffee") > 0.9:
                return name
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    return "WINDOWS-1252" if re.search(rb"[\x80-\x9f]", data) else "ISO-8859-1"


def _share(data: bytes, encoding: str, first: str, last: str) -> float:
    """Return how much of what is beyond ASCII lies in a range of characters; 0 where the bytes aren't valid."""
    try:
        beyond = [char for char in data.decode(encoding) if char > "\x7f"]
    except UnicodeDecodeError:
        return 0
    return sum(first <= char <= last for char in beyond) / max(1, len(beyond))


def conflict_problem(data: bytes) -> str | None:
    """Name the line where a merge left both versions, or None.

    A line of seven equals signs alone is a heading's in Markdown, so the pair around it must be there.
    """
    if b"<<<<<<<" not in data or b">>>>>>>" not in data:
        return None
    lines = [(data.count(b"\n", 0, found.start()) + 1, found.group()[:1]) for found in _CONFLICT.finditer(data)]
    marks = [mark for _, mark in lines]
    if b"<" not in marks or b"=" not in marks or b">" not in marks:
        return None
    begin = next(line for line, mark in lines if mark == b"<")
    return (
        f"has the conflict markers of an unfinished merge, from line {begin} on: keep what is right of both sides, and "
        "remove the three lines of markers"
    )


def is_lfs_pointer(data: bytes) -> bool:
    """Tell whether bytes are what Git LFS leaves in place of a file that it hasn't fetched."""
    return data.startswith(LFS_POINTER) or data.replace(b"\r\n", b"\n").startswith(LFS_POINTER)


POINTER_PROBLEM = "is a pointer of Git LFS and not the file itself: fetch it with: git lfs install && git lfs pull"


def line_end_problem(data: bytes, sha256: str, path: str) -> str | None:
    """Say that only the line ends of a text keep it from its digest, and what to do; None when that isn't it."""
    if b"\r\n" in data and hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest() == sha256:
        return (
            "was checked out with Windows' line ends, and its digest is that of the file with LF: write "
            f"'{path} -text' into .gitattributes, then: rm {path} && git checkout -- {path}"
        )
    if b"\r\n" not in data and hashlib.sha256(data.replace(b"\n", b"\r\n")).hexdigest() == sha256:
        return (
            "has LF line ends, and its digest is that of the file with Windows' line ends, which git took out: write "
            f"'{path} -text' into .gitattributes, put the original there, then: git add {path}"
        )
    return None


__all__ = [
    "POINTER_PROBLEM",
    "conflict_problem",
    "convert_command",
    "is_lfs_pointer",
    "line_end_problem",
    "other_encoding",
    "text_problem",
    "with_plain_lines",
    "without_mark",
]
