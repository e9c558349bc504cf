"""A release on its way to review: a commit on a branch of its own, and a pull request where ``gh`` is there.

Of the working copy only the plugin's folder is committed, whatever else was changed or staged. Each step finds out what
is done already, so that one which failed is repeated.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sealdex.errors import ConfigError, SealdexError, UnavailableError, UsageError
from sealdex.model.ids import PluginId

_PREFIX = "release/"
_TIMEOUT_S = 120.0
_OPEN = "[.[] | select(.isCrossRepository | not)][0].url // empty"
"""Of pull requests: not one of a fork, whose branch may have the same name."""


class GitError(SealdexError):
    """git or gh refused; the message has what it said."""

    code = "git"


def release_branch(plugin: PluginId, version: str) -> str:
    """Return the branch of a release; the registry's action uses the same."""
    return f"{_PREFIX}{plugin}/{version}"


@dataclass(frozen=True)
class Submission:
    """Where a release is reviewed.

    Attributes:
        branch: its branch.
        commit: the commit; None if there was nothing to commit.
        pull_request: its address; None where there is none.
        next_step: the command that is left to a person, if there is one.
    """

    branch: str
    commit: str | None = None
    pull_request: str | None = None
    next_step: str | None = None


def check_branch(tree: Path, branch: str) -> None:
    """Check, before anything is written, that a release can be committed to a branch.

    Raises:
        UsageError: the tree isn't in git; the branch exists and isn't the current one, or that of another release is.
        GitError: git refuses.
    """
    if shutil.which("git") is None or _try(tree, "git", "rev-parse", "--git-dir")[0]:
        raise UsageError(
            f"{tree} is not in a git repository, so nothing can be committed",
            subject=str(tree),
            untouched="nothing was written",
            hint="git init, or leave out these steps: --only pack --only test --only release",
        )
    now = _current(tree)
    if now == branch:
        return
    if not _try(tree, "git", "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")[0]:
        raise UsageError(
            f"the branch {branch} exists already",
            subject=branch,
            untouched="nothing was written",
            hint=f"to go on with it: git switch {branch}; for another release raise the version in release.yaml",
        )
    if now.startswith(_PREFIX):
        raise UsageError(
            f"the current branch is {now}, which is of another release",
            subject=now,
            untouched="nothing was written",
            hint="git switch main (or what your main branch is called) first",
        )


def commit_release(tree: Path, plugin: PluginId, version: str) -> Submission:
    """Commit a plugin's folder to the branch of a release, which is created from the current commit.

    Raises:
        UsageError: as `check_branch`. GitError: git refuses, as without user.name or by a hook.
        ConfigError: the release isn't written yet.
    """
    branch = release_branch(plugin, version)
    check_branch(tree, branch)
    folder = f"plugins/{plugin}"
    if not any((tree / folder / "releases").glob(f"{version}.*")):
        raise ConfigError(
            f"{plugin} {version} is not released yet",
            subject=folder,
            untouched="nothing was committed",
            hint=f"sealdex-builder release {plugin}",
        )
    if _current(tree) != branch:
        _git(tree, "switch", "--quiet", "--create", branch)
    _git(tree, "add", "--all", "--", folder)
    # what a .gitignore leaves out is needed all the same: publishing has nothing but the commit
    forced = [
        f"{folder}/releases",
        *([f"{folder}/dist/{version}"] if (tree / folder / "dist" / version).is_dir() else []),
    ]
    _git(tree, "add", "--force", "--", *forced)
    if not _try(tree, "git", "diff", "--cached", "--quiet", "--", folder)[0]:
        return Submission(branch)
    _git(tree, "commit", "--quiet", "--message", f"Release {plugin} {version}", "--", folder)
    return Submission(branch, _git(tree, "rev-parse", "HEAD"))


def open_pull_request(tree: Path, plugin: PluginId, version: str) -> Submission:
    """Push the branch of a release to ``origin`` and open its pull request by ``gh``; without gh, say what is left.

    Raises:
        UsageError: the branch isn't the current one. UnavailableError: the push, or gh, fails.
    """
    branch = release_branch(plugin, version)
    if _current(tree) != branch:
        raise UsageError(
            f"the current branch is not {branch}",
            subject=branch,
            untouched="nothing was pushed",
            hint=f"git switch {branch}, or commit it first: sealdex-builder ship {plugin} --only commit",
        )
    push = ["git", "push", "--set-upstream", "origin", branch]
    if shutil.which("gh") is None or _try(tree, "git", "remote", "get-url", "origin")[0]:
        return Submission(branch, next_step=f"{' '.join(push)}, and open a pull request")
    _told(tree, *push)
    asked = ["--head", branch, "--state", "open", "--json", "url,isCrossRepository", "--jq", _OPEN]
    there = _told(tree, "gh", "pr", "list", *asked)
    if there:
        return Submission(branch, pull_request=there)
    title = f"Release {plugin} {version}"
    made = _told(tree, "gh", "pr", "create", "--head", branch, "--title", title, "--body", f"{title}.")
    return Submission(branch, pull_request=made.splitlines()[-1] if made else None)


def _current(tree: Path) -> str:
    """Return the current branch; empty for a detached HEAD."""
    failed, said = _try(tree, "git", "symbolic-ref", "--quiet", "--short", "HEAD")
    return "" if failed else said


def _git(tree: Path, *args: str) -> str:
    failed, said = _try(tree, "git", *args)
    if failed:
        raise GitError(f"git {args[0]}: {said}", subject=str(tree), hint="mend that, and repeat the command")
    return said


def _told(tree: Path, *command: str) -> str:
    failed, said = _try(tree, *command)
    if failed:
        raise UnavailableError(
            f"{' '.join(command[:3])}: {said}",
            subject=str(tree),
            untouched="the release is committed",
            hint="repeat the command: it goes on from here",
        )
    return said


def _try(tree: Path, *command: str) -> tuple[bool, str]:
    """Run a program; return whether it failed, and what it said."""
    try:
        done = subprocess.run(
            command, cwd=tree, capture_output=True, text=True, errors="replace", check=False, timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return True, str(error)
    said = done.stdout if done.returncode == 0 else done.stderr or done.stdout
    return done.returncode != 0, said.strip()


__all__ = ["GitError", "Submission", "check_branch", "commit_release", "open_pull_request", "release_branch"]
