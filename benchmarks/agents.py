"""50 agents at once: each a process that starts, looks a plugin of 1 MiB up cold and installs it, from one nginx.

The peers install as much from the same nginx, as processes too: `pip install` and `uv pip install` of a wheel from a
simple index, and a script of stock python-tuf that reads the document, fetches, checks and unpacks. pip and uv verify a
digest that the index states and no signature; they are given empty caches and folders, as the agents are.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.alone import STOCK, client_alone
from benchmarks.bench import Bench
from benchmarks.budgets import AGENTS_PIP, AGENTS_UV
from benchmarks.harness import Command, Row, Sample, Section, Series, Side, alternate, run
from benchmarks.nginx import nginx
from benchmarks.payload import write_files
from benchmarks.scene import add_packed, make_registry
from benchmarks.wheelfile import write_wheel

PLUGIN, VERSION = "bench/small", "1.0.0"
WHEEL = "bench_small"
FILES, FILE_BYTES = 16, 64 << 10  # a plugin of 1 MiB
AGENTS, QUICK_AGENTS = 50, 10
CROWD = Path(__file__).with_name("crowd.py")


def measure(bench: Bench) -> list[Section]:
    """Return the figures of time and CPU."""
    peers.need("nginx", "uv")
    python, program = client_alone()
    count = QUICK_AGENTS if bench.quick else AGENTS
    folder = bench.folder("agents")
    registry = make_registry(folder / "tree")
    write_files(folder / "payload", FILES, FILE_BYTES)
    add_packed(registry, PLUGIN, VERSION, folder / "payload")
    run(registry.command("publish"))
    write_index(folder / "index")
    uv = peers.find("uv") or "uv"
    with nginx(registry.published, folder / "nginx") as url, nginx(folder / "index", folder / "nginx-index") as index:
        client = registry.client(folder / "host", url)
        simple = f"{index}/simple/"

        def ours(home: Path) -> tuple[list[str], dict[str, str]]:
            variables = {"SEALDEX_CONFIG": str(client.folder / "config.toml"), "SEALDEX_STORE": str(home / "store")}
            return [str(program), "install", "--no-fallback", PLUGIN], variables

        def pip(home: Path) -> tuple[list[str], dict[str, str]]:
            options = [
                "--quiet",
                "--disable-pip-version-check",
                "--no-cache-dir",
                "--no-deps",
                "--target",
                str(home / "t"),
            ]
            return [str(python), "-m", "pip", "install", *options, "--index-url", simple, WHEEL], {
                "PIP_CONFIG_FILE": os.devnull
            }

        def with_uv(home: Path) -> tuple[list[str], dict[str, str]]:
            options = ["--quiet", "--no-deps", "--python", str(python), "--target", str(home / "t")]
            variables = {"UV_CACHE_DIR": str(home / "cache"), "UV_NO_CONFIG": "1"}
            return [uv, "pip", "install", *options, "--index-url", simple, WHEEL], variables

        def stock(home: Path) -> tuple[list[str], dict[str, str]]:
            root = str(registry.trust_root)
            return [str(python), str(STOCK), str(home / "t"), url, root, PLUGIN, "install"], {}

        bench.say(f"agents: {bench.rounds} rounds of {count} processes, four kinds")
        kinds = {"ours": ours, "uv": with_uv, "pip": pip, "stock": stock}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
        alternate([_side(folder, name, kind, count, found[name]) for name, kind in kinds.items()], bench.rounds)
    rows = [
        Row(f"wall for all {count}", *_pair(found, peer, "wall_s", 1, "s"), label, budget)
        for peer, label, budget in (
            ("uv", "uv pip install", AGENTS_UV),
            ("pip", "pip install", AGENTS_PIP),
            ("stock", "stock tuf.ngclient, unpacking too", None),
        )
    ]
    rows += [
        Row("CPU an agent", *_pair(found, peer, "cpu_s", 1000 / count, "ms"), label)
        for peer, label in (("uv", "uv pip install"), ("pip", "pip install"), ("stock", "stock tuf.ngclient"))
    ]
    return [Section(f"{count} agents at once, each a process that installs 1 MiB cold", tuple(rows))]


def write_index(folder: Path) -> None:
    """Write a simple index (PEP 503) with one wheel of 1 MiB that doesn't compress."""
    place = folder / "simple" / WHEEL.replace("_", "-")
    place.mkdir(parents=True)
    content = b"DATA = " + repr(random.Random("wheel").randbytes(FILES * FILE_BYTES * 2 // 5)).encode()
    digest = write_wheel(place, WHEEL, VERSION, content)
    name = f"{WHEEL}-{VERSION}-py3-none-any.whl"
    (place / "index.html").write_text(f'<!DOCTYPE html><a href="{name}#sha256={digest}">{name}</a>\n')


def _side(
    folder: Path,
    name: str,
    kind: Callable[[Path], tuple[Sequence[str], dict[str, str]]],
    count: int,
    found: list[dict[str, float]],
) -> Side:
    def command(number: int) -> Command:
        commands = []
        for agent in range(count):
            home = folder / f"{name}-{number}" / str(agent)
            home.mkdir(parents=True)
            argv, variables = kind(home)
            path = os.environ.get("PATH", os.defpath)
            env = {"PATH": path, "HOME": str(home), "NO_PROXY": "127.0.0.1", "LC_ALL": "C.UTF-8", **variables}
            commands.append({"argv": list(argv), "env": env, "log": str(home / "log")})
        listed = folder / f"{name}-{number}.json"
        listed.write_text(json.dumps(commands))
        return Command([sys.executable, str(CROWD), str(listed)], folder)

    def keep(_number: int, sample: Sample) -> None:
        found.append(crowd_result(sample.output))

    return Side(command, after=keep)


def crowd_result(output: str) -> dict[str, float]:
    """Return what `benchmarks/crowd.py` printed.

    Raises:
        RuntimeError: a process failed.
    """
    done = json.loads(output[output.index("{") :])
    if done["failed"]:
        raise RuntimeError(f"{len(done['failed'])} agents failed, the first: {done['failed'][0]}")
    return {"wall_s": float(done["wall_s"]), "cpu_s": float(done["cpu_s"])}


def _pair(
    found: dict[str, list[dict[str, float]]], peer: str, field: str, factor: float, unit: str
) -> tuple[Series, Series]:
    ours, theirs = (Series(tuple(each[field] * factor for each in found[name]), unit) for name in ("ours", peer))
    return ours, theirs
