"""A bare source tree for tests of the authoring side: no keys, files written as text."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from registry_builder.authoring.scaffold import init_tree
from registry_builder.cli.main import PROGRAM, group
from registry_builder.source.lint.tree import lint_tree
from registry_builder.source.load import load_tree
from registry_builder.source.tree import Problem, SourceTree
from sealdex.cli.errors import run

SHA = "a" * 64


class Bare:
    """A source tree on disk."""

    def __init__(self, root: Path, *, config: Iterable[tuple[str, str]] = ()) -> None:
        init_tree(root, name="acme")
        self.root = root
        path = root / "registry.toml"
        for old, new in config:
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))

    def write(self, path: str, data: str | bytes | dict[str, Any]) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, dict):
            data = json.dumps(data)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        return target

    def plugin(self, plugin: str, **fields: Any) -> Path:
        about = {"type": "notify", "summary": "Says something", "license": "MIT", **fields}
        self.write(f"plugins/{plugin}/README.md", "# It\n")
        return self.write(f"plugins/{plugin}/plugin.json", {k: v for k, v in about.items() if v is not None}).parent

    def release(self, plugin: str, version: str, **fields: Any) -> Path:
        manifest = {"version": version, "artifacts": [url_artifact()], **fields}
        return self.write(f"plugins/{plugin}/releases/{version}.json", manifest)

    def load(self) -> SourceTree:
        return load_tree(self.root)

    def lint(self, **options: Any) -> list[Problem]:
        return lint_tree(self.load(), **options)


def url_artifact(**fields: Any) -> dict[str, Any]:
    return {"source": "https://files.example/a.zip", "sha256": SHA, **fields}


def local_artifact(root: Path, path: str, data: bytes, **fields: Any) -> dict[str, Any]:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return {"source": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data), **fields}


def zip_of(*names: str, data: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


def errors(problems: Iterable[Problem]) -> list[str]:
    return [str(problem) for problem in problems if problem.severity == "error"]


def warnings(problems: Iterable[Problem]) -> list[str]:
    return [str(problem) for problem in problems if problem.severity == "warning"]


def builder(*args: object) -> int:
    """Run a command line as the program would; output goes to the process's streams."""
    given = [str(arg) for arg in args]
    return run(lambda a, out: group.main(a, prog_name=PROGRAM, standalone_mode=False, obj=out), given, prog=PROGRAM)
