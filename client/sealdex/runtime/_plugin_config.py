"""A plugin's configuration: what hosts and jobs give, over what is kept on the host, over ``default_config``.

Checked against ``config_schema``, with the secrets that the host refers to. Which secret belongs where is the host's
to say: references in ``default_config`` are not followed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from sealdex.config.secret_references import StandIn, is_reference, plain, with_secrets
from sealdex.errors import ConfigError
from sealdex.model.release import PublishedManifest
from sealdex.runtime._schema_check import SchemaCheck


def plugin_config(
    manifest: PublishedManifest, given: Mapping[str, Any] | None, kept: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the configuration to pass to a release.

    Args:
        manifest: of the release.
        given: by the program or the job that loads it.
        kept: what is set on this host.

    Raises:
        ConfigError: it doesn't match the release's ``config_schema`` (every mismatch is named); or there is a schema
            but `jsonschema` isn't installed. CredentialsError: a secret can't be read.
    """
    name = f"{manifest.namespace}/{manifest.name} {manifest.version}"
    own = with_secrets(merged(kept or {}, given or {}), name)
    config = hidden(merged(manifest.default_config or {}, own), manifest.config_schema)
    require_match(config, manifest)
    found: dict[str, Any] = plain(config)
    return found


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``defaults`` overridden by ``given``: objects key by key, all other values (lists too) as a whole."""
    result = copy.deepcopy(dict(defaults))
    for key, value in given.items():
        below = result.get(key)
        is_whole = is_reference(below) or is_reference(value)
        if not is_whole and isinstance(below, dict) and isinstance(value, Mapping):
            result[key] = merged(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def hidden(value: Any, schema: Any) -> Any:
    """Return a configuration whose texts are marked as secrets where its schema says so, that no message shows them."""
    if not isinstance(schema, dict):
        return value
    if isinstance(value, str):
        return StandIn(value) if says_secret(schema) else value
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return value
    return {name: hidden(each, properties.get(name)) for name, each in value.items()}


def says_secret(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema says that its value is a secret: ``writeOnly``, or the format ``password``."""
    return schema.get("writeOnly") is True or schema.get("format") == "password"


def schema_check(manifest: PublishedManifest) -> SchemaCheck | None:
    """Return what checks the configuration of a release; None if it has no schema.

    Raises:
        ConfigError: `jsonschema` isn't installed, or the schema is not a valid one.
    """
    if manifest.config_schema is None:
        return None
    name = f"{manifest.namespace}/{manifest.name} {manifest.version}"
    try:
        return SchemaCheck(manifest.config_schema, "config_schema", name)
    except ImportError as error:
        raise ConfigError(
            f"{name} has a config_schema, but jsonschema, which checks it, is not installed",
            subject=name,
            untouched="nothing of it was run",
            hint="pip install 'sealdex[runtime]'",
        ) from error


def require_match(config: dict[str, Any], manifest: PublishedManifest) -> None:
    """Refuse a configuration that doesn't match the schema; raises as `plugin_config`."""
    name = f"{manifest.namespace}/{manifest.name} {manifest.version}"
    check = schema_check(manifest)
    if check is not None and (problems := check.problems(config)):
        raise ConfigError(
            f"the configuration of {name} does not match its config_schema:\n" + "\n".join(problems),
            subject=name,
            untouched="nothing of it was run",
            hint=f"to see what is set on this host: sealdex config plugin {manifest.namespace}/{manifest.name}; "
            f"to see the schema: sealdex info {name.replace(' ', '@')}",
        )
