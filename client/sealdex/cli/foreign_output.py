"""Output of what a command runs: kept out of the JSON document, and no reason to end where it can't be written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TypeVar

from sealdex.cli.output import Output
from sealdex.errors import SealdexError

_STDOUT, _STDERR = 1, 2  # what programs inherit, whatever this process calls so
T = TypeVar("T")


class Unwritten:
    """Lets a command go on whose output can't be written any more, and says so at its end.

    A full disk or a reader that is gone must not end a service, nor leave half of a job undone.
    """

    def __init__(self) -> None:
        self._failure: Exception | None = None

    def passing(self, write: Callable[[T], None]) -> Callable[[T], None]:
        """Return a function that writes until writing fails, and drops what comes later."""

        def pass_on(what: T) -> None:
            if self._failure is None:
                try:
                    write(what)
                except (OSError, ValueError, SealdexError) as error:
                    self._failure = error

        return pass_on

    def settle(self) -> None:
        """Raise what writing failed of, if it did."""
        if self._failure is not None:
            raise self._failure


@contextmanager
def stdout_for_the_document(out: Output) -> Iterator[None]:
    """Send to stderr whatever is written to stdout during the block: by this process, and by programs it starts."""
    out.flush()
    kept = os.dup(_STDOUT)
    try:
        os.dup2(_STDERR, _STDOUT)
        with redirect_stdout(out.stderr):
            yield
    finally:
        with suppress(OSError, ValueError):
            out.stdout.flush()  # what was written to it by another name
        os.dup2(kept, _STDOUT)
        os.close(kept)
