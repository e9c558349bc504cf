"""Publishing one release more into a registry in an S3 server, at growing sizes, against updating an index.

The source tree has all the plugins, and the server all the files: manifests, index documents, metadata. Requests are
counted by the server. What the first, smallest registry takes is what the larger ones are held to: "flat" means that
CPU time and memory stay within `PUBLISH_ONE_FLAT` of it. Wall time holds the S3 server's own work, on the same machine.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.budgets import PUBLISH_ONE_CPU, PUBLISH_ONE_FLAT, PUBLISH_ONE_PUTS, PUBLISH_ONE_TRIALS
from benchmarks.harness import Command, Row, Sample, Section, Series, Side, alternate, cpu, rss, run, wall
from benchmarks.publish_one import FIRST_PLUGIN, PEER_NAMES, STEP, updating_peer
from benchmarks.s3 import BUCKET, CountingServer, counting_server
from benchmarks.scene import Registry, make_registry
from benchmarks.synthetic import write_next_release, write_plugins

RELEASES_PER_PLUGIN = 10
SIZES = (1_000, 10_000, 100_000)


def measure(bench: Bench) -> list[Section]:
    """Return the figures of each size; the largest takes ``--full``."""
    peers.need("createrepo_c", "apt-ftparchive")
    sizes = (1_000, 2_000) if bench.quick else SIZES if bench.full else SIZES[:2]
    sections: list[Section] = []
    smallest: _Figures | None = None
    for plugins in sizes:
        figures = _measure(bench, plugins)
        smallest = smallest or figures
        sections.append(_section(figures, smallest))
    return sections


@dataclass(frozen=True)
class _Figures:
    """What the rounds at one size took: ours, and each peer's by name."""

    plugins: int
    ours: Sequence[Sample]
    requests: Sequence[Counter[str]]
    peers: dict[str, Sequence[Sample]]


def _measure(bench: Bench, plugins: int) -> _Figures:
    releases = plugins * RELEASES_PER_PLUGIN
    folder = bench.folder("publish-one-s3")
    bench.say(f"publish-one-s3: writing a source tree of {plugins:,} plugins, {releases:,} releases")
    registry = make_registry(folder / "tree")
    write_plugins(registry.folder, plugins, releases)
    (folder / "server").mkdir()
    with counting_server(folder / "server") as server:
        bench.say("publish-one-s3: filling the S3 server")
        one = _PublishesOne(registry, server, f"registry-{plugins}")
        one.fill(plugins)
        sides = [one.side()]
        for kind, name in PEER_NAMES.items():
            bench.say(f"publish-one-s3: making and indexing {releases:,} packages for {name}")
            peers.write_packages(folder / kind, releases, kind=kind)
            sides.append(updating_peer(folder / kind, kind, releases))
        bench.say(f"publish-one-s3: {bench.rounds} rounds")
        ours, *others = alternate(sides, bench.rounds)
    return _Figures(plugins, ours, one.requests, dict(zip(PEER_NAMES.values(), others, strict=True)))


@dataclass
class _PublishesOne:
    """Our side: adds a release before each round; counts the requests of publishing it, and sees that it is there."""

    registry: Registry
    server: CountingServer
    prefix: str
    plugin: str = ""
    version: str = ""
    before_it: Counter[str] = field(default_factory=Counter)
    requests: list[Counter[str]] = field(default_factory=list)

    def fill(self, plugins: int) -> None:
        """Publish all that the source tree has."""
        settings = self.registry.folder / "registry.toml"
        text = settings.read_text()
        before = 'storage = "folder:published"'
        if before not in text:
            raise RuntimeError(f"{settings} lacks the line {before}")
        settings.write_text(text.replace(before, f'storage = "{self.server.storage(self.prefix)}"'))
        filling = [sys.executable, "-m", "benchmarks.fill_s3", str(self.registry.folder), str(plugins)]
        run(self._signed(Command([*filling, self.server.server.filer], Path(__file__).parents[1], self._environment)))

    def side(self) -> Side:
        def command() -> Command:
            return self._signed(self.registry.command("publish", "--only", self.plugin))

        return Side(lambda _: command(), self.before, self.after)

    def before(self, number: int) -> None:
        self.plugin, self.version = write_next_release(self.registry.folder, FIRST_PLUGIN + number * STEP)
        self.before_it = self.server.requests()

    def after(self, _number: int, _sample: Sample) -> None:
        self.requests.append(self.server.requests() - self.before_it)
        # raises when the server has no such file
        key = f"{self.prefix}/plugins/{self.plugin}/{self.version}/manifest.json"
        self.server.server.client().head_object(Bucket=BUCKET, Key=key)

    @property
    def _environment(self) -> dict[str, str]:
        return dict(self.registry.command().env)

    def _signed(self, command: Command) -> Command:
        return Command(command.argv, command.cwd, {**command.env, **self.server.server.environment})


def _section(figures: _Figures, smallest: _Figures) -> Section:
    releases = figures.plugins * RELEASES_PER_PLUGIN
    rows = [
        Row(f"PUTs, beside {PUBLISH_ONE_TRIALS} that must be refused", _writes(figures), budget=PUBLISH_ONE_PUTS),
        Row("GETs and HEADs", _counts(figures, "GET", "HEAD")),
        Row("CPU", cpu(figures.ours), budget=PUBLISH_ONE_CPU),
        Row("peak memory", rss(figures.ours)),
        Row("wall", wall(figures.ours)),
    ]
    if figures is not smallest:
        at = f"ours with {smallest.plugins:,} plugins"
        rows += [
            Row("CPU is flat", cpu(figures.ours), cpu(smallest.ours), at, PUBLISH_ONE_FLAT),
            Row("peak memory is flat", rss(figures.ours), rss(smallest.ours), at, PUBLISH_ONE_FLAT),
        ]
    for name, theirs in figures.peers.items():
        rows += [
            Row("wall", wall(figures.ours), wall(theirs), name),
            Row("CPU", cpu(figures.ours), cpu(theirs), name),
            Row("peak memory", rss(figures.ours), rss(theirs), name),
        ]
    title = (
        f"Publish one release more in S3: {figures.plugins:,} plugins, {releases:,} releases (peers: update of as many "
        "packages)"
    )
    return Section(title, tuple(rows))


def _counts(figures: _Figures, *verbs: str) -> Series:
    return Series(tuple(float(sum(counted[verb] for verb in verbs)) for counted in figures.requests), "requests")


def _writes(figures: _Figures) -> Series:
    return Series(tuple(float(counted["PUT"] - PUBLISH_ONE_TRIALS) for counted in figures.requests), "PUTs")
