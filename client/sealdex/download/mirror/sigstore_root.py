"""Sigstore's ``trusted_root.json`` across a gap: verified where it is taken from, trusted by nobody by itself.

In a mirror it is a file named by its digest, ``sigstore/<sha256>.trusted_root.json``, which ``mirror.json`` names. No
command reads it from there: a person names it in ``[attestations]`` of config.toml, after comparing its digest.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from sealdex.config.config import Config
from sealdex.errors import ConfigError, VerificationError
from sealdex.model.foreign_json import json_values
from sealdex.trust.sigstore_bundles import BundleVerifier, is_installed, public_trusted_root

PUBLIC = "public"
"""In the place of a file: the newest one of Sigstore's public deployment, by its own TUF repository."""

MAX_BYTES = 4 * 1024 * 1024

_KEY = re.compile(r"sigstore/(?P<digest>[0-9a-f]{64})\.trusted_root\.json")
_MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;"


def key_of(data: bytes) -> str:
    """Return where a mirror has a trust root."""
    return f"sigstore/{hashlib.sha256(data).hexdigest()}.trusted_root.json"


def digest_of(key: str) -> str | None:
    """Return the SHA-256 that a key names; None for what isn't such a key, as in a record that somebody wrote."""
    found = _KEY.fullmatch(key)
    return found["digest"] if found is not None else None


def taken_here(config: Config, named: str | None) -> bytes | None:
    """Return the trust root that a mirror is to carry, verified here; None for none.

    Args:
        config: names one in ``[attestations]`` perhaps, which is taken by default.
        named: a file, or `PUBLIC`.

    Raises:
        ConfigError: the file can't be read, or is not a valid trust root.
        VerificationError, UnavailableError: the public one can't be had, or the library is missing.
    """
    if named == PUBLIC:
        data = public_trusted_root()
        path: Path | None = None
    else:
        stated = config.document.attestations.trusted_root if config.document.attestations is not None else None
        if named is None and stated is None:
            return None
        path = Path(named) if named is not None else config.path.parent / (stated or "")
        data = _bytes_of(path)
    check(data, str(path or PUBLIC))
    return data


def check(data: bytes, subject: str) -> None:
    """Refuse what is not a valid trust root; with the library `sigstore`, by reading all of it.

    Raises:
        ConfigError: it isn't.
    """
    try:
        said = json_values(data)
    except ValueError:
        said = None
    kind = said.get("mediaType") if isinstance(said, dict) else None
    if not isinstance(kind, str) or not kind.startswith(_MEDIA_TYPE):
        raise ConfigError(
            f"{subject} is not a valid trusted_root.json of Sigstore",
            subject=subject,
            untouched="nothing was copied",
            hint="take it from the deployment's own tools, such as: sigstore plumbing update-trust-root",
        )
    if is_installed():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "trusted_root.json")
            path.write_bytes(data)
            BundleVerifier(path)


def brought_by(folder: Path) -> bytes | None:
    """Return the trust root of an unpacked archive; None if it brought none.

    Raises:
        VerificationError: it is another than its name says, or one of several.
    """
    found = sorted(folder.glob("sigstore/*.trusted_root.json"))
    if len(found) > 1:
        raise VerificationError(
            f"the archive brings {len(found)} trust roots of Sigstore, and mirrors have one",
            subject=", ".join(f"sigstore/{path.name}" for path in found),
            untouched="readers of the mirror see its earlier state",
            hint="have the archive made again: somebody may have written to the medium",
        )
    for path in found:
        data = _bytes_of(path)
        if key_of(data) != f"sigstore/{path.name}":
            raise VerificationError(
                f"sigstore/{path.name} has another SHA-256 than its name says",
                subject=str(path),
                untouched="readers of the mirror see its earlier state",
                hint="copy the archive again, or have it made again: somebody may have written to the medium",
            )
        return data
    return None


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror}", subject=str(path), untouched="nothing was copied"
        ) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES} bytes", subject=str(path), untouched="nothing was copied")
    return data


__all__ = ["MAX_BYTES", "PUBLIC", "brought_by", "check", "digest_of", "key_of", "taken_here"]
