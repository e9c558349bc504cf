"""The error types of Sealdex; `sealdex.cli.error_table` turns them into text and an exit code.

Each has what happened (``str(error)``), what it happened to (``subject``), what was not changed
(``untouched``) and how to fix it (``hint``, usually a command). ``exit_code``: 0 done, 1 failed, 2 usage,
3 not found, 4 verification failed, 5 network or storage unavailable.
"""

from __future__ import annotations

import errno

TYPE_CHECKING = False  # as type checkers read it; typing itself takes as long to import as a light command may
if TYPE_CHECKING:
    from typing import ClassVar

    from typing_extensions import Self

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_SQLITE_FULL = 13  # https://sqlite.org/rescode.html
_SQLITE_SAYS_FULL = "database or disk is full"  # of that number, which Python tells from 3.11 on

MAKE_ROOM = "free some space (sealdex cache gc --max-bytes 0), or move the store with SEALDEX_STORE"


class SealdexError(Exception):
    """Base of all errors that a user can act on. Anything else that escapes is a bug.

    Args:
        message: what happened, one sentence without a trailing full stop.
        subject: what it happened to: a plugin, a file, an address.
        untouched: what was not changed ("nothing was installed").
        hint: the command or edit that fixes it.
        details: further plain values for json mode.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "failed"

    def __init__(
        self,
        message: str,
        *,
        subject: str | None = None,
        untouched: str | None = None,
        hint: str | None = None,
        details: object = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.subject = subject
        self.untouched = untouched
        self.hint = hint
        self.details = details

    def restated(self, *, untouched: str | None = None, hint: str | None = None, details: object = None) -> Self:
        """Return a copy of this error with more specific values, to be raised ``from`` it.

        Args:
            untouched: as for the error; None: unchanged.
            hint: likewise.
            details: likewise.
        """
        other = type(self).__new__(type(self), *self.args)
        other.__dict__.update(self.__dict__)
        other.untouched = untouched or self.untouched
        other.hint = hint or self.hint
        other.details = details or self.details
        return other


class UsageError(SealdexError):
    """The call itself is invalid: an argument that does not parse, options that exclude each other."""

    exit_code = 2
    code = "usage"


class ConfigError(SealdexError):
    """A configuration file can't be read or is invalid."""

    code = "config"


class CredentialsError(ConfigError):
    """Credentials that are configured can't be read, or aren't there; no request was made."""


class CancelledError(SealdexError):
    """An operation was ended by `sealdex.api.Client.cancel`; what it had not finished was not begun."""

    code = "cancelled"


class TimedOutError(SealdexError):
    """An operation wasn't done within the time that its caller gave it; what it had not finished was not begun."""

    code = "timed-out"
    exit_code = 5


class NotFoundError(SealdexError):
    """The thing asked for does not exist."""

    exit_code = 3
    code = "not-found"


class NoRegistryError(NotFoundError):
    """No registry is configured, or none for the namespace in question."""

    code = "no-registry"


class NotOnMirrorError(NotFoundError):
    """It exists, and a mirror of a part of the registry says that it wasn't selected."""

    code = "not-on-mirror"


class NoMatchError(NotFoundError):
    """Releases exist, but none fits the request on this host; the message has the reasons against each."""

    code = "no-match"


class VerificationError(SealdexError):
    """Something doesn't match its signature or digest. The output says SECURITY in capitals."""

    exit_code = 4
    code = "verification"


class UnsafeArchiveError(VerificationError):
    """An archive has an entry that could write outside its folder, or is a bomb."""

    code = "unsafe-archive"


class UnavailableError(SealdexError):
    """The network or the storage did not answer, or refused."""

    exit_code = 5
    code = "unavailable"


class InstallError(SealdexError):
    """Unpacking or switching failed for a local reason: disk full, permissions, a damaged archive."""

    code = "install"


class FormatTooNewError(SealdexError):
    """A document has a newer major format than this client reads."""

    code = "format-too-new"


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error of the system or of SQLite means that a disk or quota is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    number: int | None = getattr(error, "sqlite_errorcode", None)
    return number & 0xFF == _SQLITE_FULL if number is not None else str(error) == _SQLITE_SAYS_FULL
