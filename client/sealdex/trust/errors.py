"""Errors of the chain of trust: the only place where errors of ``tuf`` are converted to errors of Sealdex."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Signed
from tuf.api.serialization import DeserializationError

from sealdex.errors import MAKE_ROOM, SealdexError, UnavailableError, VerificationError, is_disk_full
from sealdex.transport import CredentialsRefusedError
from sealdex.trust._updater import SignedBeforeError, TooOldError
from sealdex.trust.signed_time import Judgement, age_text
from sealdex.trust.sigstore_key import advice as sigstore_advice

NOTHING_CHANGED = "nothing was installed or changed; the previously trusted metadata is still used"
_TELL_OWNERS = "run the command again later; if it fails again, install nothing and tell the registry's operator"


def as_sealdex_error(
    error: Exception,
    *,
    registry: str,
    trusted: Mapping[str, Signed] | None,
    last: tuple[str, bytes] | None,
    judgement: Judgement | None = None,
) -> SealdexError:
    """Return the error to raise for an error of ngclient.

    Args:
        error: a ``RepositoryError``, ``DownloadError`` or ``OSError`` that left ngclient.
        registry: the registry's name in the configuration.
        trusted: ngclient's trusted set at that time: role name to signed content.
        last: name and bytes of the metadata file that ngclient read last.
        judgement: as of when the timestamp was judged.
    """
    what = f"registry '{registry}'"
    if isinstance(error, exceptions.DownloadError):
        return _from_download(error, what)
    if isinstance(error, OSError):
        return unusable_folder(error, what)
    if isinstance(error, exceptions.ExpiredMetadataError):
        return _expired(what, trusted or {}, last, error, judgement)
    if isinstance(error, TooOldError) and judgement is not None and judgement.limit is not None:
        return _too_old(what, registry, judgement, judgement.limit)
    if isinstance(error, SignedBeforeError):
        return VerificationError(
            f"{what}: timestamp.json is rolled back, or a wrong clock signed one of the two: {error}",
            subject="timestamp.json",
            untouched=NOTHING_CHANGED,
            hint="ask the registry's owners; if they say that a wrong clock signed the earlier one: "
            f"sealdex registry reset-clock {registry}",
        )
    if isinstance(error, DeserializationError):
        shown = last[0] if last else "the root"
        return VerificationError(
            f"{what} answered {shown} with something that is not TUF metadata",
            subject=shown,
            untouched=NOTHING_CHANGED,
            hint="a login portal or proxy may have answered instead; a registry answers 404 for missing metadata",
        )
    reasons = {
        exceptions.UnsignedMetadataError: "is not signed by enough of the keys authorized to sign it",
        exceptions.BadVersionNumberError: "has an unexpected version: rolled back, or mixed up",
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
        what: the owner of the folder, as part of a sentence.
        folder: its path, for errors without a file name.
    """
    full = is_disk_full(error)
    return SealdexError(
        f"the disk of the trust folder of {what} is full"
        if full
        else f"the trust folder of {what} can't be used: {error.strerror or error}",
        subject=error.filename or folder,
        untouched=NOTHING_CHANGED,
        hint=MAKE_ROOM if full else "check its permissions; it can be deleted safely and is then fetched again",
    )


def mixed_up(registry: str, path: str, problem: str) -> VerificationError:
    """Return the error for an invalid target although the metadata verifies.

    Args:
        registry: the registry's name in the configuration.
        path: TUF target path.
        problem: what is wrong, as the rest of a sentence that starts with the path.
    """
    return VerificationError(
        f"registry '{registry}': {path} {problem}",
        subject=path,
        untouched=NOTHING_CHANGED,
        hint="report this to the registry's operator; install nothing from it until it is resolved",
    )


def _from_download(error: exceptions.DownloadError, what: str) -> SealdexError:
    cause = error.__cause__
    if isinstance(cause, CredentialsRefusedError):
        return cause.restated(untouched=NOTHING_CHANGED)  # it names the registry, or the address
    if isinstance(cause, UnavailableError):
        return UnavailableError(
            f"{what} can't be read: {cause.message}"
            if (cause.subject or "").startswith("file:")
            else f"{what} can't be reached: {cause.message}",
            subject=cause.subject,
            untouched=NOTHING_CHANGED,
            hint=cause.hint,
            details=cause.details,
        )
    if isinstance(cause, SealdexError) and not isinstance(cause, VerificationError):
        return cause
    return VerificationError(f"{what}: {error}", untouched=NOTHING_CHANGED, hint=_TELL_OWNERS)


def _expired(
    what: str,
    trusted: Mapping[str, Signed],
    last: tuple[str, bytes] | None,
    error: exceptions.ExpiredMetadataError,
    judgement: Judgement | None,
) -> VerificationError:
    now = judgement.as_of if judgement is not None else datetime.now(timezone.utc)
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
        hint=_expired_hint(role),
    )


def _expired_hint(role: str) -> str:
    renew = "sign a new root: sealdex-builder ceremony --help" if role == "root" else "run: sealdex-builder refresh"
    return (
        f"check this host's clock; if it is right, the registry's operator must {renew}; "
        "a mirror across a gap can be used for longer: max_staleness in config.toml (docs/air-gap.md)"
    )


def _too_old(what: str, registry: str, judgement: Judgement, limit: timedelta) -> VerificationError:
    about = "" if judgement.is_stated else "at most "
    return VerificationError(
        f"{what}: what it has was signed on {judgement.signed_at:%Y-%m-%d at %H:%M} UTC, {about}"
        f"{age_text(judgement.age)} ago, and max_staleness allows {age_text(limit)}",
        subject="timestamp",
        untouched="nothing was installed or changed; what is installed goes on working",
        hint="check this host's clock; if it is right, bring a newer state to the mirror (sealdex mirror import "
        "ARCHIVE DEST), or "
        f"allow more: max_staleness of [registries.{registry}] in config.toml",
    )
