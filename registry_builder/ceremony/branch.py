"""Imports a ceremony's files from a git branch, if the branch adds only what signers may add.

Anyone with push access can push such a branch, and a workflow that finishes it writes to the main branch. So everything
except the ceremony's own files comes from the tree that this runs in: a branch that changes anything else, has a link
or program among its files, or a file that the tree already has, is refused as a whole. Whether the added files are
signed is checked by `registry_builder.ceremony.ceremony`, which trusts none of them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from registry_builder.ceremony.ceremony import CEREMONIES_FOLDER, CEREMONY_NAME, OFFLINE
from registry_builder.source.atomic_write import write_new
from registry_builder.source.config import read_config
from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.errors import ConfigError, NotFoundError, UsageError

MAX_FILES = 500
MAX_FILE_BYTES = 5_000_000  # python-tuf's limit for a role
_REGULAR = "100644"
_UNTOUCHED = "nothing was taken"


class Change(NamedTuple):
    """One path that a branch changes: its mode and object on the branch, and git's letter for the change."""

    mode: str
    blob: str
    status: str
    path: str


def take_ceremony(tree: Path, name: str, ref: str) -> list[Path]:
    """Write the files that a branch adds to a ceremony into the source tree.

    Args:
        tree: the top of a clone, checked out at the target of the merge.
        name: the ceremony.
        ref: the branch or commit; its changes since the merge base with the checked-out commit count.

    Returns:
        The files that were new.

    Raises:
        UsageError: the name is not valid.
        NotFoundError: no such branch or commit; or neither it nor the source tree has that ceremony.
        ConfigError: the branch changes something else, or git can't compare the two. Nothing is written.
    """
    if not CEREMONY_NAME.fullmatch(name):
        raise UsageError(f"'{name}' is not a valid ceremony name", untouched=_UNTOUCHED)
    changes = _changes(tree, ref)
    if problems := branch_problems(changes, name, read_config(tree).realms):
        raise ConfigError(
            f"this is not a signing branch of ceremony '{name}': {'; '.join(problems)}",
            subject=ref,
            untouched=_UNTOUCHED,
            hint=f"it may only add to {CEREMONIES_FOLDER}/{name}/ what ceremony start and sign write; commit new keys "
            "and everything else to the main branch first, and finish the ceremony there",
        )
    wanted = {tree / change.path: _content(tree, change) for change in changes}
    gate = Gate(tree)
    if not wanted and not gate.is_there(tree / CEREMONIES_FOLDER / name):
        raise NotFoundError(
            f"there is no ceremony '{name}' in {ref}, and none here",
            subject=ref,
            untouched=_UNTOUCHED,
            hint=f"git fetch; to see what a branch adds: git diff --stat HEAD...{ref} -- {CEREMONIES_FOLDER}",
        )
    here = {path for path in wanted if gate.is_there(path)}
    if other := [path for path in sorted(here) if not _holds(gate, path, wanted[path])]:
        raise ConfigError(
            f"{', '.join(map(str, other))} differs here from the branch",
            subject=ref,
            untouched=_UNTOUCHED,
            hint="commit or move these files",
        )
    missing = [path for path in wanted if path not in here]
    for path in missing:
        write_new(path, wanted[path])
    return missing


def _holds(gate: Gate, path: Path, data: bytes) -> bool:
    try:
        return gate.read(path, len(data)) == data
    except UnreadableError:
        return False


def branch_problems(changes: Sequence[Change], name: str, realms: Collection[str]) -> list[str]:
    """Return what a branch changes besides a signer's files of one ceremony. Pure.

    Args:
        changes: all that it changes.
        name: the ceremony.
        realms: the names of the registry's realms.
    """
    if len(changes) > MAX_FILES:
        return [f"it changes {len(changes)} files, but at most {MAX_FILES} are allowed"]
    return list(_problems(changes, name, realms))


def _problems(changes: Sequence[Change], name: str, realms: Collection[str]) -> Iterator[str]:
    roles, allowed = "|".join(OFFLINE), "|".join(map(re.escape, realms))
    own = re.compile(
        rf"{CEREMONIES_FOLDER}/{re.escape(name)}/"
        rf"(plan\.json|({allowed})/([1-9][0-9]{{0,8}}\.({roles})\.json|signatures/({roles})\.[0-9a-f]{{64}}\.json))"
    )
    for change in changes:
        if not own.fullmatch(change.path):
            yield f"{change.path} is not a file that signers may add"
        elif change.status != "A":
            yield f"{change.path} exists already and is changed or removed"
        elif change.mode != _REGULAR:
            yield f"{change.path} is not a plain file (mode {change.mode})"


def _changes(tree: Path, ref: str) -> list[Change]:
    known = _git(tree, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if known is None:
        raise NotFoundError(
            f"there is no branch or commit '{ref}'",
            subject=ref,
            untouched=_UNTOUCHED,
            hint="git fetch origin, then use origin/sign/NAME",
        )
    commit = known.decode().strip()
    base = _git(tree, "merge-base", "HEAD", commit)
    if base is None:
        raise ConfigError(
            f"'{ref}' has no commit in common with what is checked out here",
            subject=ref,
            untouched=_UNTOUCHED,
            hint="if this clone is shallow: git fetch --unshallow",
        )
    # plumbing commands, whose output doesn't depend on a clone's configuration
    listed = _git(tree, "diff-tree", "-r", "-z", "--raw", "--no-abbrev", base.decode().strip(), commit)
    if listed is None:
        raise ConfigError(f"git can't tell what '{ref}' changes", subject=ref, untouched=_UNTOUCHED)
    fields = listed.decode(errors="backslashreplace").split("\0")[:-1]
    return [_change(about, path) for about, path in zip(fields[::2], fields[1::2], strict=True)]


def _change(about: str, path: str) -> Change:
    _, mode, _, blob, status = about.removeprefix(":").split(" ")
    return Change(mode, blob, status, path)


def _content(tree: Path, change: Change) -> bytes:
    size = _git(tree, "cat-file", "-s", change.blob)
    if size is None or int(size) > MAX_FILE_BYTES:
        raise ConfigError(
            f"{change.path} is larger than {MAX_FILE_BYTES} bytes, or missing from git",
            subject=change.path,
            untouched=_UNTOUCHED,
        )
    data = _git(tree, "cat-file", "blob", change.blob)
    if data is None:
        raise ConfigError(f"git can't read {change.path}", subject=change.path, untouched=_UNTOUCHED)
    return data


def _git(tree: Path, *args: str) -> bytes | None:
    """Return what git prints, or None if it fails."""
    try:
        done = subprocess.run(["git", *args], cwd=tree, capture_output=True, check=False, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"git can't be run here: {error}", untouched=_UNTOUCHED) from error
    return done.stdout if done.returncode == 0 else None


__all__ = ["MAX_FILES", "MAX_FILE_BYTES", "Change", "branch_problems", "take_ceremony"]
