"""Which files of a folder aren't packed: by ``.sealdexignore`` if there is one, else by ``.gitignore`` files.

The rules are git's, read from git's own files: those in the folder and in the folders above it, up to the repository's
top. The nearest rule decides, and what git tracks is never ignored. What exists on this machine only, a global ignore
file or ``.git/info/exclude``, doesn't count: the same commit packs to the same bytes everywhere. If the folder as a
whole is ignored, such as a build's output, it was named on purpose; then only the ignore files inside it count.
"""

from __future__ import annotations

import os
import subprocess
from functools import cached_property
from pathlib import Path

import pathspec

from registry_builder.source.config import CONFIG_NAME
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.text import without_mark
from registry_builder.source.version_control import is_version_control
from sealdex.errors import ConfigError

IGNORE_FILE = ".sealdexignore"
GIT_IGNORE_FILE = ".gitignore"
DEFAULT_IGNORES = (
    ".git/", ".hg/", ".svn/", GIT_IGNORE_FILE, ".gitattributes", IGNORE_FILE,
    "__pycache__/", "*.pyc", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".venv/",
    ".DS_Store", "Thumbs.db", "desktop.ini", "*~", ".*.swp",
)  # fmt: skip
_MAX_BYTES = 1024 * 1024
_GIT_SECONDS = 120
# Set inside hooks, where they name the state of another repository than that of the folder.
_OF_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")

_Spec = pathspec.GitIgnoreSpec


class IgnoreRules:
    """The rules of one folder. Names are relative to it, with forward slashes.

    Args:
        folder: the folder that is packed.

    Raises:
        ConfigError: an ignore file can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._inside: dict[str, _Spec | None] = {}
        self._default = _Spec.from_lines(DEFAULT_IGNORES)
        own = _lines(self._folder, IGNORE_FILE)
        self._stated = _Spec.from_lines([*DEFAULT_IGNORES, *own]) if own is not None else None
        self._above = self._rules_above() if own is None else []

    @property
    def file_name(self) -> str:
        """The name of the ignore files that decide."""
        return GIT_IGNORE_FILE if self._stated is None else IGNORE_FILE

    def leaves_out(self, name: str, *, is_folder: bool) -> bool:
        """Return whether a file isn't packed, or a folder except for what git tracks in it (`holds_tracked`)."""
        if is_version_control(name.rpartition("/")[2]):
            return True
        if self._stated is not None:
            return self._stated.match_file(f"{name}/" if is_folder else name)
        decided = self._decided(name, is_folder=is_folder)
        if decided is None:
            return self.is_default(name, is_folder=is_folder)
        return decided and (is_folder or not self.is_tracked(name))

    def holds_tracked(self, folder: str) -> bool:
        """Return whether git tracks files in a folder that ``.gitignore`` excludes: these are packed nevertheless."""
        return self._stated is None and bool(self._decided(folder, is_folder=True)) and self.is_tracked(folder)

    def is_default(self, name: str, *, is_folder: bool) -> bool:
        """Return whether a name is one that is never meant to be packed, and so isn't reported."""
        shown = f"{name}/" if is_folder else name
        return self._default.match_file(shown) or is_version_control(name.rpartition("/")[2])

    def is_tracked(self, name: str) -> bool:
        """Return whether git tracks a file, or something in a folder; False where git can't tell."""
        return self._stated is None and name in self._tracked

    # --- .gitignore -----------------------------------------------------------------------------------------------

    def _decided(self, name: str, *, is_folder: bool) -> bool | None:
        """Return the verdict of the nearest ``.gitignore`` with a rule for a name; None if there is none."""
        shown = f"{name}/" if is_folder else name
        prefix = name
        while prefix:
            prefix = prefix.rpartition("/")[0]
            spec = self._spec_inside(prefix)
            if spec is not None:
                said = _said(spec, shown[len(prefix) + 1 if prefix else 0 :])
                if said is not None:
                    return said
        for between, spec in self._above:
            said = _said(spec, f"{between}/{shown}")
            if said is not None:
                return said
        return None

    def _spec_inside(self, prefix: str) -> _Spec | None:
        if prefix not in self._inside:
            lines = _lines(self._folder / prefix, GIT_IGNORE_FILE)
            self._inside[prefix] = _Spec.from_lines(lines) if lines is not None else None
        return self._inside[prefix]

    def _rules_above(self) -> list[tuple[str, _Spec]]:
        """Return the rules of the folders above, nearest first, each with the path from there to the folder."""
        top = _top(self._folder)
        found: list[tuple[str, _Spec]] = []
        between = Path()
        folder = self._folder
        while folder != top:
            between, folder = folder.name / between, folder.parent
            if (lines := _lines(folder, GIT_IGNORE_FILE)) is not None:
                found.append((between.as_posix(), _Spec.from_lines(lines)))
        return [] if _is_ignored_whole(found, self._folder, top) else found

    @cached_property
    def _tracked(self) -> frozenset[str]:
        """The files that git tracks in the folder, and the folders above them in it."""
        if not any((above / ".git").exists() for above in (self._folder, *self._folder.parents)):
            return frozenset()
        environment = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
        command = ["git", "-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--recurse-submodules"]
        try:
            done = subprocess.run(
                command, cwd=self._folder, env=environment, capture_output=True, check=True, timeout=_GIT_SECONDS
            )
        except (OSError, subprocess.SubprocessError):
            return frozenset()  # without git only the ignore files count
        names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
        return frozenset(part for name in names for part in _with_folders(name))


def _said(spec: _Spec, path: str) -> bool | None:
    """Return whether the last pattern that matches a path ignores it or re-includes it; None if none matches.

    As in git, the path itself is judged, not the folders above it: those were judged on the way here. (The library also
    matches what is inside a matched folder; the one group of its expression tells the two apart.)
    """
    for pattern in reversed(spec.patterns):
        found = pattern.match_file(path) if pattern.include is not None else None
        match = getattr(found, "match", None)
        if match is not None and (match.lastindex is None or match.end(match.lastindex) == len(path)):
            return pattern.include
    return None


def _is_ignored_whole(rules: list[tuple[str, _Spec]], folder: Path, top: Path) -> bool:
    """Return whether the folder itself, or one above it, is ignored."""
    parts = folder.relative_to(top).parts
    for count in range(1, len(parts) + 1):
        rest = "/".join(parts[count:])
        for between, spec in rules:  # nearest first
            place = between.removesuffix(rest).rstrip("/")
            if not between.endswith(rest) or not place:
                continue  # a rule of a folder further in says nothing about this one
            said = _said(spec, f"{place}/")
            if said is not None:
                if said:
                    return True
                break
    return False


def _top(folder: Path) -> Path:
    """Return the repository's top, else the source tree's, else the folder itself."""
    for mark in (".git", CONFIG_NAME):
        if found := next((above for above in (folder, *folder.parents) if (above / mark).exists()), None):
            return found
    return folder


def _lines(folder: Path, name: str) -> list[str] | None:
    gate, path = Gate(folder), folder / name
    if not gate.is_there(path):
        return None
    try:
        data = without_mark(gate.read(path, _MAX_BYTES))
        return data.decode().splitlines()
    except UnreadableError as error:
        raise ConfigError(f"{name} {error}", subject=str(path), untouched="no archive was written") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not in UTF-8", subject=str(path), untouched="no archive was written") from error


def _with_folders(name: str) -> list[str]:
    found = [name]
    while "/" in name:
        name = name.rpartition("/")[0]
        found.append(name)
    return found


__all__ = ["DEFAULT_IGNORES", "GIT_IGNORE_FILE", "IGNORE_FILE", "IgnoreRules"]
