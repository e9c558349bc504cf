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
from collections.abc import Iterable, Iterator

from sealdex.model.ids import PluginId
from sealdex.model.index import release_folder

ROOT = "api/v1/"
LIST = f"{ROOT}plugins/index.json"
CHANGES = f"{ROOT}changes.json"
OPENAPI = f"{ROOT}openapi.json"
MAX_SHARDS = 4096

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


__all__ = [
    "CHANGES",
    "LIST",
    "MAX_SHARDS",
    "OPENAPI",
    "ROOT",
    "expected",
    "plugin_folder",
    "plugin_key",
    "release_key",
    "shard_key",
    "shard_of_key",
]
