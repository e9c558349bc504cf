"""The pinned root of a registry: its fingerprint, its validation, and finding it by fingerprint."""

from __future__ import annotations

import hashlib

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.api.serialization import DeserializationError

from sealdex.errors import UsageError, VerificationError
from sealdex.transport import HttpStatusError, Transport, public_url

MAX_ROOT_BYTES = 512_000
MAX_PUBLISHED_ROOTS = 256
"""The number of rotations that ngclient follows from one pinned root."""


def fingerprint(root: bytes) -> str:
    """Return the SHA-256 of root metadata as shown to people: 64 lower-case hexadecimal digits."""
    return hashlib.sha256(root).hexdigest()


def check_root(root: bytes) -> int:
    """Return the version of root metadata that a registry is about to be pinned to.

    Raises:
        VerificationError: the bytes are not a TUF root, or not signed by a threshold of its own keys.
    """
    try:
        metadata = Metadata[Root].from_bytes(root)
        if not isinstance(metadata.signed, Root):
            raise DeserializationError("it is metadata of another role")
        metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise VerificationError(
            f"this is not root metadata signed by its own keys: {error}",
            untouched="no registry was added or changed",
            hint="get root.json from the registry's owners again, over a channel that you trust",
        ) from error
    return metadata.signed.version


def fetch_root_by_fingerprint(url: str, fingerprint_wanted: str, transport: Transport) -> bytes:
    """Return the published root with the SHA-256 that the user was told: ``1.root.json``, ``2.root.json``, ...

    Args:
        url: the published tree's address.
        fingerprint_wanted: 64 hexadecimal digits; a prefix ``sha256:`` and colons or blanks between them are accepted.
        transport: fetches the bytes.

    Raises:
        UsageError: the fingerprint isn't valid.
        VerificationError: no published root has it, or the file that has it is not a valid root.
        UnavailableError: the registry didn't answer.
    """
    wanted = fingerprint_wanted.strip().lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if len(wanted) != 64 or not set(wanted) <= set("0123456789abcdef"):
        raise UsageError(
            f"'{fingerprint_wanted}' is not a valid SHA-256 fingerprint",
            hint="it has 64 hexadecimal digits; the registry's owners print it with: sealdex-builder status",
        )
    base = url if url.endswith("/") else f"{url}/"
    for version in range(1, MAX_PUBLISHED_ROOTS + 1):
        try:
            root = transport.read(f"{base}metadata/{version}.root.json", max_bytes=MAX_ROOT_BYTES).data
        except HttpStatusError as error:
            if error.status not in {403, 404} or version == 1:
                raise
            break
        if fingerprint(root) == wanted:
            check_root(root)
            return root
    raise VerificationError(
        f"no root published at {public_url(base)} has the fingerprint {wanted}",
        subject=public_url(base),
        untouched="no registry was added",
        hint="check the fingerprint with the registry's owners; a different root may be somebody else's",
    )
