"""The site's search engine, run in node: what its worker answers, without a browser around it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from support.node_tools import node

REPOSITORY = Path(__file__).parents[2]
ASSETS = REPOSITORY / "site_templates/assets"
CASES = REPOSITORY / "tests/fixtures/search/cases.json"


def ask(what: str, **given: Any) -> Any:
    """Ask ``search_engine.mjs``, which says what there is to ask."""
    modules = {name: str(ASSETS / f"search-{name}.js") for name in ("engine", "text", "packed")}
    asked = {"do": what, **modules, **given}
    done = subprocess.run(
        [node(), str(Path(__file__).with_suffix(".mjs"))],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def page_query(case: dict[str, Any]) -> dict[str, Any]:
    """Return a case of the table as the page asks its worker."""
    filters = dict(case.get("filters", {}))
    metrics = filters.pop("metric", [])
    return {"text": case["query"], "facets": filters, "metrics": metrics, "sort": case.get("sort", "relevance")}


__all__ = ["CASES", "ask", "page_query"]
