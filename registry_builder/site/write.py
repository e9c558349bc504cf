"""Writes pages into a folder: only those whose bytes differ, each whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from registry_builder.site.build import Page
from registry_builder.source.atomic import replace_file

_STEP = 500


@dataclass
class Written:
    """How many files the site has, and the keys of those that were written."""

    pages: int = 0
    written: list[str] = field(default_factory=list)


def write_pages(pages: Iterable[Page], folder: Path, step: Callable[[str], None] | None = None) -> Written:
    """Write pages below ``folder``.

    Args:
        pages: what to write.
        folder: made when it isn't there.
        step: told of progress now and then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = Written()
    for page in pages:
        done.pages += 1
        path = folder / page.key
        if not path.is_file() or path.read_bytes() != page.data:
            replace_file(path, page.data)
            done.written.append(page.key)
        if step is not None and done.pages % _STEP == 0:
            step(f"writing pages: {done.pages}")
    return done
