"""Whether a planned release may be written: it is there already, it differs from what is there, or it is invalid."""

from __future__ import annotations

from pathlib import Path

import msgspec

from registry_builder.authoring._release_artifacts import UNTOUCHED
from registry_builder.source.lint.artifacts import ArtifactChecks
from registry_builder.source.lint.schemas import SchemaChecks
from registry_builder.source.spelling import platform_warnings, with_usual_platforms
from registry_builder.source.tree import SourcePlugin, SourceTree
from sealdex.errors import ConfigError
from sealdex.model.release import Release, release_problems
from sealdex.model.versions import same_version_key, version_clash


def same_release_exists(tree: SourceTree, source: SourcePlugin, planned: Release, *, states_time: bool) -> bool:
    version = planned.version
    for there in source.releases:
        if there != version and same_version_key(there) == same_version_key(version):
            raise ConfigError(
                f"version {version_clash(version, there)}",
                subject=str(tree.root / source.files[there]),
                untouched=UNTOUCHED,
                hint="raise the version",
            )
    existing = source.releases.get(version)
    if existing is None:
        stem = f"plugins/{source.id}/releases/{version}."
        broken = [str(problem) for problem in tree.problems if problem.file.startswith(stem)]
        if broken:
            raise ConfigError("; ".join(broken), untouched=UNTOUCHED, hint="sealdex-builder validate")
        return False
    kept = (
        {"schema": existing.schema} if states_time else {"schema": existing.schema, "released_at": existing.released_at}
    )
    same = msgspec.structs.replace(planned, **kept)
    # a release by an older version keeps its spellings
    if same == existing or same == with_usual_platforms(existing)[0]:  # neither has a hash
        return True
    differing = [f for f in Release.__struct_fields__ if getattr(same, f) != getattr(existing, f)]
    raise ConfigError(
        f"version {version} of {source.id} was already released and differs in: {', '.join(differing)}",
        subject=str(tree.root / source.files[version]),
        untouched=UNTOUCHED,
        hint="raise the version; a release that was never published may be removed and created again",
    )


def checked(
    tree: SourceTree,
    source: SourcePlugin,
    planned: Release,
    copies: list[tuple[Path, Path]],
    elsewhere: dict[str, Path],
) -> list[str]:
    problems, warnings = list(release_problems(planned)), list[str]()
    schemas = SchemaChecks()
    schemas.add("", planned)
    problems += ((where, message) for _, where, message in schemas.problems())
    if not problems:
        origins = {target: origin for origin, target in copies}
        found = list(ArtifactChecks(tree, origins, elsewhere).problems(source.id, planned))
        problems += ((f.where, f.message) for f in found if f.severity == "error")
        warnings += (f"{f.where}: {f.message}" for f in found if f.severity == "warning")
    if problems:
        raise ConfigError(
            "; ".join(f"{where}: {message}" for where, message in problems),
            subject=f"{source.id} {planned.version}",
            untouched=UNTOUCHED,
        )
    return [*warnings, *(f"{where}: {message}" for where, message in platform_warnings(planned))]


__all__ = ["checked", "same_release_exists"]
