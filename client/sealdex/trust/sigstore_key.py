"""Sigstore identities as TUF keys: metadata signed by whoever can log in as that identity, verified offline.

`securesystemslib` has this kind of key too, but contacts Sigstore's servers at each verification. This one is verified
by `sealdex.trust.sigstore_bundles`, with the trust root that the library ships. Without the extra ``sigstore`` such a
signature doesn't count; other keys of the role still do.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import KEY_FOR_TYPE_AND_SCHEME, SigstoreKey

from sealdex.config.attestation_policy import AcceptedIdentity
from sealdex.errors import SealdexError

if TYPE_CHECKING:
    from securesystemslib.signer import Signature

KEY_TYPE = SigstoreKey.DEFAULT_KEY_TYPE
SCHEME = SigstoreKey.DEFAULT_SCHEME
_ADVICE = "pip install 'sealdex[sigstore]', since a key of it is a Sigstore identity"


class SigstoreIdentityKey(SigstoreKey):
    """A TUF key that is an identity and its issuer."""

    was_left_out = False  # True if a signature in this process didn't count because the extra isn't installed

    def verify_signature(self, signature: Signature, data: bytes) -> None:
        """Verify a signature's bundle over metadata.

        Raises:
            UnverifiedSignatureError: it isn't this identity's over this metadata, or the extra isn't installed.
        """
        from sealdex.trust.sigstore_bundles import BundleVerifier, is_installed  # noqa: PLC0415  # for who has such keys

        if not is_installed():
            SigstoreIdentityKey.was_left_out = True
        accepted = AcceptedIdentity(identity=self.keyval["identity"], issuer=self.keyval["issuer"])
        bundle = signature.unrecognized_fields.get("bundle")
        # a statement about metadata is not a signature over it; and a key is one identity, never a pattern
        if not isinstance(bundle, dict) or "dsseEnvelope" in bundle or "*" in accepted.identity:
            raise UnverifiedSignatureError(f"Failed to verify signature by {self.keyid}")
        try:
            digest = hashlib.sha256(data).hexdigest()
            BundleVerifier().verify(json.dumps(bundle).encode(), [digest], [accepted])
        except SealdexError as error:
            raise UnverifiedSignatureError(f"Failed to verify signature by {self.keyid}: {error.message}") from error


def register() -> None:
    """Register this kind of key: without it, no metadata that names such a key could be read."""
    KEY_FOR_TYPE_AND_SCHEME[(KEY_TYPE, SCHEME)] = SigstoreIdentityKey


def advice() -> str | None:
    """Return a hint if signatures didn't count because of the missing extra, else None."""
    return _ADVICE if SigstoreIdentityKey.was_left_out else None


register()

__all__ = ["KEY_TYPE", "SCHEME", "SigstoreIdentityKey", "advice"]
