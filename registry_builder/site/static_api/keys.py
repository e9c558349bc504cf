"""Where each document of ``api/`` is in the published tree, and which of them belong to what is signed. Pure.

api/v1/openapi.json                                  describes the others
api/v1/plugins/index.json                            all plugins, or where the parts of the list are
api/v1/shards/<shard>.json                           a part of the list, where the catalog has several shards
api/v1/plugins/<namespace>/<name>/index.json         a plugin
api/v1/plugins/<namespace>/<name>/releases/<version>.json
api/v1/changes.json                                  what changed lately
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from sealdex.model.ids import PluginId
from sealdex.model.index import release_folder

ROOT = "api/v1/"
LIST = f"{ROOT}plugins/index.json"
CHANGES = f"{ROOT}changes.json"
OPENAPI = f"{ROOT}openapi.json"
MAX_SHARDS = 4096
SERVICES = "api/services"
MODELS = "api/models"
REWRITES = "api/rewrites/model-hub.json"
NGINX_MAP = "api/rewrites/model-hub.map"

_MANIFEST = re.compile(r"plugins/([^/]+)/([^/]+)/([^/]+)/manifest\.json")
_LIST_NAME = "index.json"


def shard_key(shard: int) -> str:
    """Return the key of a part of the list of plugins."""
    return f"{ROOT}shards/{shard:03x}.json"


def plugin_folder(plugin: PluginId) -> str:
    """Return the folder of a plugin's documents.

    A namespace may be named ``index.json``; it can't have a folder in the place of the list.
    """
    place = "named" if plugin.namespace == _LIST_NAME else "plugins"
    return f"{ROOT}{place}/{plugin.namespace}/{plugin.name}"


def plugin_key(plugin: PluginId) -> str:
    """Return the key of a plugin's document."""
    return f"{plugin_folder(plugin)}/index.json"


def release_key(plugin: PluginId, version: str) -> str:
    """Return the key of a release's document."""
    return f"{plugin_folder(plugin)}/releases/{version}.json"


def list_key(folder: str) -> str:
    """Return the key of the list of `SERVICES` or `MODELS`."""
    return f"{folder}/index.json"


def hub_key(folder: str, name: str) -> str:
    """Return the key of the document of a service or model, by its id."""
    return f"{folder}/{name}/index.json"


def checksum_key(name: str, version: str) -> str:
    """Return the key of the digest of a service's package."""
    return f"{SERVICES}/{name}/{version}/checksum.json"


def checksums_key(name: str, version: str) -> str:
    """Return the key of the digests of a model's files."""
    return f"{MODELS}/{name}/{version}/checksum.sha256"


def shard_of_key(key: str) -> int:
    """Return the number of the shard of the signed catalog that is at ``targets/catalog/<sha256>.<shard>.json``."""
    return int(key.rpartition("/")[2].split(".")[1], 16)


def expected(signed: Iterable[str]) -> Iterator[str]:
    """Yield the keys of the documents about plugins that belong to what is signed.

    Args:
        signed: keys of the files that signed documents pin; the manifests among them say which releases there are.
    """
    for key in signed:
        if (match := _MANIFEST.fullmatch(key)) is not None:
            plugin = PluginId(match[1], match[2])
            if key == f"{release_folder(plugin, match[3])}/manifest.json":
                yield plugin_key(plugin)
                yield release_key(plugin, match[3])


def expected_of_hub(signed: Iterable[str], stated: Mapping[str, str]) -> Iterator[str]:
    """Yield the keys of the Model Hub's documents that may belong to what is signed.

    Args:
        signed: as `expected`.
        stated: ids of registry.toml, each with ``namespace/name``.
    """
    yield from (list_key(SERVICES), list_key(MODELS), REWRITES, NGINX_MAP)
    ids: dict[str, set[str]] = {}
    for name, plugin in stated.items():
        ids.setdefault(plugin, set()).add(name)
    for key in signed:
        if (match := _MANIFEST.fullmatch(key)) is not None:
            for name in {match[2], *ids.get(f"{match[1]}/{match[2]}", ())}:
                yield from (hub_key(SERVICES, name), hub_key(MODELS, name))
                yield from (checksum_key(name, match[3]), checksums_key(name, match[3]))


__all__ = [
    "CHANGES",
    "LIST",
    "MAX_SHARDS",
    "MODELS",
    "NGINX_MAP",
    "OPENAPI",
    "REWRITES",
    "ROOT",
    "SERVICES",
    "checksum_key",
    "checksums_key",
    "expected",
    "expected_of_hub",
    "hub_key",
    "list_key",
    "plugin_folder",
    "plugin_key",
    "release_key",
    "shard_key",
    "shard_of_key",
]
