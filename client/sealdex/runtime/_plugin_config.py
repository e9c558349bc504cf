"""A plugin's configuration: the host's values over ``default_config``, checked against ``config_schema``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sealdex.errors import ConfigError
from sealdex.model.release import PublishedManifest
from sealdex.runtime._schema_check import SchemaCheck


def plugin_config(manifest: PublishedManifest, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the configuration to pass to a release.

    Raises:
        ConfigError: it doesn't match the release's ``config_schema`` (every mismatch is named); or there is a schema
            but `jsonschema` isn't installed.
    """
    config = merged(manifest.default_config or {}, given or {})
    if manifest.config_schema is not None:
        _check(config, manifest.config_schema, f"{manifest.namespace}/{manifest.name} {manifest.version}")
    return config


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``defaults`` overridden by ``given``: objects key by key, all other values (lists too) as a whole."""
    result = copy.deepcopy(dict(defaults))
    for key, value in given.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _check(config: dict[str, Any], schema: dict[str, Any], name: str) -> None:
    try:
        problems = SchemaCheck(schema, "config_schema", name).problems(config)
    except ImportError as error:
        raise ConfigError(
            f"{name} has a config_schema, but jsonschema, which checks it, is not installed",
            subject=name,
            untouched="nothing of it was run",
            hint="pip install 'sealdex[runtime]'",
        ) from error
    if problems:
        raise ConfigError(
            f"the configuration of {name} does not match its config_schema:\n" + "\n".join(problems),
            subject=name,
            untouched="nothing of it was run",
            hint=f"to see the schema: sealdex info {name.replace(' ', '@')}",
        )
