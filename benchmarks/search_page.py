"""Searching in the browser: what the search page loads, when it first answers, and how long each key stroke takes.

Measured in Chromium on the page that people get, from the `input` event to the results in the document. Words are typed
letter by letter, some with a typo, some in pairs, so that short prefixes, which match most, are among the queries.
"""

from __future__ import annotations

import contextlib
import gzip
import random
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from playwright.sync_api import Browser, sync_playwright

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.budgets import SEARCH_QUERY
from benchmarks.harness import Row, Section, Series, run
from benchmarks.scene import Registry, make_registry
from benchmarks.synthetic import write_plugins
from registry_builder.site.preview.server import running_server

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")
PAGE = "search.html"
WORDS = 40

_TYPE = """
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

        def import_krew(registry: Registry) -> None:
            run(registry.command("import", "krew", str(krew), "--skip-invalid"))

        sections.append(_section(bench, "kubectl plugin index", import_krew))
    plugins = 2_000 if bench.quick else 20_000
    sections.append(
        _section(
            bench,
            f"synthetic, {plugins:,} plugins",
            lambda registry: write_plugins(registry.folder, plugins, plugins),  # the catalog has one row per plugin
        )
    )
    return sections


def chromium() -> str:
    """Return the path of the browser.

    Raises:
        PeerMissingError: there is none.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise peers.PeerMissingError("chromium is missing: apt-get install chromium")
    return program


@contextlib.contextmanager
def started_browser() -> Iterator[Browser]:
    """Run the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield browser
        browser.close()


def _section(bench: Bench, what: str, fill: Callable[[Registry], None]) -> Section:
    registry = make_registry(bench.folder("search-page") / "tree")
    bench.say(f"search-page: publishing ({what})")
    fill(registry)
    run(registry.command("publish"))
    names = sorted(path.name for path in registry.folder.glob("plugins/*/*"))
    texts = typed(names)
    bench.say(f"search-page: {len(texts)} queries, {bench.rounds} rounds ({what})")
    with running_server(registry.published) as address, started_browser() as browser:
        visits = [_visit(browser, registry.published, address, texts) for _ in range(bench.rounds)]
    rows = (
        Row("bytes to the first search", Series(tuple(v.bytes / 1e3 for v in visits), "KB")),
        Row("the same, compressed by the web server", Series(tuple(v.gzipped / 1e3 for v in visits), "KB")),
        Row("requests to the first search", Series(tuple(float(v.requests) for v in visits), "requests")),
        Row("opening the page to the first answer", Series(tuple(v.first_ms for v in visits), "ms")),
        Row("of which reading and indexing", Series(tuple(v.load_ms for v in visits), "ms")),
        Row("a query: median", Series(tuple(statistics.median(v.query_ms) for v in visits), "ms"), budget=SEARCH_QUERY),
        Row("a query: 95th percentile", Series(tuple(_p95(v.query_ms) for v in visits), "ms"), budget=SEARCH_QUERY),
        Row("a query: slowest", Series(tuple(max(v.query_ms) for v in visits), "ms")),
    )
    return Section(f"Search in the browser: {what}", rows)


@dataclass(frozen=True)
class _Visit:
    bytes: int
    gzipped: int
    requests: int
    first_ms: float
    load_ms: float
    query_ms: tuple[float, ...]


def _visit(browser: Browser, published: Path, address: str, texts: Sequence[str]) -> _Visit:
    """Open the page in a browser that knows nothing, and type."""
    context = browser.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(unquote(urlsplit(request.url).path).lstrip("/")))
    page = context.new_page()
    page.goto(f"{address}/{PAGE}")
    page.wait_for_selector("[data-search][data-state=answered]", timeout=60_000)
    first, load = page.evaluate(
        "[performance.mark('now').startTime, Number(document.querySelector('[data-search]').dataset.milliseconds)]"
    )
    bodies = [(published / path).read_bytes() for path in asked]
    times = page.evaluate(_TYPE, list(texts))
    context.close()
    return _Visit(
        sum(map(len, bodies)),
        sum(len(gzip.compress(body, 6)) for body in bodies),
        len(bodies),
        first,
        load,
        tuple(times),
    )


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
