"""``api/v1/openapi.json``: the OpenAPI 3.1 description of the documents, made of their structs. Pure.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import msgspec

from registry_builder.site.pages import Page
from registry_builder.site.static_api import _hub_shapes as hub
from registry_builder.site.static_api import _shapes as shapes
from registry_builder.site.static_api.keys import (
    CHANGES,
    LIST,
    MODELS,
    OPENAPI,
    ROOT,
    SERVICES,
    checksum_key,
    hub_key,
    list_key,
)
from sealdex.model.decode import encode_json
from sealdex.model.ids import MAX_PART_LENGTH

VERSION = "1.0.0"

_PART: dict[str, Any] = {"type": "string", "pattern": r"^[a-z0-9]+([._-][a-z0-9]+)*$", "maxLength": MAX_PART_LENGTH}
_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "namespace": ("The namespace of the plugin.", _PART),
    "name": ("The name of the plugin in it.", _PART),
    "version": ("A semantic version, as in the plugin's document.", {"type": "string", "minLength": 5}),
    "id": ("The id of a service or model.", {"type": "string", "pattern": r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$"}),
    "shard": ("The number of the part, three hexadecimal digits.", {"type": "string", "pattern": "^[0-9a-f]{3}$"}),
}
_PATHS: tuple[tuple[str, str, str, type[Any]], ...] = (
    (LIST, "listPlugins", "All plugins, or where the parts of the list are", shapes.PluginList),
    (f"{ROOT}shards/{{shard}}.json", "listPluginsOfShard", "A part of the list of plugins", shapes.Shard),
    (f"{ROOT}plugins/{{namespace}}/{{name}}/index.json", "getPlugin", "A plugin", shapes.PluginDetails),
    (
        f"{ROOT}plugins/{{namespace}}/{{name}}/releases/{{version}}.json",
        "downloadPlugin",
        "A release, and what to download",
        shapes.DownloadPlugin,
    ),
    (CHANGES, "listChanges", "What changed lately", shapes.Changes),
)
_HUB_PATHS: tuple[tuple[str, str, str, Any], ...] = (
    (list_key(SERVICES), "listServices", "The services", list[hub.ServiceRow]),
    (hub_key(SERVICES, "{id}"), "getService", "A service", hub.ServiceDetails),
    (checksum_key("{id}", "{version}"), "getChecksum", "The digest of a service's package", hub.Checksum),
    (list_key(MODELS), "listModels", "The models", list[hub.HubModel]),
    (hub_key(MODELS, "{id}"), "getModel", "A model", hub.HubModel),
)
_TEXT = (
    "Static documents of a Sealdex registry. They are unsigned copies: each names the signed document that outranks "
    "it, which `sealdex` verifies. Whatever is downloaded has to have the stated SHA-256. Fields may be added: ignore "
    "those that you don't know. Follow `details`, `plugin` and `shards` rather than building addresses."
)


def openapi_document(title: str, url: str | None, *, model_hub: bool = False) -> Page:
    """Return the description.

    Args:
        title: the registry's name.
        url: its address with a slash at its end; without one the addresses are relative to the description's own.
        model_hub: whether the Model Hub's documents are there too.
    """
    paths = (*_PATHS, *_HUB_PATHS) if model_hub else _PATHS
    kinds = [shape for *_, shape in paths]
    schemas, components = msgspec.json.schema_components(
        [*kinds, shapes.Gone], ref_template="#/components/schemas/{name}"
    )
    for schema in components.values():
        schema["description"] = cleandoc(schema["description"])
    document = {
        "openapi": "3.1.1",
        "info": {"title": title, "version": VERSION, "description": _TEXT},
        "servers": [{"url": url.rstrip("/") if url is not None else "../.."}],
        "paths": {
            f"/{path}": {"get": _operation(path, name, text, [schema, schemas[-1]])}
            for (path, name, text, _), schema in zip(paths, schemas, strict=False)
        },
        "components": {"schemas": components},
    }
    return Page(OPENAPI, encode_json(document))


def _operation(path: str, name: str, summary: str, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "operationId": name,
        "deprecated": path.startswith(MODELS),
        "summary": summary,
        "parameters": [
            {"name": each, "in": "path", "required": True, "description": text, "schema": rules}
            for each, (text, rules) in _PARAMETERS.items()
            if f"{{{each}}}" in path
        ],
        "responses": {
            "200": {"description": summary, "content": {"application/json": {"schema": {"oneOf": schemas}}}},
            "404": {"description": "There is none"},
        },
    }


__all__ = ["VERSION", "openapi_document"]
