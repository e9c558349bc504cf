"""Installing a large package from a local nginx, against curl, sha256sum and unzip doing the same by hand.

The client does more: it reads and verifies the registry's metadata first, checks the archive before unpacking it,
hashes every file it writes, and makes all of it durable before the switch.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench, put_aside
from benchmarks.budgets import INSTALL_RSS, INSTALL_WALL
from benchmarks.harness import Command, Row, Sample, Section, Series, Side, alternate, cpu, rss, run, wall
from benchmarks.nginx import nginx
from benchmarks.payload import FILES, write_payload
from benchmarks.scene import add_packed, make_registry

PLUGIN, VERSION = "bench/large", "1.0.0"
UNPACKED_BYTES = 1300 << 20  # about 1 GiB once packed
QUICK_SHARE = 4

_BY_HAND = (
    'curl -fsS -o package.zip "$1" && echo "$2  package.zip" | sha256sum -c --quiet && unzip -q package.zip -d out'
)


def measure(bench: Bench) -> list[Section]:
    """Return the figures of wall time, CPU time and memory."""
    peers.need("nginx", "curl", "unzip", "sha256sum")
    folder = bench.folder("install")
    registry = make_registry(folder / "tree")
    bench.say("install: making the package")
    write_payload(folder / "payload", UNPACKED_BYTES // QUICK_SHARE if bench.quick else UNPACKED_BYTES)
    packed = add_packed(registry, PLUGIN, VERSION, folder / "payload")
    run(registry.command("publish"))
    by_hand, files = folder / "by-hand", len(packed.files)
    with nginx(registry.published, folder / "nginx") as url:
        client = registry.client(folder / "client", url)
        installed = client.store / "plugins" / PLUGIN / VERSION
        address = f"{url}/plugins/{PLUGIN}/{VERSION}/{packed.path.name}"
        bench.say(f"install: {bench.rounds} rounds")
        ours, theirs = alternate(
            [
                Side(
                    lambda _: client.command("install", f"{PLUGIN}@{VERSION}"),
                    before=lambda _: client.forget(),
                    after=lambda _number, _sample: _check(installed, files),
                ),
                Side(
                    lambda _: Command(["sh", "-c", _BY_HAND, "sh", address, packed.sha256], by_hand),
                    before=lambda _: _empty(by_hand),
                    after=lambda _number, _sample: _check(by_hand / "out", files),
                ),
            ],
            bench.rounds,
        )
    peer = "curl + sha256sum + unzip"
    rows = (
        Row("wall", wall(ours), wall(theirs), peer, INSTALL_WALL),
        Row("CPU", cpu(ours), cpu(theirs), peer),
        Row("peak memory", rss(ours), rss(theirs), peer, INSTALL_RSS),
        Row("package bytes a second", _rate(ours, packed.size), _rate(theirs, packed.size), peer),
    )
    title = f"Install a package of {packed.size / 2**20:,.0f} MiB, {FILES:,} files, from nginx"
    return [Section(title, rows)]


def _rate(samples: list[Sample], size: int) -> Series:
    return Series(tuple(size / 2**20 / sample.wall_s for sample in samples), "MiB/s")


def _empty(folder: Path) -> None:
    put_aside(folder)
    folder.mkdir()


def _check(folder: Path, files: int) -> None:
    """Make sure that all files are there: that a side did its work is checked, not assumed."""
    found = sum(path.is_file() for path in folder.glob("part-*/*"))
    if found != files:
        raise RuntimeError(f"{folder} holds {found} of {files} files")
