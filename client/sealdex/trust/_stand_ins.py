"""What stands in for names of libraries that a command imports for a case which doesn't come up, see `lean_imports`.

Each does what the name does: in the common case by itself, in any other by importing what it stands for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

_TUF_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TUF_SIGNS = "--T::Z"

_LETTERS, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
STRING = {"ascii_letters": _LETTERS + _LETTERS.upper(), "digits": _DIGITS, "hexdigits": f"{_DIGITS}abcdefABCDEF"}
"""Constants of ``string``, which compiles two regular expressions for its templates."""


def made_fetcher(*args: Any, **kwargs: Any) -> Any:
    """Make python-tuf's fetcher over ``urllib3``, which is for updaters that are given none."""
    from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher  # noqa: PLC0415  # what is put off

    return Urllib3Fetcher(*args, **kwargs)


class NeverRaised(Exception):  # noqa: N818  # it stands for a name
    """Stands for ``SignatureMismatch`` until `check_slowly` was called."""


def check_slowly(*args: Any) -> Any:
    """Verify with the vendored Ed25519, which securesystemslib does where ``cryptography`` is missing."""
    from securesystemslib._vendor.ed25519 import ed25519  # noqa: PLC0415  # what is put off

    names: dict[str, Any] = {"checkvalid": ed25519.checkvalid, "SignatureMismatch": ed25519.SignatureMismatch}
    vars(sys.modules["securesystemslib.signer._key"]).update(names)
    return names["checkvalid"](*args)


def system() -> str:
    """Return what ``platform.system`` does, where there is an ``os.uname``."""
    import os  # noqa: PLC0415  # asked once, by uuid

    return os.uname().sysname


def has_surrogates(text: str) -> bool:
    """Return whether a header field holds bytes that aren't text, as ``email.utils._has_surrogates`` does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def decode_b(encoded: bytes) -> Any:
    """Decode the body of a mail; of HTTP, ``email`` reads header fields alone."""
    from email._encoded_words import (  # type: ignore[import-not-found]  # noqa: PLC0415  # what is put off
        decode_b,
    )

    return decode_b(encoded)


def dataclass(cls: type[Any]) -> type[Any]:
    """Make a class of named values, as ``dataclasses.dataclass`` does; which compiles six functions for it.

    ``dataclasses.fields`` and the like don't take it for one of theirs.
    """
    names = tuple(cls.__annotations__)
    defaults = {name: vars(cls)[name] for name in names if name in vars(cls)}

    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807  # it becomes the class's
        values = dict(zip(names, args, strict=False))
        if len(args) > len(names) or values.keys() & given.keys() or given.keys() - set(names):
            raise TypeError(f"{cls.__name__} takes {', '.join(names)}, each once")
        values = {**defaults, **values, **given}
        if len(values) < len(names):
            raise TypeError(f"{cls.__name__} takes {', '.join(names)}")
        vars(self).update(values)

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __repr__(self: Any) -> str:  # noqa: N807
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    for function in (__init__, __eq__, __repr__):
        setattr(cls, function.__name__, function)
    cls.__hash__ = None  # type: ignore[assignment]  # as of all that are compared by value
    return cls


def _strptime_datetime(cls: type[datetime], text: str, form: str = "%a %b %d %H:%M:%S %Y") -> datetime:
    """Read a time as ``datetime.strptime`` does: that of TUF without the locale's names of days and months."""
    if form == _TUF_TIME and len(text) == 20 and text[4::3] == _TUF_SIGNS and text.isascii():
        numbers = (text[:4], *(text[at : at + 2] for at in range(5, 19, 3)))
        if "".join(numbers).isdecimal():
            try:
                year, month, day, hour, minute, second = map(int, numbers)
                return cls(year, month, day, hour, minute, second)
            except ValueError:
                pass  # said in its own words below
    module: Any = sys.modules["_strptime"]
    module._strptime  # noqa: B018, SLF001  # whose name isn't known here, so that all of it is imported
    return module._strptime_datetime(cls, text, form)  # type: ignore[no-any-return]  # noqa: SLF001  # as datetime


def getLogger(name: str | None = None) -> Any:  # noqa: N802  # the name that it stands for
    """Return a logger; those of the libraries that verify, which log steps alone, when somebody listens."""
    if name is not None and name.partition(".")[0] in ("tuf", "securesystemslib"):
        return _Logger(name)
    return _logging().getLogger(name)


class _Logger:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        """Return the logger's method; one that says nothing for steps that nobody can listen to."""
        if method in ("debug", "info") and "captureWarnings" not in vars(sys.modules["logging"]):
            return _say_nothing  # as without a handler
        return getattr(_logging().getLogger(self._name), method)


def _say_nothing(*_args: object, **_more: object) -> None:
    pass


def _logging() -> Any:
    logging: Any = sys.modules["logging"]
    logging.Logger  # noqa: B018  # whose name isn't known here, so that all of it is imported
    return logging
