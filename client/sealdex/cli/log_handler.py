"""What plugins and the runtime log, through the output layer: cleaned, and as JSON lines where that was asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sealdex.cli.output import Output


class _OutputHandler(logging.Handler):
    def __init__(self, out: Output) -> None:
        super().__init__()
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if self._out.logs_json:
            self._out.log(record.levelname.lower(), message, logger=record.name)
        elif record.levelno >= logging.WARNING:
            self._out.warn(f"{record.name.removeprefix('sealdex.')}: {message}")
        else:
            self._out.note(f"{record.name.removeprefix('sealdex.')}: {message}")


@contextmanager
def shown_logs(out: Output, level: int = logging.INFO) -> Iterator[None]:
    """Show what is logged below ``sealdex`` while the block runs."""
    logger, handler = logging.getLogger("sealdex"), _OutputHandler(out)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
