"""JSON Schemas of the documents, generated from the structs, for editors and for other people's tools."""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import Any

import msgspec

from sealdex.model.catalog import CatalogNames, CatalogShard
from sealdex.model.downloads import DownloadStats
from sealdex.model.index import IndexDocument
from sealdex.model.plugin import EventFile, Plugin, PluginStatus
from sealdex.model.release import PublishedManifest, Release

DOCUMENTS: dict[str, tuple[type, str]] = {
    "plugin": (Plugin, "plugin.yaml: what holds for all releases of a plugin"),
    "release": (Release, "releases/<version>.json: the manifest of one release"),
    "status": (PluginStatus, "status.json: what happened after publishing"),
    "event": (EventFile, "status/<name>.json: one thing that happened after publishing"),
    "manifest": (PublishedManifest, "the full manifest of a release as it is published"),
    "index": (IndexDocument, "the index document: all releases of one plugin"),
    "stats": (DownloadStats, "api/stats.json: downloads by plugin, release and day, unsigned"),
    "catalogue": (CatalogShard, "one shard of the catalog"),
    "catalog-names": (CatalogNames, "one shard of the catalog by name, in large registries"),
}
AUTHORED = ("plugin", "release", "status", "event")  # what people write, in which unknown fields are refused


def json_schema(document: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one of `DOCUMENTS`.

    Raises:
        KeyError: no document of that name.
    """
    kind, title = DOCUMENTS[document]
    schema = msgspec.json.schema(kind)
    for definition in schema["$defs"].values():
        _spread_description(definition)
        if document not in AUTHORED:
            definition.pop("additionalProperties", None)  # readers ignore what they don't know
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


_ATTRIBUTES = re.compile(r"\nAttributes:\n")
_ATTRIBUTE = re.compile(r"^ {4}(?P<names>\w+(?:, \w+)*): (?P<text>.+(?:\n {8}.+)*)", re.MULTILINE)


def _spread_description(definition: dict[str, Any]) -> None:
    """Give each property its sentence from the docstring's Attributes section, where editors show it."""
    # cleandoc: from 3.13 on Python itself takes the indentation off docstrings
    head, *rest = _ATTRIBUTES.split(cleandoc(definition.get("description", "")), maxsplit=1)
    if head:
        definition["description"] = " ".join(head.split())
    for match in _ATTRIBUTE.finditer(rest[0] if rest else ""):
        for name in match["names"].split(", "):
            if name in definition.get("properties", {}):
                definition["properties"][name]["description"] = " ".join(match["text"].split())
