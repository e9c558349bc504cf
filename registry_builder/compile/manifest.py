"""The published manifest and README of a release: their keys in the published tree, bytes and pins. Pure."""

from __future__ import annotations

import hashlib

from sealdex.model.decode import encode_json
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, release_folder
from sealdex.model.release import Release, published_manifest


def manifest_key(plugin: PluginId, version: str) -> str:
    """Return the storage key of a release's full manifest."""
    return f"{release_folder(plugin, version)}/manifest.json"


def manifest_bytes(plugin: PluginId, release: Release) -> bytes:
    """Return the bytes of a release's full manifest; the same release gives the same bytes."""
    return encode_json(published_manifest(plugin.namespace, plugin.name, release))


def pin(data: bytes) -> FilePin:
    """Return size and SHA-256 of bytes."""
    return FilePin(len(data), hashlib.sha256(data).hexdigest())
