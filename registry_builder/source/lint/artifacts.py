"""Lint of artifacts in the source tree: they exist, have the stated size and digest, and are safe."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from registry_builder.source._opaque_formats import opaque_problem
from registry_builder.source.allowed_secrets import is_allowed
from registry_builder.source.archive_check import Finding, archive_findings
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.text import POINTER_PROBLEM, is_lfs_pointer, line_end_problem
from registry_builder.source.tree import SourceTree
from sealdex.model.ids import PluginId
from sealdex.model.release import Artifact, Release, artifact_kind, relative_path_problem

MAX_TEXT_BYTES = 16 << 20
"""Above this size, files aren't checked for changed line ends."""

_CHUNK_BYTES = 1 << 20


class ArtifactChecks:
    """Checks artifacts file by file and caches digests, since one archive may serve several platforms.

    Args:
        tree: the source tree.
        origins: for files that are yet to be copied into the tree, their current path.
        elsewhere: for artifacts at addresses, by address, the file that is there or will be.
    """

    def __init__(
        self, tree: SourceTree, origins: Mapping[Path, Path] | None = None, elsewhere: Mapping[str, Path] | None = None
    ) -> None:
        self._origins = origins or {}
        self._elsewhere = elsewhere or {}
        self._root = tree.root
        self._allowed = tree.config.policy.allow_files
        self._gate = Gate(tree.root, allow_names=lambda path: is_allowed(self._allowed, path))
        self._max_bytes = tree.config.registry.max_artifact_size
        self._digests: dict[Path, str] = {}

    def problems(self, plugin: PluginId, release: Release) -> Iterator[Finding]:
        """Yield what is wrong with the artifacts of a release that isn't published yet, by field path."""
        depth = len(f"{plugin.namespace}{plugin.name}{release.version}")
        first: dict[str, tuple[int, str]] = {}
        for i, artifact in enumerate(release.artifacts):
            earlier, digest = first.setdefault(artifact.source, (i, artifact.sha256))
            if digest != artifact.sha256:
                yield Finding(
                    f"artifacts[{i}].sha256",
                    f"is not that of artifacts[{earlier}], which has the same source: two files need two names",
                )
            if artifact.size is not None and artifact.size > self._max_bytes:
                yield Finding(
                    f"artifacts[{i}].size",
                    f"is {artifact.size} bytes, but at most {self._max_bytes} are allowed (registry.max_artifact_size)",
                )
            elif artifact.source in self._elsewhere or (
                artifact_kind(artifact.source) == "path" and not relative_path_problem(artifact.source)
            ):
                for found in self._of_file(artifact, release, depth):
                    where = found.where if found.of_release else f"artifacts[{i}].{found.where}".rstrip(".")
                    yield found._replace(where=where)
            elif problem := opaque_problem(artifact):
                yield Finding(f"artifacts[{i}].source", problem)

    def _of_file(self, artifact: Artifact, release: Release, depth: int) -> Iterator[Finding]:
        path = self._root / artifact.source
        if (origin := self._elsewhere.get(artifact.source) or self._origins.get(path)) is not None:
            yield from archive_findings(origin, artifact, release, depth=depth, allow_secrets=self._allowed)
            return
        if not self._gate.is_there(path):
            yield Finding(
                "source",
                f"file '{artifact.source}' does not exist: put it there, or create it with: sealdex-builder pack DIR",
            )
            return
        try:
            with self._gate.open(path) as file:
                yield from self._of_open_file(artifact, path, file, release, depth)
        except UnreadableError as error:
            yield Finding("source", f"'{artifact.source}' {error}")
        except OSError as error:
            yield Finding("source", f"'{artifact.source}' can't be read: {error.strerror or error}")

    def _of_open_file(
        self, artifact: Artifact, path: Path, file: BinaryIO, release: Release, depth: int
    ) -> Iterator[Finding]:
        size = file.seek(0, os.SEEK_END)
        small = _head(file) if size <= MAX_TEXT_BYTES else b""
        if is_lfs_pointer(small):
            yield Finding("source", f"'{artifact.source}' {POINTER_PROBLEM}")
        elif artifact.size is not None and size != artifact.size:
            said = f"is {artifact.size}, but '{artifact.source}' has {size} bytes"
            advice = line_end_problem(small, artifact.sha256, artifact.source) or _RELEASE_AGAIN
            yield Finding("size", f"{said}: {advice}")
        elif (actual := self._sha256(path, file)) != artifact.sha256:
            said = f"is {artifact.sha256}, but '{artifact.source}' has {actual}"
            advice = line_end_problem(small, artifact.sha256, artifact.source) or _RELEASE_AGAIN
            yield Finding("sha256", f"{said}: {advice}")
        else:
            yield from archive_findings(path, artifact, release, depth=depth, file=file, allow_secrets=self._allowed)

    def _sha256(self, path: Path, file: BinaryIO) -> str:
        if path not in self._digests:
            digest = hashlib.sha256()
            file.seek(0)
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
            self._digests[path] = digest.hexdigest()
        return self._digests[path]


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(MAX_TEXT_BYTES)


_RELEASE_AGAIN = (
    "if the file is right, remove this release file and write it again with: sealdex-builder release ARCHIVE; "
    "if not, restore the file"
)


__all__ = ["ArtifactChecks"]
