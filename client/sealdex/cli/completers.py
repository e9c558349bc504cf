"""What ``sealdex`` completes, by metavar and option: read from the store and config.toml, never from the network.

Plugins come from the catalogs that the last search left in the store, and from what is installed. These are names for
a person who types; a command that gets one verifies it as always.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from sealdex.cli.complete import Completer
from sealdex.paths import config_file, store_folder
from sealdex.store.installations import installations
from sealdex.store.layout import Store

_ROW = re.compile(rb'"namespace":\s*"([a-z0-9._-]{1,64})",\s*"name":\s*"([a-z0-9._-]{1,64})"')
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,128}")
_NAME = re.compile(r"[\w.-]{1,128}")
_MAX_BYTES = 32 << 20


def _store(ctx: click.Context) -> Store:
    return Store(ctx.params.get("store") or store_folder())


def installed(ctx: click.Context, _incomplete: str = "") -> set[str]:
    """Return the installed plugins."""
    return {f"{each.namespace}/{each.name}" for each in installations(_store(ctx))}


def installed_release(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return installed plugins, and versions of one once there is an ``@``."""
    name, at, _ = incomplete.partition("@")
    if not at:
        return installed(ctx)
    return {f"{name}@{each.version}" for each in installations(_store(ctx)) if f"{each.namespace}/{each.name}" == name}


def known(ctx: click.Context, _incomplete: str = "") -> set[str]:
    """Return the plugins of the cached catalogs, and the installed ones."""
    found = installed(ctx)
    for file in _documents(_store(ctx), "catalog%2F*.json"):
        found.update(f"{namespace.decode()}/{name.decode()}" for namespace, name in _ROW.findall(_bytes_of(file)))
    return found


def known_release(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return known plugins, and once there is an ``@`` the versions of one that this host has seen."""
    name, at, _ = incomplete.partition("@")
    if not at:
        return known(ctx)
    found = set(installed_release(ctx, incomplete))
    for file in _documents(_store(ctx), f"index%2F{name.replace('/', '%2F')}.json"):
        releases = json.loads(_bytes_of(file))["releases"]
        found.update(f"{name}@{v}" for each in releases if _VERSION.fullmatch(v := str(each["version"])))
    return found


def version_of_plugin(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    """Return the installed versions of the plugin that is named before."""
    return {i.version for i in installations(_store(ctx)) if f"{i.namespace}/{i.name}" == ctx.params.get("plugin")}


def namespaces(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    """Return the namespaces of known plugins."""
    return {plugin.partition("/")[0] for plugin in known(ctx)}


def registries(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    """Return the configured registries."""
    from sealdex.config.toml_reader import toml_values  # noqa: PLC0415  # most completions read no TOML

    stated = ctx.params.get("config_path")
    values = toml_values(Path(stated or config_file()).read_text(encoding="utf-8-sig"))
    return [name for name in values.get("registries", {}) if _NAME.fullmatch(name)]


def named(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return what a plain ``NAME`` is of the command that has it: a registry, but for one that is to be added."""
    group = ctx.parent.command.name if ctx.parent is not None else None
    return registries(ctx, incomplete) if group == "registry" and ctx.command.name != "add" else ()


def settings(_ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Return the settings, each with the ``=`` that its value follows."""
    from sealdex.config.document import ConfigDocument  # noqa: PLC0415  # most completions need no settings
    from sealdex.config.layers import keys, sections_of  # noqa: PLC0415  # completing must not wait for it

    return [] if "=" in incomplete else [f"{key}=" for key in keys(sections_of(ConfigDocument))]


def configured(ctx: click.Context, _incomplete: str) -> Iterable[str]:
    """Return the keys of the configuration of the plugin that is named before."""
    if len(words := ctx.params.get("words") or ()) % 2 and ctx.params.get("action") == "set":
        return []  # a value
    from sealdex.model.ids import parse_plugin_id  # noqa: PLC0415  # only for `config plugin`
    from sealdex.runtime.configuration import manifest_in_use  # noqa: PLC0415  # only for `config plugin`

    manifest = manifest_in_use(_store(ctx), parse_plugin_id(str(ctx.params["plugin"])))
    if manifest is None or ctx.params.get("action") == "edit":
        return []
    properties = (manifest.config_schema or {}).get("properties", {})
    return [
        key for key in {**properties, **(manifest.default_config or {})} if _NAME.fullmatch(key) and key not in words
    ]


def _documents(store: Store, pattern: str) -> Iterator[Path]:
    return Path(store.root, "trust").glob(f"*/documents/{pattern}")


def _bytes_of(path: Path) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  # as the store does
        return file.read(_MAX_BYTES) if os.fstat(file.fileno()).st_size <= _MAX_BYTES else b""


COMPLETERS: dict[str, Completer] = {
    "NS/NAME@RANGE": known_release,
    "NS/NAME@RANGE|ARCHIVE": known_release,
    "NS/NAME@VERSION": installed_release,
    "NAME@VERSION": installed_release,
    "NS/NAME": installed,
    "KEY VALUE": configured,
    "version": version_of_plugin,
    "--registry": registries,
    "--namespace": namespaces,
    "--set": settings,
    "--plugin": known,
    "name": named,
}
"""By metavar without brackets and dots, or by option."""
