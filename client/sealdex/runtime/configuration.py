"""The configuration of plugins that a host keeps: read, changed and checked without running anything of a plugin.

What is set is checked against the ``config_schema`` of the version in use before it is kept. What a schema requires and
isn't set yet is only mentioned, so that keys can be set one by one; a host refuses to load the plugin until then.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealdex.config.secret_references import FORMS, is_reference, reference_problems, stand_ins
from sealdex.errors import ConfigError, NotFoundError, SealdexError
from sealdex.model.ids import PluginId
from sealdex.model.release import PublishedManifest
from sealdex.runtime._plugin_config import hidden, merged, says_secret, schema_check
from sealdex.store.installations import Installation, current, installed_versions
from sealdex.store.layout import Store
from sealdex.store.manifests import installed_manifest
from sealdex.store.plugin_config import change_config, configured_plugins, is_too_deep, kept_config

_MISSING = frozenset({"required", "dependentRequired"})
# what these say of a secret can't be known before it is read
_OF_VALUES = frozenset({
    "pattern", "format", "minLength", "maxLength", "enum", "const", "not", "oneOf", "anyOf", "allOf", "if", "contains",
    "dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "uniqueItems", "$ref", "$dynamicRef",
})  # fmt: skip
Path = tuple[str, ...]
"""The keys from the configuration's top down to a value."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration of a plugin on this host.

    Attributes:
        plugin: the plugin.
        version: the version that it is checked against; None if none is installed.
        kept: what is set on this host, with references in the place of secrets.
        defaults: ``default_config`` of that version.
        missing: what its schema requires and isn't set.
        problems: what else doesn't match its schema.
    """

    plugin: PluginId
    version: str | None
    kept: dict[str, Any]
    defaults: dict[str, Any]
    missing: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def merged(self) -> dict[str, Any]:
        """What is set, over the defaults."""
        return merged(self.defaults, self.kept)


class ChangedMeanwhileError(ConfigError):
    """Somebody else changed the configuration between reading and replacing it."""


class HostConfiguration:
    """What a host keeps for one plugin.

    Args:
        store: of the host.
        plugin: the plugin.
    """

    def __init__(self, store: Store, plugin: PluginId) -> None:
        self._store = store
        self._plugin = plugin
        self._manifest = manifest_in_use(store, plugin)

    @property
    def version(self) -> str | None:
        """The version that it is checked against; None if none is installed."""
        return self._manifest.version if self._manifest is not None else None

    def read(self) -> Configured:
        """Return what is set, and what the schema says of it.

        Raises:
            ConfigError: it can't be read, or the schema can't be used.
        """
        return self._judged(kept_config(self._store, self._plugin))

    def set(self, values: Mapping[Path, Any]) -> Configured:
        """Set values.

        Raises:
            NotFoundError: the plugin isn't installed. ConfigError: a value doesn't match, or is a secret in plain text;
            nothing was changed.
        """
        self._require_installed()

        def change(before: dict[str, Any]) -> dict[str, Any]:
            after = copy.deepcopy(before)
            for path, value in values.items():
                put(after, path, value)
            return self._required(after, before)

        return self._judged(change_config(self._store, self._plugin, change))

    def unset(self, paths: Sequence[Path]) -> Configured:
        """Take values back to their defaults; no path: all of them.

        Raises:
            NotFoundError: one isn't set; nothing was changed.
        """

        def change(before: dict[str, Any]) -> dict[str, Any]:
            after = copy.deepcopy(before)
            for path in paths:
                if not take(after, path):
                    raise NotFoundError(
                        f"{shown(path)} is not set for {self._plugin} on this host",
                        subject=str(self._plugin),
                        untouched="the configuration was not changed",
                        hint=f"to see what is: sealdex config plugin {self._plugin}",
                    )
            return after if paths else {}

        return self._judged(change_config(self._store, self._plugin, change))

    def replace(self, values: dict[str, Any], instead_of: dict[str, Any]) -> Configured:
        """Set exactly these values, in the place of those that were read; raises as `set`.

        Raises:
            ChangedMeanwhileError: others are set now.
        """
        self._require_installed()

        def change(before: dict[str, Any]) -> dict[str, Any]:
            if before != instead_of:
                raise ChangedMeanwhileError(
                    f"the configuration of {self._plugin} was changed meanwhile by somebody else",
                    subject=str(self._plugin),
                    untouched="the configuration was not changed",
                    hint=f"to see it: sealdex config plugin {self._plugin}",
                )
            return self._required(values, before)

        return self._judged(change_config(self._store, self._plugin, change))

    def plain_secrets(self, values: dict[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
        """Yield what is a secret by the schema and isn't a reference to one: its path and value."""
        for key, value in values.items():
            path = (*above, key)
            if value is None or is_reference(value):
                continue
            if self.is_secret(path):
                yield path, value
            elif isinstance(value, dict):
                yield from self.plain_secrets(value, path)

    def schema_of(self, path: Path) -> Mapping[str, Any]:
        """Return what the schema says of a value, as far as it says it under ``properties``."""
        schema: Any = self._manifest.config_schema if self._manifest is not None else None
        for key in path:
            properties = schema.get("properties") if isinstance(schema, dict) else None
            schema = properties.get(key) if isinstance(properties, dict) else None
        return schema if isinstance(schema, dict) else {}

    def is_secret(self, path: Path) -> bool:
        """Return whether the schema says that a value is a secret: ``writeOnly``, or the format ``password``."""
        return says_secret(self.schema_of(path))

    def _require_installed(self) -> None:
        if self._manifest is None:
            raise NotFoundError(
                f"{self._plugin} is not installed, so its configuration can't be checked",
                subject=str(self._plugin),
                untouched="the configuration was not changed",
                hint=f"sealdex install {self._plugin}",
            )

    def _judged(self, kept: dict[str, Any]) -> Configured:
        missing, problems = judge(self._manifest, kept) if self._manifest is not None else ([], [])
        defaults = dict((self._manifest.default_config if self._manifest is not None else None) or {})
        return Configured(self._plugin, self.version, kept, defaults, tuple(missing), tuple(problems))

    def _required(self, kept: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
        if is_too_deep(kept):
            raise ConfigError(
                f"this is nested too deeply to be the configuration of {self._plugin}",
                subject=str(self._plugin),
                untouched="the configuration was not changed",
            )
        known = list(self.plain_secrets(before))  # an earlier schema may have said nothing of them
        if plain := [path for path, value in self.plain_secrets(kept) if (path, value) not in known]:
            named = ", ".join(map(shown, plain))
            raise ConfigError(
                f"{named}: this is a secret, and would stand in the store",
                subject=str(self._plugin),
                untouched="the configuration was not changed",
                hint=f"give a reference: {FORMS}",
            )
        if self._manifest is not None and (problems := judge(self._manifest, kept)[1]):
            raise ConfigError(
                f"this does not fit {self._plugin} {self.version}:\n" + "\n".join(problems),
                subject=str(self._plugin),
                untouched="the configuration was not changed",
                hint=f"to see the schema: sealdex info {self._plugin}@{self.version}",
                details={"problems": problems},
            )
        return kept


def judge(manifest: PublishedManifest, kept: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what a release's schema requires beside what is set, and what of it doesn't match, each with its path.

    Raises:
        ConfigError: `jsonschema` isn't installed, or the schema can't be used.
    """
    problems = list(reference_problems(kept))
    check = schema_check(manifest)
    config = hidden(merged(manifest.default_config or {}, stand_ins(kept)), manifest.config_schema)
    found = check.found(config) if check is not None else []
    missing = [each.text for each in found if each.keyword in _MISSING]
    wrong = [
        each.text
        for each in found
        if each.keyword not in _MISSING and not (each.is_secret and each.keyword in _OF_VALUES)
    ]
    return missing, [*problems, *wrong]


def refused(store: Store, plugins: Sequence[PluginId] | None = None) -> Iterator[tuple[PluginId, str, list[str]]]:
    """Yield the plugins whose version in use doesn't take what is set for them: the version, and why.

    Args:
        store: of the host.
        plugins: only these; None: all for which something is set.
    """
    for plugin in configured_plugins(store):
        if plugins is not None and plugin not in plugins:
            continue
        installation = current(store, plugin)
        if installation is None:
            continue
        try:
            missing, wrong = judge(installed_manifest(installation), kept_config(store, plugin))
        except SealdexError as error:
            missing, wrong = [], [str(error)]
        if missing or wrong:
            yield plugin, installation.version, [*wrong, *missing]


def manifest_in_use(store: Store, plugin: PluginId) -> PublishedManifest | None:
    """Return the manifest of the version in use, or of the newest that is installed; None if there is none."""
    found: Installation | None = current(store, plugin)
    if found is None:
        installed = installed_versions(store, plugin)
        found = installed[-1] if installed else None
    return installed_manifest(found) if found is not None else None


def put(values: dict[str, Any], path: Path, value: Any) -> None:
    """Put a value at a path, making the objects above it.

    Raises:
        ConfigError: something above it is set that is not an object.
    """
    at = values
    for number, key in enumerate(path[:-1]):
        below = at.setdefault(key, {})
        if not isinstance(below, dict) or is_reference(below):
            raise ConfigError(
                f"{shown(path)} can't be set: {shown(path[: number + 1])} is not an object",
                untouched="the configuration was not changed",
            )
        at = below
    at[path[-1]] = value


def take(values: dict[str, Any], path: Path) -> bool:
    """Take away the value at a path, and the objects above it that are empty then; False if there is none."""
    above: list[dict[str, Any]] = []
    at: Any = values
    for key in path[:-1]:
        if not isinstance(at, dict) or key not in at:
            return False
        above.append(at)
        at = at[key]
    if not isinstance(at, dict) or path[-1] not in at:
        return False
    del at[path[-1]]
    for key, holder in zip(reversed(path[:-1]), reversed(above), strict=True):
        if holder[key] == {}:
            del holder[key]
    return True


def shown(path: Path) -> str:
    """Return a path as people write it."""
    return ".".join(f'"{key}"' if "." in key or not key else key for key in path)
