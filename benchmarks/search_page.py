"""Searching in the browser: what the search page loads, when it first answers, and how long each key stroke takes.

Measured in Chromium on the page that people get, from the `input` event to the results in the document. Words are typed
letter by letter, some with a typo, some in pairs, so that short prefixes, which match most, are among the queries.
"""

from __future__ import annotations

import gzip
import json
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

from benchmarks.bench import Bench
from benchmarks.budgets import SEARCH_NAME_BYTES, SEARCH_NAME_MEMORY, SEARCH_QUERY, Budget
from benchmarks.devtools import bare_page
from benchmarks.harness import Command, Row, Section, Series, run
from benchmarks.renderer import Memory, memory_of, started_browser
from benchmarks.scene import Registry, make_registry
from benchmarks.synthetic import plugin_name, write_plugins
from registry_builder.site.preview.server import running_server

PAGE = "search.html"
WORDS = 20
OWN = 200  # plugins that are there whole
LOADING_S = 600

TYPE = """
async (texts) => {
  const root = document.querySelector("[data-search]");
  const field = document.querySelector("#search-text");
  const times = [];
  for (const text of texts) {
    const answered = new Promise((done) => {
      const watch = new MutationObserver(() => {
        if (root.dataset.state !== "answered") return;
        watch.disconnect();
        done();
      });
      watch.observe(root, { attributes: true });
    });
    const started = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input"));
    await answered;
    times.push(performance.now() - started);
  }
  return times;
}
"""


def measure(bench: Bench) -> list[Section]:
    """Return the figures of the krew registry, if its history is there, and of the synthetic one."""
    sections: list[Section] = []
    if bench.krew is not None:
        krew = bench.krew

        registry = make_registry(bench.folder("search-page") / "tree")
        bench.say("search-page: publishing (kubectl plugin index)")
        run(registry.command("import", "krew", str(krew), "--skip-invalid"))
        run(registry.command("publish"))
        names = sorted(path.name for path in registry.folder.glob("plugins/*/*"))
        sections += sections_of(bench, "kubectl plugin index", registry.published, typed(names))
    plugins = 3_000 if bench.quick else 20_000
    registry = make_registry(bench.folder("search-page") / "tree")
    bench.say(f"search-page: publishing (synthetic, {plugins:,} plugins)")
    publish_with_rows(registry, plugins, own=OWN)
    names = [plugin_name(number)[1] for number in range(plugins)]
    return [*sections, *sections_of(bench, f"synthetic, {plugins:,} plugins", registry.published, typed(names))]


def publish_with_rows(registry: Registry, plugins: int, *, own: int) -> None:
    """Publish some plugins as part of a registry that has the rows of so many; the others have no pages."""
    write_plugins(registry.folder, own, own)
    arguments = [sys.executable, "-m", "benchmarks.padded", str(registry.folder), str(plugins), "--rows"]
    run(Command(arguments, registry.folder, {**registry.command().env, "PYTHONPATH": str(Path(__file__).parents[1])}))


def sections_of(bench: Bench, what: str, published: Path, texts: Sequence[str]) -> list[Section]:
    """Return the figures of a published registry: by name, where it has shards by name, and with all rows."""
    bench.say(f"search-page: {len(texts)} queries, {bench.rounds} rounds ({what})")
    name = max(texts, key=len)
    is_large = b'"names"' in (published / "search/catalogue.json").read_bytes()
    with running_server(published) as address:
        empty, names, every = [], [], []
        for _ in range(bench.rounds):  # each in a browser of its own, so that none has what another left
            empty.append(_empty(address))
            names += [_by_name(published, address, texts, name)] if is_large else []
            every.append(_all_rows(published, address, texts, name))
    rows = (
        *_bytes_rows(every, None),
        Row("opening the page to the first answer", Series(tuple(v.first_ms for v in every), "ms")),
        Row("of which reading and indexing", Series(tuple(v.load_ms for v in every), "ms")),
        Row("CPU of the page until then", Series(tuple(v.cpu_s for v in every), "s")),
        *_memory_rows(every, empty, None),
        *_query_rows(every),
    )
    made = [Section(f"Search all rows in the browser: {what}", rows)]
    if names:
        rows = (
            *_bytes_rows(names, SEARCH_NAME_BYTES),
            *_memory_rows(names, empty, SEARCH_NAME_MEMORY),
            *_query_rows(names),
        )
        made.insert(0, Section(f"Search by name in the browser: {what}", rows))
    return made


def _memory_rows(visits: Sequence[_Visit], empty: Sequence[Memory], budget: Budget | None) -> tuple[Row, ...]:
    own = Series(tuple(v.memory.own for v in visits), "MB")
    return (
        Row("renderer's own memory", own, budget=budget),
        Row("the same of an empty page", Series(tuple(each.own for each in empty), "MB")),
        Row("own memory after all queries", Series(tuple(v.memory_later.own for v in visits), "MB")),
        Row("with its share of Chromium's files (PSS)", Series(tuple(v.memory.proportional for v in visits), "MB")),
        Row("the same of an empty page", Series(tuple(each.proportional for each in empty), "MB")),
    )


def _bytes_rows(visits: Sequence[_Visit], budget: Budget | None) -> tuple[Row, ...]:
    return (
        Row("bytes of page and first search", Series(tuple(v.bytes / 1e3 for v in visits), "KB")),
        Row(
            "the same, compressed by the web server",
            Series(tuple(v.gzipped / 1e3 for v in visits), "KB"),
            budget=budget,
        ),
        Row("requests", Series(tuple(float(v.requests) for v in visits), "requests")),
    )


def _query_rows(visits: Sequence[_Visit]) -> tuple[Row, ...]:
    return (
        Row("a query: median", Series(tuple(statistics.median(v.query_ms) for v in visits), "ms"), budget=SEARCH_QUERY),
        Row("a query: 95th percentile", Series(tuple(_p95(v.query_ms) for v in visits), "ms"), budget=SEARCH_QUERY),
        Row("a query: slowest", Series(tuple(max(v.query_ms) for v in visits), "ms")),
    )


@dataclass(frozen=True)
class _Visit:
    bytes: int
    gzipped: int
    requests: int
    first_ms: float
    load_ms: float
    cpu_s: float
    memory: Memory
    memory_later: Memory
    query_ms: tuple[float, ...]


def _empty(address: str) -> Memory:
    """Return what a page without anything takes."""
    with started_browser() as browser:
        page = browser.new_page()
        page.route("**/empty.html", lambda route: route.fulfill(body="<!doctype html><title>-</title>"))
        page.goto(f"{address}/empty.html")
        return memory_of(browser, page)


def _by_name(published: Path, address: str, texts: Sequence[str], name: str) -> _Visit:
    """Open the page in a browser that knows nothing, search for a name, and type."""
    with started_browser() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.context.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/{PAGE}?q={quote(name)}")
        page.wait_for_selector("[data-search][data-state=answered]")
        first = page.evaluate("performance.now()")
        sizes = _sizes(published, asked)
        memory = memory_of(browser, page)
        times = page.evaluate(TYPE, list(texts))
        return _Visit(*sizes, first, 0.0, 0.0, memory, memory_of(browser, page), tuple(times))


def _all_rows(published: Path, address: str, texts: Sequence[str], name: str) -> _Visit:
    """Do the same with all rows, in a browser that keeps nothing of what the page fetches."""
    answered = "document.querySelector('[data-search][data-state=answered]')"
    with bare_page() as page:
        page.open(f"{address}/{PAGE}?q={quote(name)}")
        page.wait_for(answered, LOADING_S)
        page.evaluate("document.querySelector('[data-key=wider]')?.click()")
        page.wait_for(f"{answered}?.dataset.milliseconds", LOADING_S)
        first, load = page.evaluate(f"[performance.now(), Number({answered}.dataset.milliseconds)]")
        cpu_s = page.cpu_s()
        asked = page.evaluate("[location.href, ...performance.getEntriesByType('resource').map((each) => each.name)]")
        shards = json.loads((published / "search/catalogue.json").read_bytes())["shards"]  # the worker asks for these
        sizes = _sizes(published, [*asked, *(urljoin(f"{address}/search/", shard) for shard in shards)])
        memory = page.memory()
        times = page.evaluate(f"({TYPE.strip()})({json.dumps(texts)})")
        return _Visit(*sizes, first, load, cpu_s, memory, page.memory(), tuple(times))


def _sizes(published: Path, addresses: Sequence[str]) -> tuple[int, int, int]:
    """Return the bytes of files by their addresses, as they are and compressed, and how many they are."""
    whole = packed = 0
    for address in addresses:
        body = (published / unquote(urlsplit(address).path).lstrip("/")).read_bytes()
        whole, packed = whole + len(body), packed + len(gzip.compress(body, 6))
    return whole, packed, len(addresses)


def typed(names: Sequence[str]) -> list[str]:
    """Return what is in the field after each key stroke of people who look for these plugins; always the same."""
    random_ = random.Random("typed")
    texts: list[str] = []
    for name in random_.sample(list(names), min(WORDS, len(names))):
        words = name.split("-")
        text = " ".join(words[:2])
        if random_.random() < 1 / 4 and len(text) > 4:
            at = random_.randrange(1, len(text) - 1)
            text = text[:at] + text[at + 1 :]
        texts += (text[: end + 1] for end in range(len(text)))
    return texts


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
