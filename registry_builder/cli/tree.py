"""Which source tree a command works on: ``--tree DIR``, or the nearest one from the current folder upwards."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from registry_builder.source.config import find_tree


def tree_of(ctx: click.Context) -> Path:
    """Return the folder that holds ``registry.toml``.

    Raises:
        NotFoundError: there is none.
    """
    named = ctx.meta.get("registry_builder.tree")
    return find_tree(named) if isinstance(named, Path) else find_tree(Path.cwd())


def shown(path: Path) -> str:
    """Return a path as a person would type it here: relative where that is shorter."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


def typed(path: Path) -> str:
    """Return a path as a shell takes it, for a command that is advised."""
    return shlex.quote(shown(path))


__all__ = ["shown", "tree_of", "typed"]
