"""The files in ``trust/`` that teams of claimed namespaces signed away from the machine that publishes.

trust/<realm>/<N>.ns-<namespace>.json
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets
from tuf.api.serialization import DeserializationError

from registry_builder.signing.metadata import TargetPin, claim_role, claims_of
from registry_builder.signing.offline_metadata import Trust, read_metadata_file, trust_files, trust_folder
from sealdex.errors import ConfigError
from sealdex.trust.role_marks import mark_problem


@dataclass(frozen=True)
class SignedClaim:
    """A file that a namespace's team signed: its version, its bytes, what it pins."""

    version: int
    data: bytes
    pins: Mapping[str, TargetPin]


def signed_claims(tree: Path, realm: str, trust: Trust, marker: str) -> dict[str, SignedClaim]:
    """Return, for each claimed namespace, the newest file in ``trust/<realm>/`` that its team signed as it must be.

    A file with too few or wrong signatures isn't there: what it would sign waits.
    """
    found: dict[str, SignedClaim] = {}
    for namespace, role in claims_of(trust.targets_role).items():
        for _version, path in reversed(claim_files(tree, realm, namespace)):
            metadata = read_claim(tree, path)
            if metadata is None or mark_problem(metadata.signed.unrecognized_fields, role, marker):
                continue
            try:
                trust.targets_role.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
            except RepositoryError:
                continue
            signed = metadata.signed
            pins = {path: TargetPin(file.length, file.hashes["sha256"]) for path, file in signed.targets.items()}
            found[namespace] = SignedClaim(signed.version, read_metadata_file(tree, path), pins)
            break
    return found


def claim_files(tree: Path, realm: str, namespace: str) -> list[tuple[int, Path]]:
    """Return version and path of every file of a claimed namespace in the source tree, oldest first."""
    pattern = re.compile(rf"([1-9][0-9]{{0,8}})\.{re.escape(claim_role(namespace))}\.json")
    folder = trust_folder(tree, realm)
    names = trust_files(tree, realm)
    return sorted((int(match[1]), folder / name) for name in names if (match := pattern.fullmatch(name)))


def read_claim(tree: Path, path: Path) -> Metadata[Targets] | None:
    """Return the metadata in a file, or None when it is none of a targets role of the version that its name says."""
    try:
        metadata = Metadata[Targets].from_bytes(read_metadata_file(tree, path))
    except (ConfigError, DeserializationError):
        return None
    named = path.name.split(".", 1)[0]
    return metadata if isinstance(metadata.signed, Targets) and str(metadata.signed.version) == named else None


__all__ = ["SignedClaim", "claim_files", "read_claim", "signed_claims"]
