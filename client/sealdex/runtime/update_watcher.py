"""Looks for updates in the background of a host process, and tells it; nothing is installed, and nothing fails by it.

    with UpdateWatcher(lambda found: print([f"{each.plugin} {each.newest}" for each in found])):
        serve()

The setting ``update.auto_check_update`` says whether, ``update.update_check_interval`` how often. Hosts that start
together don't ask together: the first look comes after a random part of five minutes, later ones after the interval,
ten per cent more or less. Without a network nothing is said, and the next look is as late as usual.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from sealdex.client import Client
from sealdex.config.config import Config, load_config
from sealdex.errors import SealdexError
from sealdex.log import Log

if TYPE_CHECKING:
    from sealdex.update import Outdated

FIRST_WITHIN_S = 300.0
_SPREAD = 0.1
_LEAST_S = 60.0  # the setting may be 0: commands look each time then
_STOP_S = 10.0
_log = Log("sealdex.runtime")

Find = Callable[[Client], Iterable["Outdated"]]


class UpdateWatcher:
    """Looks for plugins in use that have a newer release which fits this host.

    Args:
        on_outdated: called in the watcher's thread with the outdated plugins, whenever they are others than last time;
            an empty tuple once everything is up to date again. What it raises is logged.
        config: a configuration, or the path of ``config.toml``; default: the user's own.
        store: overrides the store of the configuration; ignored if `config` is a `Config`.
        interval: seconds between looks; default: the setting, and a minute at least.
        chance: a random number from 0 to 1, for tests.

    Raises:
        ConfigError: the configuration can't be read.
    """

    def __init__(
        self,
        on_outdated: Callable[[tuple[Outdated, ...]], None],
        *,
        config: Config | Path | str | None = None,
        store: Path | str | None = None,
        interval: float | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._on_outdated = on_outdated
        self._config = config if isinstance(config, Config) else load_config(config, store)
        settings = self._config.document.update
        self.is_enabled = settings.auto_check_update
        self._interval = max(settings.update_check_interval, _LEAST_S) if interval is None else interval
        self._chance = chance
        self._found: tuple[Outdated, ...] = ()
        self._stopping = threading.Event()
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> UpdateWatcher:  # noqa: PYI034  # typing.Self came with Python 3.11
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def found(self) -> tuple[Outdated, ...]:
        """The outdated plugins, as of the last look that got an answer."""
        return self._found

    def start(self) -> bool:
        """Begin to look, in a thread that doesn't keep the process alive.

        Returns:
            False: the setting ``update.auto_check_update`` is off, and nothing will be looked for.
        """
        if self.is_enabled and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="updates of sealdex", daemon=True)
            self._thread.start()
        return self.is_enabled

    def stop(self) -> None:
        """End; a look that is under way is cancelled."""
        self._stopping.set()
        with self._lock:
            if self._client is not None:
                self._client.queries.stop.cancel()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    def look(self, find: Find | None = None) -> tuple[Outdated, ...] | None:
        """Look once, now, in the caller's thread, whatever the settings say.

        Args:
            find: returns the outdated plugins; default: `sealdex.update.outdated`.

        Returns:
            The outdated plugins; None if there was no answer, which is logged.
        """
        from sealdex.update import outdated  # noqa: PLC0415  # a host needn't wait for it when it starts

        try:
            with Client(self._config) as client:
                with self._lock:
                    self._client = client
                    if self._stopping.is_set():
                        return None
                found = tuple((find or outdated)(client))
        except SealdexError as error:
            _log.info("runtime.updates_unanswered", "no updates could be looked for: {reason}", reason=error)
            return None
        except Exception as error:  # noqa: BLE001  # nothing of this may break the host
            _log.info(
                "runtime.updates_failed",
                "looking for updates failed: {reason}",
                reason=_words(error),
            )
            return None
        finally:
            with self._lock:
                self._client = None
        _log.debug("runtime.updates_looked_for", "{count} plugins are outdated", count=len(found))
        self._tell(found)
        return found

    def _tell(self, found: tuple[Outdated, ...]) -> None:
        before, self._found = self._found, found
        if found == before or self._stopping.is_set():
            return
        try:
            self._on_outdated(found)
        except Exception as error:  # noqa: BLE001  # the host's own mistake must not end the looking
            _log.info(
                "runtime.updates_listener_failed",
                "on_outdated raised {reason}",
                reason=_words(error),
            )

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(delay(self._interval, number, self._chance())):
            with suppress(Exception):
                self.look()
            number += 1


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def delay(interval: float, number: int, chance: float) -> float:
    """Return the seconds before a look: ``number`` counts from 0, ``chance`` is from 0 to 1."""
    if number == 0:
        return min(interval, FIRST_WITHIN_S) * chance
    return interval * (1 - _SPREAD + 2 * _SPREAD * chance)


__all__ = ["UpdateWatcher", "delay"]
