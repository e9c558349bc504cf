"""Options that several commands share: ``--by-url`` reads as clients do, ``--summary`` writes Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sealdex.errors import ConfigError

if TYPE_CHECKING:
    from registry_builder.source.config import RegistryConfig
    from registry_builder.storage import Storage

BY_URL = click.option(
    "--by-url", is_flag=True, help="Read what is published by the realm's url, as clients do: needs no credentials."
)
SUMMARY = click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append the same as Markdown to this file, such as $GITHUB_STEP_SUMMARY.",
)
FILES = click.option("--files", is_flag=True, help="Name every file that is written: path, size, type and why.")


def reader_storage(config: RegistryConfig, realm: str, *, by_url: bool) -> Storage | None:
    """Return the storage to read from in place of that of registry.toml; None for that one.

    What is deployed to GitHub Pages is always read by its url: the folder on this machine is merely what comes next.

    Raises:
        ConfigError: the realm has no url.
    """
    section = config.realms.get(realm)
    if not by_url and not (section is not None and section.is_pages):
        return None
    if section is None or section.url is None:
        raise ConfigError(
            f"realm {realm} has no url that readers read it by",
            subject=realm,
            hint=f'write url = "https://..." below [realms.{realm}] in registry.toml, or leave --by-url out',
        )
    from registry_builder.storage.http import UrlStorage  # noqa: PLC0415  # only where it is asked for

    return UrlStorage(section.url)


def append(summary: Path | None, markdown: str) -> None:
    """Append Markdown to the file of ``--summary``, if there is one."""
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(markdown + "\n")


__all__ = ["BY_URL", "FILES", "SUMMARY", "append", "reader_storage"]
