"""Verifies Sigstore bundles: signed by an accepted identity, in the transparency log, for a given artifact.

The library `sigstore` (extra ``sigstore``) does this offline, with the trust root that it ships or with that of a
private deployment. This module only decides which identities are accepted and which artifact the bundle must be for.
"""

from __future__ import annotations

import base64
import importlib.util
import logging
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sealdex.config.attestation_policy import AcceptedIdentity
from sealdex.errors import ConfigError, UnavailableError, VerificationError
from sealdex.model.decode import decode_as

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.models import Bundle

IN_TOTO_PAYLOAD = "application/vnd.in-toto+json"
SIGSTORE_KIND = "sigstore-bundle"
"""The kind of attachment that a bundle is."""


def is_installed() -> bool:
    """Return whether the library is installed, without loading it."""
    if "sigstore.models" in sys.modules:
        return sys.modules["sigstore.models"] is not None
    return importlib.util.find_spec("sigstore") is not None


class BundleRefusedError(VerificationError):
    """A bundle isn't valid, or can't be verified here."""

    code = "attestation"


class SignedBy(msgspec.Struct, frozen=True):
    """The identity that signed a bundle, its issuer, and which of the given digests the bundle is for."""

    identity: str
    issuer: str
    digests: frozenset[str]


class BundleVerifier:
    """Verifies bundles against one trust root; loads the library when it is created.

    Args:
        trusted_root: file of a private deployment's trust root; None for Sigstore's public one.
        install: the requirement that installs the library, for the hint if it is missing.

    Raises:
        BundleRefusedError: the library isn't installed.
        ConfigError: the trust root can't be read.
    """

    def __init__(self, trusted_root: Path | None = None, *, install: str = "sealdex[sigstore]") -> None:
        try:
            from sigstore.models import TrustedRoot  # noqa: PLC0415  # an extra, and it takes half a second
            from sigstore.verify import Verifier  # noqa: PLC0415  # of the extra sigstore, and slow
        except ImportError as error:
            raise BundleRefusedError(
                f"a Sigstore bundle can't be verified without the library sigstore: {error}",
                untouched="the bundle was not accepted",
                hint=f"pip install '{install}'",
            ) from error
        logging.getLogger("sigstore").addHandler(
            logging.NullHandler()
        )  # it warns about being offline, which is intended
        if trusted_root is None:
            self._verifier = Verifier.production(offline=True)
            return
        try:
            self._verifier = Verifier(trusted_root=TrustedRoot.from_file(str(trusted_root)))
        except (
            Exception
        ) as error:  # of pydantic, json, cryptography: an unreadable file makes them raise all kinds of errors
            raise ConfigError(
                f"the Sigstore trust root can't be read: {error}",
                subject=str(trusted_root),
                untouched="nothing was done",
            ) from error

    def verify(self, data: bytes, digests: Collection[str], accepted: Sequence[AcceptedIdentity]) -> SignedBy:
        """Verify a bundle.

        Args:
            data: the bundle, JSON.
            digests: SHA-256 of the artifacts that it may be for.
            accepted: the accepted identities.

        Raises:
            BundleRefusedError: it doesn't verify, no accepted identity signed it, or it is for something else.
        """
        from sigstore.models import Bundle  # noqa: PLC0415  # of the extra sigstore, and slow

        who = _Accepted(accepted)
        try:
            bundle = Bundle.from_json(data)
            covered = self._covered(bundle, frozenset(digests), who)
        except VerificationError:
            raise
        except Exception as error:  # a hostile bundle makes sigstore, pydantic and cryptography raise all kinds
            raise BundleRefusedError(
                f"the Sigstore bundle doesn't verify: {error or type(error).__name__}",
                untouched="it was not accepted",
                hint="accepted identities are listed in [attestations]",
            ) from error
        if not covered:
            raise BundleRefusedError(
                "the Sigstore bundle is for other files, none of the release's artifacts",
                untouched="it was not accepted",
            )
        return SignedBy(who.identity, who.issuer, covered)

    def _covered(self, bundle: Bundle, digests: frozenset[str], who: _Accepted) -> frozenset[str]:
        """Verify the signature; return which of the digests it is for."""
        content: dict[str, Any] = msgspec.json.decode(bundle.to_json())
        if "dsseEnvelope" in content:
            kind, payload = self._verifier.verify_dsse(bundle, who)
            return _subjects(kind, payload) & digests
        from sigstore.hashes import Hashed  # noqa: PLC0415  # of the extra sigstore, and slow
        from sigstore_models.common.v1 import HashAlgorithm  # noqa: PLC0415  # of the extra sigstore, and slow

        stated = content["messageSignature"]["messageDigest"]["digest"]
        digest = base64.b64decode(stated)
        # the statement only selects the digest: the signature is verified over this very digest
        self._verifier.verify_artifact(Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest), bundle, who)
        return frozenset({digest.hex()}) & digests


def public_trusted_root() -> bytes:
    """Return the newest trust root of Sigstore's public deployment, verified by the library from its own root.

    Raises:
        BundleRefusedError: the library isn't installed, or doesn't say it.
        UnavailableError: Sigstore's repository can't be reached, or isn't what it should be.
    """
    hint = "name a file in its place, which `sigstore plumbing update-trust-root` or cosign made"
    try:
        from sigstore.errors import Error  # noqa: PLC0415  # of the extra sigstore, and slow
        from sigstore.models import ClientTrustConfig  # noqa: PLC0415  # of the extra sigstore, and slow
    except ImportError as error:
        raise BundleRefusedError(
            f"Sigstore's trust root can't be verified without the library sigstore: {error}",
            untouched="nothing was copied",
            hint="pip install 'sealdex[sigstore]'",
        ) from error
    try:
        text: str = ClientTrustConfig.production().trusted_root._inner.to_json()  # noqa: SLF001  # it has no public way to write one
    except Error as error:
        raise UnavailableError(
            f"Sigstore's trust root can't be had: {error}", untouched="nothing was copied", hint=hint
        ) from error
    except AttributeError as error:
        raise BundleRefusedError(
            f"this version of the library sigstore doesn't give its trust root: {error}",
            untouched="nothing was copied",
            hint=hint,
        ) from error
    return text.encode()


class _Accepted:
    """A policy for `sigstore`: the certificate's identity and issuer must be among the accepted ones."""

    def __init__(self, accepted: Sequence[AcceptedIdentity]) -> None:
        self._accepted = accepted
        self.identity = ""
        self.issuer = ""

    def verify(self, cert: Certificate) -> None:
        """Raise unless one of the certificate's names with its issuer is accepted."""
        from sigstore.errors import VerificationError as Refused  # noqa: PLC0415  # of the extra sigstore, and slow
        from sigstore.verify.policy import OIDCIssuer, OIDCIssuerV2  # noqa: PLC0415  # of the extra sigstore, and slow

        names = _names(cert)
        for each in self._accepted:
            name = next(filter(each.matches, names), None)
            if name is None:
                continue
            for vouched in (OIDCIssuerV2(each.issuer), OIDCIssuer(each.issuer)):
                try:
                    vouched.verify(cert)
                except Refused:
                    continue
                self.identity, self.issuer = name, each.issuer
                return
        raise Refused(f"it was signed by {', '.join(names) or 'an unnamed identity'}, which is not accepted here")


def _names(cert: Certificate) -> list[str]:
    from cryptography.x509 import (  # noqa: PLC0415  # slow, and only bundles have certificates
        ExtensionNotFound,
        RFC822Name,
        SubjectAlternativeName,
        UniformResourceIdentifier,
    )

    try:
        names = cert.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return []
    return [*names.get_values_for_type(UniformResourceIdentifier), *names.get_values_for_type(RFC822Name)]


def _subjects(kind: str, payload: bytes) -> frozenset[str]:
    if kind != IN_TOTO_PAYLOAD:
        return frozenset()
    statement = decode_as(payload, _Statement)
    return frozenset(subject.digest.get("sha256", "") for subject in statement.subject)


class _Subject(msgspec.Struct):
    digest: dict[str, str]


class _Statement(msgspec.Struct):
    subject: list[_Subject]


__all__ = [
    "IN_TOTO_PAYLOAD",
    "SIGSTORE_KIND",
    "BundleRefusedError",
    "BundleVerifier",
    "SignedBy",
    "is_installed",
    "public_trusted_root",
]
