"""What the log says of verified metadata: each role with its version and expiry, where it is from and who signed it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp, VerificationResult
from tuf.api.serialization import DeserializationError

from sealdex.log import Log
from sealdex.trust._fetcher import CachedMetadata

_log = Log("sealdex.trust")
_TOP = (Root.type, Timestamp.type, Snapshot.type, Targets.type)


def log_roles(
    registry: str, trusted: Mapping[str, Signed], roles: Iterable[str], cache: CachedMetadata, fetched: Collection[str]
) -> None:
    """Log what was verified of roles: the top-level ones for ``-v``, the delegated ones for ``-vv``.

    Args:
        registry: its name in the configuration.
        trusted: the verified roles.
        roles: which of them.
        cache: where ngclient keeps their files, signatures included.
        fetched: names of the files that came from the registry in this run.
    """
    for role in roles:
        signed = trusted.get(role)
        if signed is None or (role not in _TOP and not _log.is_debug):
            continue
        result = _verification(trusted, role, cache)
        signers = result.signed if result is not None else {}
        name = "timestamp.json" if role == Timestamp.type else f"{signed.version}.{role}.json"
        (_log.info if role in _TOP else _log.debug)(
            "trust.role",
            "{registry}: {role} version {version}, from the {source}, expires {expires}, signed by {signers}"
            " (threshold {threshold} of {keys})",
            registry=registry,
            role=role,
            version=signed.version,
            source="registry" if name in fetched else "cache",
            signers=[_called(key_id, key) for key_id, key in signers.items()],
            key_ids=list(signers),
            threshold=result.threshold if result is not None else None,
            keys=len(result.signed) + len(result.unsigned) if result is not None else None,
            expires=f"{signed.expires:%Y-%m-%dT%H:%M:%SZ}",
        )


def _verification(trusted: Mapping[str, Signed], role: str, cache: CachedMetadata) -> VerificationResult | None:
    """Return whose signatures on the cached file of a role hold; what a file only claims isn't logged as signed."""
    data = cache.read(role)
    try:
        # of whatever type it is: only its bytes and signatures are looked at
        file = Metadata[Targets].from_bytes(data or b"")
        for delegator in (trusted.get(Root.type), *trusted.values()):
            if isinstance(delegator, Root if role in _TOP else Targets):
                try:
                    return delegator.get_verification_result(role, file.signed_bytes, file.signatures)
                except ValueError:  # it doesn't delegate to that role
                    continue
    except (DeserializationError, RepositoryError):
        return None  # ngclient doesn't keep it
    return None


def _called(key_id: str, key: Key) -> str:
    """Return how a key is shown: who it belongs to, where its metadata says so, and the beginning of its id."""
    owners = [key.keyval.get("identity"), *key.unrecognized_fields.values()]
    owner = next((each for each in owners if isinstance(each, str)), None)
    return f"{owner} ({key_id[:8]})" if owner else key_id[:8]
