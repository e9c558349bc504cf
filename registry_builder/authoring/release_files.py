"""What a plugin's release.yaml says of the release that is next: its version, and which archives are of it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from registry_builder.authoring._release_artifacts import UNTOUCHED
from registry_builder.source.release_template import TEMPLATE_NAME, ReleaseTemplate, read_template
from sealdex.errors import NotFoundError


def stated_version_of(folder: Path) -> str:
    """Return the version in a plugin's release.yaml.

    Raises:
        NotFoundError: there is none. ConfigError: it is wrong.
    """
    return _own_template(folder).release.version


def names_images_alone(folder: Path) -> bool:
    """Return whether a folder has a release.yaml whose artifacts are container images, so that nothing is packed.

    Raises:
        ConfigError: it is wrong.
    """
    path = folder / TEMPLATE_NAME
    artifacts = read_template(path).artifacts if path.is_file() else ()
    return bool(artifacts) and all(each.image is not None for each in artifacts)


def has_built_archives(folder: Path) -> bool:
    """Return whether release.yaml lists artifacts of other names than `pack` gives: they are built elsewhere."""
    template = _own_template(folder)
    usual = f"{folder.name}-{template.release.version}.zip"
    archives = [each for each in template.artifacts if each.image is None]
    return bool(template.artifacts) and not any(fnmatchcase(usual, each.match) for each in archives)


def archives_of(folder: Path) -> list[Path]:
    """Return the archives in ``dist/VERSION/`` of a plugin's folder that the release of its release.yaml has.

    Raises:
        NotFoundError: there are none, or there is no release.yaml. ConfigError: it is wrong.
    """
    template = _own_template(folder)
    version = template.release.version
    below = folder / "dist" / version
    archives = [each for each in template.artifacts if each.image is None]
    if template.artifacts and not archives:
        return []  # container images alone
    patterns = [each.match for each in archives] or [f"{folder.name}-{version}.zip"]
    found = sorted(path for path in (below.iterdir() if below.is_dir() else ()) if path.is_file())
    wanted = [path for path in found if any(fnmatchcase(path.name, pattern) for pattern in patterns)]
    if not wanted:
        raise NotFoundError(
            f"dist/{version}/ has no archive of this release ({', '.join(patterns)})",
            subject=str(folder),
            untouched=UNTOUCHED,
            hint=f"sealdex-builder pack {folder.parent.name}/{folder.name}",
        )
    return wanted


def _own_template(folder: Path) -> ReleaseTemplate:
    path = folder / TEMPLATE_NAME
    if not path.is_file():
        raise NotFoundError(
            f"{folder} has no {TEMPLATE_NAME}",
            subject=str(path),
            untouched=UNTOUCHED,
            hint="write one with at least: version: 0.1.0, or give archives and --version to sealdex-builder release",
        )
    return read_template(path)


__all__ = ["archives_of", "has_built_archives", "names_images_alone", "stated_version_of"]
