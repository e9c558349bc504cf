"""Shows the log through the output layer: ``-v`` and ``$SEALDEX_LOG``, and logs of plugins while a job runs.

Lines are cleaned and redacted, and written as JSON lines if requested.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sealdex.cli.output import Output, swallow
from sealdex.log_level import (
    FILE_VARIABLE,
    LEVEL_VARIABLE,
    PACKAGES,
    Levels,
    advice_on,
    fields_of,
    log_to_file,
    message_of,
    read_levels,
    start,
    stop,
)

_PLUGINS = "sealdex.plugin"
_LEVEL_OF = {0: logging.CRITICAL + 10, 1: logging.INFO}


class _OutputHandler(logging.Handler):
    """Shows records on stderr; never raises, since what can't be shown isn't worth the command."""

    def __init__(self, out: Output, levels: Levels, *, follows: bool) -> None:
        super().__init__()
        self._out = out
        self._follows = follows
        self._began = time.time()
        self.addFilter(levels.shows)

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "is_shown", False):
            return  # of a plugin whose lines are shown anyway
        record.is_shown = True
        try:
            # what a plugin logs into a job stays its own, as ever; JSON escapes it, the output layer cleans it
            self._show(record, message_of(record) if self._follows else record.getMessage())
        except (OSError, ValueError):  # nobody reads stderr any more: the command goes on, and says nothing there
            self.addFilter(lambda _: False)
            swallow([self._out.stderr])

    def _show(self, record: logging.LogRecord, message: str) -> None:
        room = record.name.removeprefix("sealdex.")
        if self._out.logs_json:
            self._out.log(record.levelname.lower(), message, logger=record.name, **fields_of(record))
        elif record.levelno >= logging.WARNING:
            self._out.warn(f"{room}: {message}")
        elif self._follows:
            seconds = max(0.0, record.created - self._began)
            self._out.trace(f"{seconds:7.3f} {record.levelname.lower():5} {room}: {message}")
        else:
            self._out.note(f"{room}: {message}")


@contextmanager
def followed(out: Output, verbosity: int) -> Iterator[None]:
    """Log while the block runs: what ``-v`` asks for to stderr, what ``$SEALDEX_LOG`` does there or to its file.

    Args:
        out: where to show it.
        verbosity: how often ``-v`` was given.
    """
    file, text = os.environ.get(FILE_VARIABLE), os.environ.get(LEVEL_VARIABLE, "")
    before = {package: logging.getLogger(package).level for package in PACKAGES}
    to_file = log_to_file(file, out.warn) if file else None
    handlers = [to_file] if to_file is not None else []
    levels, unknown = read_levels("" if file else text)
    if unknown:
        out.warn(advice_on(unknown))
    if verbosity:
        levels = levels.raised(_LEVEL_OF.get(verbosity, logging.DEBUG))
    if levels.lowest < logging.WARNING:
        out.is_followed = True
        shown = _OutputHandler(out, levels, follows=True)
        start(shown, levels)
        handlers.append(shown)
    try:
        yield
    finally:
        for handler in handlers:
            stop(handler)
        for package, level in before.items():
            logging.getLogger(package).setLevel(level)


@contextmanager
def shown_logs(out: Output, level: int = logging.INFO) -> Iterator[None]:
    """Show what plugins log, and what the runtime warns of, while the block runs."""
    handlers = {
        _PLUGINS: _OutputHandler(out, Levels(level), follows=False),
        "sealdex.runtime": _OutputHandler(out, Levels(logging.WARNING), follows=False),
    }
    plugins = logging.getLogger(_PLUGINS)
    before = plugins.level
    plugins.setLevel(min(before or level, level))
    for name, handler in handlers.items():
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name, handler in handlers.items():
            logging.getLogger(name).removeHandler(handler)
        plugins.setLevel(before)
