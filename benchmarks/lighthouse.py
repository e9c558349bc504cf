"""Lighthouse's scores for pages of registries: ``python -m benchmarks.lighthouse [--write] KREW_HISTORY``.

Publishes the kubectl plugin index, and a synthetic registry of 20,000 plugins, each in English and Chinese, serves
them, and audits pages with Lighthouse (npm) in Chromium as a telephone on a slow network, Lighthouse's default. A score
is the median of the runs; where the best is higher, it is told too. Ends with 1 if a median is too low.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.harness import run
from benchmarks.renderer import chromium
from benchmarks.report import write_report
from benchmarks.scene import Registry, make_registry
from benchmarks.synthetic import write_plugins
from registry_builder.site.preview.server import running_server

HERE = Path(__file__).parent
NODE = HERE / "node"
BEGIN = "<!-- begin: written by python -m benchmarks.lighthouse --write -->"
END = "<!-- end: lighthouse -->"
LANGUAGES = {"en": "", "zh": "site/zh/"}
WANTED = {"performance": 100, "accessibility": 100, "best-practices": 100, "seo": 100}
"""The least of each score for the kubectl plugin index."""
LARGE = 20_000
WANTED_OF_LARGE = {**WANTED, "performance": 98}
Scores = dict[str, list[int]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lighthouse", description=__doc__)
    parser.add_argument("krew", type=Path, help="krew-history.jsonl.xz")
    parser.add_argument("--rounds", type=int, default=3, help="runs a page (3)")
    parser.add_argument("--plugins", type=int, default=LARGE, help=f"of the large registry ({LARGE}); 0 leaves it out")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    options = parser.parse_args()
    _install()
    tables, low = [], []
    for what, fill, wanted in _registries(options.krew.resolve(), options.plugins):
        with tempfile.TemporaryDirectory() as folder:
            registry = make_registry(Path(folder) / "tree")
            with (registry.folder / "registry.toml").open("a", encoding="utf-8") as config:
                config.write(f"\n[site]\nlanguages = {json.dumps(list(LANGUAGES))}\n")
            print(f"lighthouse: publishing {what}", file=sys.stderr)
            fill(registry)
            run(registry.command("publish"))
            pages = _pages(registry)
            with running_server(registry.published) as address:
                scores = {page: _audit(f"{address}/{path}", options.rounds) for page, path in pages.items()}
        tables.append(f"{what}:\n\n{_table(scores)}")
        low += [
            f"{what}: {page}: {name} is {statistics.median(found)}, not {wanted[name]}"
            for page, each in scores.items()
            for name, found in each.items()
            if statistics.median(found) < wanted[name]
        ]
    text = f"{_version()}, median of {options.rounds}, served by `sealdex-builder serve`\n\n" + "\n\n".join(tables)
    print(text)
    if options.write:
        write_report(HERE / "README.md", text, begin=BEGIN, end=END)
    print(*low, sep="\n", file=sys.stderr)
    return 1 if low else 0


def _registries(krew: Path, plugins: int) -> Iterator[tuple[str, Callable[[Registry], None], dict[str, int]]]:
    """Yield each registry's description, what fills it, and the scores that are wanted of its pages."""

    def import_krew(registry: Registry) -> None:
        run(registry.command("import", "krew", str(krew), "--skip-invalid"))

    yield "The kubectl plugin index", import_krew, WANTED
    if plugins:
        yield (
            f"A synthetic registry of {plugins:,} plugins",
            lambda registry: write_plugins(registry.folder, plugins, plugins),
            WANTED_OF_LARGE,
        )


def _pages(registry: Registry) -> dict[str, str]:
    """Return the pages to audit by their names: five kinds in each language."""
    release = min(registry.folder.glob("plugins/*/*/releases/*.json"))
    plugin = "/".join(release.parts[-4:-2])
    found = {
        "home": "",
        "search": "search.html",
        "plugin": f"{plugin}/",
        "release": f"{plugin}/{release.stem}/",
        "list": min(path.name for path in (registry.published / "types").iterdir()),
    }
    found["list"] = f"types/{found['list']}/"
    return {f"{page}, {tag}": prefix + path for tag, prefix in LANGUAGES.items() for page, path in found.items()}


def _table(scores: dict[str, Scores]) -> str:
    rows = [("page", *WANTED), ("---",) * (1 + len(WANTED))]
    rows += [(page, *(_said(found[name]) for name in WANTED)) for page, found in scores.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _said(scores: list[int]) -> str:
    median, best = statistics.median(scores), max(scores)
    return f"{median:g}" if median == best else f"{median:g} (best {best})"


def _install() -> None:
    if not (NODE / "node_modules" / ".package-lock.json").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=NODE, check=True, env={**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"})


def _version() -> str:
    package = json.loads((NODE / "node_modules" / "lighthouse" / "package.json").read_text(encoding="utf-8"))
    return f"Lighthouse {package['version']}"


def _audit(url: str, rounds: int) -> Scores:
    found: Scores = {name: [] for name in WANTED}
    for number in range(rounds):
        report = _report(url)
        for name, scores in found.items():
            scores.append(round(report["categories"][name]["score"] * 100))
        print(f"lighthouse: {url} {number + 1} of {rounds}: {[each[-1] for each in found.values()]}", file=sys.stderr)
        if number == 0:
            print(*_reasons(report), sep="\n", file=sys.stderr)
    return found


def _report(url: str) -> dict[str, dict[str, dict[str, float]]]:
    command = [
        "node",
        str(NODE / "node_modules" / "lighthouse" / "cli" / "index.js"),
        url,
        "--quiet",
        "--output=json",
        f"--only-categories={','.join(WANTED)}",
        "--chrome-flags=--headless=new --no-sandbox --disable-background-networking --disable-component-update",
    ]
    done = subprocess.run(
        command, capture_output=True, check=True, timeout=300, env={**os.environ, "CHROME_PATH": chromium()}
    )
    report: dict[str, dict[str, dict[str, float]]] = json.loads(done.stdout)
    return report


def _reasons(report: dict[str, dict[str, dict[str, float]]]) -> Sequence[str]:
    """Return the audits that cost something, to help fixing them."""
    audits = report["audits"].items()
    return [
        f"  {name}: {audit['title']}" for name, audit in audits if (audit["score"] or 1) < 0.9 or audit["score"] == 0
    ]


if __name__ == "__main__":
    sys.exit(main())
