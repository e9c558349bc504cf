"""Looking up one plugin on a host that knows nothing but the trust root: `sealdex info NS/NAME` with an empty store.

The server answers each request after a delay, so that requests which were sent without waiting for one another overlap
in its log: the longest chain of those that don't is the number of rounds. A second count, by the clock alone, is the
time that the delay costs, divided by the delay. Connecting (TCP, TLS) isn't counted, nor is compression used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.budgets import LOOKUP_BYTES, LOOKUP_ROUNDS, LOOKUP_RSS
from benchmarks.harness import Command, Row, Sample, Section, Series, Side, alternate, rss, run, wall
from benchmarks.scene import Registry, check_prints, make_registry
from benchmarks.slow_server import Served, SlowServer, sequential_rounds, slow_server
from benchmarks.synthetic import plugin_name, write_plugins

DELAY_S = 0.05
RELEASES_PER_PLUGIN = 5
REAL_PLUGINS = 1_000
LOOKED_UP = 500  # a plugin in the middle


def measure(bench: Bench) -> list[Section]:
    """Return the figures of each size."""
    sizes = [1_000, 100_000] if bench.quick else [1_000, 100_000, 1_000_000]
    return [_section(bench, plugins) for plugins in sizes]


def _section(bench: Bench, plugins: int) -> Section:
    folder = bench.folder("look-up")
    registry = make_registry(folder / "tree")
    bench.say(f"look-up: publishing {plugins:,} plugins")
    write_plugins(registry.folder, REAL_PLUGINS, REAL_PLUGINS * RELEASES_PER_PLUGIN)
    publish = registry.command("publish")
    if plugins > REAL_PLUGINS:
        arguments = [sys.executable, "-m", "benchmarks.padded", str(registry.folder), str(plugins)]
        publish = Command(arguments, Path(__file__).parents[1], publish.env)
    run(publish)
    with slow_server(registry.published, DELAY_S) as slow, slow_server(registry.published, 0) as fast:
        delayed, undelayed = _LookUps(registry, folder / "a", slow), _LookUps(registry, folder / "b", fast)
        slowly, quickly = alternate([delayed.side(), undelayed.side()], bench.rounds)
    by_clock = [(a.wall_s - b.wall_s) / DELAY_S for a, b in zip(slowly, quickly, strict=True)]
    rows = (
        Row("sequential rounds", delayed.series(sequential_rounds, "rounds"), budget=LOOKUP_ROUNDS),
        Row("rounds by the clock", Series(tuple(by_clock), "rounds")),
        Row("requests", delayed.series(len, "requests")),
        Row("bytes on the wire", delayed.series(_kilobytes, "KB"), budget=LOOKUP_BYTES),
        Row("peak memory", rss(slowly), budget=LOOKUP_RSS),
        Row("wall without delay", wall(quickly)),
    )
    made = "" if plugins == REAL_PLUGINS else " (index documents of most only named)"
    return Section(f"Look up one plugin cold among {plugins:,}{made}", rows)


class _LookUps:
    """One side: a look-up before which the host forgets all, and what the server saw of it."""

    def __init__(self, registry: Registry, folder: Path, server: SlowServer) -> None:
        self._client = registry.client(folder, server.url)
        self._server = server
        self._plugin = "/".join(plugin_name(LOOKED_UP))
        self._seen: list[list[Served]] = []

    def side(self) -> Side:
        return Side(lambda _: self._client.command("info", self._plugin), self._before, self._after)

    def series(self, count: Callable[[Sequence[Served]], float], unit: str) -> Series:
        """Count something in the requests of each look-up."""
        return Series(tuple(float(count(seen)) for seen in self._seen), unit)

    def _before(self, _: int) -> None:
        self._client.forget()
        self._server.take()

    def _after(self, _: int, sample: Sample) -> None:
        check_prints(sample, self._plugin.partition("/")[2])
        self._seen.append(self._server.take())


def _kilobytes(requests: Sequence[Served]) -> float:
    return sum(request.wire_bytes for request in requests) / 1000
