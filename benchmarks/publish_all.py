"""Publishing all of a registry to an empty folder, against createrepo_c and apt-ftparchive indexing as many packages.

A release of ours is set against a package of theirs, although it has about four artifacts, one a platform, each of
which would be a package there; the time an artifact is given as well. The peers have to read and hash each package, so
what they take depends on its size: they are given as many packages of 1 KB, the least that they can take, and some of
1 MiB, a small program. Ours reads no artifact: they are addresses with digests, as written down when they were
released. It writes a manifest a release and an index document a plugin, and signs. Web pages, which the peers don't
make, are left out: `benchmarks.site` measures them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench, put_aside
from benchmarks.budgets import BUILD_PER_PACKAGE
from benchmarks.harness import Row, Sample, Section, Series, Side, alternate, cpu, rss, run, wall
from benchmarks.scene import Registry, listing, make_registry, releases_in
from benchmarks.synthetic import write_plugins

LARGE_PACKAGES = 1_000
RELEASE_FILES = "plugins/*/*/releases/*"
PEERS = {"createrepo_c": "rpm", "createrepo_c --pkglist": "rpm", "apt-ftparchive": "deb"}


def measure(bench: Bench) -> list[Section]:
    """Return the figures of the krew registry, if its history is there, and of the synthetic one."""
    peers.need("createrepo_c", "apt-ftparchive")
    sections: list[Section] = []
    if bench.krew is not None:
        krew = bench.krew

        def import_krew(registry: Registry) -> None:
            run(registry.command("import", "krew", str(krew), "--skip-invalid"))

        sections.append(_section(bench, "kubectl plugin index", import_krew, rounds=bench.rounds))
    plugins, releases = (2_000, 10_000) if bench.quick else (20_000, 100_000)
    sections.append(
        _section(
            bench,
            f"synthetic, {plugins:,} plugins",
            lambda registry: write_plugins(registry.folder, plugins, releases),
            rounds=min(3, bench.rounds),
        )
    )
    return sections


def _section(bench: Bench, what: str, fill: Callable[[Registry], None], *, rounds: int) -> Section:
    folder = bench.folder("build")
    registry = make_registry(folder / "tree")
    bench.say(f"build: making the source tree ({what})")
    fill(registry)
    run(registry.command("publish", "--no-site"))
    releases = releases_in(listing(registry.published))
    artifacts = sum(path.read_bytes().count(b'"sha256":') for path in registry.folder.glob(RELEASE_FILES))
    contents = {"1 KB": (releases, peers.SMALL_BYTES), "1 MiB": (min(releases, LARGE_PACKAGES), 1 << 20)}
    sides = [Side(lambda _: registry.command("publish", "--no-site"), before=lambda _: registry.forget_published())]
    indexed: list[tuple[str, int]] = []
    for size, (count, content_bytes) in contents.items():
        packages = folder / size.replace(" ", "")
        for kind in sorted(set(PEERS.values())):
            bench.say(f"build: making {count:,} packages of {size}: {kind}")
            peers.write_packages(packages / kind, count, kind=kind, content_bytes=content_bytes)
        for name, kind in PEERS.items():
            sides.append(_peer(packages / kind, name, count))
            indexed.append((f"{name}, {count:,} packages of {size}", count))
    bench.say(f"build: {rounds} rounds")
    ours, *others = alternate(sides, rounds)
    if releases_in(listing(registry.published)) != releases:
        raise RuntimeError("the last publish wrote another number of releases than the first")
    rows = [Row("wall", wall(ours)), Row("CPU", cpu(ours)), Row("peak memory", rss(ours))]
    for (name, count), theirs in zip(indexed, others, strict=True):
        rows += [
            Row(
                "wall a release or package",
                _per(wall, ours, releases),
                _per(wall, theirs, count),
                name,
                BUILD_PER_PACKAGE,
            ),
            Row("CPU a release or package", _per(cpu, ours, releases), _per(cpu, theirs, count), name),
            Row("wall an artifact or package", _per(wall, ours, artifacts), _per(wall, theirs, count), name),
        ]
    return Section(f"Publish all: {what}, {releases:,} releases, {artifacts:,} artifacts", tuple(rows))


def _per(time: Callable[..., Series], samples: Sequence[Sample], count: int) -> Series:
    return time(samples, per=count, unit="µs")


def _peer(folder: Path, name: str, count: int) -> Side:
    kind = PEERS[name]

    def before(_: int) -> None:
        put_aside(folder / "repodata")
        put_aside(folder.parent / "Packages")

    def after(_number: int, _sample: Sample) -> None:
        if (found := peers.indexed(folder, kind=kind)) != count:
            raise RuntimeError(f"{name} indexed {found} of {count} packages")

    command = peers.createrepo(folder, listed="--pkglist" in name) if kind == "rpm" else peers.ftparchive(folder)
    return Side(lambda _: command, before, after)
