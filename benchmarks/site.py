"""Building the browse site: all pages of a registry from its source tree, and the pages of one release more.

The figure a page is the CPU time of the whole command (load, compile, render, write) divided by the files it wrote.
There is no peer that makes the same pages; the budget is "minutes" for all and "seconds" for one release.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bench import Bench, put_aside
from benchmarks.budgets import SITE_ALL_WALL, SITE_ONE_WALL
from benchmarks.harness import Command, Row, Sample, Section, Series, Side, alternate, cpu, rss, run, wall
from benchmarks.scene import Registry, listing, make_registry, written
from benchmarks.synthetic import write_next_release, write_plugins

SIGNED = ("metadata/", "targets/", "plugins/")
FIRST_PLUGIN, STEP = 7, 13


def measure(bench: Bench) -> list[Section]:
    """Return the rows."""
    plugins, releases = (1_000, 5_000) if bench.quick else (20_000, 100_000)
    folder = bench.folder("site")
    registry = make_registry(folder / "tree")
    bench.say(f"site: writing {plugins:,} plugins, {releases:,} releases")
    write_plugins(registry.folder, plugins, releases)
    output = folder / "output"
    rounds = min(3, bench.rounds)
    bench.say(f"site: building all of it, {rounds} rounds")
    build = Side(lambda _: registry.command("site", "--output", str(output)), before=lambda _: _forget(output))
    again = Side(lambda _: registry.command("site", "--output", str(output)))
    whole, unchanged = alternate([build, again], rounds)
    files = len(listing(output))
    if files < plugins + releases:
        raise RuntimeError(f"{files} files are not a page for each of {plugins} plugins and {releases} releases")
    bench.say("site: publishing it once, then a release more each round")
    run(registry.command("publish"))
    named, one = _OneMore(registry, FIRST_PLUGIN, by_name=True), _OneMore(registry, FIRST_PLUGIN + 1)
    by_name, more = alternate([named.side(), one.side()], bench.rounds)
    shutil.rmtree(folder)
    rows = [
        Row("all pages: wall", wall(whole), budget=SITE_ALL_WALL),
        Row("all pages: CPU", cpu(whole)),
        Row("all pages: CPU a file", cpu(whole, per=files, unit="µs")),
        Row("all pages: peak memory", rss(whole)),
        Row("all pages, none of which changed: wall", wall(unchanged)),
        Row("publish one release and its pages, by name: wall", wall(by_name), budget=SITE_ONE_WALL),
        Row("publish one release and its pages, comparing all: wall", wall(more)),
        Row("publish one release and its pages, comparing all: CPU", cpu(more)),
        Row("pages written for one release", Series(tuple(one.pages), "pages")),
    ]
    return [Section(f"Browse site of {plugins:,} plugins, {releases:,} releases: {files:,} files", tuple(rows))]


def _forget(output: Path) -> None:
    if output.exists():
        put_aside(output)


@dataclass
class _OneMore:
    """Adds a release before each round and counts the pages that publishing it wrote."""

    registry: Registry
    first: int
    by_name: bool = False
    plugin: str = ""
    pages: list[float] = field(default_factory=list)
    before_it: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    page: str = ""

    def side(self) -> Side:
        def command() -> Command:
            return self.registry.command("publish", *(["--only", self.plugin] if self.by_name else []))

        return Side(lambda _: command(), self.before, self.after)

    def before(self, number: int) -> None:
        self.plugin, version = write_next_release(self.registry.folder, self.first + number * STEP)
        self.page = f"{self.plugin}/{version}/index.html"
        self.before_it = listing(self.registry.published)

    def after(self, _number: int, _sample: Sample) -> None:
        wrote = written(self.before_it, listing(self.registry.published)).files
        if self.page not in wrote:
            raise RuntimeError(f"there is no page {self.page}: {wrote}")
        self.pages.append(float(sum(not path.startswith(SIGNED) for path in wrote)))
