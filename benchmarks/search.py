"""Searching by name among real packages: how often the meant one is first, and among the first five, on both sides.

The rows are made when it is run, of what Debian's package lists say of its packages of PyPI's and npm's libraries
(`python3-…`, `node-…`): name, one line of description, dependencies. Nothing of it is stored here but the names that
the queries ask for. The lists have no titles: those of eleven well-known libraries stand below.

One side is `sealdex.resolve.search`, the other the search page's engine, run in node.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.budgets import SEARCH_NOT_AMONG_FIVE, SEARCH_NOT_FIRST
from benchmarks.harness import Row, Section, Series
from sealdex.model.catalog import CatalogRow
from sealdex.resolve.search import Query, search

ASSETS = Path(__file__).parents[1] / "site_templates/assets"
TITLES = {
    "pypi/bs4": "Beautiful Soup", "pypi/djangorestframework": "Django REST framework", "pypi/git": "GitPython",
    "pypi/jwt": "PyJWT", "pypi/openssl": "pyOpenSSL", "pypi/pil": "Pillow", "pypi/psycopg2": "Psycopg",
    "pypi/serial": "pySerial", "pypi/sklearn": "scikit-learn", "pypi/usb": "PyUSB", "pypi/yaml": "PyYAML",
}  # fmt: skip
QUERIES = (
    # the name itself
    *((name, f"pypi/{name}") for name in ("requests", "numpy", "pandas", "flask", "django", "matplotlib", "scipy")),
    *((name, f"pypi/{name}") for name in ("sqlalchemy", "lxml", "cryptography", "paramiko", "tornado", "celery")),
    *((name, f"npm/{name}") for name in ("express", "lodash", "typescript", "commander", "yargs", "d3")),
    # as people write names of several words
    ("sphinx rtd theme", "pypi/sphinx-rtd-theme"), ("pytest cov", "pypi/pytest-cov"), ("pytestcov", "pypi/pytest-cov"),
    ("prompt toolkit", "pypi/prompt-toolkit"), ("prompt_toolkit", "pypi/prompt-toolkit"),
    ("more itertools", "pypi/more-itertools"), ("setuptools_scm", "pypi/setuptools-scm"),
    ("typing extensions", "pypi/typing-extensions"), ("AsyncTimeout", "pypi/async-timeout"),
    ("charset normalizer", "pypi/charset-normalizer"), ("requests oauthlib", "pypi/requests-oauthlib"),
    ("FlaskSQLAlchemy", "pypi/flask-sqlalchemy"), ("is binary path", "npm/is-binary-path"), ("isglob", "npm/is-glob"),
    ("babel plugin lodash", "npm/babel-plugin-lodash"),
    # while it is typed
    ("matplotl", "pypi/matplotlib"), ("cryptog", "pypi/cryptography"), ("sqlalch", "pypi/sqlalchemy"),
    ("typescr", "npm/typescript"), ("underscor", "npm/underscore"), ("feedpars", "pypi/feedparser"),
    ("charset norm", "pypi/charset-normalizer"),
    # mistyped
    ("reqeusts", "pypi/requests"), ("nunpy", "pypi/numpy"), ("djagno", "pypi/django"), ("matplotlb", "pypi/matplotlib"),
    ("sqlalchmy", "pypi/sqlalchemy"), ("lodahs", "npm/lodash"), ("cryptograhy", "pypi/cryptography"),
    ("prompt tolkit", "pypi/prompt-toolkit"),
    # titles
    ("Beautiful Soup", "pypi/bs4"), ("beautifulsoup", "pypi/bs4"), ("scikit learn", "pypi/sklearn"),
    ("Django REST", "pypi/djangorestframework"), ("pillow", "pypi/pil"), ("pyyaml", "pypi/yaml"),
    ("PySerial", "pypi/serial"), ("gitpython", "pypi/git"),
    # with more words
    ("npm/react", "npm/react"), ("pypi redis", "pypi/redis"), ("requests http library", "pypi/requests"),
)  # fmt: skip

_PACKAGE = re.compile(r"(python3|node)-([a-z0-9]+(?:[._-][a-z0-9]+)*)")
_NAMESPACES = {"python3": "pypi", "node": "npm"}
_ASK = """
import { readFileSync } from "node:fs";
const { engine, text, packed, rows, queries } = JSON.parse(readFileSync(0, "utf8"));
const { Catalogue } = await import(engine);
const made = new Catalogue(await import(text), await import(packed));
made.add(rows);
made.finish();
const answers = queries.map((query) => {
  const started = performance.now();
  const { rows } = made.query({ text: query, count: 50 });
  return [performance.now() - started, rows.map((row) => `${row.namespace}/${row.name}`)];
});
process.stdout.write(JSON.stringify(answers));
"""


def measure(bench: Bench) -> list[Section]:
    """Return how often the meant package isn't first, or not among the first five.

    Raises:
        PeerMissingError: apt's lists or node are missing.
    """
    rows = real_rows()
    bench.say(f"search: {len(rows):,} rows, {len(QUERIES)} queries")
    sides = {"client": _of_client(rows), "page": _of_page(rows)}
    shown: list[Row] = []
    for side, answers in sides.items():
        places = [_place(meant, ids) for (_, meant), (_, ids) in zip(QUERIES, answers, strict=True)]
        for (typed, meant), place in zip(QUERIES, places, strict=True):
            if place != 1:
                bench.say(f"search: {side}: '{typed}' has {meant} at {place or 'no'} place")
        first, five = (100 * sum(not 1 <= place <= most for place in places) / len(places) for most in (1, 5))
        shown += [
            Row(f"{side}: the meant one isn't first", Series((first,), "%"), budget=SEARCH_NOT_FIRST),
            Row(f"{side}: it isn't among the first five", Series((five,), "%"), budget=SEARCH_NOT_AMONG_FIVE),
            Row(
                f"{side}: CPU of a query" if side == "client" else f"{side}: a query",
                Series(tuple(milliseconds for milliseconds, _ in answers), "ms"),
            ),
        ]
    agree = sum(a[:5] == b[:5] for (_, a), (_, b) in zip(sides["client"], sides["page"], strict=True))
    shown.append(Row("both sides have the same five", Series((100 * agree / len(QUERIES),), "%")))
    what = f"Search by name: {len(QUERIES)} queries, {len(rows):,} Debian packages of Python and JavaScript"
    return [Section(what, tuple(shown))]


def real_rows() -> list[dict[str, Any]]:
    """Return a row for each library that Debian's package lists have; versions that are listed twice count once."""
    apt = shutil.which("apt-cache")
    if apt is None:
        raise peers.PeerMissingError("apt-cache is missing: this benchmark reads Debian's package lists")
    said = subprocess.run([apt, "dumpavail"], capture_output=True, text=True, encoding="utf-8", check=True).stdout
    rows = {f"{row['namespace']}/{row['name']}": row for row in map(_row, said.split("\n\n")) if row is not None}
    if len(rows) < 1000:
        raise peers.PeerMissingError("apt's package lists are missing: apt-get update")
    for row in rows.values():
        row["dependencies"] = [needed for needed in row["dependencies"] if needed in rows]
    return [rows[plugin] for plugin in sorted(rows)]


def _row(stanza: str) -> dict[str, Any] | None:
    fields = dict(re.findall(r"(?m)^([A-Z][A-Za-z-]*): (.*)$", stanza))
    found = _PACKAGE.fullmatch(fields.get("Package", ""))
    if found is None:
        return None
    namespace, name = _NAMESPACES[found[1]], found[2]
    row = {
        "namespace": namespace,
        "name": name,
        "type": "library",
        "summary": fields.get("Description", ""),
        "keywords": [fields["Section"].rpartition("/")[2]] if "Section" in fields else [],
        "dependencies": sorted(
            {needed for needed in _needed(fields.get("Depends", "")) if needed != f"{namespace}/{name}"}
        ),
    }
    title = TITLES.get(f"{namespace}/{name}")
    return row if title is None else {**row, "title": title}


def _needed(depends: str) -> Iterator[str]:
    for each in re.split(r"[,|]", depends):
        found = _PACKAGE.match(each.strip())
        if found is not None:
            yield f"{_NAMESPACES[found[1]]}/{found[2]}"


_Answers = list[tuple[float, list[str]]]


def _of_client(values: Sequence[dict[str, Any]]) -> _Answers:
    rows = msgspec.convert(values, list[CatalogRow])
    answers = []
    for typed, _ in QUERIES:
        started = time.process_time()
        hits = search(rows, Query((typed,)))
        answers.append((1000 * (time.process_time() - started), [str(hit.row.id) for hit in hits[:50]]))
    return answers


def _of_page(rows: Sequence[dict[str, Any]]) -> _Answers:
    node = shutil.which("node")
    if node is None:
        raise peers.PeerMissingError("node is missing: apt-get install nodejs")
    given = {
        "engine": (ASSETS / "search-engine.js").as_uri(),
        "text": (ASSETS / "search-text.js").as_uri(),
        "packed": (ASSETS / "search-packed.js").as_uri(),
        "rows": rows,
        "queries": [typed for typed, _ in QUERIES],
    }
    command = [node, "--input-type=module", "--eval", _ASK]
    said = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, encoding="utf-8", check=True
    )
    return [(milliseconds, ids) for milliseconds, ids in json.loads(said.stdout)]


def _place(meant: str, ids: Sequence[str]) -> int:
    return ids.index(meant) + 1 if meant in ids else 0
