"""Names that only Windows can't hold: more than `sealdex.archive.entries` refuses everywhere. Pure.

An archive for Linux may hold ``a:b.txt``; on Windows ``run.exe::$DATA`` is another name for ``run.exe``. So a builder
refuses such names in what may be installed on Windows, and a client on Windows refuses them before it writes.
Source: "Naming Files, Paths, and Namespaces" in Microsoft's documentation of Win32.
"""

from __future__ import annotations

from collections.abc import Iterable

from sealdex import disk
from sealdex.archive.entries import EntryProblem, refuse_if
from sealdex.lazy import regex

MAX_WINDOWS_PATH = 259
"""UTF-16 units of a path, without the final NUL, where long paths aren't switched on (MAX_PATH is 260)."""

_FORBIDDEN = regex(r'[<>:"|?*]')


def windows_problem(path: str) -> str | None:
    """Return why a path accepted by `path_problem` is not possible on Windows, or None if it is."""
    found = _FORBIDDEN.search(path)
    if found is None:
        return None
    if found[0] == ":":
        return "contains ':', behind which Windows reads the name of a stream of the file before it"
    return f"contains {found[0]!a}, which is not allowed in names on Windows"


def refuse_on_windows(archive: str, paths: Iterable[str]) -> None:
    """Refuse to write paths that Windows can't hold; does nothing elsewhere.

    Raises:
        RefusedArchiveError: with every such path.
    """
    if disk.ON_WINDOWS:
        refuse_if(archive, (EntryProblem(path, message) for path in paths if (message := windows_problem(path))))


__all__ = ["MAX_WINDOWS_PATH", "refuse_on_windows", "windows_problem"]
