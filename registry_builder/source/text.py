"""Text that people edit, as bytes: byte order marks, line ends, encodings, conflict markers, Git LFS pointers. Pure.

Git and editors change files in ways that their authors don't see. What can be undone is undone (`with_plain_lines`);
the rest is reported together with the command that fixes it.
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
# Encodings, recognised by the range of characters that a text in them uses, and the share of these characters.
_SCRIPTS = (
    ("SHIFT_JIS", "\u3040", "\u30ff", 0.3),
    ("EUC-JP", "\u3040", "\u30ff", 0.3),
    ("EUC-KR", "\uac00", "\ud7a3", 0.8),
)
_CONFLICT = re.compile(rb"^(?:<{7} .*|<{7}|={7}|>{7} .*|>{7}|\|{7} .*)\r?$", re.MULTILINE)


def with_plain_lines(data: bytes) -> bytes:
    """Return a text in UTF-8 without a byte order mark and with LF; the same object if nothing has to change.

    Other encodings are left as they are: their bytes can't be distinguished from line ends.
    """
    if data[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return data
    data = data.removeprefix(BOM)
    return data.replace(b"\r\n", b"\n") if b"\r\n" in data else data


def without_mark(data: bytes) -> bytes:
    """Return a document without the byte order mark that Windows editors write before UTF-8."""
    return data.removeprefix(BOM)


def text_problem(data: bytes, name: str) -> str | None:
    """Return why a text can't be published, or None if it can: its encoding, or an unfinished merge.

    Args:
        data: the file's bytes.
        name: the file name for the command that converts it.
    """
    if is_lfs_pointer(data):
        return POINTER_PROBLEM
    if (encoding := other_encoding(data)) is not None:
        known = f"but probably in {encoding}" if encoding else "and its encoding is not known"
        return f"is not in UTF-8 {known}: {convert_command(name, encoding)}"
    return conflict_problem(data)


def convert_command(name: str, encoding: str) -> str:
    """Return the command that converts a file to UTF-8; an empty ``encoding`` means unknown."""
    return f"convert it with: iconv -f {encoding or 'ENCODING'} -t UTF-8 {name} > {name}.utf8 && mv {name}.utf8 {name}"


def other_encoding(data: bytes) -> str | None:
    """Return the encoding that a text which isn't UTF-8 is probably in; None for UTF-8, empty if nothing fits."""
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
    """Return the probable encoding of a text that isn't UTF-8; the user sees after conversion whether it is right."""
    for name, first, last, share in _SCRIPTS:
        if _share(data, name, first, last) >= share:
            return name
    runs = re.findall(rb"[\x80-\xff]+", data)
    # bytes above 127 come in pairs in Chinese, and mostly alone between Latin letters
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
    """Return the share of non-ASCII characters that are in a range; 0 if the bytes aren't valid."""
    try:
        beyond = [char for char in data.decode(encoding) if char > "\x7f"]
    except UnicodeDecodeError:
        return 0
    return sum(first <= char <= last for char in beyond) / max(1, len(beyond))


def conflict_problem(data: bytes) -> str | None:
    """Return a message with the line where a merge left both versions, or None.

    A line of seven equals signs alone may be a Markdown heading's, so the pair around it is required.
    """
    if b"<<<<<<<" not in data or b">>>>>>>" not in data:
        return None
    lines = [(data.count(b"\n", 0, found.start()) + 1, found.group()[:1]) for found in _CONFLICT.finditer(data)]
    marks = [mark for _, mark in lines]
    if b"<" not in marks or b"=" not in marks or b">" not in marks:
        return None
    begin = next(line for line, mark in lines if mark == b"<")
    return (
        f"has the conflict markers of an unfinished merge, from line {begin} on: keep what is right from both sides, "
        "and remove the three lines of markers"
    )


def is_lfs_pointer(data: bytes) -> bool:
    """Return whether bytes are a Git LFS pointer, left in place of a file that wasn't fetched."""
    return data.startswith(LFS_POINTER) or data.replace(b"\r\n", b"\n").startswith(LFS_POINTER)


POINTER_PROBLEM = "is a Git LFS pointer, not the file itself: fetch it with: git lfs install && git lfs pull"


def line_end_problem(data: bytes, sha256: str, path: str) -> str | None:
    """Return a message if only its line ends keep a text from having its digest, with the fix; else None."""
    if b"\r\n" in data and hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest() == sha256:
        return (
            "was checked out with Windows line ends, but its digest is that of the file with LF: write "
            f"'{path} -text' into .gitattributes, then: rm {path} && git checkout -- {path}"
        )
    if b"\r\n" not in data and hashlib.sha256(data.replace(b"\n", b"\r\n")).hexdigest() == sha256:
        return (
            "has LF line ends, but its digest is that of the file with Windows line ends, which git converted: write "
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
