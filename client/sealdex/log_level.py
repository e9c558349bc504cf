"""How much is logged, and where to: ``$SEALDEX_LOG``, ``$SEALDEX_LOG_FILE`` and the handler that writes that file.

``SEALDEX_LOG`` is a level (``error``, ``warning``, ``info``, ``debug``, ``off``), rooms with a level of their own, or
both: ``info,transport=debug``.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sealdex.log import shown_value

PACKAGES = ("sealdex", "registry_builder")
LEVEL_VARIABLE, FILE_VARIABLE, FORMAT_VARIABLE = "SEALDEX_LOG", "SEALDEX_LOG_FILE", "SEALDEX_LOG_FORMAT"
OFF = logging.CRITICAL + 10
_LEVELS = {
    "off": OFF,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}


class Levels(NamedTuple):
    """From which level on is shown, in general and for single rooms."""

    general: int = OFF
    rooms: Mapping[str, int] = {}

    @property
    def lowest(self) -> int:
        """The level from which on records must be made at all."""
        return min([self.general, *self.rooms.values()])

    def shows(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be shown: by its room's level, or the general one."""
        name = record.name
        while "." in name:
            for spelling in (name, name.partition(".")[2]):
                if spelling in self.rooms:
                    return record.levelno >= self.rooms[spelling]
            name = name.rpartition(".")[0]
        return record.levelno >= self.general

    def raised(self, general: int) -> Levels:
        """Return these levels, but at least as much in general, and in no room less than that."""
        rooms = {room: min(level, general) for room, level in self.rooms.items()}
        return Levels(min(self.general, general), rooms)


def read_levels(text: str) -> tuple[Levels, list[str]]:
    """Read what ``SEALDEX_LOG`` says, and return what of it isn't understood."""
    general, rooms, unknown = OFF, {}, []
    for part in filter(None, (part.strip() for part in text.split(","))):
        room, _, level = part.rpartition("=")
        number = _LEVELS.get(level.strip().lower())
        if number is None:
            unknown.append(part)
        elif room:
            rooms[room.strip()] = number
        else:
            general = number
    return Levels(general, rooms), unknown


def advice_on(unknown: list[str]) -> str:
    """Report what is invalid in ``SEALDEX_LOG``, and what is allowed."""
    return (
        f"{LEVEL_VARIABLE}: '{', '.join(unknown)}' is not a level: write error, warning, info, debug or off, "
        "or a room's own: info,transport=debug"
    )


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the event and fields of a record, each fit to be shown; none of what others log."""
    fields = getattr(record, "fields", None)
    event = getattr(record, "event", None)
    if not isinstance(fields, dict) or event is None:
        return {}
    return {"event": event, **{name: shown_value(value) for name, value in fields.items()}}


def message_of(record: logging.LogRecord) -> str:
    """Return what a record says, redacted: plugins log too, and their words are their own."""
    try:
        return str(shown_value(record.getMessage()))
    except Exception:  # noqa: BLE001  # a plugin's arguments that don't fit its format are not worth an end
        return str(shown_value(str(record.msg)))


class FileHandler(logging.Handler):
    """Appends each record to a file, a line at a time and in one write, so that several processes may share it.

    Args:
        path: the file; made for its owner alone.
        levels: what is written.
        is_json: whether each line is a JSON object.
        on_trouble: told once when it can't be written; then it falls silent.

    Raises:
        OSError: it can't be opened.
    """

    def __init__(self, path: str, levels: Levels, *, is_json: bool, on_trouble: Callable[[str], None]) -> None:
        super().__init__()
        self._path = path
        self._is_json = is_json
        self._on_trouble = on_trouble
        # a pipe that nobody reads isn't waited for
        flags = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | flags, 0o600)
        if hasattr(os, "set_blocking"):
            os.set_blocking(self._file, True)
        self.addFilter(levels.shows)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; what can't be written is not worth the command."""
        if self._file is None:
            return
        try:
            os.write(self._file, self._line(record).encode(errors="backslashreplace") + b"\n")
        except OSError as error:
            self._file = None
            self._on_trouble(f"the log {self._path} can't be written any more: {error.strerror or error}")

    def _line(self, record: logging.LogRecord) -> str:
        now = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"
        level, message = record.levelname.lower(), message_of(record)
        if self._is_json:
            facts = {"time": now, "level": level, "message": message, "logger": record.name, "pid": record.process}
            return json.dumps(facts | fields_of(record), default=str)
        return f"{now} {record.process} {level:7} {record.name}: {message}"


def log_to_file(path: str, on_trouble: Callable[[str], None]) -> logging.Handler | None:
    """Log into a file from now on, as ``SEALDEX_LOG`` says, and everything where it says nothing.

    Returns:
        The handler, which `stop` takes away; None where the file can't be opened.
    """
    text = os.environ.get(LEVEL_VARIABLE, "")
    levels, unknown = read_levels(text) if text else (Levels(logging.DEBUG), [])
    if unknown:
        on_trouble(advice_on(unknown))
    try:
        is_json = os.environ.get(FORMAT_VARIABLE) == "json"
        handler = FileHandler(os.path.abspath(path), levels, is_json=is_json, on_trouble=on_trouble)  # noqa: PTH100
    except OSError as error:
        on_trouble(f"the log {path} can't be opened: {error.strerror or error}")
        return None
    start(handler, levels)
    return handler


def start(handler: logging.Handler, levels: Levels) -> None:
    """Have what our packages log go to a handler as well."""
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.addHandler(handler)
        before = logger.level or logging.WARNING
        logger.setLevel(min(before, levels.lowest))


def stop(handler: logging.Handler) -> None:
    """Take a handler away again."""
    for package in PACKAGES:
        logging.getLogger(package).removeHandler(handler)
    handler.close()
