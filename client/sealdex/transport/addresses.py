"""The addresses of one registry: which is asked first, and which don't answer in this run.

What is signed by its digest may come from any of them, so a missing or wrong file at one address is asked for at the
next. An address that doesn't answer has had the ordinary retries once; in this run it isn't asked again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from sealdex.errors import SealdexError, UnavailableError, VerificationError
from sealdex.log import Log
from sealdex.transport.types import (
    CredentialsRefusedError,
    EncodingError,
    HttpStatusError,
    OtherRangeError,
    RedirectRefusedError,
    is_passing,
    public_url,
)

_log = Log("sealdex.transport")

_T = TypeVar("_T")

Failures = Sequence[tuple[str, SealdexError]]
"""What each address that was asked failed of."""


class MissingEverywhereError(UnavailableError):
    """None of several addresses has a file."""


class Addresses:
    """The addresses of one registry, in order of preference; thread-safe.

    With a single address nothing is remembered: each file is asked for with the ordinary retries.

    Args:
        urls: addresses of the published tree, with or without trailing slash.
        on_left: told an address and why another is asked instead; called from any thread.
    """

    def __init__(self, urls: Sequence[str], on_left: Callable[[str, SealdexError], None] | None = None) -> None:
        self.all = tuple(dict.fromkeys(url if url.endswith("/") else f"{url}/" for url in urls))
        self.chosen = self.all[0]
        """The address that is asked first: the one whose timestamp was taken."""
        self._on_left = on_left
        self._dead: dict[str, SealdexError] = {}
        self._lock = threading.Lock()

    @property
    def are_several(self) -> bool:
        """Whether there is more than one."""
        return len(self.all) > 1

    def usable(self) -> list[str]:
        """Return those that aren't known not to answer, in order of preference."""
        with self._lock:
            return [url for url in self.all if url not in self._dead]

    def in_turn(self) -> list[str]:
        """Return those that aren't known not to answer, the chosen one first."""
        return sorted(self.usable(), key=lambda url: url != self.chosen)

    def revive(self) -> None:
        """Forget which don't answer: a long-running program asks again."""
        with self._lock:
            self._dead.clear()

    def failed(self, url: str, error: SealdexError) -> None:
        """Remember that an address doesn't answer, if that is what an error says."""
        if self.are_several and _is_dead(url, error):
            with self._lock:
                self._dead.setdefault(url, error)

    def leave(self, url: str, error: SealdexError) -> None:
        """Say that another address is asked, because of an error at this one."""
        _log.info("transport.other_address", "{url}: {reason}: another address is asked", url=url, reason=error)
        if self._on_left is not None and not is_missing(error):
            self._on_left(url, error)

    def fetch(self, work: Callable[[str], _T], *, also: tuple[type[SealdexError], ...] = ()) -> _T:
        """Return what ``work`` returns for the first address at which it doesn't fail.

        Args:
            work: fetches and checks something, given the address, which has a trailing slash.
            also: further errors than unavailability and wrong content for which another address is asked.

        Raises:
            VerificationError: no address has the right content, and at least one has a wrong one.
            MissingEverywhereError, UnavailableError: no address has it.
        """
        if not self.are_several:
            return work(self.chosen)
        kinds: tuple[type[SealdexError], ...] = (VerificationError, UnavailableError, *also)
        failures: list[tuple[str, SealdexError]] = []
        waiting = self.in_turn()
        while waiting:
            url = waiting.pop(0)
            try:
                return work(url)
            except kinds as error:
                self.failed(url, error)
                failures.append((url, error))
                waiting = [other for other in waiting if other in self.usable()]
                if waiting:
                    self.leave(url, error)
        raise self.verdict(failures) from (failures[-1][1] if failures else None)

    def verdict(self, failures: Failures) -> SealdexError:
        """Return the error for what could be had at no address: of wrong content if there was any."""
        with self._lock:
            known = [(url, error) for url, error in self._dead.items() if url not in dict(failures)]
        order = {url: number for number, url in enumerate(self.all)}
        every = sorted([*failures, *known], key=lambda each: order.get(each[0], 0))
        if not every:  # another thread has revived them since
            return UnavailableError("no address of the registry answered a moment ago", hint="run it again")
        worst = next((error for _, error in every if isinstance(error, VerificationError)), every[0][1])
        if len(every) == 1:
            return worst
        if all(isinstance(error, CredentialsRefusedError) and error.status != 403 for _, error in every):
            return every[0][1]  # of the first address: what to do is the same, and a search may go on without it
        kind: type[SealdexError] = VerificationError if isinstance(worst, VerificationError) else UnavailableError
        if all(is_missing(error) for _, error in every):
            kind = MissingEverywhereError
        said = "\n".join(f"{public_url(url)}: {error.message}" for url, error in every)
        return kind(
            f"none of the {len(every)} addresses of the registry can be used:\n{said}",
            subject=worst.subject,
            untouched=worst.untouched,
            hint=worst.hint,
            details=[
                {"address": public_url(url), "code": error.code, "message": error.message} for url, error in every
            ],
        )


def is_missing(error: SealdexError) -> bool:
    """Return whether an error says that a file isn't there, or isn't to be had by anybody."""
    return isinstance(error, MissingEverywhereError) or (
        isinstance(error, HttpStatusError) and error.status in {403, 404}
    )


def is_of_missing(error: BaseException | None) -> bool:
    """Return whether an error was raised because a file isn't there, directly or in several steps."""
    while error is not None:
        if isinstance(error, SealdexError) and is_missing(error):
            return True
        error = error.__cause__
    return False


def _is_dead(url: str, error: SealdexError) -> bool:
    """Return whether an error means that more requests to its address would fail as well, after as long."""
    if url.startswith("file:") or not isinstance(error, UnavailableError):
        return False  # a scratched medium has other files, and nothing to wait for
    if isinstance(error, HttpStatusError):
        return is_passing(error.status)
    return not isinstance(error, EncodingError | OtherRangeError | RedirectRefusedError | MissingEverywhereError)


__all__ = ["Addresses", "MissingEverywhereError", "is_missing", "is_of_missing"]
