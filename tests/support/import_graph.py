"""Which module of ours imports which, and what an import contract finds wrong with it. Reads files, imports nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import networkx as nx

_ADDRESS = re.compile(r"[a-z_]+(\.\w+)+(:\w+)?")
_TABLE_OF_COMMANDS = "LazyCommand"


class Import(NamedTuple):
    """One module imports another, wherever in it: at its top, in a function, or for type checkers alone."""

    importer: str
    imported: str
    line: int
    by_name: bool = False
    """Whether it only has its name in a string, as tables of commands do."""


def modules(folder: Path) -> dict[str, Path]:
    """Return the modules of a package by their full names; a package stands for its ``__init__``."""
    found = {}
    for file in sorted(folder.rglob("*.py")):
        parts = [folder.name, *file.relative_to(folder).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(files: Mapping[str, Path], known: Collection[str] = ()) -> list[Import]:
    """Return every import of one of these modules, or of the ``known`` ones, in these modules."""
    ours = {*files, *known}
    return [
        Import(importer, imported, line, by_name)
        for importer, file in files.items()
        for imported, line, by_name in _imported(file, ours)
        if imported != importer
    ]


@cache
def _nodes(source: str) -> list[ast.AST]:
    """Return the imports and constants of a module; parsing costs more than all questions about it."""
    wanted = (ast.Import, ast.ImportFrom, ast.Constant)
    return [each for each in ast.walk(ast.parse(source)) if isinstance(each, wanted)]


def _imported(file: Path, ours: Collection[str]) -> Iterator[tuple[str, int, bool]]:
    source = file.read_text(encoding="utf-8")
    has_addresses = _TABLE_OF_COMMANDS in source
    for node in _nodes(source):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield from ((name, node.lineno, False) for name in [_nearest(alias.name, ours)] if name)
            case ast.ImportFrom(module=str(module), level=0):
                # a constant of the package, such as __version__, isn't its face
                names = [each.name for each in node.names if not each.name.startswith("__")]
                for name in {_nearest(f"{module}.{each}", ours) for each in names} - {None}:
                    yield str(name), node.lineno, False
            case ast.ImportFrom():
                raise ValueError(f"{file}:{node.lineno} imports relatively: write the module's full name")
            case ast.Constant(value=str(text)) if has_addresses and _ADDRESS.fullmatch(text) and _module(text) in ours:
                yield _module(text), node.lineno, True


def _module(address: str) -> str:
    return address.partition(":")[0]


def _nearest(name: str, ours: Collection[str]) -> str | None:
    """Return the module that a dotted name is in: the name itself, or what it is an attribute of."""
    while name not in ours and "." in name:
        name = name.rpartition(".")[0]
    return name if name in ours else None


def room_of(module: str) -> str:
    """Return the room of a module, without its package: the folder below the package, or the loose module."""
    return ".".join(module.split(".")[1:2])


def between_folders(found: Iterable[Import], files: Mapping[str, Path]) -> list[tuple[str, str]]:
    """Return the arrows between folders, rooms within rooms told apart, without what a face shows of its own folder."""

    def folder(module: str) -> str:
        loose = module.count(".") < 2  # package.module
        return module if loose or files[module].name == "__init__.py" else module.rpartition(".")[0]

    return [
        (folder(each.importer), folder(each.imported))
        for each in found
        if not each.by_name and not each.imported.startswith(f"{each.importer}.")
    ]


def circles(arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return all groups whose members reach each other, each sorted."""
    found = nx.strongly_connected_components(nx.DiGraph(list(arrows)))
    return sorted(sorted(group) for group in found if len(group) > 1)


def walls_broken(found: Iterable[Import], contract: Mapping[str, str], anywhere: Collection[str]) -> list[str]:
    """Return the imports from room to room that a contract doesn't have.

    Args:
        found: the imports of one package.
        contract: for each room and loose module the rooms and loose modules that it may import, in one line.
        anywhere: what every room may import.
    """
    problems = []
    for each in found:
        room, other = room_of(each.importer), room_of(each.imported)
        if not room or room == other or other in anywhere:
            continue  # the package's own face shows what is below it
        if room not in contract:
            problems.append(f"{each.importer}: '{room}' has no row in the contract")
        elif other not in contract[room].split():
            problems.append(
                f"{each.importer}:{each.line} imports {each.imported}; {room} may import: {contract[room] or 'nothing'}"
            )
    return sorted(set(problems))


def arrows_back_up(contract: Mapping[str, str]) -> list[str]:
    """Return what a contract allows that doesn't stand above its row."""
    rooms = list(contract)
    return [
        f"{room} may import {other}, which doesn't stand above it"
        for room, line in contract.items()
        for other in line.split()
        if other not in rooms or rooms.index(other) >= rooms.index(room)
    ]


def never_used(found: Iterable[Import], contract: Mapping[str, str]) -> list[str]:
    """Return what a contract allows and no module does: rows to strike out."""
    used = {(room_of(each.importer), room_of(each.imported)) for each in found}
    return [
        f"{room} doesn't import {other}"
        for room, line in contract.items()
        for other in line.split()
        if (room, other) not in used
    ]


def shared_broken(found: Iterable[Import], shared: Mapping[str, str]) -> list[str]:
    """Return what one package imports of another beyond a list, and what of the list it doesn't import.

    Args:
        found: the imports across.
        shared: for each module (``room.module``, a face: ``room``, all of a room: ``room.*``) the rooms that may.
    """
    problems, used = set(), set()
    for each in found:
        module, room = each.imported.partition(".")[2], room_of(each.importer)
        key = module if module in shared else f"{room_of(each.imported)}.*"
        used.add(key)
        if room not in shared.get(key, "").split():
            allowed = shared.get(key, "nobody")
            problems.add(f"{each.importer}:{each.line} imports {each.imported}, which is shared with {allowed}")
    return sorted(problems) + [f"nobody imports {key}" for key in shared if key not in used]


def private_used(found: Iterable[Import]) -> list[str]:
    """Return the imports of a private module (``_name``) from outside its room; a loose one is for loose ones."""
    return [
        f"{each.importer}:{each.line} imports {each.imported}, which is private to {room_of(each.imported)}"
        for each in found
        if any(part.startswith("_") and part != "__main__" for part in each.imported.split("."))
        and each.importer.split(".")[:2] != each.imported.split(".")[:2]
        and not each.importer.count(".") == each.imported.count(".") == 1
    ]
