"""Signs a claimed namespace on another machine than the publishing one: a file in ``trust/`` for the next publish.

The team reads and verifies what is published, compiles its own plugins from the source tree, and signs their index
documents. With a threshold above one each member adds a signature to the same file, which counts once there are
enough.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets
from tuf.api.serialization.json import CanonicalJSONSerializer, JSONSerializer

from registry_builder.baseline.diff import Sources, survey
from registry_builder.compile.index import Ingestion
from registry_builder.compile.removed_events import EventsRemovedError
from registry_builder.publication.claim_files import claim_files, read_claim
from registry_builder.publication.claims import ClaimWork, claim_work
from registry_builder.publication.context import Publisher
from registry_builder.signing.metadata import TargetPin, bin_names, build_target_role, claim_role, claims_of
from registry_builder.signing.offline_metadata import trust_folder
from registry_builder.signing.role_signing import reachable_signers
from registry_builder.source.atomic_write import replace_file
from sealdex.errors import ConfigError, NotFoundError
from sealdex.model.ids import PluginId

_UNTOUCHED = "nothing was signed"


@dataclass(frozen=True)
class ClaimSignature:
    """What `sign_claim` did.

    Attributes:
        path: the file, to be committed; None if there was nothing to sign.
        version: its version.
        plugins: the plugins whose documents it newly pins.
        signed, threshold: how many signatures of the role it has, and how many it needs.
    """

    path: Path | None
    version: int
    plugins: tuple[PluginId, ...]
    signed: int
    threshold: int


def sign_claim(publisher: Publisher, namespace: str, *, accept_removed: Collection[PluginId] = ()) -> ClaimSignature:
    """Sign the source tree's state of a claimed namespace with the namespace's keys that are available here.

    Args:
        publisher: of the realm; its tree is complete, or has all plugins of the namespace.
        namespace: the namespace.
        accept_removed: plugins that are signed although they lack published events.

    Raises:
        EventsRemovedError: plugins lack published events; nothing was signed.
        NotFoundError: no such namespace is claimed.
        ConfigError: none of its keys can sign here; each is listed with the reason.
        VerificationError: what is published isn't what the trust root vouches for.
    """
    targets = publisher.trust.targets_role
    role = claims_of(targets).get(namespace)
    if role is None:
        raise NotFoundError(
            f"namespace '{namespace}' is not claimed; claimed are {', '.join(claims_of(targets)) or 'none'}",
            subject=namespace,
            untouched=_UNTOUCHED,
            hint=f"sealdex-builder ceremony start claim-{namespace} --claim {namespace}=KEY",
        )
    now = publisher.clock()
    work, published = _work(publisher, namespace, now, accept_removed)
    delegated = targets.get_delegated_role(role)
    if work.reason is None:
        return ClaimSignature(None, published, (), 0, delegated.threshold)
    metadata = _unfinished(publisher, work, published) or Metadata[Targets](
        build_target_role(
            publisher.tree.config,
            publisher.realm,
            role,
            work.after,
            version=max([published, *(v for v, _ in claim_files(publisher.tree.root, publisher.realm, namespace))]) + 1,
            now=now,
        )
    )
    payload = CanonicalJSONSerializer().serialize(metadata.signed)
    signers, reasons = reachable_signers(delegated.keyids, publisher.keyring)
    if not signers:
        raise ConfigError(
            f"no key of namespace {namespace} can sign here: {'; '.join(reasons)}", subject=role, untouched=_UNTOUCHED
        )
    for signer in signers:
        metadata.signatures[signer.public_key.keyid] = signer.sign(payload)
    name = f"{metadata.signed.version}.{claim_role(namespace)}.json"
    path = trust_folder(publisher.tree.root, publisher.realm) / name
    replace_file(path, metadata.to_bytes(JSONSerializer(compact=True)))
    plugins = tuple(change.source.id for change in work.changes)
    return ClaimSignature(
        path, metadata.signed.version, plugins, _verified(targets, role, metadata), delegated.threshold
    )


def _work(
    publisher: Publisher, namespace: str, now: datetime, accept_removed: Collection[PluginId]
) -> tuple[ClaimWork, int]:
    tree = publisher.tree
    plugins = {
        plugin: source
        for plugin, source in tree.plugins.items()
        if plugin.namespace == namespace and source.plugin.realm == publisher.realm
    }
    ingestion = Ingestion(enabled=tree.config.registry.ingest)
    with publisher.reader(now) as reader:
        state = reader.open()
        if state is not None and namespace not in state.claims:
            reader.load_bins(bin_names(state.bits))
        found = survey(Sources(plugins, is_complete=False, ingestion=ingestion), state, reader)
    if lacking := [each for each in found.older if each.events and each.plugin not in accept_removed]:
        command = f"sealdex-builder namespace sign {namespace}"
        raise EventsRemovedError(lacking, untouched=_UNTOUCHED, command=command)
    work = next(
        each for each in claim_work(tree.config, publisher.trust, state, found, now) if each.namespace == namespace
    )
    claim = state.claims.get(namespace) if state is not None else None
    return work, claim.version if claim is not None else 0


def _unfinished(publisher: Publisher, work: ClaimWork, published: int) -> Metadata[Targets] | None:
    """Return the file that another member of the team began, if its contents are the same."""
    for version, path in reversed(claim_files(publisher.tree.root, publisher.realm, work.namespace)):
        metadata = read_claim(publisher.tree.root, path)
        if version <= published or metadata is None:
            break
        pins = {t: TargetPin(file.length, file.hashes["sha256"]) for t, file in metadata.signed.targets.items()}
        if pins == work.after:
            return metadata
    return None


def _verified(targets: Targets, role: str, metadata: Metadata[Targets]) -> int:
    try:
        return len(targets.get_verification_result(role, metadata.signed_bytes, metadata.signatures).signed)
    except (RepositoryError, ValueError):
        return 0


__all__ = ["ClaimSignature", "sign_claim"]
