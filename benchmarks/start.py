"""Starting the client: `sealdex list` with 20 installations, against the same interpreter doing nothing."""

from __future__ import annotations

import sys

from benchmarks.bench import Bench
from benchmarks.budgets import START_WALL
from benchmarks.harness import Command, Row, Section, Side, alternate, cpu, rss, run, wall
from benchmarks.scene import add_packed, check_prints, make_registry

INSTALLATIONS = 20
ROUNDS_FACTOR = 8  # each takes milliseconds, so there can be many


def measure(bench: Bench) -> list[Section]:
    """Return the figures of wall time, CPU time and memory."""
    folder = bench.folder("start")
    registry = make_registry(folder / "tree")
    plugins = [f"bench/tool-{number:02d}" for number in range(INSTALLATIONS)]
    bench.say(f"start: installing {INSTALLATIONS} plugins")
    for plugin in plugins:
        payload = folder / "payload" / plugin
        payload.mkdir(parents=True)
        (payload / "main.py").write_text(f"print('{plugin}')\n")
        add_packed(registry, plugin, "1.0.0", payload)
    run(registry.command("publish"))
    client = registry.client(folder / "client", registry.published.as_uri())
    for plugin in plugins:
        run(client.command("install", plugin))
    check_prints(run(client.command("list")), plugins[-1])
    nothing = Command([sys.executable, "-c", "pass"], folder)
    ours, theirs = alternate(
        [Side(lambda _: client.command("list")), Side(lambda _: nothing)], bench.rounds * ROUNDS_FACTOR
    )
    peer = "python -c pass"
    rows = (
        Row("wall", wall(ours, unit="ms"), wall(theirs, unit="ms"), peer, START_WALL),
        Row("CPU", cpu(ours, unit="ms"), cpu(theirs, unit="ms"), peer),
        Row("peak memory", rss(ours), rss(theirs), peer),
    )
    return [Section(f"Start: sealdex list with {INSTALLATIONS} installations", rows)]
