"""Every path of this host in a result of the Python API is a `Path`: a walk over the types that its methods return."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import sealdex
import sealdex.runtime

PATH_WORDS = ("path", "folder", "directory", "dir", "store", "file")
DOCUMENTS = ("sealdex.model.", "sealdex.config.document", "sealdex.lockfile.", "sealdex.runtime.job_schema")
"""Types of what is signed or written by people: their text stays as it is."""
NO_RESULTS = {"Services"}
"""Things that work, and hold paths as they need them."""


@functools.cache
def names_of(module: ModuleType) -> dict[str, Any]:
    """The names that a module's annotations are written in, with those that only type checkers import."""
    names = dict(vars(module))
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            origin = importlib.import_module(node.module)
            for alias in node.names:
                names.setdefault(alias.asname or alias.name, getattr(origin, alias.name, Any))
    return names


def hints(of: Any) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for each in reversed(of.__mro__ if inspect.isclass(of) else (of,)):
        if each.__module__.startswith("sealdex."):
            names |= names_of(sys.modules[each.__module__])
    return typing.get_type_hints(of, names)


def classes_in(hint: Any) -> Iterator[type]:
    if isinstance(hint, list):
        for each in hint:
            yield from classes_in(each)
    elif typing.get_origin(hint) is not typing.Literal:
        yield from classes_in(list(typing.get_args(hint)))
        if inspect.isclass(hint):
            yield hint


def fields_of(result: type) -> dict[str, Any]:
    found = dict(hints(result))
    for name, member in inspect.getmembers(result):
        asked = member.fget if isinstance(member, property) else getattr(member, "func", None)
        if isinstance(member, property | functools.cached_property) and asked is not None:
            found[name] = hints(asked).get("return")
        elif inspect.ismemberdescriptor(member) and name not in found:
            found[name] = hints(inspect.getattr_static(result, "__init__")).get(name)
    return {name: hint for name, hint in found.items() if not name.startswith("_")}


@functools.cache
def results() -> dict[type, dict[str, Any]]:
    """Every type that methods of the clients return, all that is exported, and what their fields lead to."""
    clients = (sealdex.Client, sealdex.AsyncClient)
    methods = [inspect.unwrap(member) for client in clients for _, member in inspect.getmembers(client, callable)]
    waiting = [
        found
        for method in methods
        if inspect.isfunction(method) and not method.__name__.startswith("_")
        for found in classes_in(hints(method).get("return"))
    ]
    waiting += [
        found
        for face in (sealdex, sealdex.runtime)
        for found in (getattr(face, name) for name in face.__all__)
        if inspect.isclass(found)
    ]
    seen: dict[type, dict[str, Any]] = {}
    while waiting:
        each = waiting.pop()
        if each not in seen and each.__module__.startswith("sealdex.") and each.__name__ not in NO_RESULTS:
            seen[each] = fields_of(each)
            waiting += [found for hint in seen[each].values() for found in classes_in(hint)]
    return seen


def is_path_like(name: str) -> bool:
    return name.rsplit("_", maxsplit=1)[-1] in PATH_WORDS


def test_each_path_of_a_result_is_a_path() -> None:
    found = {
        f"{result.__name__}.{name}": hint
        for result, fields in results().items()
        for name, hint in fields.items()
        if is_path_like(name) and not result.__module__.startswith(DOCUMENTS)
    }
    # what a receipt says of the archive that was unpacked: a name, without a folder
    assert found.pop("Installation.artifact_file") is str
    assert {name for name, hint in found.items() if Path not in classes_in(hint) or str in classes_in(hint)} == set()
    assert {"Installation.path", "Checked.path", "Finding.path", "Fetched.path", "Locked.path", "Config.path"} <= set(
        found
    )


@pytest.mark.parametrize("name", ["Installation", "Checked", "Installed", "Locked", "Tidied", "RolledBack", "Answer"])
def test_the_walk_reaches_what_methods_return(name: str) -> None:
    assert name in {result.__name__ for result in results()}
