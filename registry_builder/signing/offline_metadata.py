"""The trust material in the source tree: metadata signed offline and committed, the root of all trust.

trust/<realm>/1.root.json  2.root.json ...      every version: a client may have any of them
trust/<realm>/1.targets.json  ...               the newest one counts
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.errors import ConfigError, VerificationError
from sealdex.trust.role_marks import mark_problem

TRUST_FOLDER = "trust"
MAX_METADATA_BYTES = 64 * 1024 * 1024

_FILE = re.compile(r"([1-9][0-9]{0,8})\.(root|targets)\.json")


@dataclass(frozen=True)
class Trust:
    """Verified trust material of one realm.

    Attributes:
        roots: version to the bytes of every root, each signed by the one before and by itself.
        root: the newest.
        targets: version to the bytes of every targets metadata.
        targets_role: the newest, signed as the newest root requires.
    """

    roots: dict[int, bytes]
    root: Root
    targets: dict[int, bytes]
    targets_role: Targets

    @property
    def first_fingerprint(self) -> str:
        """SHA-256 of the oldest root, which users compare when they add a registry."""
        return hashlib.sha256(self.roots[min(self.roots)]).hexdigest()

    @property
    def newest_fingerprint(self) -> str:
        """SHA-256 of the newest root."""
        return hashlib.sha256(self.roots[max(self.roots)]).hexdigest()


def trust_folder(tree: Path, realm: str) -> Path:
    """Return the folder of a realm's trust material."""
    return tree / TRUST_FOLDER / realm


def trust_files(tree: Path, realm: str) -> list[str]:
    """Return the file names in a realm's folder of trust material, sorted; empty if the folder doesn't exist.

    Raises:
        ConfigError: it, or something in it, is a link that leaves the source tree.
    """
    gate, folder = Gate(tree), trust_folder(tree, realm)
    if not gate.is_there(folder):
        return []
    try:
        return [found.name for found in gate.entries(folder)]
    except UnreadableError as error:
        raise ConfigError(f"{folder} {error}", subject=str(folder)) from error


def has_trust(tree: Path, realm: str) -> bool:
    """Return whether a realm has trust material, so that it can be published; nothing is verified.

    False also where only one of version 1 of root and targets is there, which an interruption leaves behind.

    Raises:
        ConfigError: its folder can't be read.
    """
    matches = [match for name in trust_files(tree, realm) if (match := _FILE.fullmatch(name))]
    return {match[2] for match in matches} == {"root", "targets"} or any(match[1] != "1" for match in matches)


def without_trust_hint(realm: str) -> str:
    """Return how a realm without trust material gets it."""
    return (
        f"with the keys of this machine, or with development keys: sealdex-builder realm add {realm} --dev-keys; "
        f"signed by several people: sealdex-builder realm add {realm} --ceremony"
    )


def read_metadata_file(tree: Path, path: Path) -> bytes:
    """Read one metadata file of the source tree.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        return Gate(tree).read(path, MAX_METADATA_BYTES)
    except UnreadableError as error:
        raise ConfigError(f"{path} {error}", subject=str(path)) from error


def load_trust(tree: Path, realm: str, marker: str) -> Trust:
    """Read and verify a realm's trust material: root by root, then targets under the newest root.

    Expiry is not checked here: clients check it for the published state.

    Raises:
        ConfigError: there is none, or versions are missing.
        VerificationError: a file's signatures are not sufficient, or belongs to another registry or realm.
    """
    folder = trust_folder(tree, realm)
    found: dict[str, dict[int, bytes]] = {"root": {}, "targets": {}}
    for name in trust_files(tree, realm):
        if match := _FILE.fullmatch(name):
            found[match[2]][int(match[1])] = read_metadata_file(tree, folder / name)
    roots, targets = found["root"], found["targets"]
    if (not roots or not targets) and has_trust(tree, realm):
        missing = "root" if not roots else "targets"
        raise ConfigError(
            f"realm {realm} has lost its {missing} metadata: {folder} has other files of it",
            subject=str(folder),
            untouched="nothing was published",
            hint="restore it from the source tree's history: git log -- trust/",
        )
    if not roots or not targets:
        raise ConfigError(
            f"realm {realm} has no trust root yet: {folder} has no root or targets metadata",
            subject=str(folder),
            untouched="nothing was published",
            hint=without_trust_hint(realm),
        )
    numbers = sorted(roots)
    if numbers != list(range(numbers[0], numbers[-1] + 1)):
        raise ConfigError(f"{folder} is missing a root between {numbers[0]} and {numbers[-1]}", subject=str(folder))
    root = _verified_roots(folder, {number: roots[number] for number in numbers}, marker)
    newest = max(targets)
    name = f"{newest}.targets.json"
    metadata = _parse(folder / name, targets[newest])
    if not isinstance(metadata.signed, Targets) or metadata.signed.version != newest:
        raise _untrusted(folder / name, f"it is not targets metadata of version {newest}")
    _check(folder / name, root, "targets", metadata, marker)
    return Trust(roots, root, targets, metadata.signed)


def _verified_roots(folder: Path, roots: dict[int, bytes], marker: str) -> Root:
    trusted: Root | None = None
    for number, data in roots.items():
        path = folder / f"{number}.root.json"
        metadata = _parse(path, data)
        if not isinstance(metadata.signed, Root) or metadata.signed.version != number:
            raise _untrusted(path, f"it is not root metadata of version {number}")
        if trusted is not None:
            _check(path, trusted, "root", metadata, marker)
        _check(path, metadata.signed, "root", metadata, marker)
        trusted = metadata.signed
    if trusted is None:
        raise AssertionError  # the caller has checked that there is one
    return trusted


def _parse(path: Path, data: bytes) -> Metadata[Root] | Metadata[Targets]:
    try:
        return Metadata.from_bytes(data)
    except DeserializationError as error:
        raise _untrusted(path, f"it is not TUF metadata: {error.__cause__ or error}") from error


def _check(path: Path, delegator: Root, role: str, metadata: Metadata[Root] | Metadata[Targets], marker: str) -> None:
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except RepositoryError as error:
        raise _untrusted(path, str(error)) from error
    if problem := mark_problem(metadata.signed.unrecognized_fields, role, marker):
        raise _untrusted(path, problem)


def _untrusted(path: Path, reason: str) -> VerificationError:
    return VerificationError(
        f"{path} can't be trusted: {reason}",
        subject=str(path),
        untouched="nothing was published",
        hint="restore it from the source tree's history: git log -- trust/",
    )
