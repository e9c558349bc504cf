"""What the tests of importers share: a registry that is imported into, published, and installed from."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.authoring import builder, errors

from registry_builder.source.lint.tree import lint_tree
from registry_builder.source.load import load_tree
from registry_builder.source.tree import SourcePlugin
from registry_builder.throwaway import Throwaway
from sealdex.model.ids import parse_plugin_id
from sealdex.model.release import Release

ELF_AMD64 = b"\x7fELF\x02\x01\x01\0" + bytes(8) + b"\x03\0\x3e\0" + bytes(44) + b"code"
"""The header of a shared library for x86-64 Linux, and some bytes."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zip_with(files: Mapping[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


@dataclass(frozen=True)
class Ran:
    """What a run of an importer answered."""

    code: int
    document: dict[str, Any]
    err: str

    @property
    def said(self) -> str:
        """The answer and everything else that was printed."""
        return json.dumps(self.document, ensure_ascii=False) + self.err

    @property
    def reasons(self) -> dict[str, str]:
        """Version, or name where there is none, to the reasons why it isn't imported."""
        said: dict[str, str] = {}
        for each in self.document["not_imported"]:
            key = each["version"] or each["name"]
            said[key] = said.get(key, "") + each["reason"] + "\n"
        return said

    @property
    def releases(self) -> list[str]:
        return sorted(f"{r['plugin']}@{r['version']}" for r in self.document["releases"])


class ImportScene:
    """A source tree with development keys, and a host that trusts it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.registry = Throwaway(folder)
        self.tree = self.registry.tree
        self._capsys = capsys

    def run(self, *args: object) -> Ran:
        """Run an import command; its answer is JSON."""
        self._capsys.readouterr()
        code = builder("--tree", self.tree, "--json", "import", *args)
        said = self._capsys.readouterr()
        return Ran(code, json.loads(said.out) if said.out else {}, said.err)

    def plugin(self, plugin: str) -> SourcePlugin:
        return load_tree(self.tree).plugins[parse_plugin_id(plugin)]

    def release(self, plugin: str, version: str) -> Release:
        return self.plugin(plugin).releases[version]

    def record(self, plugin: str, version: str) -> dict[str, Any]:
        path = self.tree / "plugins" / plugin / "attachments" / version / "import.json"
        values: dict[str, Any] = json.loads(path.read_bytes())
        return values

    def state(self) -> dict[str, tuple[bytes, int]]:
        """Every file of the tree with its bytes and the time of its last change."""
        return {
            path.relative_to(self.tree).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.tree.rglob("*")
            if path.is_file()
        }

    def assert_again_changes_nothing(self, *args: object) -> None:
        before = self.state()
        again = self.run(*args)
        assert (again.document["releases"], again.document["events"], again.document["security"]) == ([], 0, [])
        assert self.state() == before

    def assert_valid(self) -> None:
        assert errors(lint_tree(load_tree(self.tree))) == []

    @contextmanager
    def installed(self, request: str, **options: Any) -> Iterator[Path]:
        """Publish, install, and yield the installation's folder."""
        self.assert_valid()
        self.registry.publish()
        with self.registry.client() as client:
            client.install(request, **options)
            yield client.path(request.partition("@")[0])
        shutil.rmtree(self.registry.store)
