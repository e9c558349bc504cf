"""Attachments of releases: where they are in the source tree, their kinds, and whether they are about the release.

    plugins/<ns>/<name>/attachments/<version>/<file>     named, with size and digest, by an event in status.json

The kind is detected from the content, so nobody has to give it. For known kinds the structure is checked;
signatures inside are another matter: `registry_builder.source.attestations`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from registry_builder.source.allowed_secrets import Verdicts
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.secrets.scan import SecretSearch
from registry_builder.source.text import POINTER_PROBLEM, is_lfs_pointer, line_end_problem
from sealdex.errors import ConfigError

ATTACHMENTS_FOLDER = "attachments"
MAX_ATTACHMENT_BYTES = 64 * 1024 * 1024  # SBOMs of large images have tens of megabytes

AttestationKind = Literal["in-toto", "cyclonedx", "spdx", "sigstore-bundle"]
"""The kinds of attached files that are looked into; others may be attached under any name."""
KINDS: tuple[AttestationKind, ...] = get_args(AttestationKind)

_STATEMENT = re.compile(r"https://in-toto\.io/Statement/v(0\.1|1)")
_DSSE_PAYLOAD = "application/vnd.in-toto+json"
_BUNDLE = re.compile(r"application/vnd\.dev\.sigstore\.bundle(\+json;version=0\.[1-9]|\.v0\.[1-9]\+json)")


def attachment_path(plugin_folder: Path, version: str, name: str) -> Path:
    """Return the path of an attachment in the source tree."""
    return plugin_folder / ATTACHMENTS_FOLDER / version / name


def read_attachment(path: Path) -> bytes:
    """Return the bytes of a file that is to be attached.

    Raises:
        ConfigError: it can't be read, or is too large.
    """
    try:
        with path.open("rb") as file:  # named by the user who runs the command, so links are followed
            data = file.read(MAX_ATTACHMENT_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror or error}", subject=str(path), untouched="nothing was attached"
        ) from error
    if len(data) > MAX_ATTACHMENT_BYTES:
        raise ConfigError(
            f"{path} is larger than the {MAX_ATTACHMENT_BYTES} bytes that an attachment may have",
            subject=str(path),
            untouched="nothing was attached",
            hint="upload it elsewhere and attach its URL",
        )
    return data


def stored_attachment_problem(
    tree: Path,
    plugin_folder: Path,
    version: str,
    name: str,
    sha256: str,
    allow_secrets: Collection[str] | None = None,
    notes: list[str] | None = None,
) -> str | None:
    """Return why an attachment in the source tree can't be published, or None if it can.

    These files come from pull requests, so what isn't a plain file inside the tree isn't even opened.

    Args:
        tree: the source tree.
        plugin_folder: the plugin's folder.
        version: the release that it is attached to.
        name: the file's name.
        sha256: the digest that the event states.
        allow_secrets: patterns of files that may hold secrets; None skips the search for secrets.
        notes: gets what of it couldn't be searched.
    """
    path = attachment_path(plugin_folder, version, name)
    shown = f"{ATTACHMENTS_FOLDER}/{version}/{name}"
    try:
        data = Gate(tree).read(path, MAX_ATTACHMENT_BYTES)
    except UnreadableError as error:
        return f"{shown} {error}"
    if hashlib.sha256(data).hexdigest() != sha256:
        if is_lfs_pointer(data):
            return f"{shown} {POINTER_PROBLEM}"
        line_ends = line_end_problem(data, sha256, Gate(tree).relative(path))
        return f"{shown} {line_ends}" if line_ends else f"{shown} is not the file that the event names: restore it"
    if allow_secrets is None:
        return None
    verdicts, place = Verdicts(allow_secrets), Gate(tree).relative(path)
    for found in SecretSearch().of_file(place, io.BytesIO(data)):
        verdicts.add(place, found)
        if verdicts.refused:
            return verdicts.refused[0]
    if notes is not None:
        notes += verdicts.unsearched
    return None


def kind_of(data: bytes) -> AttestationKind | None:
    """Return which of `KINDS` a file is, or None if it is none of them."""
    document = _json(data)
    if document is None:
        return None
    if _BUNDLE.fullmatch(str(document.get("mediaType", ""))):
        return "sigstore-bundle"
    if document.get("bomFormat") == "CycloneDX":
        return "cyclonedx"
    if "spdxVersion" in document or "spdx.org" in str(document.get("@context", "")):
        return "spdx"
    if "payloadType" in document or _STATEMENT.fullmatch(str(document.get("_type", ""))):
        return "in-toto"
    return None


def attachment_problems(kind: str, data: bytes, digests: Collection[str]) -> list[str]:
    """Return what is wrong with an attestation; nothing for kinds that aren't in `KINDS`.

    Args:
        kind: its stated kind.
        data: its bytes.
        digests: SHA-256 of the release's artifacts: a statement must be about one of them.
    """
    check = _CHECKS.get(kind)
    if check is None:
        return []
    document = _json(data)
    if document is None:
        return ["is not a JSON object"]
    return list(check(document, digests))


def statement_of(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the in-toto statement in a document: itself, or the payload of a DSSE envelope or Sigstore bundle.

    Formats: https://github.com/in-toto/attestation/tree/main/spec/v1 and https://github.com/secure-systems-lab/dsse
    """
    envelope = document.get("dsseEnvelope", document)
    if not isinstance(envelope, dict) or "payloadType" not in envelope:
        return document if "_type" in document else None
    if envelope["payloadType"] != _DSSE_PAYLOAD:
        return None
    try:
        return _json(base64.b64decode(str(envelope.get("payload", "")), validate=True))
    except (ValueError, binascii.Error):
        return None


# --- one check per kind ---------------------------------------------------------------------------------------------


def _in_toto(document: Mapping[str, Any], digests: Collection[str]) -> Iterator[str]:
    if "payloadType" in document and not _filled_list(document, "signatures"):
        yield "signatures: is missing or empty: a DSSE envelope must be signed"
    statement = statement_of(document)
    if statement is None:
        yield f"payload: is not an in-toto statement: payloadType must be {_DSSE_PAYLOAD}, payload its JSON in base64"
        return
    yield from _statement(statement, digests)


def _statement(statement: Mapping[str, Any], digests: Collection[str]) -> Iterator[str]:
    if not _STATEMENT.fullmatch(str(statement.get("_type", ""))):
        yield "_type: is not https://in-toto.io/Statement/v1"
    if not isinstance(statement.get("predicateType"), str) or not statement["predicateType"]:
        yield "predicateType: is missing"
    subjects = statement.get("subject")
    if not _filled_list(statement, "subject") or not isinstance(subjects, list):
        yield "subject: is missing or empty"
        return
    named = {
        str(subject["digest"].get("sha256", ""))
        for subject in subjects
        if isinstance(subject, dict) and isinstance(subject.get("digest"), dict)
    }
    if not named & set(digests):
        yield "subject: does not name an artifact of this release by its SHA-256, so it is not about this release"


def _sigstore(document: Mapping[str, Any], digests: Collection[str]) -> Iterator[str]:
    if not isinstance(document.get("verificationMaterial"), dict):
        yield "verificationMaterial: is missing"
    if "dsseEnvelope" in document:
        statement = statement_of(document)
        if statement is None:
            yield "dsseEnvelope: does not contain an in-toto statement"
        else:
            yield from _statement(statement, digests)
        return
    message = document.get("messageSignature")
    digest = message.get("messageDigest") if isinstance(message, dict) else None
    if not isinstance(digest, dict):
        yield "messageSignature: is missing, and so is dsseEnvelope"
        return
    try:
        stated = base64.b64decode(str(digest.get("digest", "")), validate=True).hex()
    except (ValueError, binascii.Error):
        stated = ""
    if stated not in digests:
        yield "messageSignature: does not sign an artifact of this release"


def _cyclonedx(document: Mapping[str, Any], _digests: Collection[str]) -> Iterator[str]:
    if not re.fullmatch(r"1\.[0-9]+", str(document.get("specVersion", ""))):
        yield "specVersion: is missing: CycloneDX 1.x is supported"
    if not isinstance(document.get("version", 1), int):
        yield "version: is not a number"
    if not isinstance(document.get("components", []), list):
        yield "components: is not a list"


def _spdx(document: Mapping[str, Any], _digests: Collection[str]) -> Iterator[str]:
    if "@context" in document:  # SPDX 3 is JSON-LD
        if not _filled_list(document, "@graph"):
            yield "@graph: is missing or empty"
        return
    if not re.fullmatch(r"SPDX-2\.[0-9]+", str(document.get("spdxVersion", ""))):
        yield "spdxVersion: is neither SPDX-2.x nor the context of SPDX 3"
    for name in ("SPDXID", "name", "documentNamespace", "dataLicense"):
        if not isinstance(document.get(name), str):
            yield f"{name}: is missing"
    if not isinstance(document.get("creationInfo"), dict):
        yield "creationInfo: is missing"


_Check = Callable[[Mapping[str, Any], Collection[str]], Iterator[str]]
_CHECKS: dict[str, _Check] = {
    "in-toto": _in_toto,
    "sigstore-bundle": _sigstore,
    "cyclonedx": _cyclonedx,
    "spdx": _spdx,
}


def _filled_list(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name)
    return isinstance(value, list) and bool(value)


def _json(data: bytes) -> dict[str, Any] | None:
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


__all__ = [
    "ATTACHMENTS_FOLDER",
    "KINDS",
    "MAX_ATTACHMENT_BYTES",
    "AttestationKind",
    "attachment_path",
    "attachment_problems",
    "kind_of",
    "read_attachment",
    "statement_of",
    "stored_attachment_problem",
]
