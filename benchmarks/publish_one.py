"""Publishing one release more into a registry that is published already, against updating an index of as many packages.

PUTs and bytes are counted from outside, by comparing the published folder before and after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.budgets import PUBLISH_ONE_CPU, PUBLISH_ONE_PUTS
from benchmarks.harness import Command, Row, Sample, Section, Series, Side, alternate, cpu, rss, run, wall
from benchmarks.scene import Listing, Registry, Written, listing, make_registry, written
from benchmarks.synthetic import write_next_release, write_plugins

PEER_NAMES = {"rpm": "createrepo_c --update --pkglist", "deb": "apt-ftparchive --db"}
FIRST_PLUGIN, STEP = 7, 13  # which plugins get a release more: no two of one run


def measure(bench: Bench) -> list[Section]:
    """Return the figures of each size."""
    peers.need("createrepo_c", "apt-ftparchive")
    sizes = [(1_000, 5_000)] if bench.quick else [(1_000, 5_000), (20_000, 100_000)]
    return [_section(bench, plugins, releases) for plugins, releases in sizes]


@dataclass
class _Publishes:
    """Our side: adds a release before each round and counts what publishing it wrote."""

    registry: Registry
    only: bool
    first: int
    plugin: str = ""
    version: str = ""
    before_it: Listing = field(default_factory=dict)
    writes: list[Written] = field(default_factory=list)

    def side(self) -> Side:
        def command_arguments() -> list[str]:
            return ["publish", "--only", self.plugin] if self.only else ["publish"]

        return Side(lambda _: self.registry.command(*command_arguments()), self.before, self.after)

    def before(self, number: int) -> None:
        self.plugin, self.version = write_next_release(self.registry.folder, self.first + number * STEP)
        self.before_it = listing(self.registry.published)

    def after(self, _number: int, _sample: Sample) -> None:
        wrote = written(self.before_it, listing(self.registry.published))
        manifest = f"plugins/{self.plugin}/{self.version}/manifest.json"
        if manifest not in wrote.files or "metadata/timestamp.json" not in wrote.files:
            raise RuntimeError(f"{self.plugin} {self.version} was not published: {wrote.files}")
        self.writes.append(wrote)


def _section(bench: Bench, plugins: int, releases: int) -> Section:
    folder = bench.folder("publish-one")
    registry = make_registry(folder / "tree")
    bench.say(f"publish-one: publishing {plugins:,} plugins, {releases:,} releases")
    write_plugins(registry.folder, plugins, releases)
    run(registry.command("publish"))
    named = _Publishes(registry, only=True, first=FIRST_PLUGIN)
    found = _Publishes(registry, only=False, first=FIRST_PLUGIN + 1)
    bench.say(f"publish-one: making and indexing {releases:,} packages of each kind")
    sides = [named.side(), found.side()]
    for kind in PEER_NAMES:
        peers.write_packages(folder / kind, releases, kind=kind)
        sides.append(updating_peer(folder / kind, kind, releases))
    bench.say(f"publish-one: {bench.rounds} rounds")
    by_name, by_search, *others = alternate(sides, bench.rounds)
    rows = [
        Row("PUTs", _series(named, "PUTs"), budget=PUBLISH_ONE_PUTS),
        Row("bytes written", _series(named, "KB")),
        Row("CPU", cpu(by_name), budget=PUBLISH_ONE_CPU),
        Row("peak memory", rss(by_name)),
        Row("comparing all: CPU", cpu(by_search)),
        Row("comparing all: peak memory", rss(by_search)),
    ]
    for name, theirs in zip(PEER_NAMES.values(), others, strict=True):
        rows.append(Row("wall", wall(by_name), wall(theirs), name))
        rows.append(Row("comparing all: wall", wall(by_search), wall(theirs), name))
    title = (
        f"Publish one release more into {plugins:,} plugins, {releases:,} releases (peers: update of as many packages)"
    )
    return Section(title, tuple(rows))


def _series(publishes: _Publishes, unit: str) -> Series:
    counts = {
        "PUTs": [float(len(wrote.files)) for wrote in publishes.writes],
        "KB": [wrote.size / 1000 for wrote in publishes.writes],
    }
    return Series(tuple(counts[unit]), unit)


def updating_peer(folder: Path, kind: str, count: int) -> Side:
    """Index a folder of packages, and return the side that adds one and updates the index."""
    cache = folder.with_suffix(".db")

    def command() -> Command:
        if kind == "rpm":
            return peers.createrepo(folder, update=True, listed=True)
        return peers.ftparchive(folder, cache=cache)

    run(command())  # with nothing to go on yet: indexes all

    def before(number: int) -> None:
        peers.write_package(folder, FIRST_PLUGIN + number * STEP, count, kind=kind, version="9.0.0")

    def after(number: int, _: Sample) -> None:
        if (found := peers.indexed(folder, kind=kind)) != count + number + 1:
            raise RuntimeError(f"{PEER_NAMES[kind]} indexed {found} of {count + number + 1} packages")

    return Side(lambda _: command(), before, after)
