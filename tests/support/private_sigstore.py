"""A private Sigstore: certificate authority, certificate log and transparency log, all with keys made for the test.

What verifies its bundles is the real `sigstore` with the trust root that this makes; only who is trusted differs from
the public deployment, which signs nothing without a person or a workflow that logs in.

Formats: https://github.com/sigstore/protobuf-specs (bundle 0.3, trusted root), RFC 6962 3.2 (SCT), Rekor's dsse and
hashedrekord entries 0.0.1, https://github.com/transparency-dev/formats/blob/main/log/README.md (checkpoint).
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

GITHUB = "https://token.actions.githubusercontent.com"
_ISSUER_OID = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2_OID = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SOURCE_OIDS = (ObjectIdentifier("1.3.6.1.4.1.57264.1.12"), ObjectIdentifier("1.3.6.1.4.1.57264.1.13"))
_SCT_OID = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_SHA256 = ec.ECDSA(hashes.SHA256())


def workflow(repository: str, ref: str = "refs/tags/v1.0.0") -> str:
    """Return the identity of a GitHub workflow."""
    return f"https://github.com/{repository}/.github/workflows/release.yml@{ref}"


def statement(*digests: str) -> bytes:
    """Return an in-toto statement about files of these SHA-256."""
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": f"file-{n}", "digest": {"sha256": digest}} for n, digest in enumerate(digests)],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    }
    return json.dumps(document).encode()


class PrivateSigstore:
    """Signs whatever it is asked to, as any identity: its logins are of no interest here."""

    def __init__(self) -> None:
        self._ca, self._ct, self._rekor = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self._start = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
        self._now = self._start + timedelta(days=1)
        self._authority = self._certificate_authority()

    def trusted_root(self, path: Path) -> Path:
        """Write the trust root to a file."""
        valid = {"start": self._start.strftime("%Y-%m-%dT%H:%M:%SZ")}
        authority = {
            "subject": {"organization": "example", "commonName": "private sigstore"},
            "uri": "https://fulcio.example",
            "certChain": {"certificates": [{"rawBytes": _b64(_der(self._authority))}]},
            "validFor": valid,
        }
        document = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._log("https://rekor.example", self._rekor, valid)],
            "certificateAuthorities": [authority],
            "ctlogs": [self._log("https://ct.example", self._ct, valid)],
            "timestampAuthorities": [],
        }
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    def attest(
        self, identity: str, payload: bytes, *, issuer: str = GITHUB, source: tuple[str, str] | None = None
    ) -> bytes:
        """Return a bundle of a statement in a DSSE envelope; ``source`` is a repository's address and a commit."""
        kind = "application/vnd.in-toto+json"
        key, certificate = self._login(identity, issuer, source)
        pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        signature = _b64(key.sign(pae, _SHA256))
        body = {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                "signatures": [{"signature": signature, "verifier": _b64(_pem(certificate))}],
            },
        }
        envelope = {"payload": _b64(payload), "payloadType": kind, "signatures": [{"sig": signature}]}
        return self._bundle(certificate, body, {"dsseEnvelope": envelope})

    def sign(self, identity: str, data: bytes, *, issuer: str = GITHUB) -> bytes:
        """Return a bundle of a signature over a file."""
        key, certificate = self._login(identity, issuer)
        signature, digest = _b64(key.sign(data, _SHA256)), hashlib.sha256(data)
        body = {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": digest.hexdigest()}},
                "signature": {"content": signature, "publicKey": {"content": _b64(_pem(certificate))}},
            },
        }
        message = {
            "messageDigest": {"algorithm": "SHA2_256", "digest": _b64(digest.digest())},
            "signature": signature,
        }
        return self._bundle(certificate, body, {"messageSignature": message})

    # --- certificates -------------------------------------------------------------------------------------------------

    def _certificate_authority(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "private sigstore")])
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        return (
            self._builder(name, self._ca.public_key(), timedelta(days=3650))
            .subject_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._ca, hashes.SHA256())
        )

    def _login(
        self, identity: str, issuer: str, source: tuple[str, str] | None = None
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Return a key that holds ten minutes and its certificate, with the log's word for it inside (RFC 6962)."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        who: x509.GeneralName = (
            x509.UniformResourceIdentifier(identity) if "://" in identity else x509.RFC822Name(identity)
        )
        said = issuer.encode()
        builder = (
            self._builder(self._authority.subject, key.public_key(), timedelta(minutes=10), start=self._now)
            .subject_name(x509.Name([]))
            .add_extension(x509.SubjectAlternativeName([who]), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_OID, said), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_V2_OID, bytes([0x0C, len(said)]) + said), critical=False)
        )
        for oid, text in zip(_SOURCE_OIDS, source or (), strict=False):
            said = text.encode()
            builder = builder.add_extension(
                x509.UnrecognizedExtension(oid, bytes([0x0C, len(said)]) + said), critical=False
            )
        placeholder = self._with_sct(builder, b"\0" * 70)
        moment = int(self._now.timestamp() * 1000)
        issuer_hash = hashlib.sha256(_spki(self._ca)).digest()
        entry = placeholder.tbs_precertificate_bytes
        signed = struct.pack("!BBQH", 0, 0, moment, 1) + issuer_hash + struct.pack("!I", len(entry))[1:] + entry
        return key, self._with_sct(builder, self._ct.sign(signed + struct.pack("!H", 0), _SHA256))

    def _builder(
        self, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta, *, start: datetime | None = None
    ) -> x509.CertificateBuilder:
        begin = start or self._start
        own = self._ca.public_key()
        return (
            x509.CertificateBuilder(
                issuer_name=issuer, serial_number=x509.random_serial_number(), public_key=key,
                not_valid_before=begin, not_valid_after=begin + life,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )  # fmt: skip

    def _with_sct(self, builder: x509.CertificateBuilder, signature: bytes) -> x509.Certificate:
        moment = int(self._now.timestamp() * 1000)
        log = hashlib.sha256(_spki(self._ct)).digest()
        sct = b"\0" + log + struct.pack("!QHBBH", moment, 0, 4, 3, len(signature)) + signature
        listed = struct.pack("!HH", len(sct) + 2, len(sct)) + sct
        octets = bytes([0x04, 0x81, len(listed)]) + listed if len(listed) > 127 else bytes([0x04, len(listed)]) + listed
        extension = x509.UnrecognizedExtension(_SCT_OID, octets)
        return builder.add_extension(extension, critical=False).sign(self._ca, hashes.SHA256())

    # --- the transparency log -----------------------------------------------------------------------------------------

    def _bundle(self, certificate: x509.Certificate, body: dict[str, Any], content: dict[str, Any]) -> bytes:
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        moment, log = int(self._now.timestamp()) + 1, hashlib.sha256(_spki(self._rekor)).digest()
        promise = {"body": _b64(canonical), "integratedTime": moment, "logID": log.hex(), "logIndex": 0}
        promised = json.dumps(promise, sort_keys=True, separators=(",", ":")).encode()
        root = hashlib.sha256(b"\0" + canonical).digest()  # a log of one entry: its leaf is its root
        note = f"rekor.example - 1\n1\n{_b64(root)}\n"
        signature = _b64(log[:4] + self._rekor.sign(note.encode(), _SHA256))
        entry = {
            "logIndex": "0",
            "logId": {"keyId": _b64(log)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(moment),
            "inclusionPromise": {"signedEntryTimestamp": _b64(self._rekor.sign(promised, _SHA256))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _b64(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 rekor.example {signature}\n"},
            },
            "canonicalizedBody": _b64(canonical),
        }
        document = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"certificate": {"rawBytes": _b64(_der(certificate))}, "tlogEntries": [entry]},
            **content,
        }
        return json.dumps(document).encode()

    def _log(self, url: str, key: ec.EllipticCurvePrivateKey, valid: dict[str, str]) -> dict[str, Any]:
        public = {"rawBytes": _b64(_spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid}
        log_id = {"keyId": _b64(hashlib.sha256(_spki(key)).digest())}
        return {"baseUrl": url, "hashAlgorithm": "SHA2_256", "publicKey": public, "logId": log_id}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
