"""Ceremonies: changes of root or targets metadata, signed one after the other by people on different machines.

    ceremonies/<name>/
        plan.json                          what changes in registry.toml, who started it, when and why
        <realm>/<N>.root.json              the new metadata, unsigned; exactly these bytes are signed
        <realm>/<N>.targets.json
        <realm>/signatures/<role>.<keyid>.json   one file per signer, so that merges never conflict
        closed.json                        finished or aborted, by whom, when and why

Only files: they are exchanged by git, mail or USB stick. None of them is trusted: a signature counts if it verifies
with a key that the newest signed root (or the new one) lists, and `finish_ceremony` writes to ``trust/`` and
``registry.toml`` only when every threshold is met, for a root the old one's *and* the new one's. Signatures are never
removed; an aborted ceremony keeps its files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from msgspec import Struct
from securesystemslib.signer import Signature
from tuf.api.metadata import Metadata, Role, Root, Targets
from tuf.api.serialization import DeserializationError
from tuf.api.serialization.json import CanonicalJSONSerializer

from registry_builder.ceremony._describe import describe_first, describe_root, describe_targets
from registry_builder.signing.metadata import realm_marker, same_authority
from registry_builder.signing.offline_metadata import MAX_METADATA_BYTES, Trust, has_trust, load_trust
from registry_builder.source.config import (
    NamespaceSection,
    RoleSection,
    read_config,
)
from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.errors import ConfigError, NotFoundError, VerificationError
from sealdex.model.decode import DocumentError, read_json
from sealdex.trust.role_marks import mark_problem

CEREMONIES_FOLDER = "ceremonies"
OFFLINE = ("root", "targets")
CEREMONY_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
_DOCUMENT = re.compile(r"([1-9][0-9]{0,8})\.(root|targets)\.json")
NOTHING_SIGNED = "nothing was signed"


class CeremonyPlan(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """``plan.json``: what registry.toml will say once the ceremony is finished.

    Attributes:
        roles: complete sections that change.
        namespaces: complete claims that change.
        released: namespaces whose claim ends.
        renew: roles that are re-signed although nothing changes.
        first: realms that get version 1 of root and targets, by registry.toml as it is; then nothing else changes.
    """

    format: int = 1
    by: str
    at: str
    why: str = ""
    roles: dict[str, RoleSection] = {}
    namespaces: dict[str, NamespaceSection] = {}
    released: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()
    first: tuple[str, ...] = ()


class Closed(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """``closed.json``."""

    outcome: str
    by: str
    at: str
    why: str = ""


class SignatureFile(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One signature: over which bytes, by which key, and who held the key; for a Sigstore identity, its bundle."""

    keyid: str
    sig: str
    payload_sha256: str
    by: str
    at: str
    bundle: dict[str, Any] | None = None

    @property
    def signature(self) -> Signature:
        """The signature in TUF's format."""
        return Signature(self.keyid, self.sig, {"bundle": self.bundle} if self.bundle is not None else None)


@dataclass(frozen=True)
class Quorum:
    """One threshold of a document: whose it is, how many keys, which have signed, whether it is required.

    One isn't required: that of the old root for targets whose keys the new root changes. If it is met, clients that
    don't have the new root yet can read the new targets, and the change has no gap
    (docs/decisions/0011-new-roots-come-last.md).
    """

    said: str
    threshold: int
    keyids: tuple[str, ...]
    signed: tuple[str, ...]
    is_needed: bool = True

    @property
    def is_met(self) -> bool:
        """Whether enough keys have signed."""
        return len(self.signed) >= self.threshold


@dataclass(frozen=True)
class CeremonyDocument:
    """One piece of metadata that needs signatures.

    Attributes:
        realm, role, version: which.
        payload: the bytes that are signed.
        changes: what it changes, in plain language.
        quorums: every threshold; for a root the old one's and its own.
        signatures: those that verify, by keyid.
        ignored: signature files that don't verify, with the reason.
    """

    realm: str
    role: str
    version: int
    signed: Root | Targets
    payload: bytes
    changes: tuple[str, ...]
    quorums: tuple[Quorum, ...]
    signatures: Mapping[str, SignatureFile]
    ignored: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.version}.{self.role}.json"

    @property
    def is_complete(self) -> bool:
        """Whether every required threshold is met."""
        return all(quorum.is_met for quorum in self.quorums if quorum.is_needed)

    @property
    def keyids(self) -> tuple[str, ...]:
        """Every key whose signature counts towards some threshold."""
        return tuple(dict.fromkeys(keyid for quorum in self.quorums for keyid in quorum.keyids))


@dataclass(frozen=True)
class Ceremony:
    """The current state of a ceremony."""

    name: str
    folder: Path
    plan: CeremonyPlan
    documents: tuple[CeremonyDocument, ...]
    closed: Closed | None

    @property
    def is_complete(self) -> bool:
        """Whether it can be finished."""
        return all(document.is_complete for document in self.documents)


def ceremonies(tree: Path) -> list[str]:
    """Return the names of all ceremonies, by name."""
    folder = tree / CEREMONIES_FOLDER
    return sorted(path.parent.name for path in folder.glob("*/plan.json")) if folder.is_dir() else []


def load_ceremony(tree: Path, name: str) -> Ceremony:
    """Read a ceremony and verify every signature in it.

    Raises:
        NotFoundError: there is no ceremony with that name.
        ConfigError: a file is not valid, or the ceremony starts from metadata that isn't the newest.
    """
    folder = tree / CEREMONIES_FOLDER / name
    if not CEREMONY_NAME.fullmatch(name) or not (folder / "plan.json").is_file():
        raise NotFoundError(
            f"there is no ceremony '{name}'; there are {', '.join(ceremonies(tree)) or 'none'}",
            hint="sealdex-builder ceremony start NAME",
        )
    plan = _read(folder / "plan.json", CeremonyPlan)
    closed = _read(folder / "closed.json", Closed) if (folder / "closed.json").exists() else None
    config = read_config(tree)
    names = {section.keyid: key for key, section in config.keys.items()}
    documents: list[CeremonyDocument] = []
    for realm in config.realms:
        found = {
            match[2]: _parse(path, int(match[1]), match[2], realm_marker(config, realm))
            for path in sorted((folder / realm).glob("*.json"))
            if (match := _DOCUMENT.fullmatch(path.name))
        }
        if found:
            is_first = realm in plan.first and not has_trust(tree, realm)
            trust = None if is_first else load_trust(tree, realm, realm_marker(config, realm))
            documents += _documents(folder / realm, realm, trust, found, names, is_open=closed is None)
    return Ceremony(name, folder, plan, tuple(documents), closed)


def _documents(
    folder: Path,
    realm: str,
    trust: Trust | None,
    found: Mapping[str, Root | Targets],
    names: Mapping[str, str],
    *,
    is_open: bool,
) -> list[CeremonyDocument]:
    def name_of(keyid: str) -> str:
        return f"{names.get(keyid, 'a key that is not in registry.toml')} ({keyid[:12]})"

    documents = []
    new_root = found.get("root")
    for role in OFFLINE:
        signed = found.get(role)
        if signed is None:
            continue
        payload = CanonicalJSONSerializer().serialize(signed)
        if is_open:
            _check_follows(folder, role, signed, payload, trust)
        authorities: list[tuple[str, Root]] = []
        optional: set[str] = set()
        if trust is None or signed.version == 1:
            delegator = new_root if isinstance(new_root, Root) else trust.root if trust is not None else None
            if delegator is None:
                raise ConfigError(
                    f"1.{role}.json is there, but not 1.root.json, which says who may sign it",
                    subject=str(folder),
                    untouched=NOTHING_SIGNED,
                    hint="restore it from the source tree's history, or abort this ceremony and start it again",
                )
            changes = describe_first(signed, name_of)
            authorities = [("root 1 itself" if role == "root" else "root 1", delegator)]
        elif isinstance(signed, Root):
            before = _root_before(trust, signed.version)
            changes = describe_root(before, signed, name_of)
            authorities = [(f"root {before.version}", before), (f"root {signed.version} itself", signed)]
        else:
            changes = describe_targets(_targets_before(trust, signed.version), signed, name_of)
            delegator = new_root if isinstance(new_root, Root) else trust.root
            authorities = [(f"root {delegator.version}", delegator)]
            before = _root_before(trust, delegator.version)
            if new_root is not None and not same_authority(before.roles["targets"], delegator.roles["targets"]):
                said = f"root {before.version}, for readers on their way to root {delegator.version}"
                authorities.append((said, before))
                optional.add(said)
        signatures, ignored = _signatures(folder, role, payload, [root for _, root in authorities])
        quorums = [
            _quorum(
                said,
                root,
                role,
                {keyid for keyid, s in signatures.items() if _verifies(root, keyid, s, payload)},
                is_needed=said not in optional,
            )
            for said, root in authorities
        ]
        documents.append(
            CeremonyDocument(
                realm, role, signed.version, signed, payload, tuple(changes), tuple(quorums), signatures, tuple(ignored)
            )
        )
    return documents


def _check_follows(folder: Path, role: str, signed: Root | Targets, payload: bytes, trust: Trust | None) -> None:
    """Refuse metadata that isn't the next version, unless it is in trust/ already: an interrupted finish continues."""
    newest = None if trust is None else trust.root if role == "root" else trust.targets_role
    number = 0 if newest is None else newest.version
    is_there = newest is not None and CanonicalJSONSerializer().serialize(newest) == payload
    if signed.version != number + 1 and not is_there:
        raise ConfigError(
            f"{signed.version}.{role}.json follows {role} {signed.version - 1}, but "
            + (f"{role} {number} is the newest" if number else f"the realm has no {role} yet"),
            subject=str(folder),
            untouched=NOTHING_SIGNED,
            hint="another ceremony was finished meanwhile: abort this one and start it again",
        )


def _root_before(trust: Trust, version: int) -> Root:
    data = trust.roots.get(version - 1)
    return trust.root if data is None else Metadata[Root].from_bytes(data).signed


def _targets_before(trust: Trust, version: int) -> Targets:
    data = trust.targets.get(version - 1)
    return trust.targets_role if data is None else Metadata[Targets].from_bytes(data).signed


def _quorum(said: str, delegator: Root, role: str, signed: set[str], *, is_needed: bool) -> Quorum:
    wanted: Role = delegator.get_delegated_role(role)
    have = tuple(k for k in wanted.keyids if k in signed)
    return Quorum(said, wanted.threshold, tuple(wanted.keyids), have, is_needed)


def _verifies(delegator: Root, keyid: str, file: SignatureFile, payload: bytes) -> bool:
    key = delegator.keys.get(keyid)
    if key is None:
        return False
    try:
        key.verify_signature(file.signature, payload)
    except Exception:  # noqa: BLE001  # each kind of key raises its own library's errors: all mean no
        return False
    return True


def _signatures(
    folder: Path, role: str, payload: bytes, delegators: Sequence[Root]
) -> tuple[dict[str, SignatureFile], list[str]]:
    found: dict[str, SignatureFile] = {}
    ignored: list[str] = []
    digest = hashlib.sha256(payload).hexdigest()
    for path in sorted((folder / "signatures").glob(f"{role}.*.json")):
        try:
            file = read_json(_bytes_of(path), SignatureFile)
        except (UnreadableError, DocumentError) as error:
            ignored.append(f"{path.name}: {error}")
            continue
        if file.payload_sha256 != digest:
            ignored.append(f"{path.name}: it signs other bytes")
        elif not any(_verifies(root, file.keyid, file, payload) for root in delegators):
            ignored.append(f"{path.name}: it doesn't verify with a key that counts here")
        else:
            found[file.keyid] = file
    return found, ignored


def _parse(path: Path, version: int, role: str, marker: str) -> Root | Targets:
    try:
        signed: object = Metadata[Any].from_bytes(_bytes_of(path)).signed
    except (UnreadableError, DeserializationError) as error:
        raise ConfigError(
            f"{path} is not TUF metadata: {error}", subject=str(path), untouched=NOTHING_SIGNED
        ) from error
    kind = Root if role == "root" else Targets
    if not isinstance(signed, kind) or signed.version != version:
        raise ConfigError(f"{path} is not {role} metadata of version {version}", subject=str(path))
    if problem := mark_problem(signed.unrecognized_fields, role, marker):
        raise VerificationError(f"{path} can't be signed: {problem}", subject=str(path), untouched=NOTHING_SIGNED)
    return signed


def _read(path: Path, kind: Any) -> Any:
    try:
        return read_json(_bytes_of(path), kind)
    except (UnreadableError, DocumentError) as error:
        raise ConfigError(f"{path} can't be read: {error}", subject=str(path), untouched=NOTHING_SIGNED) from error


def _bytes_of(path: Path) -> bytes:
    """Read a file of a ceremony, which may come from a branch that anybody could push to."""
    tree = next(folder.parent for folder in path.parents if folder.name == CEREMONIES_FOLDER)
    return Gate(tree).read(path, MAX_METADATA_BYTES)


def missing_signatures(tree: Path, document: CeremonyDocument) -> list[str]:
    """Return, for each unmet threshold of a document, whose signatures could meet it."""
    names = {section.keyid: key for key, section in read_config(tree).keys.items()}
    return [
        f"{document.realm} {document.name} needs {quorum.threshold - len(quorum.signed)} more signature(s) for "
        f"{quorum.said}, of " + ", ".join(names.get(k, k[:12]) for k in quorum.keyids if k not in quorum.signed)
        for quorum in document.quorums
        if quorum.is_needed and not quorum.is_met
    ]


def differs(old: Root | Targets, new: Root | Targets) -> bool:
    """Return whether two pieces of metadata differ, apart from version and expiry."""

    def content(signed: Root | Targets) -> dict[str, Any]:
        return {key: value for key, value in signed.to_dict().items() if key not in {"version", "expires"}}

    return content(old) != content(new)


def stamp(moment: datetime) -> str:
    """Return a time in the format of a ceremony's files."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = [
    "CEREMONIES_FOLDER",
    "Ceremony",
    "CeremonyDocument",
    "CeremonyPlan",
    "Closed",
    "Quorum",
    "SignatureFile",
    "ceremonies",
    "differs",
    "load_ceremony",
    "missing_signatures",
    "stamp",
]
