"""What the manifests of other systems say of a release: Arcade's ``manifest.json``, the Model Hub's ``service.json``.

One reading for both sides: a host that installs one archive, and an import of a whole system. Each function takes the
values of a document, puts what is wrong into ``problems``, with the document's own names, and returns the rest as
fields of a release.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from sealdex.model.foreign_fields import list_of, object_of, present, shown, text_of, utc

ENGINE_MANIFEST = "manifest.json"
SERVICE_JSON = "service.json"
LIBRARIES = (".so", ".dylib", ".dll")
"""How the name of a shared library ends."""
MODELS_DIR = "models"
"""Where a service package has its models, unless it says otherwise."""


def engine_fields(values: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return the fields of a release for an engine's ``manifest.json``; without its dependencies."""
    entry = text_of(values, "entryPoint", problems)
    author = text_of(values, "author", problems)
    return present({
        "description": text_of(values, "description", problems),
        "homepage": text_of(values, "homepage", problems),
        "license": text_of(values, "license", problems),
        "authors": [author] if author is not None else None,
        "entry_point": entry,
        "runtime": {"kind": "native" if is_library(entry) else "process"} if entry is not None else None,
        "min_host_version": text_of(values, "minVersion", problems),
        "icon": text_of(values, "icon", problems),
        "config_schema": object_of(values, "configSchema", problems),
        "params_schema": object_of(values, "paramsSchema", problems),
        "default_config": object_of(values, "defaultConfig", problems),
        "resources": object_of(values, "resources", problems),
    })  # fmt: skip


def is_library(entry: object) -> bool:
    """Return whether an entry point is a shared library."""
    return isinstance(entry, str) and entry.lower().endswith(LIBRARIES)


def engine_dependencies(values: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and range: of ``"name"``, ``"name@^1.2"``, or an object with ``name`` and ``version``."""
    for number, each in enumerate(list_of(values, "dependencies", problems)):
        if isinstance(each, str) and each.strip():
            name, _, wanted = each.strip().partition("@")
            yield name, wanted or "*"
        elif isinstance(each, dict) and isinstance(other := each.get("pluginId") or each.get("name"), str):
            yield other, str(each.get("version") or "*")
        else:
            problems.append(f"dependencies[{number}]: is not a plugin such as 'http@^1.2'")


def service_fields(values: Mapping[str, Any], problems: list[str], models_dir: str = MODELS_DIR) -> dict[str, Any]:
    """Return the fields of a release for a ``service.json``; ``MODELS_DIR`` becomes ``models_dir`` of the package."""
    kind = text_of(values, "service_type", problems) or "process"
    requires = object_of(values, "dependencies", problems) or {}
    problems += (
        f"dependencies.{shown(name)}: is '{shown(wanted)}', not a range or 'optional'"
        for name, wanted in requires.items()
        if not isinstance(wanted, str)
    )
    fields: dict[str, Any] = {
        "description": text_of(values, "description", problems),
        "runtime": {"kind": kind.lower().replace("_", "-"), **({"requires": requires} if requires else {})},
        "models": list(_models(values, problems)),
        "service": _service(values, problems, models_dir),
    }
    if values.get("created_at") is not None:
        try:
            fields["released_at"] = utc(values["created_at"], "created_at")
        except ValueError as error:
            problems.append(str(error))
    return present(fields)


def _models(values: Mapping[str, Any], problems: list[str]) -> Iterator[dict[str, Any]]:
    for number, model in enumerate(list_of(values, "models", problems)):
        if not isinstance(model, dict):
            problems.append(f"models[{number}]: is not an object with model_id and path")
            continue
        entry = {k: model.get(k) for k in ("model_id", "model_type", "version", "path") if model.get(k) is not None}
        if isinstance(path := entry.get("path"), str):
            entry["path"] = path.rstrip("/")
        yield entry


def _service(values: Mapping[str, Any], problems: list[str], models_dir: str) -> dict[str, Any] | None:
    command = text_of(values, "startup_command", problems)
    service: dict[str, Any] = {}
    if command is not None:
        try:
            service["command"] = shlex.split(command)
        except ValueError as error:
            problems.append(f"startup_command: can't be read as a command: {error}")
            return None
    if values.get("port") is not None:
        service["port"] = values["port"]
    check = object_of(values, "health_check", problems)
    if check is not None:
        service["health_check"] = check
    if service and "command" not in service:
        problems.append("startup_command: is missing, and port or health_check are there: write how it is started")
        return None
    return {**service, "env": {"MODELS_DIR": models_dir}} if service else None
