"""What this host keeps of the configuration of its plugins: one file a plugin, for its user alone.

``config/<namespace>/<name>.json`` has what was set on this host, without defaults, and secrets as references. It stays
when the plugin is updated or uninstalled. An older sealdex doesn't know the files and leaves them alone.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from sealdex.disk import replace, sync
from sealdex.errors import ConfigError, FormatTooNewError, InstallError
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import PluginId
from sealdex.store.layout import Store

_FORMAT = 1
_MAX_BYTES = 1 << 20
_LOCK_SECONDS = 10
_MOST_LEVELS = 100


def kept_config(store: Store, plugin: PluginId) -> dict[str, Any]:
    """Return what was set for a plugin on this host; empty if nothing was.

    Raises:
        ConfigError: the file can't be read. FormatTooNewError: a newer sealdex wrote it.
    """
    path = Path(store.config_file(plugin))
    try:
        with path.open("rb") as file:
            values = json_values(file.read(_MAX_BYTES + 1))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(values, dict) or not isinstance(values.get("format"), int):
        raise _unreadable(path, "it has no format")
    if values["format"] > _FORMAT:
        raise FormatTooNewError(
            f"the configuration of {plugin} has format {values['format']}; this sealdex reads up to {_FORMAT}",
            subject=str(path),
            hint="upgrade sealdex: pip install --upgrade sealdex",
        )
    if not isinstance(values.get("config"), dict):
        raise _unreadable(path, "its config is not an object")
    config: dict[str, Any] = values["config"]
    if is_too_deep(config):
        raise _unreadable(path, "it is nested too deeply")
    return config


def change_config(store: Store, plugin: PluginId, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Change what is set for a plugin, while nobody else does; an empty result removes the file.

    Args:
        store: of the host.
        plugin: the plugin.
        change: gets what is set, and returns what is to be; what it raises leaves everything as it was.

    Raises:
        ConfigError, FormatTooNewError: as `kept_config`. InstallError: the store can't be written.
    """
    path = Path(store.config_file(plugin))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=_LOCK_SECONDS):
            before = kept_config(store, plugin)
            after = change(before)
            if not after:
                path.unlink(missing_ok=True)
            elif after != before:
                _write(path, _as_json(plugin, {"format": _FORMAT, "config": after}))
    except OSError as error:  # a lock that is held too long is one too
        raise InstallError(
            f"the configuration of {plugin} can't be written: {error.strerror or error}",
            subject=str(path),
            untouched="the configuration was not changed",
        ) from error
    return after


def is_too_deep(value: Any) -> bool:
    """Return whether a value nests more deeply than anything that is kept."""
    level = [value]
    for _ in range(_MOST_LEVELS):
        below: list[Any] = []
        for each in level:
            below += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        if not below:
            return False
        level = below
    return True


def reject(store: Store, plugin: PluginId, text: str) -> Path:
    """Keep a text that can't be the configuration, so that its author doesn't have to write it again."""
    path = Path(f"{store.config_file(plugin)}.rejected")
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, text)
    return path


def configured_plugins(store: Store) -> list[PluginId]:
    """Return the plugins for which something is set on this host, by name."""
    found = Path(store.config_folder).glob("*/*.json")
    return sorted(PluginId(path.parent.name, path.name.removesuffix(".json")) for path in found)


def _as_json(plugin: PluginId, document: dict[str, Any]) -> str:
    try:
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        raise ConfigError(
            f"the configuration of {plugin} can't be kept as JSON: {error}",
            subject=str(plugin),
            untouched="the configuration was not changed",
            hint="JSON has no NaN and no Infinity",
        ) from error


def _write(path: Path, text: str) -> None:
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # readable by its user alone
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            sync(file.fileno())
        replace(draft, path)
    except BaseException:
        with suppress(OSError):
            Path(draft).unlink()
        raise


def _unreadable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"a plugin's configuration can't be read: {why}",
        subject=str(path),
        untouched="nothing was changed",
        hint=f"mend the file, or remove it: rm {path}",
    )
