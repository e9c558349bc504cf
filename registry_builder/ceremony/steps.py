"""The steps of a ceremony: start, sign, finish, abort; see `registry_builder.ceremony.ceremony` for its files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization.json import JSONSerializer

from registry_builder.ceremony.ceremony import (
    CEREMONIES_FOLDER,
    CEREMONY_NAME,
    NOTHING_SIGNED,
    Ceremony,
    CeremonyDocument,
    CeremonyPlan,
    Closed,
    SignatureFile,
    differs,
    load_ceremony,
    missing_signatures,
    stamp,
)
from registry_builder.signing.key_registration import write_sections
from registry_builder.signing.metadata import (
    build_root,
    build_targets,
    realm_marker,
    same_authority,
    utc_now,
)
from registry_builder.signing.offline_metadata import (
    Trust,
    has_trust,
    load_trust,
    trust_folder,
    without_trust_hint,
)
from registry_builder.signing.signers import Keyring
from registry_builder.source.atomic_write import replace_file, write_new
from registry_builder.source.config import (
    ROLES,
    NamespaceSection,
    RegistryConfig,
    RoleSection,
    config_problems,
    read_config,
    roles_without_keys,
)
from registry_builder.source.load import load_tree
from registry_builder.source.own_folders import require_own_folders
from registry_builder.source.private_names import PrivateNames
from sealdex.errors import ConfigError, NotFoundError, SealdexError, UsageError, VerificationError
from sealdex.model.decode import encode_pretty

OFFLINE = ("root", "targets")


@dataclass
class Wanted:
    """The changes that a ceremony makes; roles and namespaces by name.

    Attributes:
        keys: role to the names of all its keys afterwards.
        thresholds: role to the number of keys that must sign.
        expiry_days: role to the days until it expires.
        claims: namespace to the names of its team's keys.
        claim_thresholds: namespace to how many of them must sign.
        realm: the realm of the claims.
        release: namespaces whose claim ends.
        renew: ``root`` or ``targets``, to re-sign unchanged.
    """

    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    thresholds: dict[str, int] = field(default_factory=dict)
    expiry_days: dict[str, int] = field(default_factory=dict)
    claims: dict[str, tuple[str, ...]] = field(default_factory=dict)
    claim_thresholds: dict[str, int] = field(default_factory=dict)
    realm: str = "public"
    release: tuple[str, ...] = ()
    renew: tuple[str, ...] = ()


def start_ceremony(
    tree: Path, name: str, wanted: Wanted, *, by: str, why: str = "", now: datetime | None = None
) -> Ceremony:
    """Plan a change and write what has to be signed; registry.toml and ``trust/`` don't change until it is finished.

    Raises:
        UsageError: the name is not valid, or nothing would change.
        ConfigError: a role, key or threshold is not valid, or the name is taken.
        VerificationError: the trust material of the tree isn't signed correctly.
    """
    if not CEREMONY_NAME.fullmatch(name):
        raise UsageError(f"'{name}' is not a valid ceremony name: use lower-case letters, digits, '.', '_' and '-'")
    folder = tree / CEREMONIES_FOLDER / name
    if folder.exists():
        raise ConfigError(
            f"ceremony '{name}' exists already",
            subject=str(folder),
            untouched="it was left as it is",
            hint=f"sealdex-builder ceremony show {name}, or choose another name",
        )
    config, moment = read_config(tree), now or utc_now()
    begun = [realm for realm in config.realms if has_trust(tree, realm)]
    if not begun:
        realm = next(iter(config.realms))
        raise ConfigError(
            f"realm {realm} has no trust root yet that could be changed",
            subject=realm,
            untouched="no ceremony was started",
            hint=without_trust_hint(realm),
        )
    plan = _plan(config, wanted, by=by, why=why, at=stamp(moment))
    after = _planned_config(config, plan)
    _check_claims(tree, after, plan)
    documents: dict[str, Root | Targets] = {}
    for realm in begun:  # the others get what registry.toml says by then with their first root
        trust = load_trust(tree, realm, realm_marker(config, realm))
        for role, signed in _new_metadata(after, realm, trust, plan, moment).items():
            documents[f"{realm}/{signed.version}.{role}.json"] = signed
    if not documents:
        raise UsageError(
            "nothing would change: root and targets are like this already",
            untouched="no ceremony was started",
            hint="to re-sign them unchanged: --renew root, --renew targets",
        )
    require_own_folders(tree, [folder / path for path in documents], untouched="no ceremony was started")
    for path, signed in documents.items():
        metadata: Metadata[Any] = Metadata(signed)
        write_new(folder / path, metadata.to_bytes(JSONSerializer()) + b"\n")
    # last: a folder without a plan is one whose creation was interrupted
    write_new(folder / "plan.json", encode_pretty(plan))
    return load_ceremony(tree, name)


def _plan(config: RegistryConfig, wanted: Wanted, *, by: str, why: str, at: str) -> CeremonyPlan:
    roles: dict[str, RoleSection] = {}
    for role in dict.fromkeys((*wanted.keys, *wanted.thresholds, *wanted.expiry_days)):
        if role not in ROLES:
            raise UsageError(f"'{role}' is not a role; roles are {', '.join(ROLES)}")
        before = config.roles[role]
        roles[role] = msgspec.structs.replace(
            before,
            keys=wanted.keys.get(role, before.keys),
            threshold=wanted.thresholds.get(role, before.threshold),
            expiry_days=wanted.expiry_days.get(role, before.expiry_days),
        )
    namespaces: dict[str, NamespaceSection] = {}
    for namespace in dict.fromkeys((*wanted.claims, *wanted.claim_thresholds)):
        earlier = config.namespaces.get(namespace) or NamespaceSection(keys=(), realm=wanted.realm)
        namespaces[namespace] = msgspec.structs.replace(
            earlier,
            keys=wanted.claims.get(namespace, earlier.keys),
            threshold=wanted.claim_thresholds.get(namespace, earlier.threshold),
        )
    for namespace in wanted.release:
        if namespace not in config.namespaces:
            raise UsageError(
                f"namespace '{namespace}' is not claimed; claimed are {', '.join(config.namespaces) or '-'}"
            )
    if unknown := [role for role in wanted.renew if role not in OFFLINE]:
        raise UsageError(f"'{unknown[0]}' is signed online: sealdex-builder refresh signs it")
    return CeremonyPlan(
        by=by, at=at, why=why, roles=roles, namespaces=namespaces, released=wanted.release, renew=wanted.renew
    )


def _check_claims(tree: Path, after: RegistryConfig, plan: CeremonyPlan) -> None:
    """Refuse to claim a namespace in a realm whose readers may not know it: its targets metadata would name it."""
    if not plan.namespaces or len(after.realms) == 1:
        return
    names = PrivateNames(load_tree(tree))
    for namespace in plan.namespaces:
        realm = after.namespaces[namespace].realm
        if names.lines(f"{namespace}/*", realm):
            raise ConfigError(
                f"namespace {namespace} can't be claimed in realm {realm}: all of its plugins are in another one",
                subject=namespace,
                untouched="no ceremony was started",
                hint="claim it in the realm of its plugins: --realm NAME",
            )


def _planned_config(config: RegistryConfig, plan: CeremonyPlan) -> RegistryConfig:
    kept = {name: section for name, section in config.namespaces.items() if name not in plan.released}
    planned = msgspec.structs.replace(
        config, roles={**config.roles, **plan.roles}, namespaces={**kept, **plan.namespaces}
    )
    empty = [f"roles.{role}.keys: is empty, so nobody could sign" for role in roles_without_keys(planned)]
    if problems := [*map(str, config_problems(planned)), *empty]:
        raise ConfigError("; ".join(problems), untouched="no ceremony was started")
    return planned


def _new_metadata(
    config: RegistryConfig, realm: str, trust: Trust, plan: CeremonyPlan, now: datetime
) -> dict[str, Root | Targets]:
    """Return the offline metadata of a realm that has to be re-created."""
    found: dict[str, Root | Targets] = {}
    root = build_root(config, realm, version=trust.root.version + 1, now=now)
    if differs(trust.root, root) or "root" in (*plan.roles, *plan.renew):
        found["root"] = root
    targets = build_targets(config, realm, version=trust.targets_role.version + 1, now=now)
    # under a root with other keys for targets the current metadata may no longer verify
    resigned = "root" in found and not same_authority(trust.root.roles["targets"], root.roles["targets"])
    if differs(trust.targets_role, targets) or resigned or "targets" in (*plan.roles, *plan.renew):
        found["targets"] = targets
    return found


# --- sign, finish, abort ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SigningResult:
    """What `sign_ceremony` did: files written, keys that had signed before, keys that aren't available and why."""

    written: tuple[Path, ...]
    already: tuple[str, ...]
    missing: Mapping[str, str]


def sign_ceremony(
    tree: Path,
    name: str,
    keyring: Keyring,
    *,
    by: str,
    keys: Sequence[str] = (),
    now: datetime | None = None,
) -> SigningResult:
    """Sign every document of a ceremony with the keys that count for it and are available here.

    Show the documents' ``changes`` to the signer before calling this.

    Args:
        tree: the source tree.
        name: the ceremony.
        keyring: the keys.
        by: who signs, for the record.
        keys: only these, by name; by default every key that counts.
        now: the time for the record.

    Raises:
        NotFoundError: no such ceremony, or a named key counts for none of its documents.
        ConfigError: it is closed, or no key that counts is available; each is listed with the reason.
    """
    ceremony = _open(tree, name)
    known = {key: section.keyid for key, section in read_config(tree).keys.items()}
    counting = dict.fromkeys(keyid for document in ceremony.documents for keyid in document.keyids)
    for key in keys:
        if known.get(key) not in counting:
            raise NotFoundError(f"key '{key}' doesn't count for ceremony '{name}'", untouched=NOTHING_SIGNED)
    folders = {ceremony.folder / document.realm / "signatures" / "x" for document in ceremony.documents}
    require_own_folders(tree, folders, untouched=NOTHING_SIGNED)
    written: list[Path] = []
    already: list[str] = []
    missing: dict[str, str] = {}
    for keyid in counting:
        called = next((key for key, other in known.items() if other == keyid), keyid[:12])
        if keys and called not in keys:
            continue
        wanting = [d for d in ceremony.documents if keyid in d.keyids and keyid not in d.signatures]
        if not wanting:
            already.append(called)
            continue
        try:
            signer = keyring.signer_for(keyid)
        except SealdexError as error:
            missing[called] = error.message
            continue
        if signer is None:
            missing[called] = "it is not in registry.toml"
            continue
        for document in wanting:
            signature = signer.sign(document.payload)
            file = SignatureFile(
                keyid=keyid,
                sig=signature.signature,
                payload_sha256=hashlib.sha256(document.payload).hexdigest(),
                by=by,
                at=stamp(now or utc_now()),
                bundle=signature.unrecognized_fields.get("bundle"),
            )
            path = ceremony.folder / document.realm / "signatures" / f"{document.role}.{keyid}.json"
            replace_file(path, encode_pretty(file))
            written.append(path)
    if not written and not already:
        raise ConfigError(
            f"no key that counts for ceremony '{name}' can sign here: {'; '.join(missing.values())}",
            subject=name,
            untouched=NOTHING_SIGNED,
        )
    return SigningResult(tuple(written), tuple(already), missing)


def finish_ceremony(tree: Path, name: str, *, by: str, now: datetime | None = None) -> list[Path]:
    """Put the signed metadata into ``trust/`` and its contents into registry.toml.

    Returns:
        The files that were written, to be committed. If repeated after an interruption, it writes what is missing.

    Raises:
        ConfigError: a threshold isn't met; the missing signatures are listed. Nothing is written.
    """
    ceremony = _open(tree, name)
    if lacking := [line for document in ceremony.documents for line in missing_signatures(tree, document)]:
        raise ConfigError(
            f"ceremony '{name}' can't be finished yet: {'; '.join(lacking)}",
            subject=name,
            untouched="trust/ and registry.toml were not changed",
            hint=f"sealdex-builder ceremony sign {name}, on the machines that have those keys",
        )
    config = read_config(tree)
    planned = _planned_config(config, ceremony.plan)
    _check_plan(planned, ceremony)
    if not ceremony.plan.first:
        _check_all_realms(tree, planned, ceremony)
    written: list[Path] = []
    require_own_folders(
        tree,
        [ceremony.folder / "closed.json", *(trust_folder(tree, d.realm) / d.name for d in ceremony.documents)],
        untouched="trust/ and registry.toml were not changed",
    )
    files = [(trust_folder(tree, d.realm) / d.name, _assembled(d)) for d in ceremony.documents]
    # targets before root: a tree with only the new targets still verifies, or is refused, and finish continues
    for path, data in sorted(files, key=lambda item: item[0].name.endswith(".root.json")):
        replace_file(path, data)
        written.append(path)
    if planned != config:
        write_sections(tree, ceremony.plan.roles, ceremony.plan.namespaces, ceremony.plan.released)
        written.append(tree / "registry.toml")
    closed = Closed(outcome="finished", by=by, at=stamp(now or utc_now()))
    replace_file(ceremony.folder / "closed.json", encode_pretty(closed))
    for realm in {document.realm for document in ceremony.documents}:
        load_trust(tree, realm, realm_marker(config, realm))
    return [*written, ceremony.folder / "closed.json"]


def abort_ceremony(tree: Path, name: str, *, by: str, why: str = "", now: datetime | None = None) -> Path:
    """Close a ceremony without applying it; its files and signatures stay.

    Raises:
        NotFoundError, ConfigError: there is none, or it is closed already.
    """
    folder = tree / CEREMONIES_FOLDER / name
    if (folder / "plan.json").is_file() and not (folder / "closed.json").exists():
        path = folder / "closed.json"
        require_own_folders(tree, [path], untouched="the ceremony was not closed")
        replace_file(path, encode_pretty(Closed(outcome="aborted", by=by, at=stamp(now or utc_now()), why=why)))
        return path
    _open(tree, name)
    raise AssertionError  # _open refuses what is closed or doesn't exist


def _open(tree: Path, name: str) -> Ceremony:
    ceremony = load_ceremony(tree, name)
    if ceremony.closed is not None:
        raise ConfigError(
            f"ceremony '{name}' was {ceremony.closed.outcome} by {ceremony.closed.by} at {ceremony.closed.at}",
            subject=name,
            untouched=NOTHING_SIGNED,
            hint="sealdex-builder ceremony start NAME starts another",
        )
    return ceremony


def _check_plan(planned: RegistryConfig, ceremony: Ceremony) -> None:
    """Refuse a plan.json that would write something into registry.toml that isn't in the signed metadata.

    Version 1 is signed by its own keys alone, so it may change nothing: its keys are those that registry.toml of this
    tree names.
    """
    plan = ceremony.plan
    if plan.first and (plan.roles or plan.namespaces or plan.released or plan.renew):
        raise VerificationError(
            f"plan.json of ceremony '{ceremony.name}' makes a first root, and changes other things as well",
            subject=str(ceremony.folder),
            untouched="trust/ and registry.toml are as they were",
            hint="plan.json was edited after the start: restore it from git's history",
        )
    for realm in plan.first:
        if {document.role for document in ceremony.documents if document.realm == realm} != {*OFFLINE}:
            raise VerificationError(
                f"ceremony '{ceremony.name}' lacks version 1 of root or targets of realm {realm}",
                subject=str(ceremony.folder),
                untouched="trust/ and registry.toml are as they were",
                hint="restore it from git's history, or abort this ceremony and start it again",
            )
    for document in ceremony.documents:
        signed = document.signed
        build = build_root if isinstance(signed, Root) else build_targets
        expected = build(planned, document.realm, version=signed.version, now=signed.expires)
        if differs(signed, expected):
            raise VerificationError(
                f"plan.json of ceremony '{ceremony.name}' does not match {document.name}",
                subject=str(ceremony.folder),
                untouched="trust/ and registry.toml are as they were",
                hint="plan.json was edited after the start: restore it from git's history; or registry.toml was: abort "
                "this ceremony and start it again",
            )


def _check_all_realms(tree: Path, planned: RegistryConfig, ceremony: Ceremony) -> None:
    """Refuse a ceremony that lacks metadata of a realm: registry.toml would then say other keys than its root."""
    there = {(document.realm, document.role) for document in ceremony.documents}
    for realm in planned.realms:
        if not has_trust(tree, realm):
            continue
        trust = load_trust(tree, realm, realm_marker(planned, realm))
        needed = _new_metadata(planned, realm, trust, ceremony.plan, utc_now())
        if lacking := [f"{realm}/{role}" for role in needed if (realm, role) not in there]:
            raise VerificationError(
                f"ceremony '{ceremony.name}' has no metadata for {', '.join(lacking)}, which its plan changes too",
                subject=str(ceremony.folder),
                untouched="trust/ and registry.toml are as they were",
                hint="files were removed, or a realm was added since the start: restore them from git's history, or "
                "abort this ceremony and start it again",
            )


def _assembled(document: CeremonyDocument) -> bytes:
    signatures = {keyid: file.signature for keyid, file in sorted(document.signatures.items())}
    metadata: Metadata[Any] = Metadata(document.signed, signatures)
    return metadata.to_bytes(JSONSerializer(compact=True))


__all__ = [
    "SigningResult",
    "Wanted",
    "abort_ceremony",
    "finish_ceremony",
    "sign_ceremony",
    "start_ceremony",
]
