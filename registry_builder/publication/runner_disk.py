"""Refuses to publish onto a disk that is thrown away when the job ends: nobody would read it, and no one would know.

A workflow that was generated before anybody said where to publish is green, publishes into the runner's checkout, and
begins with a "first publish" each time. That is told by three things together: the job runs on a runner of GitHub's,
the folder lies inside the checkout, and registry.toml is one of its files. A registry that a job makes for itself, a
runner of one's own with a disk that stays, and an absolute path elsewhere are none of it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from registry_builder.source.config import CONFIG_NAME, RealmSection
from registry_builder.storage import folder_of
from sealdex.errors import ConfigError


def check_disk(root: Path, realm: str, section: RealmSection, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a folder that nobody will ever read.

    Raises:
        ConfigError: the realm is published into the checkout of a runner that is thrown away.
    """
    folder = folder_of(section.storage)
    if folder is None or section.is_pages or section.folder_in_ci or not _is_thrown_away(root / folder, environment):
        return
    if _is_made_here(root):
        return
    raise ConfigError(
        f"realm {realm} is published into {section.storage}, a folder of this runner, which is thrown away with it",
        subject=str(root / CONFIG_NAME),
        untouched="nothing was published",
        hint='write storage = "s3://BUCKET/PREFIX" into registry.toml, or "pages:published" with the url for GitHub '
        "Pages; if a later step takes the folder along, say so: folder_in_ci = true beside the storage, or "
        "sealdex-builder publish --folder-in-ci",
    )


def _is_thrown_away(folder: Path, environment: Mapping[str, str]) -> bool:
    if environment.get("GITHUB_ACTIONS") != "true" or environment.get("RUNNER_ENVIRONMENT") == "self-hosted":
        return False
    checkout = environment.get("GITHUB_WORKSPACE")
    return bool(checkout) and folder.resolve().is_relative_to(Path(str(checkout)).resolve())


def _is_made_here(root: Path) -> bool:
    """Return whether the job itself made the source tree: then registry.toml is no file of the repository."""
    try:
        command = ["git", "-C", str(root), "ls-files", "--error-unmatch", "--", CONFIG_NAME]
        return subprocess.run(command, capture_output=True, check=False).returncode == 1
    except OSError:
        return False


__all__ = ["check_disk"]
