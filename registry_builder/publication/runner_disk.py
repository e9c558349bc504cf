"""Refuses to publish to a disk that is discarded when the job ends: nobody could read it, and nobody would notice.

A workflow that was generated without a storage succeeds, publishes into the runner's checkout, and
starts with a "first publish" each time. Three things together reveal it: the job runs on a GitHub-hosted runner,
the folder is inside the checkout, and registry.toml is one of its files. A registry that a job creates for itself, a
self-hosted runner with a persistent disk, and an absolute path elsewhere are not affected.
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
    """Refuse a folder that nobody could ever read.

    Raises:
        ConfigError: the realm would be published into the checkout of a runner that is discarded.
    """
    folder = folder_of(section.storage)
    if folder is None or section.is_pages or section.folder_in_ci or not _is_thrown_away(root / folder, environment):
        return
    if _is_made_here(root):
        return
    raise ConfigError(
        f"realm {realm} is published to {section.storage}, a folder of this runner, which is discarded after the job",
        subject=str(root / CONFIG_NAME),
        untouched="nothing was published",
        hint='write storage = "s3://BUCKET/PREFIX" into registry.toml, or "pages:published" with the url for GitHub '
        "Pages; if a later step copies the folder, set folder_in_ci = true beside the storage, or run "
        "sealdex-builder publish --folder-in-ci",
    )


def _is_thrown_away(folder: Path, environment: Mapping[str, str]) -> bool:
    if environment.get("GITHUB_ACTIONS") != "true" or environment.get("RUNNER_ENVIRONMENT") == "self-hosted":
        return False
    checkout = environment.get("GITHUB_WORKSPACE")
    return bool(checkout) and folder.resolve().is_relative_to(Path(str(checkout)).resolve())


def _is_made_here(root: Path) -> bool:
    """Return whether the job itself created the source tree: then registry.toml isn't in the repository."""
    try:
        command = ["git", "-C", str(root), "ls-files", "--error-unmatch", "--", CONFIG_NAME]
        return subprocess.run(command, capture_output=True, check=False).returncode == 1
    except OSError:
        return False


__all__ = ["check_disk"]
