"""Signs a role with the keys that its delegator trusts, and checks the signatures before they are used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from securesystemslib.signer import Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, T, Targets
from tuf.api.serialization.json import CanonicalJSONSerializer, JSONSerializer

from registry_builder.signing.signers import Keyring
from sealdex.errors import ConfigError, SealdexError
from sealdex.log import Log

_log = Log("registry_builder.signing")

Delegator = Root | Targets


@dataclass(frozen=True)
class Authority:
    """The keys on this machine that may sign a role, and the metadata that delegates to them."""

    delegator: Delegator
    signers: tuple[Signer, ...]


def reachable_signers(keyids: Iterable[str], keyring: Keyring) -> tuple[list[Signer], list[str]]:
    """Return the signers of the keys that are available here, and for each other key the reason why it isn't."""
    signers: list[Signer] = []
    reasons: list[str] = []
    for keyid in keyids:
        try:
            signer = keyring.signer_for(keyid)
        except SealdexError as error:
            reasons.append(error.message)
            continue
        if signer is None:
            reasons.append(f"key {keyid[:12]} is not in registry.toml")
        else:
            signers.append(signer)
    return signers, reasons


def authority_of(delegator: Delegator, role: str, keyring: Keyring) -> Authority:
    """Load every key that ``delegator`` trusts for ``role`` and that is available here.

    All of them, not just the threshold: while a key is being replaced, old and new both sign, and a
    client that trusts either can verify the result.

    Raises:
        ConfigError: fewer than the threshold are available; each missing key is listed with the reason.
    """
    wanted = delegator.get_delegated_role(role)
    signers, reasons = reachable_signers(wanted.keyids, keyring)
    if len(signers) < wanted.threshold:
        raise ConfigError(
            f"{role} needs {wanted.threshold} signature(s), but {len(signers)} can be made here: {'; '.join(reasons)}",
            subject=role,
            untouched="nothing was signed",
            hint="sealdex-builder status shows which keys are where",
        )
    _log.info(
        "signing.role",
        "{role} is signed by {keys} (threshold {threshold} of {count}){unreachable}",
        role=role,
        keys=[_shown(signer, keyring) for signer in signers],
        key_ids=[signer.public_key.keyid for signer in signers],
        threshold=wanted.threshold,
        count=len(wanted.keyids),
        unreachable=f"; not by others: {'; '.join(reasons)}" if reasons else "",
    )
    return Authority(delegator, tuple(signers))


def _shown(signer: Signer, keyring: Keyring) -> str:
    key_id = signer.public_key.keyid
    return f"{keyring.name_of(key_id) or 'a key'} ({key_id[:8]})"


def with_older_keys(authority: Authority, older: Iterable[Delegator], role: str, keyring: Keyring) -> Authority:
    """Return ``authority`` plus the keys that older roots trust for ``role``, if they are available here.

    While a new root spreads, some clients have it and some have the previous one (a CDN may cache its "not found" for
    seconds): if both sets of keys sign, both kinds of clients can verify. A missing key is skipped, and
    nothing depends on it.
    """
    known = {signer.public_key.keyid for signer in authority.signers}
    keyids = [keyid for delegator in older for keyid in delegator.get_delegated_role(role).keyids]
    signers, _ = reachable_signers([keyid for keyid in dict.fromkeys(keyids) if keyid not in known], keyring)
    return Authority(authority.delegator, (*authority.signers, *signers))


def sign_role(signed: T, role: str, authority: Authority) -> bytes:
    """Sign metadata with all keys of ``authority`` and return the file.

    The canonical form is computed once for all signatures: for a role with many targets it takes longer than they do.

    Raises:
        ConfigError: a signer failed, or the delegator doesn't accept their signatures.
    """
    payload = CanonicalJSONSerializer().serialize(signed)
    signatures = {}
    for signer in authority.signers:
        try:
            signature = signer.sign(payload)
        except Exception as error:  # each signer raises its own library's errors, and documents none of them
            raise ConfigError(f"a key of {role} failed to sign: {error}", subject=role) from error
        signatures[signature.keyid] = signature
    try:
        authority.delegator.verify_delegate(role, payload, signatures)
    except UnsignedMetadataError as error:
        raise ConfigError(
            f"{role} would not be trusted: {error}",
            subject=role,
            untouched="nothing was published",
            hint="the key in registry.toml is not the one that is trusted for this role: see sealdex-builder status",
        ) from error
    return Metadata(signed, signatures).to_bytes(JSONSerializer(compact=True))
