"""200 agents at once: each looks a plugin up cold and installs it, against `wrk` reading the same files.

wrk reads and forgets, with as many connections. The agents verify signatures and digests, unpack, hash what they write
and make it durable, in a store and a process of their own each.
"""

from __future__ import annotations

import json
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.harness import Command, Row, Sample, Section, Series, Side, alternate, run
from benchmarks.nginx import nginx
from benchmarks.scene import add_packed, make_registry

PLUGIN, VERSION = "bench/small", "1.0.0"
FILES, FILE_BYTES = 16, 64 << 10  # a plugin of 1 MiB
AGENTS, QUICK_AGENTS = 200, 50
WRK_SECONDS, WRK_QUICK_SECONDS = 5, 2
POOL = Path(__file__).with_name("agent_pool.py")

_CYCLE = """
local paths = { %s }
local number = 0
request = function()
    number = number %% #paths + 1
    return wrk.format("GET", paths[number])
end
done = function(summary)
    io.write(string.format("TOTAL %%d requests %%d bytes %%d us %%d errors\\n", summary.requests, summary.bytes,
        summary.duration, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""
_TOTAL = re.compile(r"TOTAL (\d+) requests (\d+) bytes (\d+) us (\d+) errors")


@dataclass(frozen=True)
class Rate:
    """What a side was given in how long."""

    requests: float
    size: float
    seconds: float


def measure(bench: Bench) -> list[Section]:
    """Return the figures of time, requests and bytes."""
    peers.need("nginx", "wrk")
    count = QUICK_AGENTS if bench.quick else AGENTS
    folder = bench.folder("agents")
    registry = make_registry(folder / "tree")
    payload = folder / "payload"
    payload.mkdir()
    random_ = random.Random("agents")
    for number in range(FILES):
        (payload / f"{number:02d}.bin").write_bytes(random_.randbytes(FILE_BYTES))
    add_packed(registry, PLUGIN, VERSION, payload)
    run(registry.command("publish"))
    log = folder / "access.log"
    with nginx(registry.published, folder / "nginx-log", log=log) as url:
        one = registry.client(folder / "one", url)
        log.write_text("")
        run(one.command("install", PLUGIN))
    asked = read_log(log.read_text())
    script = folder / "cycle.lua"
    script.write_text(_CYCLE % ", ".join(f'"{path}"' for path, _ in asked))
    requests, size = len(asked), sum(length for _, length in asked)
    seconds = WRK_QUICK_SECONDS if bench.quick else WRK_SECONDS
    found: dict[str, list[Rate]] = {"ours": [], "wrk": []}
    cpu_s: list[float] = []
    with nginx(registry.published, folder / "nginx") as url:
        client = registry.client(folder / "host", url)
        bench.say(f"agents: {bench.rounds} rounds of {count}")
        wrk = ["wrk", "-t2", f"-c{count}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]

        def pool(number: int) -> Command:
            stores = folder / f"stores-{number}"
            stores.mkdir()
            config = str(client.folder / "config.toml")
            return Command([sys.executable, str(POOL), str(count), str(stores), config, PLUGIN], folder)

        def keep(_number: int, sample: Sample) -> None:
            done = pool_result(sample.output)
            found["ours"].append(Rate(count * requests, count * size, done["wall_s"]))
            cpu_s.append(done["cpu_s"] / count)

        alternate(
            [
                Side(pool, after=keep),
                Side(
                    lambda _: Command(wrk, folder),
                    after=lambda _, sample: found["wrk"].append(wrk_rate(sample.output)),
                ),
            ],
            bench.rounds,
        )
    ours, theirs = found["ours"], found["wrk"]
    peer = f"wrk, {count} connections"
    rows = (
        Row(f"wall for all {count}, none failed", _series([r.seconds for r in ours], "s"),
            _series([r.seconds * count * size / r.size for r in theirs], "s"), f"{peer}, as many bytes"),
        Row("requests a second", _series([r.requests / r.seconds for r in ours], "/s"),
            _series([r.requests / r.seconds for r in theirs], "/s"), peer),
        Row("bytes a second", _series([r.size / r.seconds / 2**20 for r in ours], "MiB/s"),
            _series([r.size / r.seconds / 2**20 for r in theirs], "MiB/s"), peer),
        Row("CPU an agent", _series([1000 * each for each in cpu_s], "ms")),
    )  # fmt: skip
    title = f"{count} agents at once: look up cold and install, {requests} requests and {size / 2**20:.1f} MiB each"
    return [Section(title, rows)]


def pool_result(output: str) -> dict[str, float]:
    """Return what the pool of agents printed.

    Raises:
        RuntimeError: an agent failed.
    """
    done = json.loads(output[output.index("{") :])
    if done["failed"]:
        raise RuntimeError(f"{len(done['failed'])} agents failed, the first: {done['failed'][0]}")
    return {"wall_s": float(done["wall_s"]), "cpu_s": float(done["cpu_s"])}


def read_log(text: str) -> list[tuple[str, int]]:
    """Return path and bytes of the answer of each request in nginx's log."""
    return [(path, int(length)) for path, length in (line.rsplit(" ", 1) for line in text.splitlines())]


def wrk_rate(output: str) -> Rate:
    """Return what wrk counted.

    Raises:
        RuntimeError: it counted nothing, or requests failed.
    """
    match = _TOTAL.search(output)
    if match is None or int(match[4]):
        raise RuntimeError(f"wrk failed: {output[-2000:]}")
    return Rate(float(match[1]), float(match[2]), int(match[3]) / 1e6)


def _series(values: list[float], unit: str) -> Series:
    return Series(tuple(values), unit)
