"""Searching a very large registry: `sealdex search`, and the page in Chromium; by name, word and filter.

The registry is published by the builder, with the rows of all plugins in its catalog (`benchmarks.padded`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from benchmarks.bench import Bench
from benchmarks.budgets import LOOKUP_BYTES, LOOKUP_ROUNDS
from benchmarks.harness import Row, Section, Series, cpu, rss, run, wall
from benchmarks.scene import Client, check_prints, make_registry
from benchmarks.search_page import publish_with_rows, sections_of
from benchmarks.slow_server import Served, SlowServer, sequential_rounds, slow_server
from benchmarks.synthetic import plugin_name
from registry_builder.site.preview.server import running_server

OWN = 500  # plugins that are there whole
DELAY_S = 0.25  # of a request: far above what a busy machine takes between two that are sent at once
NAME = "NAME"  # stands for a plugin's
SEARCHES = {
    "by name": (NAME,),
    "by name, mistyped": (f"x{NAME}",),
    "by words": ("network", "policy"),
    "by a word and filters": ("network", "--platform", "windows/arm64", "--keyword", "policy"),
    "by a filter alone": ("--keyword", "policy", "--sort", "name"),
}


def measure(bench: Bench) -> list[Section]:
    """Return the figures of both sides.

    With a million plugins each search is run once: its CPU hardly varies, and all rounds would take an hour.
    """
    if bench.full:
        bench = dataclasses.replace(bench, rounds=1)
    plugins = 1_000_000 if bench.full else 50_000 if bench.quick else 200_000
    folder = bench.folder("search-large")
    registry = make_registry(folder / "tree")
    bench.say(f"search-large: publishing {plugins:,} plugins")
    publish_with_rows(registry, plugins, own=OWN)
    name = plugin_name(plugins // 2)[1]
    with running_server(registry.published) as address:
        sections = [_of_client(bench, registry.client(folder / "host", address), name, plugins)]
    with slow_server(registry.published, DELAY_S) as slow:
        sections.append(_look_up(bench, registry.client(folder / "cold", slow.url), slow, plugins))
    texts = [*(name[: end + 1] for end in range(len(name))), "network policy", "audit the cluster", "netwrok", "q"]
    return [*sections, *sections_of(bench, f"{plugins:,} plugins", registry.published, texts)]


def _of_client(bench: Bench, client: Client, name: str, plugins: int) -> Section:
    rows: list[Row] = []
    cold = [run(client.command("search", name))]
    rows += [Row("by name, on a host that knows nothing: wall", wall(cold)), Row("the same: peak memory", rss(cold))]
    for what, words in SEARCHES.items():
        bench.say(f"search-large: {what}")
        command = client.command("search", *(word.replace(NAME, name) for word in words))
        samples = [run(command) for _ in range(bench.rounds)]
        check_prints(samples[0], name if what.startswith("by name") else "policy")
        rows += [
            Row(f"{what}: wall", wall(samples)),
            Row(f"{what}: CPU", cpu(samples)),
            Row(f"{what}: peak memory", rss(samples)),
        ]
    return Section(f"sealdex search among {plugins:,} plugins", tuple(rows))


def _look_up(bench: Bench, client: Client, server: SlowServer, plugins: int) -> Section:
    """Look one plugin up cold: what the shards of the catalog add to it."""
    seen: list[Sequence[Served]] = []
    for _ in range(bench.rounds):
        client.forget()
        server.take()
        run(client.command("info", "/".join(plugin_name(OWN // 2))))
        seen.append(server.take())
    rounds = Series(tuple(float(sequential_rounds(each)) for each in seen), "rounds")
    size = Series(tuple(sum(request.wire_bytes for request in each) / 1000 for each in seen), "KB")
    rows = (
        Row("sequential rounds", rounds, budget=LOOKUP_ROUNDS),
        Row("bytes on the wire", size, budget=LOOKUP_BYTES),
    )
    return Section(f"Look up one plugin cold among {plugins:,}, all in the catalog", rows)
