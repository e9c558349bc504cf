"""The log: what was decided and why. Costs nothing unless it is shown.

A room has one `Log`, named as its package (``sealdex.trust``, ``registry_builder.publication``), over the logger of
that name in the standard library: INFO for a decision that a user would want to know, DEBUG for each request and
candidate.
`logging` isn't imported here. Whoever wants to see something has imported it: the command lines for ``-v`` and
``$SEALDEX_LOG``, a program for ``logging.getLogger("sealdex")``. Until then every call returns at once, so that
``sealdex list`` needn't wait for it.

Each entry has an event (``trust.refreshed``) and fields, which its text is made of: handlers find them as attributes of
the record. No secret gets that far, and no control character: `sealdex._redaction` has the rules.
"""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

_DEBUG, _INFO = 10, 20  # as `logging` has them
_MAX_SECRETS = 200

_secrets: dict[str, None] = {}  # in the order of their coming; a token that is renewed each hour mustn't pile up


class Log:
    """What one room logs to; thread-safe.

    Args:
        name: of the logger: ``sealdex.ROOM`` or ``registry_builder.ROOM``.
    """

    __slots__ = ("_logger", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Logger | None = None

    def info(self, event: str, text: str, /, **fields: object) -> None:
        """Log a decision that a user would want to know.

        Args:
            event: what happened, for programs: ``ROOM.WHAT``.
            text: what people read; ``{field}`` stands for a field, as in `str.format`.
            fields: numbers and bools are kept, all else becomes text, or a list of it. Not called as what log records
                have anyway (``name``).
        """
        if (logger := self._enabled(_INFO)) is not None:
            _write(logger, _INFO, event, text, fields)

    def debug(self, event: str, text: str, /, **fields: object) -> None:
        """Log a step on the way: one request, one candidate. As `info`."""
        if (logger := self._enabled(_DEBUG)) is not None:
            _write(logger, _DEBUG, event, text, fields)

    @property
    def is_info(self) -> bool:
        """Whether `info` is heard: to ask before work that is done for the log alone."""
        return self._enabled(_INFO) is not None

    @property
    def is_debug(self) -> bool:
        """Whether `debug` is heard."""
        return self._enabled(_DEBUG) is not None

    def _enabled(self, level: int) -> Logger | None:
        logger = self._logger
        if logger is None:
            logging = sys.modules.get("logging")
            # absent: nobody listens. Without its last name: it isn't imported yet, or just now
            if logging is None or "captureWarnings" not in vars(logging):
                return None
            logger = self._logger = logging.getLogger(self._name)
        return logger if logger.isEnabledFor(level) else None


def _write(logger: Logger, level: int, event: str, text: str, fields: dict[str, object]) -> None:
    shown = {name: shown_value(value) for name, value in fields.items()}
    words = {name: ", ".join(value) if isinstance(value, list) else value for name, value in shown.items()}
    logger.log(level, text.format_map(words), extra={"event": event, "fields": shown, **shown}, stacklevel=3)


def hide(secret: str | bytes | None) -> None:
    """Keep a secret that was just read out of the log, wherever it occurs."""
    text = secret.decode(errors="replace") if isinstance(secret, bytes) else secret
    if not text:
        return
    _secrets.pop(text, None)  # what is still in use goes last
    _secrets[text] = None
    while len(_secrets) > _MAX_SECRETS:
        _secrets.pop(next(iter(_secrets)), None)


def shown_value(value: object) -> object:
    """Return a field as it may be shown: numbers and bools as they are, all else as one line of redacted text."""
    from sealdex import _redaction  # noqa: PLC0415  # regular expressions, for who listens alone

    return _redaction.shown_value(value, list(_secrets))


def stopwatch() -> Callable[[], float]:
    """Start a stopwatch; what is returned tells the seconds since, to the millisecond."""
    started = time.monotonic()
    return lambda: round(time.monotonic() - started, 3)
