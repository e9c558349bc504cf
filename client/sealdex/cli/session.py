"""What every command with a client is given: its output, the configuration, a client that shows progress.

Without click, whose import `sealdex.cli.plain_calls` saves.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sealdex.cli.progress import Progress
from sealdex.cli.refused_config import warn_of_refused
from sealdex.cli.summary import Totals
from sealdex.events import Observer
from sealdex.paths import store_folder
from sealdex.store.layout import Store
from sealdex.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sealdex.cli.output import Output
    from sealdex.client import Client
    from sealdex.config.config import Config
    from sealdex.errors import SealdexError
    from sealdex.model.ids import PluginId
    from sealdex.resolve import Choice
    from sealdex.store.dependants import Broken
    from sealdex.transport import RetryNotice


class Context:
    """One run of a command.

    Args:
        out: where output goes.
        config_path, store: as given by ``--config`` and ``--store``.
    """

    def __init__(self, out: Output, config_path: Path | None, store: Path | None) -> None:
        self.out = out
        self.store = store
        self.metrics_file: Path | None = None
        self.settings: dict[str, str] = {}  # as given by `--set`
        self.download: dict[str, Any] = {}  # fields of [download] that `download_options` set for this run
        self.config_path = config_path
        self.totals = Totals()
        self._config: Config | None = None

    def summary(self) -> str | None:
        """Return what was installed, in which time and with how many bytes, in words; None if nothing was."""
        return self.totals.in_words()

    def say_summary(self) -> None:
        """Show `summary`, if there is one, and which plugins don't take the configuration that is kept for them."""
        warn_of_refused(self.out, Store(self.store or store_folder()))
        if (words := self.summary()) is not None:
            self.out.note(words, **self.totals.as_fields())

    def log_summary(self) -> None:
        """Write `summary` as a line of JSON where stderr has such lines, for commands that show it on stdout."""
        if self.out.logs_json and (words := self.summary()) is not None:
            self.out.log("info", words, **self.totals.as_fields())

    def config(self) -> Config:
        """Read the configuration, once."""
        from sealdex.config.config import load_config  # noqa: PLC0415  # commands that need none don't wait for it

        if self._config is None:
            self._config = self._adjusted(load_config(self.config_path, self.store, self.settings))
        return self._config

    def _adjusted(self, config: Config) -> Config:
        if not self.download:
            return config
        from dataclasses import replace  # noqa: PLC0415  # only for who gave an option

        import msgspec  # noqa: PLC0415  # so too

        section = msgspec.structs.replace(config.document.download, **self.download)
        return replace(config, document=msgspec.structs.replace(config.document, download=section))

    @contextmanager
    def client(self, doing: str, *, offline: bool = False, require_attestations: bool = False) -> Iterator[Client]:
        """Open a client; its waits, retries and transfers are shown while the block runs.

        Args:
            doing: what is done, as it is shown.
            offline: as for `Client`.
            require_attestations: of every namespace, whatever the configuration says.
        """
        from sealdex.client import Client  # noqa: PLC0415  # tuf and its cryptography

        config = self.config()
        if require_attestations:
            from sealdex.install.attestations import requiring_attestations  # noqa: PLC0415  # few ask for it

            config = requiring_attestations(config)
        with (
            self.observer(doing) as observer,
            self._metered(config, observer) as watching,
            Client(config, observer=watching, offline=offline) as client,
        ):
            yield client

    @contextmanager
    def _metered(self, config: Config, observer: Observer) -> Iterator[Observer]:
        """Add the block's events to the metrics file, if one was requested."""
        named = config.document.runtime.metrics_file
        file = self.metrics_file or (config.path.parent / named if named is not None else None)
        if file is None:
            yield observer
            return
        from sealdex.errors import ConfigError  # noqa: PLC0415  # beside the metrics
        from sealdex.metrics import Metrics  # noqa: PLC0415  # prometheus-client is an extra

        metrics = Metrics(config.store)
        try:
            yield metrics.observer(observer)
        except BaseException:
            try:
                metrics.add_to_textfile(file)
            except (OSError, ConfigError) as error:  # what the command failed of stays its error, and its exit code
                self.out.warn(f"the metrics can't be written to {file}: {error}")
            raise
        metrics.add_to_textfile(file)

    @contextmanager
    def observer(self, doing: str) -> Iterator[ConsoleObserver]:
        """Show waits, retries and transfers while the block runs."""
        with self.out.progress(doing) as progress:
            yield ConsoleObserver(self.out, progress, self.totals)


class ConsoleObserver(Observer):
    """Shows all transfers on one progress line; without such a line, shows waits and retries as notes."""

    def __init__(self, out: Output, progress: Progress, totals: Totals | None = None) -> None:
        self._out = out
        self._sum = totals or Totals()
        self._progress = progress
        self._lock = threading.Lock()
        self._done: dict[str, int] = {}  # bytes for each download
        self._totals: dict[str, int | None] = {}
        self._failures: dict[str, int] = {}
        self._next_resolving = 0.0

    def waiting(self, why: str) -> None:
        """Show what is being waited for."""
        with self._lock:
            if self._progress.visible:
                self._progress.step(why)
            else:
                self._out.note(why)

    def aged(self, note: str, report: Mapping[str, object]) -> None:
        """Warn that what is trusted is old; the JSON answer says so as well."""
        with self._lock:
            self._out.warn(note)
            self._out.ages.append(report)

    def left(self, registry: str, url: str, error: SealdexError) -> None:
        """Warn that an address is of no use for something; the JSON answer says so as well."""
        with self._lock:
            self._out.leave(registry, url, error)

    def skipping(self, registry: str, error: SealdexError) -> None:
        """Warn that a search goes on without a registry; the JSON answer says so as well."""
        with self._lock:
            self._out.warn(f"searched without registry '{registry}': {error.message}")
            if error.hint:
                self._out.note(error.hint)
            report = {"registry": registry, "code": error.code, "message": error.message, "hint": error.hint}
            self._out.skipped.append(report)

    def passed_over(self, plugin: PluginId, version: str, newer: str, why: str) -> None:
        """Warn of a newer release that a partial mirror lacks; the JSON answer names it as well."""
        with self._lock:
            said = {"plugin": str(plugin), "version": version, "newer": newer, "reason": why}
            if said not in self._out.passed_over:
                self._out.passed_over.append(said)
                self._out.warn(f"{plugin} {newer} is signed and newer than {version}, but passed over: {why}")

    def retrying(self, notice: RetryNotice) -> None:
        """Count a failed attempt."""
        with self._lock:
            count = self._failures[notice.host] = self._failures.get(notice.host, 0) + 1
            if self._progress.visible:
                self._progress.retried(notice.host, notice.reason)
            elif count & (count - 1) == 0:  # only the 1st, 2nd, 4th, 8th ...: enough for a log
                self._out.note(f"{notice.host}: {notice.reason}, retrying (failed attempts: {count})")

    def resolving(self, seconds: float, decisions: int) -> None:
        """Show that resolution is still running; as a note after 1, 2, 4, 8 ... seconds, which is enough for a log."""
        with self._lock:
            why = f"still looking for releases that fit together ({decisions} decisions in {seconds:.0f} s)"
            if self._progress.visible:
                self._progress.step(why)
            elif seconds >= self._next_resolving:
                self._next_resolving = 2 * seconds
                self._out.note(why)

    def breaking(self, broken: Sequence[Broken]) -> None:
        """Warn of what a forced change breaks."""
        with self._lock:
            for each in broken:
                self._out.warn(f"{each}: {each.fix}")

    def planning(self, choices: Sequence[Choice]) -> None:
        """Take the total number of bytes before the first arrives, so that the percentage only grows."""
        with self._lock:
            for choice in choices:
                self._totals[str(choice)] = choice.artifact.size if choice.artifact is not None else 0

    def downloading(self, choice: Choice) -> _Transfer:
        """Report the bytes of one download to a progress line."""
        return _Transfer(self, str(choice))

    def unpacking(self, choice: Choice, done_bytes: int, total_bytes: int) -> None:
        """Show how much of a release is unpacked."""
        with self._lock:
            self._progress.label = f"unpacking {choice}"
            self._progress.update(done_bytes, total_bytes)

    def installed(self, choice: Choice, action: str) -> None:
        """Count a release for the summary."""
        with self._lock:
            self._sum.count(str(choice), action)

    def started(self, name: str, total: int | None) -> None:
        """Begin a download. A delta download, or a full one after a failed delta, has another total than planned."""
        with self._lock:
            self._totals[name] = None if total is None else self._done.setdefault(name, 0) + total
            several = len(self._totals)
            self._progress.label = f"downloading {name if several == 1 else counted(several, 'plugin')}"

    def moved(self, name: str, count: int) -> None:
        """Count bytes of a download."""
        with self._lock:
            self._done[name] = self._done.get(name, 0) + count
            self._sum.fetched_bytes += count
            known = [total for total in self._totals.values() if total is not None]
            whole = sum(known) if len(known) == len(self._totals) else None
            self._progress.update(sum(self._done.values()), whole)


class _Transfer:
    """One download, as `sealdex.download.download` reports it."""

    def __init__(self, observer: ConsoleObserver, name: str) -> None:
        self._observer = observer
        self._name = name

    def start(self, total: int | None) -> None:
        self._observer.started(self._name, total)

    def advance(self, n: int) -> None:
        self._observer.moved(self._name, n)

    def finish(self) -> None:
        """Do nothing: the line is shared with other downloads."""
