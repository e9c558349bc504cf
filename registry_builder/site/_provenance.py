"""Where a release was built, as its Sigstore bundles say: source repository, commit, and who signed. Pure.

The claims are those of the signer's certificate (Fulcio's extensions). They are only claims until the bundle is
verified, which the caller does by the registry's own policy.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import msgspec

from sealdex.model.decode import decode_as
from sealdex.text import clean

MAX_BUNDLE_BYTES = 1024 * 1024
_FULCIO = "1.3.6.1.4.1.57264.1."
_REPOSITORY, _COMMIT = f"{_FULCIO}12", f"{_FULCIO}13"
_OLD_REPOSITORY, _OLD_COMMIT = f"{_FULCIO}5", f"{_FULCIO}3"  # raw text, of GitHub alone
_MAX_TEXT = 300


@dataclass(frozen=True)
class Provenance:
    """What a bundle says.

    Attributes:
        identity: who signed: an address of a workflow, or of mail.
        repository, commit: the source that it was built from, as far as the certificate says.
        verified: whether the registry accepts this identity and the bundle verified when the page was made.
    """

    identity: str
    repository: str = ""
    commit: str = ""
    verified: bool = False

    @property
    def commit_page(self) -> str | None:
        """The commit's page, where the host is known to have them."""
        hosts = ("https://github.com/", "https://gitlab.com/", "https://codeberg.org/")
        if not self.repository.startswith(hosts) or not self.commit.isalnum():
            return None
        return f"{self.repository}/commit/{self.commit}"


def provenance_of(bundle: bytes) -> Provenance | None:
    """Return what a Sigstore bundle says of its signer; None if it says nothing that can be read."""
    from cryptography import x509  # noqa: PLC0415  # few plugins have bundles

    try:
        material = decode_as(bundle, dict)["verificationMaterial"]
        found = material.get("certificate") or material["x509CertificateChain"]["certificates"][0]
        certificate = x509.load_der_x509_certificate(base64.b64decode(found["rawBytes"]))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        values = [str(getattr(name, "value", "")) for name in names]
        extensions = {each.oid.dotted_string: each.value for each in certificate.extensions}
    except (
        msgspec.DecodeError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        ValueError,
        binascii.Error,
        x509.ExtensionNotFound,
    ):
        return None
    return Provenance(
        identity=_shown(values[0] if values else ""),
        repository=_web(_text(extensions.get(_REPOSITORY)), _raw(extensions.get(_OLD_REPOSITORY))),
        commit=_shown(_text(extensions.get(_COMMIT)) or _raw(extensions.get(_OLD_COMMIT))),
    )


def _web(repository: str, on_github: str) -> str:
    address = repository or (f"https://github.com/{on_github}" if on_github else "")
    return _shown(address) if address.startswith("https://") and not any(map(str.isspace, address)) else ""


def _raw(extension: Any) -> str:
    return bytes(getattr(extension, "value", b"")).decode("utf-8", "replace")


def _text(extension: Any) -> str:
    """Return the text of a DER UTF8String of less than 64 KiB."""
    data = bytes(getattr(extension, "value", b""))
    if len(data) < 2 or data[0] != 0x0C:
        return ""
    start = 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)
    length = data[1] if data[1] < 0x80 else int.from_bytes(data[2:start], "big")
    return data[start : start + length].decode("utf-8", "replace") if start + length == len(data) else ""


def _shown(text: str) -> str:
    return clean(text)[:_MAX_TEXT]


__all__ = ["MAX_BUNDLE_BYTES", "Provenance", "provenance_of"]
