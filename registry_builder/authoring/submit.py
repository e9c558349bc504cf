"""A release on its way to review: a commit on a branch of its own, and a pull request where ``gh`` is there.

Of the working copy only the plugin's folder is committed, whatever else was changed or staged. Each step finds out what
is done already, so that one which failed is repeated. Nothing is ever pushed over commits that are there: a branch is
only added to, and not at all if somebody else has.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealdex.errors import ConfigError, SealdexError, UnavailableError, UsageError
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import PluginId

_PREFIX = "release/"
_TIMEOUT_S = 120.0
_FORK = "fork"
_OWNER = re.compile(r"[/:]([A-Za-z0-9][A-Za-z0-9-]*)/[^/]+?(?:\.git)?/?$")
_SHOWN = 5


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
    needed = (f"{folder}/{name}" for name in ("releases", "status", f"attachments/{version}", f"dist/{version}"))
    _git(tree, "add", "--force", "--", *(name for name in needed if (tree / name).is_dir()))
    if not _try(tree, "git", "diff", "--cached", "--quiet", "--", folder)[0]:
        return Submission(branch)
    _git(tree, "commit", "--quiet", "--message", f"Release {plugin} {version}", "--", folder)
    return Submission(branch, _git(tree, "rev-parse", "HEAD"))


def open_pull_request(
    tree: Path, plugin: PluginId, version: str, *, fork: bool = False, body: str | None = None
) -> Submission:
    """Push the branch of a release and open its pull request by ``gh``; without gh, say what is left.

    Args:
        tree: the source tree, whose remote ``origin`` is the registry's repository.
        plugin: what is released.
        version: of the release.
        fork: push to the remote ``fork``, which gh makes if there is none, and not to ``origin``.
        body: the text of the pull request.

    Raises:
        UsageError: the branch isn't the current one, or there are commits of others on it where it is pushed to.
        UnavailableError: the push, or gh, fails.
    """
    branch = release_branch(plugin, version)
    if _current(tree) != branch:
        raise UsageError(
            f"the current branch is not {branch}",
            subject=branch,
            untouched="nothing was pushed",
            hint=f"git switch {branch}, or commit it first: sealdex-builder ship {plugin} --only commit",
        )
    remote = _FORK if fork else "origin"
    if shutil.which("gh") is None or _try(tree, "git", "remote", "get-url", "origin")[0]:
        left = f"git push --set-upstream {remote} {branch}"
        return Submission(branch, next_step=f"{left}, and open a pull request")
    about: list[str] = []
    owner = None
    if fork:
        if _try(tree, "git", "remote", "get-url", _FORK)[0]:
            _told(tree, "gh", "repo", "fork", "--remote", "--remote-name", _FORK)
        owner = _owner_of(tree, _FORK)
        about = ["--repo", _git(tree, "remote", "get-url", "origin")]
    _push(tree, remote, branch, f"plugins/{plugin}")
    # a fork of somebody else may have a branch of the same name
    asked = ["--head", branch, "--state", "open", "--json", "url,isCrossRepository,headRepositoryOwner"]
    for each in json_values(_told(tree, "gh", "pr", "list", *about, *asked) or "[]"):
        if _is_of(each, owner):
            return Submission(branch, pull_request=str(each["url"]))
    title = f"Release {plugin} {version}"
    made = _told(
        tree, "gh", "pr", "create", *about, "--head", f"{owner}:{branch}" if owner else branch, "--title", title,
        "--body", body or f"{title}.",
    )  # fmt: skip
    return Submission(branch, pull_request=made.splitlines()[-1] if made else None)


def _is_of(pull: dict[str, Any], owner: str | None) -> bool:
    """Return whether a pull request is of this fork or, without an owner, of the repository itself."""
    if owner is None:
        return not pull["isCrossRepository"]
    return bool(pull["isCrossRepository"]) and str(pull["headRepositoryOwner"]["login"]).lower() == owner.lower()


def _owner_of(tree: Path, remote: str) -> str:
    url = _git(tree, "remote", "get-url", remote)
    found = _OWNER.search(url)
    if found is None:
        raise UsageError(
            f"the owner of the remote {remote} can't be read from its address",
            subject=url,
            untouched="nothing was pushed",
            hint=f"git remote set-url {remote} https://github.com/OWNER/REPOSITORY",
        )
    return found[1]


def _push(tree: Path, remote: str, branch: str, folder: str) -> None:
    """Push the current branch; one that is there is added to, and left alone if it has the same release."""
    if _told(tree, "git", "ls-remote", remote, f"refs/heads/{branch}"):
        _told(tree, "git", "fetch", "--quiet", remote, f"refs/heads/{branch}")
        if not _try(tree, "git", "diff", "--quiet", "FETCH_HEAD", "HEAD", "--", folder)[0]:
            return
        if _try(tree, "git", "merge-base", "--is-ancestor", "FETCH_HEAD", "HEAD")[0]:
            _check_mine(tree, remote, branch)
            # an earlier attempt stays in the history, and its files are replaced by those of this one
            _git(tree, "merge", "--quiet", "--no-edit", "--strategy=ours", "FETCH_HEAD")
    _told(tree, "git", "push", "--quiet", "--set-upstream", remote, f"HEAD:refs/heads/{branch}")


def _check_mine(tree: Path, remote: str, branch: str) -> None:
    me = _git(tree, "var", "GIT_COMMITTER_IDENT").rpartition("<")[2].partition(">")[0]
    there = _git(tree, "log", "--format=%ce %h %s", "HEAD..FETCH_HEAD").splitlines()
    others = [line for line in there if line.split(" ", 1)[0] != me]
    if others:
        raise UsageError(
            f"the branch {branch} of {remote} has commits of others: {'; '.join(others[:_SHOWN])}",
            subject=branch,
            untouched="nothing was pushed",
            hint="merge or delete that branch, or raise the version in release.yaml",
        )


def _current(tree: Path) -> str:
    """Return the current branch; empty for a detached HEAD."""
    failed, said = _try(tree, "git", "symbolic-ref", "--quiet", "--short", "HEAD")
    return "" if failed else said


def _git(tree: Path, *args: str) -> str:
    failed, said = _try(tree, "git", *args)
    if failed:
        raise GitError(f"git {args[0]}: {said}", subject=str(tree), hint="fix that, and run the command again")
    return said


def _told(tree: Path, *command: str) -> str:
    failed, said = _try(tree, *command)
    if failed:
        raise UnavailableError(
            f"{' '.join(command[:3])}: {said}",
            subject=str(tree),
            untouched="the release is committed",
            hint="run the command again: it continues from here",
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
