"""Work that was begun before anybody waits for it, in a thread that doesn't hold up the end of the process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Begun(Generic[_T]):
    """One piece of work in progress. For a single one: importing ``concurrent.futures`` takes longer than a request.

    Args:
        work: called at once, in a thread of its own, with an event that is set when nobody waits any longer.
        name: of the thread.
    """

    def __init__(self, work: Callable[[threading.Event], _T], name: str) -> None:
        self._work = work
        self._given_up = threading.Event()
        self._done = threading.Event()
        self._results: list[_T] = []
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is done, for so many seconds at most; return whether it is."""
        return self._done.wait(seconds)

    def give_up(self) -> None:
        """Say that nobody waits for it any longer."""
        self._given_up.set()

    def result(self) -> _T:
        """Wait until it is done and return what came of it; raises what the work raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work(self._given_up))
        except BaseException as error:  # noqa: BLE001  # whoever waits raises it
            self._error = error
        finally:
            self._done.set()


__all__ = ["Begun"]
