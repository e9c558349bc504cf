"""Maps error types to advice and exit codes, and formats errors for display.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found or nothing matches, 4 verification failed, 5 network or
storage unavailable; 130 (interrupted) and 141 (reader gone) are the shell's. The error's own advice wins over the
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
    """Advice for a type of error, used where the error itself has none; {prog} is the program's name."""

    exit_code: int
    code: str
    message: str | None = None
    untouched: str | None = None
    hint: str | None = None


# By qualified name, looked up along the error's base classes: importing the types would defeat the lazy imports.
# The entry of the nearest base class wins, whatever the order of this table.
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
        hint="don't work around this, report it to the registry's operator: a mirror, proxy or store may be forged",
    ),
    "sealdex.errors.UnavailableError": Advice(
        5, "unavailable", hint="check the address and the network, then run the same command again"
    ),
    "sealdex.errors.InstallError": Advice(1, "install", untouched="installed plugins were not changed"),
    "sealdex.errors.FormatTooNewError": Advice(
        1, "format-too-new", hint="upgrade sealdex: pip install --upgrade sealdex"
    ),
    "sealdex.model.decode.DocumentError": Advice(
        1, "document", hint="the document is signed but malformed: report this to the registry's operator"
    ),
    "click.exceptions.NoArgsIsHelpError": Advice(2, "usage", "no command was given", hint="{prog} --help"),
    "click.exceptions.UsageError": Advice(2, "usage", hint="{prog} --help"),
    "click.exceptions.ClickException": Advice(1, "failed"),
    "click.exceptions.Abort": Advice(EXIT_INTERRUPTED, "interrupted", "interrupted"),
    "filelock._error.Timeout": Advice(
        1,
        "locked",
        "another process holds the lock",
        hint="wait until that process is done, then run the same command again",
    ),
    "sealdex.store.file_lock.LockTimeoutError": Advice(
        1,
        "locked",
        "another process holds the lock",
        hint="wait until that process is done, then run the same command again",
    ),
    "builtins.UnicodeEncodeError": Advice(
        2,
        "usage",
        "an argument or file name cannot be encoded in the current locale",
        hint="set the terminal's encoding: LC_ALL=C.UTF-8 {prog} ...",
    ),
    "builtins.PermissionError": Advice(1, "permission", hint="check the owner and permissions of the file"),
    "builtins.OSError": Advice(1, "system"),  # see also `_HINTS`
    "builtins.KeyboardInterrupt": Advice(EXIT_INTERRUPTED, "interrupted", "interrupted"),
}
# Advice by error number, whatever the command was doing.
_HINTS = {
    errno.ENOSPC: "free some space on the disk that it writes to",
    errno.EDQUOT: "free some space on the disk that it writes to, or have the quota raised",
    errno.EROFS: "the file system is read-only: use another folder, or mount it for writing",
    errno.ENAMETOOLONG: "choose a folder with a shorter path",
    errno.EMFILE: "raise the limit of open files: ulimit -n",
}
_NO_SUCH_OPTION = "click.exceptions.NoSuchOption"
_BUG = Advice(
    1,
    "unexpected",
    hint=f"this is a bug: run it again with {DEBUG_VARIABLE}=1 for the traceback and report that",
)


class ErrorReport(NamedTuple):
    """An error as shown to people and, with the same fields, in JSON."""

    code: str
    message: str
    exit_code: int
    subject: str | None = None
    untouched: str | None = None
    hint: str | None = None
    details: Any = None
    security: bool = False

    def lines(self) -> list[str]:
        """Return the lines of text, the message first; the caller indents the others."""
        lines = self.message.splitlines() or [self.code]
        if self.subject and self.subject not in self.message:
            lines.append(f"at: {self.subject}")
        if self.untouched:
            lines.append(f"note: {self.untouched}")
        if self.hint:
            lines += [f"help: {self.hint}"]
        return lines

    def document(self) -> dict[str, Any]:
        """Return the JSON document, without empty fields."""
        fields = self._asdict()
        return {"error": {name: value for name, value in fields.items() if value is not None and value is not False}}


def report(error: BaseException, prog: str = "sealdex") -> ErrorReport:
    """Turn an error into the report that is shown, using the table."""
    option_hint: str | None = None
    advice = next(
        (_TABLE[name] for kind in type(error).__mro__ if (name := f"{kind.__module__}.{kind.__qualname__}") in _TABLE),
        None,
    )
    if advice is None:
        advice = _BUG
        message = f"unexpected {type(error).__name__}: {error}"
    else:
        message = advice.message or _message_of(error)
        if _is_unknown_option(error) and getattr(error, "ctx", None) is not None:
            message, option_hint = _unknown_option(error)
    given = error if isinstance(error, SealdexError) else None
    context = getattr(error, "ctx", None)  # of click: the command that the usage error is about
    prog = context.command_path if context is not None else prog
    hint = (given.hint if given else _system_hint(error)) or option_hint or advice.hint
    return ErrorReport(
        # a subclass with a code or exit code of its own keeps it
        code=given.code if given else advice.code,
        message=message,
        exit_code=given.exit_code if given else advice.exit_code,
        subject=given.subject if given else _subject_of(error),
        untouched=(given.untouched if given else None) or advice.untouched,
        hint=hint and hint.replace("{prog}", prog),
        details=given.details if given else None,
        security=isinstance(error, VerificationError),
    )


def _is_unknown_option(error: BaseException) -> bool:
    return any(f"{kind.__module__}.{kind.__qualname__}" == _NO_SUCH_OPTION for kind in type(error).__mro__)


def _unknown_option(error: Any) -> tuple[str, str | None]:
    """Return the message about an option that a command doesn't have, and a hint where it was given to a group."""
    from sealdex.similar import most_similar  # noqa: PLC0415  # only for a typo

    name, command = error.option_name, error.ctx.command
    known = [
        option
        for parameter in command.get_params(error.ctx)
        for option in parameter.opts
        if option.startswith("--") and not getattr(parameter, "hidden", False)
    ]
    near = most_similar(name, known) if name.startswith("--") else []
    hint = None
    if not near and hasattr(command, "list_commands"):
        hint = f"options of a command stand after it: {{prog}} COMMAND {name}"
    return f"there is no option {name}" + (f"; did you mean {near[0]}?" if near else ""), hint


def _message_of(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    formatted = getattr(error, "format_message", None)  # errors of click
    return str(formatted()) if formatted is not None else str(error) or type(error).__name__


def _subject_of(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.filename is not None:
        return os.fsdecode(error.filename)
    lock_file = getattr(error, "lock_file", None)  # errors of filelock
    return str(lock_file) if lock_file is not None else None


def _system_hint(error: BaseException) -> str | None:
    return _HINTS.get(error.errno or 0) if isinstance(error, OSError) else None
