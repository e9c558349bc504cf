"""The context of a command: its output, the configuration and a client that shows progress."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.cli.output import Output
from sealdex.cli.progress import Progress
from sealdex.cli.refused_config import warn_of_refused
from sealdex.cli.size_option import Size
from sealdex.cli.summary import Totals
from sealdex.errors import UsageError
from sealdex.events import Observer
from sealdex.store.layout import Store
from sealdex.text import counted

if TYPE_CHECKING:
    from sealdex.client import Client
    from sealdex.config.config import Config
    from sealdex.errors import SealdexError
    from sealdex.model.ids import PluginId
    from sealdex.resolve import Choice
    from sealdex.store.dependants import Broken
    from sealdex.transport import RetryNotice


_DOWNLOAD_KEY = "sealdex.download"


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

    def summary(self) -> str | None:
        """Return what was installed, in which time and with how many bytes, in words; None if nothing was."""
        return self.totals.in_words()

    def say_summary(self) -> None:
        """Show `summary`, if there is one, and which plugins don't take the configuration that is kept for them."""
        warn_of_refused(self.out, Store(self.config().store))
        if (words := self.summary()) is not None:
            self.out.note(words, **self.totals.as_fields())

    def log_summary(self) -> None:
        """Write `summary` as a line of JSON where stderr has such lines, for commands that show it on stdout."""
        if self.out.logs_json and (words := self.summary()) is not None:
            self.out.log("info", words, **self.totals.as_fields())

    def config(self) -> Config:
        """Read the configuration."""
        from sealdex.config.config import load_config  # noqa: PLC0415  # commands that need none don't wait for it

        return self._adjusted(load_config(self.config_path, self.store, self.settings))

    def _adjusted(self, config: Config) -> Config:
        if not self.download:
            return config
        import msgspec  # noqa: PLC0415  # only for who gave an option

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
        from sealdex.metrics import Metrics  # noqa: PLC0415  # prometheus-client is an extra

        metrics = Metrics(config.store)
        try:
            yield metrics.observer(observer)
        finally:
            metrics.add_to_textfile(file)

    @contextmanager
    def observer(self, doing: str) -> Iterator[ConsoleObserver]:
        """Show waits, retries and transfers while the block runs."""
        with self.out.progress(doing) as progress:
            yield ConsoleObserver(self.out, progress, self.totals)


def client_command(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a click callback: a `Context` as its first argument, and the options common to all commands."""

    @click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Configuration file to use ($SEALDEX_CONFIG).",
    )
    @click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Store folder to use ($SEALDEX_STORE).",
    )
    @click.option(
        "--metrics-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="SEALDEX_METRICS_FILE",
        metavar="FILE",
        help="Write metrics for node-exporter to this file ($SEALDEX_METRICS_FILE; needs sealdex[metrics]).",
    )
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a setting for this run, such as download.timeout=5; may be repeated. See: sealdex config show.",
    )
    @output_options
    @click.pass_context
    @functools.wraps(command)
    def with_context(
        ctx: click.Context,
        /,
        *args: Any,
        config_path: Path | None,
        store: Path | None,
        metrics_file: Path | None,
        **options: Any,
    ) -> Any:
        context = Context(output_of(ctx), config_path, store)
        _keep_options(ctx, context)
        context.settings.update(map(_setting, options.pop("settings")))
        context.metrics_file = metrics_file
        context.download.update(ctx.meta.get(_DOWNLOAD_KEY, {}))
        return command(context, *args, **options)

    return with_context


def _keep_options(ctx: click.Context, context: Context) -> None:
    """Add the current --config and --store to every command that is advised."""
    given = {"--config": context.config_path, "--store": context.store}
    program = ctx.find_root().command
    if any(given.values()) and isinstance(program, LazyGroup) and program.advised is not None:
        import shlex  # noqa: PLC0415  # only for who gave an option

        said = [f"{option} {shlex.quote(str(value))}" for option, value in given.items() if value is not None]
        context.out.keep_options(program.advised, " ".join(said))


def download_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--concurrent``, ``--timeout``, ``--retry`` and ``--limit-rate``, which override ``[download]``.

    They are stored in the command's `Context`, so the callback takes no arguments for them.
    """
    for option in (
        click.option(
            "--concurrent",
            type=click.IntRange(1, 64),
            metavar="N",
            expose_value=False,
            callback=lambda ctx, _param, value: _set_download(ctx, "concurrent", value),
            help="Number of files downloaded at the same time; default: `concurrent` of [download].",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(0, 3600, min_open=True),
            metavar="SECONDS",
            expose_value=False,
            callback=lambda ctx, _param, value: _set_download(ctx, "timeout", value),
            help="Seconds without data before a connection is retried; default: `timeout` of [download].",
        ),
        click.option(
            "--retry",
            type=click.IntRange(0, 1000),
            metavar="N",
            expose_value=False,
            callback=lambda ctx, _param, value: _set_download(ctx, "retry", value),
            help="Retries for a request that makes no progress (0 disables); default: `retry` of [download].",
        ),
        click.option(
            "--limit-rate",
            type=Size(1, "rate"),
            metavar="RATE",
            expose_value=False,
            callback=lambda ctx, _param, value: _set_download(ctx, "max_bytes_per_second", value),
            help="Maximum bytes per second for all downloads together: 500k, 2MiB, 1.5G.",
        ),
    ):
        command = option(command)
    return command


def _set_download(ctx: click.Context, field: str, value: float | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_DOWNLOAD_KEY, {})[field] = value


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(
            f"'{text}' is not a valid setting: write KEY=VALUE", hint="for example: --set download.timeout=5"
        )
    return key.strip(), value.strip()


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
