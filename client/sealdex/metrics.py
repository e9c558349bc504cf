"""Prometheus metrics, with the extra ``sealdex[metrics]``: downloads, installations and loads.

    plugin_download_total{plugin_id,version,status}      status: success or failure
    plugin_download_duration_seconds{plugin_id}          histogram
    plugin_download_bytes_total{plugin_id,version}       as `bytes_fetched` and `bytes` of install.done have them
    plugin_install_bytes_total{plugin_id,version}        unpacked, as `bytes` of install.unpacked
    plugin_install_duration_seconds{plugin_id}           histogram, as `seconds` of install.unpacked
    plugin_install_total{plugin_id,version,action}       action: unpack, repair or keep
    plugin_load_duration_seconds{plugin_id}              histogram: loading, initializing
    plugin_error_total{plugin_id,version}                failed loads, programs that exited unexpectedly
    plugin_installed{status}                             gauge: plugins by status, 0 disabled, 1 enabled, 2 error
    plugin_service_up{plugin_id,version}                 gauge: 1 while a service runs and is healthy, else 0
    plugin_service_restarts{plugin_id,version}           gauge: restarts since it was run
    sealdex_cache_bytes                                  gauge

A host process serves them (`Metrics.serve`). A command ends too soon to be scraped, so it adds its counts to a file for
the textfile collector of node-exporter (`Metrics.add_to_textfile`), which continues the counters of earlier runs.
"""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from sealdex.errors import ConfigError
from sealdex.events import Observer
from sealdex.runtime.services.api import Services
from sealdex.store.database import ENABLED, State
from sealdex.store.installations import installations
from sealdex.store.layout import Store

try:
    import prometheus_client as prometheus
    from prometheus_client.core import Metric
    from prometheus_client.parser import text_string_to_metric_families
    from prometheus_client.registry import Collector
except ImportError as error:
    raise ConfigError(
        "metrics need prometheus-client, which is not installed",
        untouched="nothing was done",
        hint="pip install 'sealdex[metrics]'",
    ) from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sealdex.errors import SealdexError
    from sealdex.events import Progress
    from sealdex.model.ids import PluginId
    from sealdex.resolve import Choice
    from sealdex.store.dependants import Broken
    from sealdex.transport import RetryNotice

_LOCK_SECONDS = 30
_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
_CUMULATIVE = frozenset({"counter", "histogram"})


class Metrics:
    """The metrics of one process.

    Args:
        store: the store for the gauges; no gauges without one.
        registry: where to register; default: a new one.
    """

    def __init__(
        self, store: Store | Path | str | None = None, registry: prometheus.CollectorRegistry | None = None
    ) -> None:
        self.registry = registry if registry is not None else prometheus.CollectorRegistry()
        self._store = store if store is None or isinstance(store, Store) else Store(os.fspath(store))
        made: dict[str, Any] = {"registry": self.registry}
        self.downloads = prometheus.Counter(
            "plugin_download", "Downloads of artifacts.", ["plugin_id", "version", "status"], **made
        )
        self.download_seconds = prometheus.Histogram(
            "plugin_download_duration_seconds", "What a download took.", ["plugin_id"], buckets=_SECONDS, **made
        )
        self.download_bytes = prometheus.Counter(
            "plugin_download_bytes", "Bytes of artifacts that were fetched.", ["plugin_id", "version"], **made
        )
        self.install_bytes = prometheus.Counter(
            "plugin_install_bytes", "Bytes that were unpacked.", ["plugin_id", "version"], **made
        )
        self.install_seconds = prometheus.Histogram(
            "plugin_install_duration_seconds",
            "What it took to put a release in place.",
            ["plugin_id"],
            buckets=_SECONDS,
            **made,
        )
        self.installs = prometheus.Counter(
            "plugin_install", "Releases that were asked to be installed.", ["plugin_id", "version", "action"], **made
        )
        self.load_seconds = prometheus.Histogram(
            "plugin_load_duration_seconds", "Loading or initialising.", ["plugin_id"], buckets=_SECONDS, **made
        )
        self.errors = prometheus.Counter(
            "plugin_error", "Loads that failed, crashes.", ["plugin_id", "version"], **made
        )
        if self._store is not None:
            self.registry.register(_Gauges(self._store))

    def observer(self, inner: Observer | None = None) -> Observer:
        """Return an observer that updates these metrics and calls another observer."""
        return _MeteredObserver(self, inner or Observer())

    def serve(self, port: int = 0, address: str = "127.0.0.1") -> tuple[Any, Any]:
        """Serve them over HTTP in a thread, with memory and CPU of this process; return the server and the thread.

        The server's port is its ``server_port``.
        """
        with suppress(ValueError):  # served twice, or the registry already has it
            prometheus.ProcessCollector(registry=self.registry)
        return prometheus.start_http_server(port, address, self.registry)

    def add_to_textfile(self, path: Path) -> None:
        """Add counts to those of a file and replace its gauges; by one rename, one process at a time.

        Raises:
            OSError: it can't be written.
            ConfigError: it is a folder, a device or a pipe.
        """
        if path.exists() and not path.is_file():  # also an empty path, which has no name to be replaced
            raise ConfigError(
                f"the metrics can't be written to {path}, which is not a file",
                untouched="what the command did before is done",
                hint="name a file that ends in .prom, with --metrics-file or metrics_file",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        # beside it, with a name that node-exporter doesn't read
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_SECONDS):
            before: list[Metric] = []
            with suppress(FileNotFoundError, ValueError):  # one that isn't ours is replaced
                before = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
            registry = prometheus.CollectorRegistry()
            registry.register(_Fixed(list(merged(before, self.registry.collect()))))
            prometheus.write_to_textfile(str(path), registry)


def merged(before: Iterable[Metric], now: Iterable[Metric]) -> Iterator[Metric]:
    """Yield the families of both: counters and histograms added up, gauges as they are now."""
    old = {family.name: family for family in before}
    for family in now:
        told: Tally[tuple[str, tuple[tuple[str, str], ...]]] = Tally()
        earlier = old.pop(family.name, None)
        families = [earlier] if earlier is not None and family.type in _CUMULATIVE else []
        for each in (*families, family):
            for sample in each.samples:
                if not sample.name.endswith("_created"):  # the start time of this process doesn't apply to the sum
                    told[sample.name, tuple(sorted(sample.labels.items()))] += sample.value  # type: ignore[assignment]  # Counter says int, and adds floats
        result = Metric(family.name, family.documentation, family.type)
        for (name, labels), value in told.items():
            result.add_sample(name, dict(labels), value)
        yield result


class _Fixed(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class _Gauges(Collector):
    """The gauges, measured when they are scraped."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        return []  # so that registering measures nothing

    def collect(self) -> Iterator[Metric]:
        plugins = {installation.id for installation in installations(self._store)}
        rows = State(self._store).plugins()
        by_status = Tally(rows[p].status if p in rows else ENABLED for p in plugins)
        counted = Metric("plugin_installed", "Installed plugins by status: 0 disabled, 1 enabled, 2 error.", "gauge")
        for status in (0, 1, 2):
            counted.add_sample("plugin_installed", {"status": str(status)}, by_status[status])
        yield counted
        up = Metric("plugin_service_up", "Whether a service runs and is healthy.", "gauge")
        restarts = Metric("plugin_service_restarts", "Restarts of a service since it was run.", "gauge")
        for state in Services(self._store).list():
            labels = {"plugin_id": state.plugin, "version": state.version}
            up.add_sample(up.name, labels, state.state == "running" and state.health != "unhealthy")
            restarts.add_sample(restarts.name, labels, state.restarts)
        yield up
        yield restarts
        size = Metric("sealdex_cache_bytes", "Size of the cache of downloads.", "gauge")
        size.add_sample("sealdex_cache_bytes", {}, _bytes_below(Path(self._store.cache_folder)))
        yield size


class _MeteredObserver(Observer):
    def __init__(self, metrics: Metrics, inner: Observer) -> None:
        self._metrics = metrics
        self._inner = inner

    def waiting(self, why: str) -> None:
        self._inner.waiting(why)

    def aged(self, note: str, report: Mapping[str, object]) -> None:
        self._inner.aged(note, report)

    def left(self, registry: str, url: str, error: SealdexError) -> None:
        self._inner.left(registry, url, error)

    def skipping(self, registry: str, error: SealdexError) -> None:
        self._inner.skipping(registry, error)

    def passed_over(self, plugin: PluginId, version: str, newer: str, why: str) -> None:
        self._inner.passed_over(plugin, version, newer, why)

    def retrying(self, notice: RetryNotice) -> None:
        self._inner.retrying(notice)

    def resolving(self, seconds: float, decisions: int) -> None:
        self._inner.resolving(seconds, decisions)

    def breaking(self, broken: Sequence[Broken]) -> None:
        self._inner.breaking(broken)

    def planning(self, choices: Sequence[Choice]) -> None:
        self._inner.planning(choices)

    def downloading(self, choice: Choice) -> Progress | None:
        counter = self._metrics.download_bytes.labels(str(choice.plugin), choice.release.version)
        return _CountedProgress(counter, self._inner.downloading(choice))

    def unpacking(self, choice: Choice, done_bytes: int, total_bytes: int) -> None:
        if done_bytes >= total_bytes:
            self._metrics.install_bytes.labels(str(choice.plugin), choice.release.version).inc(total_bytes)
        self._inner.unpacking(choice, done_bytes, total_bytes)

    def downloaded(self, choice: Choice, seconds: float, *, is_well: bool) -> None:
        status = "success" if is_well else "failure"
        self._metrics.downloads.labels(str(choice.plugin), choice.release.version, status).inc()
        self._metrics.download_seconds.labels(str(choice.plugin)).observe(seconds)
        self._inner.downloaded(choice, seconds, is_well=is_well)

    def installed(self, choice: Choice, action: str) -> None:
        self._metrics.installs.labels(str(choice.plugin), choice.release.version, action).inc()
        self._inner.installed(choice, action)

    def unpacked(self, choice: Choice, seconds: float) -> None:
        self._metrics.install_seconds.labels(str(choice.plugin)).observe(seconds)
        self._inner.unpacked(choice, seconds)

    def loaded(self, plugin: PluginId, version: str, seconds: float, *, is_well: bool) -> None:
        self._metrics.load_seconds.labels(str(plugin)).observe(seconds)
        if not is_well:
            self._metrics.errors.labels(str(plugin), version).inc()
        self._inner.loaded(plugin, version, seconds, is_well=is_well)

    def crashed(self, plugin: PluginId, version: str) -> None:
        self._metrics.errors.labels(str(plugin), version).inc()
        self._inner.crashed(plugin, version)


class _CountedProgress:
    """Counts the bytes of one download when it ends, and passes them on as they come."""

    def __init__(self, counter: Any, inner: Progress | None) -> None:
        self._counter = counter
        self._inner = inner
        self._bytes = 0

    def start(self, total: int | None) -> None:
        if self._inner is not None:
            self._inner.start(total)

    def advance(self, n: int) -> None:
        self._bytes += n
        if self._inner is not None:
            self._inner.advance(n)

    def finish(self) -> None:
        self._counter.inc(max(0, self._bytes))
        self._bytes = 0
        if self._inner is not None:
            self._inner.finish()


def _bytes_below(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(place, name).stat().st_size
    return total
