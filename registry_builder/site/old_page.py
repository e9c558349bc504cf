"""The browse page of a realm: one plain HTML file from ``site_templates/``. Pure; same input, same bytes.

Everything shown comes from authors, so everything is escaped, and the Content-Security-Policy lets the page load and
run nothing: its one style sheet stands in it and is allowed by digest, which also works from ``file://``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from registry_builder.signing.trust import Trust
from registry_builder.source.config import RegistryConfig
from sealdex.cli.output import clean
from sealdex.model.catalogue import CatalogueRow

MAX_ROWS = 500

_WEB = ("https://", "http://")


class PageRow(NamedTuple):
    """One line of the table, as text."""

    id: str
    type: str
    summary: str
    latest: str
    updated: str
    license: str
    note: str


def render_index(config: RegistryConfig, realm: str, rows: Iterable[CatalogueRow], trust: Trust) -> bytes:
    """Return the page of a realm as UTF-8.

    Args:
        config: the registry's configuration: name, title, links.
        realm: the realm; the page tells nothing of the others.
        rows: the catalogue rows of all its plugins; at most `MAX_ROWS` are shown, those released last first.
        trust: for the fingerprint that people compare.
    """
    ordered = sorted(rows, key=lambda row: row.id)
    ordered.sort(key=lambda row: row.updated_at or "", reverse=True)
    environment, css = _templates()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    text = environment.get_template(
        "index.html.j2"
    ).render(
        title=config.site.title or config.registry.title or config.registry.name,
        description=config.site.description or config.registry.description or "",
        links=[(name, url) for name, url in config.site.links.items() if url.startswith(_WEB)],
        css=Markup(css),  # noqa: S704  # our own file; escaped it would be no style sheet
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        name=config.registry.name,
        url=config.realms[realm].url or "ADDRESS-OF-THIS-PAGE",
        fingerprint=trust.first_fingerprint,
        root_version=min(trust.roots),
        newest_root_version=max(trust.roots),
        newest_fingerprint=trust.newest_fingerprint,
        rows=[_page_row(row) for row in ordered[:MAX_ROWS]],
        total=len(ordered),
    )
    return text.encode()


def _page_row(row: CatalogueRow) -> PageRow:
    note = ""
    if row.deprecated is not None:
        note = "deprecated" + (f": {row.deprecated}" if row.deprecated else "")
        note += f"; use {row.use}" if row.use else ""
    return PageRow(
        id=str(row.id),
        type=row.type,
        summary=clean(row.summary),
        latest=row.latest or "-",
        updated=(row.updated_at or "")[:10],
        license=clean(row.license or ""),
        note=clean(note),
    )


@lru_cache(maxsize=1)
def _templates() -> tuple[Environment, str]:
    # beside the package in a checkout, inside it when installed
    here = Path(__file__).resolve().parent.parent
    folder = next(f for f in (here / "site_templates", here.parent / "site_templates") if f.is_dir())
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,  # whatever the file is called
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment, (folder / "index.css").read_text(encoding="utf-8")
