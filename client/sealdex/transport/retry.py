"""Decides whether and when a failed transfer is retried, and limits transfers to a byte rate.

Retries end after a window without progress: a transfer over a bad line that makes some progress with each attempt
continues, one that makes none stops. If a number of retries is set, it is a second limit; the first one reached counts.
A host that can't be reached gets a shorter window until it has answered once, since that may be a typo in its address.
Delays grow exponentially with full jitter (a random part of the delay, so that a thousand agents don't retry at the
same time).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from msgspec import Struct

from sealdex.errors import UnavailableError
from sealdex.log import Log
from sealdex.transport._pace import MIN_PROGRESS_BYTES, Line, Pace
from sealdex.transport.types import HttpStatusError, RetryNotice, TransientError, host_of, public_url

_log = Log("sealdex.transport")

FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 10.0
_LEAST_GAIN = 16
"""A transfer that can't be resumed makes progress if an attempt gets a sixteenth further than the best so far."""

CHECK_ADDRESS = "check the address (sealdex registry list) and the network: sealdex doctor"
CHECK_NETWORK = "check the network and the address, then run the command again; it resumes where it stopped"
CHECK_MEDIUM = "check the disk or medium that the file is on, then run the command again"
GENERAL_HINTS = frozenset({CHECK_ADDRESS, CHECK_NETWORK})
"""The default hints if nothing is known except that there was no answer."""


def _random() -> float:
    import random  # noqa: PLC0415  # for who has to wait

    return random.random()  # noqa: S311  # so that hosts wait for unequal times


class Chance(Struct, frozen=True):
    """Clock (s), sleep (s) and random number in [0, 1), injectable so that tests are fast and deterministic."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = _random


class RetryPolicy(Struct, frozen=True):
    """When to give up: see ``TransportSettings`` for the fields."""

    window_s: float
    retries: int | None = None
    first_contact_s: float = math.inf


class Attempts:
    """The attempts at one transfer: detects progress and waits between attempts.

    Not thread-safe; each thread of a transfer in several ranges has its own.

    Args:
        url: what is fetched, for messages.
        policy: how long and how often.
        chance: clock, sleep and random number.
        on_retry: told of each failed attempt that another follows.
        pace: the pace of the request; it may end an attempt.
        resumes: an attempt continues where the last one stopped, so that all received bytes are progress.
    """

    def __init__(
        self,
        url: str,
        policy: RetryPolicy,
        chance: Chance,
        on_retry: Callable[[RetryNotice], None] | None = None,
        *,
        pace: Pace | None = None,
        resumes: bool = True,
    ) -> None:
        self._url = url
        self._policy = policy
        self._chance = chance
        self._on_retry = on_retry
        self.resumes = resumes
        self.pace = pace or Pace(policy.window_s, 0, chance.clock, Line())
        self._started_at = self._progress_at = chance.clock()
        self._best = 0
        self._failures = 0
        self._failures_since_progress = 0

    def reached(self, position: int) -> None:
        """Record that the transfer has ``position`` bytes; only a new best counts as progress."""
        gain = MIN_PROGRESS_BYTES if self.resumes else max(MIN_PROGRESS_BYTES, self._best // _LEAST_GAIN)
        if position >= self._best + gain:
            self._best = position
            self._progress_at = self._chance.clock()
            self._failures_since_progress = 0

    def failed(self, error: TransientError, *, is_unknown: bool = False) -> None:
        """Wait before the next attempt, or give up.

        Args:
            error: what happened.
            is_unknown: the host couldn't be reached and never was.

        Raises:
            UnavailableError: the window passed without progress, the server asks to wait beyond it, or this was the
                last of the retries; an ``HttpStatusError`` if the last attempt was answered with a status.
            CancelledError, TimedOutError: the operation must end.
        """
        if self.pace.stop is not None:
            self.pace.stop.check()
        self._failures += 1
        left_s = self._progress_at + self._policy.window_s - self._chance.clock()
        if is_unknown:
            left_s = min(left_s, self._started_at + self._policy.first_contact_s - self._chance.clock())
        retries = self._policy.retries
        if retries is not None and self._failures_since_progress >= retries:
            raise self._give_up(error, "", is_unknown=is_unknown) from error
        ceiling_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._failures_since_progress, 16))
        self._failures_since_progress += 1
        delay_s = self._chance.random() * ceiling_s
        if error.retry_after is not None:
            if error.retry_after > left_s:
                more = f"; it asks to retry in {error.retry_after:.0f} s"
                raise self._give_up(error, more, is_unknown=is_unknown) from error
            delay_s = max(delay_s, error.retry_after)
        if left_s <= 0 or error.is_final:
            raise self._give_up(error, "", is_unknown=is_unknown) from error
        delay_s = min(delay_s, left_s)
        _log.info(
            "transport.retry",
            "{url}: {reason}; attempt {attempt} follows after {delay} s",
            url=public_url(self._url),
            reason=error.reason,
            status=error.status,
            attempt=self._failures + 1,
            delay=round(delay_s, 3),
        )
        if self._on_retry is not None:
            self._on_retry(RetryNotice(host_of(self._url), self._failures, error.reason, delay_s))
        pause = self._chance.sleep if self.pace.stop is None else self.pace.stop.sleep
        pause(delay_s)
        self.pace.slept(delay_s)

    def _give_up(self, error: TransientError, more: str, *, is_unknown: bool) -> UnavailableError:
        took_s = self._chance.clock() - self._started_at
        _log.info(
            "transport.gave_up",
            "{url}: {reason}; failed after {attempts} attempts in {seconds} s",
            url=public_url(self._url),
            reason=error.reason,
            attempts=self._failures,
            seconds=round(took_s, 3),
        )
        tries = "1 attempt" if self._failures == 1 else f"{self._failures} attempts"
        message = (
            f"{host_of(self._url)} did not deliver {public_url(self._url)}: {error.reason} "
            f"({tries} in {took_s:.0f} s{more})"
        )
        if error.status is not None:
            return HttpStatusError(self._url, error.status, message)
        return UnavailableError(
            message,
            subject=public_url(self._url),
            hint=CHECK_MEDIUM if self._url.startswith("file:") else CHECK_ADDRESS if is_unknown else CHECK_NETWORK,
        )


class Throttle:
    """Limits the transfers of a transport, all threads together, to a rate in bytes per second."""

    def __init__(self, bytes_per_second: int, chance: Chance) -> None:
        self._rate = bytes_per_second
        self._chance = chance
        self._lock = threading.Lock()
        self._free_at = chance.clock()

    @property
    def chunk_bytes(self) -> int:
        """The size of a piece for which the wait is about an eighth of a second."""
        return max(1, self._rate // 8)

    def took(self, count: int) -> None:
        """Wait until ``count`` bytes that were just received fit the rate."""
        with self._lock:
            now = self._chance.clock()
            self._free_at = max(self._free_at, now) + count / self._rate
            wait_s = self._free_at - now
        if wait_s > 0:
            self._chance.sleep(wait_s)
