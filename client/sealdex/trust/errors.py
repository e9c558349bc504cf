"""What failed in the chain of trust, in words: the one place where errors of ``tuf`` become errors of Sealdex."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Signed
from tuf.api.serialization import DeserializationError

from sealdex.errors import MAKE_ROOM, SealdexError, UnavailableError, VerificationError, is_disk_full
from sealdex.trust.sigstore_key import advice as sigstore_advice

NOTHING_CHANGED = "nothing was installed or changed; the metadata trusted so far stays in use"
_TELL_OWNERS = "run the command again later; if it fails the same way, tell the registry's owners and install nothing"


def as_sealdex_error(
    error: Exception,
    *,
    registry: str,
    trusted: Mapping[str, Signed] | None,
    last: tuple[str, bytes] | None,
) -> SealdexError:
    """Return what an error of ngclient means for the user.

    Args:
        error: a ``RepositoryError``, ``DownloadError`` or ``OSError`` that left ngclient.
        registry: the registry's name in the configuration.
        trusted: ngclient's trusted set at that moment: role name to signed content.
        last: name and bytes of the metadata file that ngclient read last.
    """
    what = f"registry '{registry}'"
    if isinstance(error, exceptions.DownloadError):
        return _from_download(error, what)
    if isinstance(error, OSError):
        return unusable_folder(error, what)
    if isinstance(error, exceptions.ExpiredMetadataError):
        return _expired(what, trusted or {}, last, error)
    if isinstance(error, DeserializationError):
        shown = last[0] if last else "the root"
        return VerificationError(
            f"{what} answered {shown} with something that is no TUF metadata",
            subject=shown,
            untouched=NOTHING_CHANGED,
            hint="a portal or proxy may answer in its place; for metadata that doesn't exist, 404 is the answer",
        )
    reasons = {
        exceptions.UnsignedMetadataError: "is not signed by enough of the keys that may sign it",
        exceptions.BadVersionNumberError: "is of another version than it must be: rolled back, or mixed up",
        exceptions.LengthOrHashMismatchError: "is not the file that was signed",
    }
    reason = next((text for kind, text in reasons.items() if isinstance(error, kind)), "fails verification")
    shown = last[0] if last else "its metadata"
    return VerificationError(
        f"{what}: {shown} {reason} ({error})",
        subject=shown,
        untouched=NOTHING_CHANGED,
        hint=sigstore_advice() or _TELL_OWNERS,
    )


def unusable_folder(error: OSError, what: str, folder: str | None = None) -> SealdexError:
    """Return the error for a trust folder that can't be read or written.

    Args:
        error: what the system says.
        what: whose folder, as part of a sentence.
        folder: where it is, for errors that name no file.
    """
    full = is_disk_full(error)
    return SealdexError(
        f"the disk of the trust folder of {what} is full"
        if full
        else f"the trust folder of {what} can't be used: {error.strerror or error}",
        subject=error.filename or folder,
        untouched=NOTHING_CHANGED,
        hint=MAKE_ROOM if full else "check its permissions; it may be removed, it is fetched again",
    )


def mixed_up(registry: str, path: str, problem: str) -> VerificationError:
    """Return the error for a target that isn't what it must be, although the metadata verifies.

    Args:
        registry: the registry's name in the configuration.
        path: TUF target path.
        problem: what is wrong, as the rest of a sentence that starts with the path.
    """
    return VerificationError(
        f"registry '{registry}': {path} {problem}",
        subject=path,
        untouched=NOTHING_CHANGED,
        hint="tell the registry's owners; until they answer, install nothing from it",
    )


def _from_download(error: exceptions.DownloadError, what: str) -> SealdexError:
    cause = error.__cause__
    if isinstance(cause, UnavailableError):
        return UnavailableError(
            f"{what} can't be reached: {cause.message}",
            subject=cause.subject,
            untouched=NOTHING_CHANGED,
            hint=cause.hint,
        )
    if isinstance(cause, SealdexError) and not isinstance(cause, VerificationError):
        return cause
    return VerificationError(f"{what}: {error}", untouched=NOTHING_CHANGED, hint=_TELL_OWNERS)


def _expired(
    what: str,
    trusted: Mapping[str, Signed],
    last: tuple[str, bytes] | None,
    error: exceptions.ExpiredMetadataError,
) -> VerificationError:
    now = datetime.now(timezone.utc)
    # ngclient keeps an expired root, timestamp or snapshot as "intermediate"; any other role was just read.
    kept = ((role, trusted[role]) for role in ("root", "timestamp", "snapshot") if role in trusted)
    found = next(((role, signed) for role, signed in kept if signed.is_expired(now)), None)
    if found is None and last is not None:
        try:
            role = last[0].removesuffix(".json").lstrip("0123456789").lstrip(".")
            found = role, Metadata.from_bytes(last[1]).signed
        except DeserializationError:
            found = None
    if found is None:
        return VerificationError(f"{what}: {error}", untouched=NOTHING_CHANGED, hint=_TELL_OWNERS)
    role, signed = found
    return VerificationError(
        f"{what}: the {role} metadata expired on {signed.expires:%Y-%m-%d at %H:%M} UTC, so it may hide newer releases",
        subject=role,
        untouched=NOTHING_CHANGED,
        hint="check this host's clock; else the registry's owners must run: sealdex-builder refresh",
    )
