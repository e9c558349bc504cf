"""Where a new realm is published: the options of `init` and `realm add`, and what can be derived from git."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from registry_builder.storage import PAGES, folder_of, place_of
from sealdex.errors import ConfigError, UsageError

DEFAULT = "folder:published"
_PAGES_FOLDER = f"{PAGES}published"
_GITHUB = re.compile(r"(?:https://github\.com/|git@github\.com:|ssh://git@github\.com/)([^/]+)/([^/]+?)(?:\.git)?/?")


def storage_choice(folder: Path, storage: str | None, url: str | None) -> tuple[str, str | None]:
    """Return storage and url for registry.toml.

    Args:
        folder: the new source tree; may be a clone of a repository already.
        storage: ``s3://...``, ``folder:...``, ``pages`` or ``pages:FOLDER``; None means the folder ``published``.
        url: the public URL that clients read from.

    Raises:
        UsageError: not a valid storage, or the URL of the GitHub Pages site can't be determined.
    """
    place = _PAGES_FOLDER if storage == "pages" else storage or DEFAULT
    hint = "--storage s3://BUCKET/PREFIX, --storage pages or --storage folder:PATH"
    if folder_of(place) == "" or (folder_of(place) is None and not place.startswith("s3://")):
        raise UsageError(f"'{place}' is not a valid storage", untouched="nothing was written", hint=hint)
    try:
        place_of(place)
    except ConfigError as error:
        raise UsageError(error.message, untouched="nothing was written", hint=hint) from error
    if place.startswith(PAGES) and url is None:
        url = _pages_url(folder)
        if url is None:
            raise UsageError(
                "the URL of the GitHub Pages site can't be determined: git has no remote 'origin' on GitHub here",
                untouched="nothing was written",
                hint="give it: --url https://OWNER.github.io/REPOSITORY/",
            )
    return place, url


def github_repository(folder: Path) -> str | None:
    """Return ``OWNER/NAME`` of the repository on GitHub that the folder's clone came from; None if there is none."""
    above = next((each for each in (folder, *folder.resolve().parents) if each.is_dir()), None)
    if above is None:
        return None
    try:
        command = ["git", "-C", str(above), "config", "--get", "remote.origin.url"]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    match = _GITHUB.fullmatch(said.stdout.strip())
    return None if match is None else f"{match[1]}/{match[2]}"


def _pages_url(folder: Path) -> str | None:
    """Return the URL of the repository's GitHub Pages site, derived from the clone that the folder is in."""
    found = github_repository(folder)
    if found is None:
        return None
    owner, _, repository = found.partition("/")
    owner = owner.lower()
    own = repository.lower() == f"{owner}.github.io"
    return f"https://{owner}.github.io/" if own else f"https://{owner}.github.io/{repository}/"


__all__ = ["DEFAULT", "github_repository", "storage_choice"]
