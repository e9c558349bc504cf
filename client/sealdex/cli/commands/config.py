"""Commands about the configuration: config show."""

from __future__ import annotations

import os
from typing import Any

import click
import msgspec

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import LazyCommand, LazyGroup, examples
from sealdex.cli.progress import in_bytes
from sealdex.config.config import ConfigDocument
from sealdex.config.layers import fields_of, keys, sections_of, variable_of
from sealdex.model.decode import is_size
from sealdex.paths import CONFIG_VARIABLE, STORE_VARIABLE


@click.group(
    cls=LazyGroup,
    lazy={
        "plugin": LazyCommand(
            "sealdex.cli.commands.plugin_config:plugin_", "Show or change a plugin's configuration on this host."
        )
    },
)
def config() -> None:
    """Show settings and where each comes from; keep the configuration of plugins."""


@config.command(
    epilog=examples(
        "sealdex config show",
        "sealdex config show --origin",
        "SEALDEX_DOWNLOAD_TIMEOUT=5 sealdex config show --origin --set download.concurrent=1 --json",
    )
)
@click.option("--origin", is_flag=True, help="Show where each value comes from.")
@client_command
def show(context: Context, origin: bool) -> None:
    """Show all settings in effect with these options and this environment.

    A setting is taken from, in increasing precedence: its default, config.toml, the environment variable
    SEALDEX_SECTION_FIELD, and the option --set section.field=VALUE.
    """
    found = context.config()
    rows: list[dict[str, Any]] = [
        {"key": "config", "value": str(found.path), "origin": _place(context.config_path, "--config", CONFIG_VARIABLE)},
        {"key": "store", "value": str(found.store), "origin": _place(context.store, "--store", STORE_VARIABLE)},
    ]
    sections = sections_of(ConfigDocument)
    sizes = {
        f"{name}.{field}" for name, said in sections.items() for field, kind in fields_of(said).items() if is_size(kind)
    }
    for key in keys(sections):
        section, _, name = key.partition(".")
        value = msgspec.to_builtins(getattr(getattr(found.document, section), name))
        rows.append({
            "key": key,
            "value": value,
            "origin": found.origins.get(key, "default"),
            "variable": variable_of(key),
        })  # fmt: skip
    context.out.result({"settings": rows})
    context.out.table(
        ["SETTING", "VALUE", *(["ORIGIN"] if origin else [])],
        [
            [row["key"], _text(row["value"], is_size=row["key"] in sizes), *([row["origin"]] if origin else [])]
            for row in rows
        ],
        worded=("ORIGIN",),
    )
    context.out.note("registries: sealdex registry list; labels and tags of this host: sealdex env")


def _place(given: object, option: str, variable: str) -> str:
    if given is not None:
        return option
    return f"${variable}" if os.environ.get(variable) else "default"


def _text(value: Any, *, is_size: bool) -> str:
    if value is None:
        return "-"
    if is_size:
        return f"{value} ({in_bytes(value)})" if value >= 1024 else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value)
