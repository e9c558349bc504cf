"""What ``sealdex-builder`` completes, by metavar and option: read from the source tree and the folder of keys."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from registry_builder.source.config import find_tree, read_config_text
from sealdex.cli.complete import Completer
from sealdex.config.toml_reader import toml_values

_NAME = re.compile(r"[\w.+-]{1,128}")


def _tree(ctx: click.Context) -> Path:
    named = ctx.find_root().params.get("tree")
    return find_tree(Path(named) if named else Path.cwd())


def _section(ctx: click.Context, name: str) -> dict[str, Any]:
    found = toml_values(read_config_text(_tree(ctx))).get(name, {})
    return found if isinstance(found, dict) else {}


def _names(folder: Path) -> Iterator[str]:
    """Yield the names in a folder; nothing is opened."""
    with suppress(OSError), os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if _NAME.fullmatch(entry.name) and not entry.name.startswith("."))


def plugins(ctx: click.Context, _incomplete: str = "") -> Iterable[str]:
    """Return the plugins of the tree."""
    folder = _tree(ctx) / "plugins"
    return [f"{namespace}/{name}" for namespace in _names(folder) for name in _names(folder / namespace)]


def releases(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return the plugins of the tree, and the releases of one once there is an ``@``."""
    name, at, _ = incomplete.partition("@")
    if not at:
        return plugins(ctx)
    found = _names(_tree(ctx) / "plugins" / name / "releases")
    return [f"{name}@{file.rpartition('.')[0]}" for file in found if file.endswith((".json", ".yaml", ".yml"))]


def realms(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    """Return the realms of registry.toml."""
    return _section(ctx, "realms")


def keys(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    """Return the keys of registry.toml."""
    return _section(ctx, "keys")


def namespaces(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    """Return the namespaces of the tree."""
    return {*_names(_tree(ctx) / "plugins"), *_section(ctx, "namespaces")}


def named(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return what a plain ``NAME`` is of the command that has it: a key, a ceremony or a realm."""
    group = ctx.parent.command.name if ctx.parent is not None else None
    if group == "keys":
        return () if ctx.command.name == "create" else keys(ctx, incomplete)
    if group == "ceremony":
        return () if ctx.command.name == "start" else _names(_tree(ctx) / "ceremonies")
    if group == "realm":
        return () if ctx.command.name == "add" else realms(ctx, incomplete)
    return ()


def types(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    """Return the types that plugins of the tree may have."""
    from sealdex.model.ids import KNOWN_TYPES  # noqa: PLC0415  # only here

    found = list(KNOWN_TYPES)
    with suppress(Exception):  # outside of a tree there are the usual ones
        found += [str(each) for each in _section(ctx, "registry").get("types", ())]
    return found


COMPLETERS: dict[str, Completer] = {
    "NS/NAME": plugins,
    "FOLDER|NS/NAME": plugins,
    "NS/NAME|ARCHIVE:LABELS": plugins,
    "NS/NAME@VERSION": releases,
    "NAMESPACE": namespaces,
    "TYPE": types,
    "name": named,
    "--realm": realms,
    "--to-realm": realms,
    "--key": keys,
    "--namespace": namespaces,
    "--plugin": plugins,
}
"""By metavar without brackets and dots, or by option."""
