"""Lighthouse's scores for the pages of a registry: ``python -m benchmarks.lighthouse [--write] KREW_HISTORY``.

Publishes the kubectl plugin index into a folder, serves it, and audits pages with Lighthouse (npm) in Chromium as a
telephone on a slow network, Lighthouse's default. A score is the median of the runs. Ends with 1 if one is too low.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import run
from benchmarks.renderer import chromium
from benchmarks.report import write_report
from benchmarks.scene import make_registry
from registry_builder.site.preview.server import running_server

HERE = Path(__file__).parent
NODE = HERE / "node"
BEGIN = "<!-- begin: written by python -m benchmarks.lighthouse --write -->"
END = "<!-- end: lighthouse -->"
PAGES = {
    "home": "",
    "search": "search.html",
    "plugin": "krew/access-matrix/",
    "release": "krew/access-matrix/0.5.0/",
    "list": "types/kubectl-plugin/",
}
WANTED = {"performance": 95, "accessibility": 100, "best-practices": 100, "seo": 100}
"""The least of each score; performance is asked of home, search and plugin pages."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lighthouse", description=__doc__)
    parser.add_argument("krew", type=Path, help="krew-history.jsonl.xz")
    parser.add_argument("--rounds", type=int, default=3, help="runs a page (3)")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    _install()
    with tempfile.TemporaryDirectory() as folder:
        registry = make_registry(Path(folder) / "tree")
        run(registry.command("import", "krew", str(options.krew.resolve()), "--skip-invalid"))
        run(registry.command("publish"))
        with running_server(registry.published) as address:
            scores = {page: _audit(f"{address}/{path}", options.rounds) for page, path in PAGES.items()}
    text = f"{_version()}, median of {options.rounds}, the kubectl plugin index served by `sealdex-builder serve`\n\n"
    text += "\n".join(
        f"| {' | '.join(cells)} |"
        for cells in [
            ("page", *WANTED),
            ("---",) * 5,
            *((page, *map(str, found.values())) for page, found in scores.items()),
        ]
    )
    print(text)
    if options.write:
        write_report(HERE / "README.md", text, begin=BEGIN, end=END)
    low = [
        f"{page}: {name} is {score}, not {WANTED[name]}"
        for page, found in scores.items()
        for name, score in found.items()
        if score < WANTED[name]
    ]
    print(*low, sep="\n", file=sys.stderr)
    return 1 if low else 0


def _install() -> None:
    if not (NODE / "node_modules" / ".package-lock.json").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=NODE, check=True, env={**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"})


def _version() -> str:
    package = json.loads((NODE / "node_modules" / "lighthouse" / "package.json").read_text(encoding="utf-8"))
    return f"Lighthouse {package['version']}"


def _audit(url: str, rounds: int) -> dict[str, int]:
    found: dict[str, list[int]] = {name: [] for name in WANTED}
    for number in range(rounds):
        print(f"lighthouse: {url} {number + 1} of {rounds}", file=sys.stderr)
        report = _report(url)
        for name, scores in found.items():
            scores.append(round(report["categories"][name]["score"] * 100))
        if number == 0:
            print(*_reasons(report), sep="\n", file=sys.stderr)
    return {name: round(statistics.median(scores)) for name, scores in found.items()}


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
