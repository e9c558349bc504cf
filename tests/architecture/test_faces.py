"""The face of a room: what its `__init__` names is the same for people, for type checkers and when it runs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.places import REPOSITORY

PACKAGES = {"sealdex": REPOSITORY / "client" / "sealdex", "registry_builder": REPOSITORY / "registry_builder"}


def named(folder: Path) -> str:
    return str(folder.relative_to(REPOSITORY)).removeprefix("client/").replace("/", ".")


def tables(tree: ast.Module) -> list[ast.Call]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).split(".")[-1] == "exports"]


LAZY = [
    file.parent
    for root in PACKAGES.values()
    for file in sorted(root.rglob("__init__.py"))
    if tables(ast.parse(file.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("folder", LAZY, ids=named)
def test_a_lazy_face_is_the_same_for_all_its_readers(folder: Path) -> None:
    package = named(folder)
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    [table] = tables(tree)
    lazily = {
        (f"{package}.{module}", name) for module, names in ast.literal_eval(table.args[1]).items() for name in names
    }
    checked = {
        (imported.module, alias.asname or alias.name)
        for branch in tree.body
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for imported in branch.body
        if isinstance(imported, ast.ImportFrom)
        for alias in imported.names
    }
    assert lazily == checked
    public = next(
        ast.literal_eval(n.value)
        for n in tree.body
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
    )
    assert sorted(public) == sorted({name for _, name in lazily})


@pytest.mark.parametrize("folder", LAZY, ids=named)
def test_no_name_of_a_face_is_that_of_a_module(folder: Path) -> None:
    """Importing the module, anywhere, would put it where the name was."""
    [table] = tables(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    names = {name for names in ast.literal_eval(table.args[1]).values() for name in names}
    modules = {file.stem for file in folder.glob("*.py")} | {file.parent.name for file in folder.glob("*/__init__.py")}
    assert names & modules == set()


ROOMS = [file.parent for root in PACKAGES.values() for file in sorted(root.rglob("__init__.py"))]
_ROW = re.compile(r"^    (\w+/?)  +\S")


@pytest.mark.parametrize("folder", ROOMS, ids=named)
def test_a_room_draws_what_lives_in_it(folder: Path) -> None:
    """Its docstring has a line for each module (``name  what it is``) and each room within (``name/  what``)."""
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")), clean=False) or ""
    drawing = said.partition("\nOn disk")[0]
    drawn = [row[1] for row in map(_ROW.match, drawing.splitlines()) if row is not None]
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__", "__main__"}
    rooms = {f"{child.parent.name}/" for child in folder.glob("*/__init__.py")}
    data = {f"{child.name}/" for child in folder.iterdir() if child.is_dir() and child.name != "__pycache__"} - rooms
    assert sorted(drawn) == sorted({*drawn}), "drawn twice"
    assert modules | rooms <= set(drawn) <= modules | rooms | data
