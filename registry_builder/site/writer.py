"""Writes pages into a folder: only those whose bytes differ, each completely or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from registry_builder.parallel import each_of
from registry_builder.site.own_files import is_plain, keep_record, own_files, remove_gone
from registry_builder.site.pages import Page, Parts
from registry_builder.site.urls import is_answer
from registry_builder.source.atomic_write import replace_file

SHARE = 100
"""Plugins per process: with releases, about 0.3 s."""

_STEP = 100


@dataclass
class Written:
    """How many files the site has, and the keys of those that were written.

    Attributes:
        keys: of all files.
        removed: what isn't among them any more: documents of ``api/``, and what an earlier run wrote.
    """

    pages: int = 0
    written: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def add(self, more: Written) -> None:
        """Add what was written by others."""
        self.pages += more.pages
        self.written += more.written
        self.keys += more.keys


def write_pages(
    parts: Parts, folder: Path, step: Callable[[str], None] | None = None, *, keeps_record: bool = False
) -> Written:
    """Write pages below ``folder``, and remove documents of ``api/`` that aren't among them: nobody updates them.

    Args:
        parts: the pages to write.
        folder: created if it doesn't exist.
        step: called with progress now and then.
        keeps_record: write down which files these are, and remove those that the last run wrote and this one doesn't.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = Written()
    for number, written in enumerate(each_of(partial(_write_part, folder), parts.plugins, at_least=SHARE), 1):
        done.add(written)
        if step is not None and number % _STEP == 0:
            step(f"writing pages: {done.pages}")
    done.add(_write_part(folder, parts.common))
    made = set(done.keys)
    root = folder.resolve()
    for path in sorted((root / "api").rglob("*")):
        key = path.relative_to(root).as_posix()
        if is_answer(key) and key not in made and is_plain(path):
            path.unlink()
            done.removed.append(key)
    if keeps_record:
        done.removed += remove_gone(folder, own_files(folder) - made)
        keep_record(folder, made)
    return done


def _write_part(folder: Path, part: Callable[[], Iterable[Page]]) -> Written:
    done = Written()
    for page in part():
        done.pages += 1
        done.keys.append(page.key)
        path = folder / page.key
        if not path.is_file() or path.read_bytes() != page.data:
            replace_file(path, page.data)
            done.written.append(page.key)
    return done
