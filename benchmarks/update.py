"""Updating a large package in which files with 1 % of the bytes changed, against zsync and against a full install.

zsync gets the old archive beside it, which a host that installed it has no other use for, and is given only the new
archive as its result; the client starts from the installed files, and ends with the new version verified, in place.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench, put_aside
from benchmarks.budgets import UPDATE_SHARE
from benchmarks.harness import Command, Row, Sample, Section, Series, Side, alternate, cpu, rss, run, wall
from benchmarks.nginx import nginx
from benchmarks.payload import FILES, write_payload
from benchmarks.scene import Client, add_packed, make_registry

PLUGIN, OLD, NEW = "bench/large", "1.0.0", "1.1.0"
UNPACKED_BYTES = 1300 << 20  # about 1 GiB once packed
QUICK_SHARE = 4
CHANGED_SHARE = 0.01


def measure(bench: Bench) -> list[Section]:
    """Return the figures of bytes, wall time, CPU time and memory."""
    peers.need("nginx", "zsync", "zsyncmake")
    folder = bench.folder("update")
    registry = make_registry(folder / "tree")
    bench.say("update: making the packages")
    total = UNPACKED_BYTES // QUICK_SHARE if bench.quick else UNPACKED_BYTES
    write_payload(folder / "payload", total)
    add_packed(registry, PLUGIN, OLD, folder / "payload")
    changed = change_files(folder / "payload", int(total * CHANGED_SHARE))
    new = add_packed(registry, PLUGIN, NEW, folder / "payload")
    run(registry.command("publish"))
    published = registry.published / "plugins" / PLUGIN
    old_archive = published / OLD / f"large-{OLD}.zip"
    with nginx(registry.published, folder / "nginx") as url:
        address = f"{url}/plugins/{PLUGIN}/{NEW}/{new.path.name}"
        control = folder / "new.zsync"
        run(Command(["zsyncmake", "-u", address, "-o", str(control), str(published / NEW / new.path.name)], folder))
        shutil.copy(control, published / NEW / "new.zsync")
        control_url = f"{url}/plugins/{PLUGIN}/{NEW}/new.zsync"
        host, fresh = registry.client(folder / "host", url), registry.client(folder / "fresh", url)
        run(host.command("install", f"{PLUGIN}@{OLD}"))
        fetched: dict[str, list[float]] = {"ours": [], "zsync": []}
        theirs_in = folder / "zsync"
        bench.say(f"update: {bench.rounds} rounds")
        ours, theirs, full = alternate(
            [
                Side(
                    lambda _: host.command("install", f"{PLUGIN}@{NEW}", "--json"),
                    before=lambda _: _as_before(host),
                    after=lambda _, sample: fetched["ours"].append(_ours(sample, new.size)),
                ),
                Side(
                    lambda _: Command(["zsync", "-i", str(old_archive), "-o", "new.zip", control_url], theirs_in),
                    before=lambda _: _empty(theirs_in),
                    after=lambda _, sample: fetched["zsync"].append(_theirs(sample, control, new.size)),
                ),
                Side(
                    lambda _: fresh.command("install", f"{PLUGIN}@{NEW}"),
                    before=lambda _: fresh.forget(),
                ),
            ],
            bench.rounds,
        )
    bytes_ours, bytes_zsync = (Series(tuple(fetched[side]), "%") for side in ("ours", "zsync"))
    whole = Series((100.0,) * len(full), "%")
    rows = (
        Row("bytes fetched, of the archive's", bytes_ours, bytes_zsync, "zsync", UPDATE_SHARE),
        Row("bytes fetched, of the archive's", bytes_ours, whole, "full install"),
        Row("wall", wall(ours), wall(theirs), "zsync"),
        Row("wall", wall(ours), wall(full), "full install"),
        Row("CPU", cpu(ours), cpu(theirs), "zsync"),
        Row("peak memory", rss(ours), rss(theirs), "zsync"),
    )
    share = 100 * changed / total
    title = (
        f"Update a package of {new.size / 2**20:,.0f} MiB, {FILES:,} files, files with {share:.2f} % of bytes changed"
    )
    return [Section(title, rows)]


def change_files(folder: Path, total_bytes: int) -> int:
    """Give files other bytes until they have ``total_bytes`` together, or just less; return how many they have."""
    random_ = random.Random(f"change {total_bytes}")
    paths = sorted(folder.glob("part-*/*"))
    random_.shuffle(paths)
    changed = 0
    for path in paths:
        size = path.stat().st_size
        if size and changed + size <= total_bytes:
            path.write_bytes(random_.randbytes(size))
            changed += size
    return changed


def _as_before(host: Client) -> None:
    if (host.store / "plugins" / PLUGIN / NEW).exists():
        run(host.command("uninstall", f"{PLUGIN}@{NEW}"))
    put_aside(host.store / "cache")


def _empty(folder: Path) -> None:
    put_aside(folder)
    folder.mkdir()


def _ours(sample: Sample, size: int) -> float:
    done = json.loads(sample.output[sample.output.index("{") :])["installed"][0]
    return 100 * int(done["bytes_fetched"]) / size


def _theirs(sample: Sample, control: Path, size: int) -> float:
    """Return the share of the archive that zsync fetched, its control file included.

    Raises:
        RuntimeError: it did not say how much.
    """
    found = re.search(r"fetched (\d+)", sample.output)
    if found is None:
        raise RuntimeError(f"zsync did not say what it fetched: {sample.output[-2000:]}")
    return 100 * (int(found[1]) + control.stat().st_size) / size
