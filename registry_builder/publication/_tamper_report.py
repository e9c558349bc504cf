"""Reports what differs in a published file that isn't what was signed: expected, found, and the differences.

For the person who investigates; nothing that is read here is used for anything else. A pinned document
can often be recreated from the source tree, byte for byte, and then the difference is exact. For metadata, the
versions, the signers and the last earlier version that verifies are compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata
from tuf.api.serialization import DeserializationError

from registry_builder.baseline.diff import Sources, target_pin
from registry_builder.baseline.documents import TamperDetails, TamperedError
from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.baseline.json_diff import differences
from registry_builder.compile.manifest import manifest_bytes
from registry_builder.publication.context import Publisher
from registry_builder.signing.metadata import role_section
from registry_builder.signing.signers import public_key
from registry_builder.source.tree import SourcePlugin
from registry_builder.storage.headers import TIMESTAMP_KEY
from sealdex.errors import SealdexError
from sealdex.model.decode import convert_to, encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import MAX_INDEX_BYTES, IndexDocument

_SHOWN = 20
_LOOKED_BACK = 8
_METADATA = re.compile(r"metadata/(?:(?P<version>[0-9]+)\.)?(?P<role>[a-z0-9._-]+)\.json")
_INDEX = re.compile(r"targets/index/(?P<namespace>[^/]+)/[0-9a-f]{64}\.(?P<name>[^/]+)\.json")
_SHARD = re.compile(r"targets/catalog/[0-9a-f]{64}\.(?:[0-9a-f]+|names-[A-Za-z0-9]+)\.json")
_MANIFEST = re.compile(r"plugins/(?P<namespace>[^/]+)/(?P<name>[^/]+)/(?P<version>[^/]+)/manifest\.json")


def explained(error: TamperedError, publisher: Publisher, sources: Sources) -> TamperedError:
    """Return an error that also says what was expected, what was found and how they differ."""
    named = _METADATA.fullmatch(error.key)
    data = _read(publisher, error.key, MAX_METADATA_BYTES if named else MAX_INDEX_BYTES)
    expected = [*_expected(error, publisher)]
    found = "nothing" if data is None else f"{len(data)} bytes with SHA-256 {hashlib.sha256(data).hexdigest()}"
    lines: list[str] = []
    if data is not None and named is not None:
        found += _signed_by(data, publisher)
        lines = [*_metadata_lines(publisher, error.key, data)]
    elif data is not None:
        lines = [*_document_lines(error, data, sources)]
    shown = lines[:_SHOWN]
    if len(lines) > _SHOWN:
        shown.append(f"and {len(lines) - _SHOWN} more")
    return error.again(details=TamperDetails(", ".join(expected), found, tuple(shown)))


def _read(publisher: Publisher, key: str, max_bytes: int) -> bytes | None:
    try:
        return publisher.storage.get(key, max_bytes=max_bytes).data
    except SealdexError:  # missing or too large: nothing to compare
        return None


# --- what was expected ------------------------------------------------------------------------------------------------


def _expected(error: TamperedError, publisher: Publisher) -> Iterator[str]:
    if error.pin is not None:
        yield f"{error.pin.size} bytes with SHA-256 {error.pin.sha256}"
    if named := _METADATA.fullmatch(error.key):
        version = f"version {named['version']} of " if named["version"] else ""
        yield version + _signers(publisher, named["role"])
    elif index := _INDEX.fullmatch(error.key):
        namespace = index["namespace"]
        claimed = namespace in publisher.tree.config.namespaces
        yield f"pinned by {_signers(publisher, f'ns-{namespace}' if claimed else 'packages')}"
    elif _SHARD.fullmatch(error.key):
        yield f"pinned by {_signers(publisher, 'catalog')}"
    elif error.pin is not None:
        yield "pinned by the signed index document of its plugin"


def _signers(publisher: Publisher, role: str) -> str:
    section = role_section(publisher.tree.config, role)
    return f"{role}, which {section.threshold} of {', '.join(section.keys)} must sign"


# --- metadata ---------------------------------------------------------------------------------------------------------


def _signed_by(data: bytes, publisher: Publisher) -> str:
    """Return which version a metadata file states, and whose signatures on it verify."""
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except (DeserializationError, RepositoryError):
        return ", which is not metadata"
    config = publisher.tree.config
    names = {section.keyid: name for name, section in config.keys.items()}
    signatures = []
    for keyid, signature in metadata.signatures.items():
        if keyid not in names:
            signatures.append(f"a key {keyid[:12]!a} that registry.toml doesn't have")
            continue
        try:
            public_key(config.keys[names[keyid]]).verify_signature(signature, metadata.signed_bytes)
            signatures.append(names[keyid])
        except (UnverifiedSignatureError, VerificationError):
            signatures.append(f"{names[keyid]}, which doesn't verify")
    signed = metadata.signed
    return (
        f": {signed.type} version {signed.version}, expires {signed.expires:%Y-%m-%d}, "
        f"signed by {'; '.join(signatures) or 'nobody'}"
    )


def _metadata_lines(publisher: Publisher, key: str, data: bytes) -> Iterator[str]:
    """Compare with what this machine has seen, what the source tree has, or the version before."""
    named = _METADATA.fullmatch(key)
    if named is None:
        return
    what, before, words = "", None, ("expected", "found")
    seen = publisher.memory.load() if publisher.memory is not None else None
    if named["role"] == "root":
        what, before = "the source tree's", publisher.trust.roots.get(int(named["version"] or 0))
    elif seen is not None and key in {TIMESTAMP_KEY, f"metadata/{_version(seen.snapshot)}.snapshot.json"}:
        what = "the one last seen from here"
        before = (seen.timestamp if key == TIMESTAMP_KEY else seen.snapshot).encode()
    elif named["version"]:
        for version in range(int(named["version"]) - 1, max(0, int(named["version"]) - 1 - _LOOKED_BACK), -1):
            older = _read(publisher, f"metadata/{version}.{named['role']}.json", MAX_METADATA_BYTES)
            if older is not None and "doesn't verify" not in _signed_by(older, publisher):
                what, before, words = f"version {version}", older, ("was", "is")
                break
    if before is not None:
        for line in differences(_signed_part(before), _signed_part(data), words):
            yield f"against {what}: {line}"


def _version(metadata: str) -> Any:
    signed = _signed_part(metadata.encode())
    return signed.get("version") if isinstance(signed, dict) else None


def _signed_part(data: bytes) -> Any:
    document = _json(data)
    return document.get("signed") if isinstance(document, dict) else document


# --- documents --------------------------------------------------------------------------------------------------------


def _document_lines(error: TamperedError, data: bytes, sources: Sources) -> Iterator[str]:
    """Compare with the signed document if the source tree can recreate it, else with what it compiles to now."""
    found = _json(data)
    expected, exact = _made_again(error, found, sources)
    if expected is None:
        return
    against = "against what was signed" if exact else "against the source tree"
    lines = [f"{against}: {line}" for line in differences(_json(expected), found)]
    yield from lines or [f"{against}: the same values, encoded differently"]


def _made_again(error: TamperedError, found: Any, sources: Sources) -> tuple[bytes | None, bool]:
    """Return the document as it was signed, proven by its digest, or as the source tree compiles to now."""
    if index := _INDEX.fullmatch(error.key):
        source = sources.plugins.get(PluginId(index["namespace"], index["name"]))
        if source is None:
            return None, False
        for candidate in _states_of(source):
            one = Sources({source.id: candidate}, is_complete=False, ingestion=sources.ingestion)
            compiled = one.compile(source.id, None)
            for data in (compiled.data, *_with_parts_of(found, compiled.document)):
                if target_pin(data) == error.pin:
                    return data, True
        return sources.compile(source.id, None).data, False
    if manifest := _MANIFEST.fullmatch(error.key):
        source = sources.plugins.get(PluginId(manifest["namespace"], manifest["name"]))
        release = source.releases.get(manifest["version"]) if source is not None else None
        if source is None or release is None:
            return None, False
        data = manifest_bytes(source.id, release)
        return data, target_pin(data) == error.pin
    if _SHARD.fullmatch(error.key) and isinstance(found, dict) and isinstance(found.get("plugins"), list):
        rows = [sources.own(plugin)[1] for plugin in sources.plugins]
        known = {str(row.id): msgspec.to_builtins(row) for row in rows}
        data = encode_json({**found, "plugins": [known.get(_id_of(row), row) for row in found["plugins"]]})
        return data, target_pin(data) == error.pin
    return None, False


def _with_parts_of(found: Any, document: IndexDocument) -> Iterator[bytes]:
    """Yield a document with the found plugin fields, or with the found releases: either may be unchanged."""
    try:
        as_found = convert_to(found, IndexDocument)
    except (msgspec.ValidationError, RecursionError):
        return
    yield encode_json(msgspec.structs.replace(as_found, releases=document.releases))
    yield encode_json(msgspec.structs.replace(document, releases=as_found.releases))


def _id_of(row: Any) -> str:
    return f"{row.get('namespace')}/{row.get('name')}" if isinstance(row, dict) else ""


def _states_of(source: SourcePlugin) -> Iterator[SourcePlugin]:
    """Yield a plugin as it is, then as it was before its newest release, then before the one before that, and so on.

    Newest by date, then by version: a patch of an older line may have been the last.
    """
    yield source
    by_date = sorted(source.releases, key=lambda version: source.releases[version].released_at or "", reverse=True)
    for newest_first in (by_date, list(source.releases)):
        left = dict(source.releases)
        for version in newest_first[:_LOOKED_BACK]:
            del left[version]
            yield replace(source, releases=dict(left))


def _json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"not JSON, {len(data)} bytes"


__all__ = ["explained"]
