"""The loaded source tree as plain data, used by lint, diff and compile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from registry_builder.source.config import RegistryConfig
from sealdex.model.ids import PluginId
from sealdex.model.plugin import MovedTo, Plugin, PluginStatus
from sealdex.model.release import Release

SCHEMA_FOLDER = "schema"  # JSON Schemas that `init` writes, for editors


Severity = Literal["error", "warning"]
"""Errors prevent publishing; warnings don't."""


@dataclass(frozen=True, order=True)
class Problem:
    """One finding of ``validate``: the place, the problem and the fix.

    Attributes:
        file: path relative to the source tree, with forward slashes.
        where: path inside the file such as ``artifacts[0].size``; empty for the whole file.
        message: what is wrong and how to fix it.
    """

    file: str
    where: str
    message: str
    severity: Severity = field(default="error", compare=False)

    def __str__(self) -> str:
        place = f"{self.file}: {self.where}" if self.where else self.file
        return f"{place}: {self.message}"


@dataclass(frozen=True)
class SourcePlugin:
    """One plugin of the source tree.

    Attributes:
        releases: version to its manifest, as loaded, in order of precedence, newest first.
        files: version to the release file's path, relative to the tree.
        readme: the README's path, or None.
        readme_i18n: tag of a language to the path of the README in it, ``README.<tag>.md``.
        status: all events, in order: those of ``status.json``, then those of ``status/``.
        event_files: paths of the files of ``status/``, relative to the tree, one for each of the last events.
        pending: problems that are errors in files that aren't published yet, and warnings in those that are.
        has_images: whether it has a folder of images, see `registry_builder.source.readme_images`.
        moved_to: where the plugin is now, in what the realm that it left goes on publishing of it.
    """

    id: PluginId
    folder: Path
    plugin: Plugin
    status: PluginStatus
    releases: dict[str, Release]
    files: dict[str, str]
    readme: Path | None
    event_files: tuple[str, ...] = ()
    pending: tuple[Problem, ...] = ()
    moved_to: MovedTo | None = None
    readme_i18n: Mapping[str, Path] = field(default_factory=dict)
    has_images: bool = False

    @property
    def root(self) -> Path:
        """The source tree's folder."""
        return self.folder.parents[2]

    @property
    def in_status_json(self) -> int:
        """How many of the events are in ``status.json``."""
        return len(self.status.events) - len(self.event_files)

    def event_place(self, number: int, name: str) -> tuple[str, str]:
        """Return the file that contains an event, and the path of a field of it inside that file."""
        if number < self.in_status_json:
            return f"plugins/{self.id}/status.json", f"events[{number}].{name}"
        return self.event_files[number - self.in_status_json], name


@dataclass(frozen=True)
class SourceTree:
    """A source tree, or the requested part of it.

    Attributes:
        root: the folder that contains ``registry.toml``.
        plugins: those that loaded; if some files of a plugin have errors, it has the others.
        problems: what didn't load.
        complete: whether all plugins were requested, not just some.
    """

    root: Path
    config: RegistryConfig
    plugins: dict[PluginId, SourcePlugin]
    problems: tuple[Problem, ...]
    complete: bool
