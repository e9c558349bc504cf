"""Signs a request with AWS Signature Version 4A, which CloudFront's key value stores ask for. Pure.

botocore signs so only with `awscrt`, a large native package that it would then sign everything else with as well.

Source: "AWS Signature Version 4 for API requests" in the IAM user guide (the asymmetric variant, SigV4a). The key pair
is derived from the secret key by the counter-mode KDF of NIST SP 800-108 with HMAC-SHA256, and a signature is ECDSA on
P-256.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

ALGORITHM = "AWS4-ECDSA-P256-SHA256"

_EVERY_REGION = "*"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_TRIES = 254


class AwsKeys(NamedTuple):
    """Credentials of AWS; the token is of temporary ones."""

    id: str
    secret: str
    token: str | None = None


def signing_key(keys: AwsKeys) -> ec.EllipticCurvePrivateKey:
    """Return the key pair of an access key."""
    for counter in range(1, _TRIES + 1):
        fixed = b"\x00\x00\x00\x01" + ALGORITHM.encode() + b"\x00" + keys.id.encode() + bytes([counter])
        drawn = hmac.new(b"AWS4A" + keys.secret.encode(), fixed + b"\x00\x00\x01\x00", hashlib.sha256).digest()
        candidate = int.from_bytes(drawn, "big")
        if candidate <= _ORDER - 2:
            return ec.derive_private_key(candidate + 1, ec.SECP256R1())
    raise ValueError("no key pair can be derived from this access key")  # one in 2 ** 8000


def string_to_sign(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, service: str, moment: str
) -> tuple[str, str]:
    """Return what is signed of a request, and the names of the headers in it.

    Args:
        method: in capitals.
        url: its path is percent-encoded; it has a query only with names and values that are, in their order.
        headers: all that are signed, names in lower case, the host among them.
        body: its bytes.
        service: as AWS names it.
        moment: as ``x-amz-date`` has it.
    """
    parts = urlsplit(url)
    names = ";".join(sorted(headers))
    canonical = [
        method,
        quote(parts.path, safe="/-_.~"),  # once more, as for every service but S3
        "&".join(sorted(parts.query.split("&"))),
        *(f"{name}:{headers[name]}" for name in sorted(headers)),
        "",
        names,
        hashlib.sha256(body).hexdigest(),
    ]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    return f"{ALGORITHM}\n{moment}\n{_scope(service, moment)}\n{digest}", names


def signed_headers(
    method: str, url: str, headers: Mapping[str, str], body: bytes, *, service: str, keys: AwsKeys, now: datetime
) -> dict[str, str]:
    """Return the headers of a signed request.

    Args:
        method: in capitals.
        url: as `string_to_sign`.
        headers: more headers, which are signed too; names in lower case.
        body: its bytes.
        service: as AWS names it.
        keys: who asks.
        now: with its time zone.
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    said = {
        **headers,
        "host": urlsplit(url).netloc,
        "x-amz-date": moment,
        "x-amz-region-set": _EVERY_REGION,
        **({"x-amz-security-token": keys.token} if keys.token is not None else {}),
    }
    text, names = string_to_sign(method, url, said, body, service=service, moment=moment)
    signature = signing_key(keys).sign(text.encode(), ec.ECDSA(hashes.SHA256())).hex()
    said["authorization"] = (
        f"{ALGORITHM} Credential={keys.id}/{_scope(service, moment)}, SignedHeaders={names}, Signature={signature}"
    )
    return said


def _scope(service: str, moment: str) -> str:
    return f"{moment[:8]}/{service}/aws4_request"


__all__ = ["ALGORITHM", "AwsKeys", "signed_headers", "signing_key", "string_to_sign"]
