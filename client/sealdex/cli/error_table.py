"""The table from error type to advice and exit code, and the form in which errors are shown.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found or nothing matches, 4 verification failed, 5 network or
storage unavailable; 130 (interrupted) and 141 (reader gone) are the shell's. What an error says itself wins over the
table's general advice.
"""

from __future__ import annotations

import errno
import os
from typing import Any, NamedTuple

from sealdex.errors import SealdexError, VerificationError

DEBUG_VARIABLE = "SEALDEX_DEBUG"
EXIT_INTERRUPTED = 130


class Advice(NamedTuple):
    """What is said of a kind of error where the error itself doesn't: {prog} is the program's name."""

    exit_code: int
    code: str
    message: str | None = None
    untouched: str | None = None
    hint: str | None = None


# By qualified name, looked up along the error's ancestors: to import the types would cost what laziness saves.
# An entry of a subclass stands for itself; order is that of the ancestors, not of this table.
_TABLE: dict[str, Advice] = {
    "sealdex.errors.SealdexError": Advice(1, "failed"),
    "sealdex.errors.UsageError": Advice(2, "usage", hint="{prog} --help"),
    "sealdex.errors.ConfigError": Advice(1, "config", untouched="nothing was changed"),
    "sealdex.errors.NotFoundError": Advice(3, "not-found"),
    "sealdex.errors.NoMatchError": Advice(3, "no-match", untouched="nothing was installed"),
    "sealdex.errors.VerificationError": Advice(
        4,
        "verification",
        untouched="nothing was installed and nothing unverified was kept",
        hint="don't work around this: tell the registry's owner; a mirror, proxy or store may have been tampered with",
    ),
    "sealdex.errors.UnavailableError": Advice(
        5, "unavailable", hint="check the address and the network, then run the same command again"
    ),
    "sealdex.errors.InstallError": Advice(1, "install", untouched="what was installed before still is"),
    "sealdex.errors.FormatTooNewError": Advice(
        1, "format-too-new", hint="upgrade sealdex: pip install --upgrade sealdex"
    ),
    "sealdex.model.decode.DocumentError": Advice(
        1, "document", hint="the document is signed but not of the form it must have: tell the registry's owner"
    ),
    "click.exceptions.NoArgsIsHelpError": Advice(2, "usage", "no command was given", hint="{prog} --help"),
    "click.exceptions.UsageError": Advice(2, "usage", hint="{prog} --help"),
    "click.exceptions.ClickException": Advice(1, "failed"),
    "click.exceptions.Abort": Advice(EXIT_INTERRUPTED, "interrupted", "interrupted"),
    "filelock._error.Timeout": Advice(
        1, "locked", "another process holds the lock", hint="wait until it is done, then run the same command again"
    ),
    "builtins.UnicodeEncodeError": Advice(
        2,
        "usage",
        "a word of the command line, or a file's name, is no text in this locale",
        hint="say which encoding the terminal has: LC_ALL=C.UTF-8 {prog} ...",
    ),
    "builtins.PermissionError": Advice(1, "permission", hint="check who owns the file and its permissions"),
    "builtins.OSError": Advice(1, "system"),  # and see `_HINTS`
    "builtins.KeyboardInterrupt": Advice(EXIT_INTERRUPTED, "interrupted", "interrupted"),
}
# What helps by itself, whatever the command was doing.
_HINTS = {
    errno.ENOSPC: "make room on the disk that it writes to",
    errno.EDQUOT: "make room on the disk that it writes to, or have the quota raised",
    errno.EROFS: "nothing can be written there: name another place, or have it mounted for writing",
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
}
_BUG = Advice(
    1,
    "unexpected",
    hint=f"this is a bug: run it again with {DEBUG_VARIABLE}=1 for the traceback and report that",
)


class ErrorReport(NamedTuple):
    """An error as it is shown: the JSON document has the same fields."""

    code: str
    message: str
    exit_code: int
    subject: str | None = None
    untouched: str | None = None
    hint: str | None = None
    details: Any = None
    security: bool = False

    def lines(self) -> list[str]:
        """Return the text, the message first; whoever prints it indents all lines but that."""
        lines = self.message.splitlines() or [self.code]
        if self.subject and self.subject not in self.message:
            lines.append(f"at: {self.subject}")
        if self.untouched:
            lines.append(f"untouched: {self.untouched}")
        if self.hint:
            lines += [f"help: {self.hint}"]
        return lines

    def document(self) -> dict[str, Any]:
        """Return the JSON document, without what there is nothing to say of."""
        fields = self._asdict()
        return {"error": {name: value for name, value in fields.items() if value is not None and value is not False}}


def report(error: BaseException, prog: str = "sealdex") -> ErrorReport:
    """Turn an error into what is shown, by the table."""
    advice = next(
        (_TABLE[name] for kind in type(error).__mro__ if (name := f"{kind.__module__}.{kind.__qualname__}") in _TABLE),
        None,
    )
    if advice is None:
        advice = _BUG
        message = f"unexpected {type(error).__name__}: {error}"
    else:
        message = advice.message or _message_of(error)
    given = error if isinstance(error, SealdexError) else None
    context = getattr(error, "ctx", None)  # click's: which command the usage error is about
    prog = context.command_path if context is not None else prog
    hint = (given.hint if given else _system_hint(error)) or advice.hint
    return ErrorReport(
        # a subclass that states a code or exit code of its own keeps it
        code=given.code if given else advice.code,
        message=message,
        exit_code=given.exit_code if given else advice.exit_code,
        subject=given.subject if given else _subject_of(error),
        untouched=(given.untouched if given else None) or advice.untouched,
        hint=hint and hint.replace("{prog}", prog),
        details=given.details if given else None,
        security=isinstance(error, VerificationError),
    )


def _message_of(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    formatted = getattr(error, "format_message", None)  # click's way
    return str(formatted()) if formatted is not None else str(error) or type(error).__name__


def _subject_of(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.filename is not None:
        return os.fsdecode(error.filename)
    lock_file = getattr(error, "lock_file", None)  # filelock's way
    return str(lock_file) if lock_file is not None else None


def _system_hint(error: BaseException) -> str | None:
    return _HINTS.get(error.errno or 0) if isinstance(error, OSError) else None
