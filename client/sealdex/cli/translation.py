"""Brings the messages of the language that whoever runs a command reads. English doesn't import it."""

from __future__ import annotations

import os
import sys

from sealdex.cli.language import ENGLISH, languages
from sealdex.cli.messages import Messages

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TextIO


def translation(rooms: Iterable[str], streams: Iterable[TextIO]) -> Callable[[str], str] | None:
    """Return what translates a text; None for English, and where a stream can't show the language.

    Args:
        rooms: packages with a folder ``languages``.
        streams: where the texts go.
    """
    rooms = list(rooms)
    for tag in languages(os.environ, _windows_language()):
        if tag == ENGLISH:
            return None
        documents = [document for room in rooms if (document := _read(room, tag)) is not None]
        if documents:
            found = Messages(documents)
            return found.say if all(_can_show(found.sample, stream) for stream in streams) else None
    return None


def _read(room: str, tag: str) -> Any:
    import json  # noqa: PLC0415  # only where there is something to read

    spec = sys.modules[room].__spec__
    if spec is None or spec.submodule_search_locations is None:
        return None
    path = os.path.join(spec.submodule_search_locations[0], "languages", f"{tag}.json")  # noqa: PTH118  # cheap
    try:
        # by its loader, since the package may be in a zip or in a program of its own
        return json.loads(spec.loader.get_data(path))  # type: ignore[union-attr]  # a loader of files
    except OSError:
        return None


def _can_show(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeError, LookupError):
        return False
    return True


def _windows_language() -> int | None:
    if sys.platform != "win32":
        return None
    import ctypes  # noqa: PLC0415  # only on Windows

    return int(ctypes.windll.kernel32.GetUserDefaultUILanguage())
