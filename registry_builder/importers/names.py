"""What each plugin of another system is called here: ``imports/<system>.toml``, so that every run agrees.

    format = 1

    [names]
    "plugin_slack_abc123" = "arcade/slack-notify"

People edit it: a line of it wins over every proposal, and one run never renames what another imported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from msgspec import Struct

from registry_builder.importers.foreign import ForeignPlugin, shown, slug
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.text import convert_command, other_encoding, without_mark
from sealdex.config.toml_reader import toml_values
from sealdex.errors import ConfigError
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.ids import PluginId, namespace_problem, parse_plugin_id, part_problem

FOLDER = "imports"
FORMAT = 1
_MAX_BYTES = 16 * 1024 * 1024
_COMMENT = (
    "What each plugin of the source is called here. Importing adds lines and changes none:\n"
    "a name may be edited until the plugin is published."
)


class NamesDocument(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The file: the source's identifiers to ``namespace/name``."""

    format: int = FORMAT
    names: dict[str, str] = {}


@dataclass(frozen=True)
class Assigned:
    """The names of one run.

    Attributes:
        ids: the source's identifiers to plugins.
        new: those that the file doesn't have yet.
        refused: identifiers without a name, and why.
    """

    ids: dict[str, PluginId]
    new: dict[str, PluginId]
    refused: dict[str, str]


def names_file(tree: Path, system: str) -> Path:
    """Return where the names of a system are kept."""
    return tree / FOLDER / f"{system}.toml"


def read_names(path: Path) -> dict[str, PluginId]:
    """Read a file of names; one that doesn't exist has none.

    Raises:
        ConfigError: it is not valid; every wrong line is named.
    """
    values = _values(path)
    try:
        document = read_values(values, NamesDocument)
    except DocumentError as error:
        raise ConfigError(str(error), subject=str(path), untouched="nothing was imported") from error
    found: dict[str, PluginId] = {}
    problems: list[str] = []
    if document.format > FORMAT:
        problems.append(f"format: is {document.format}, and this version reads up to {FORMAT}: upgrade sealdex-builder")
    for foreign, text in document.names.items():
        try:
            found[foreign] = parse_plugin_id(text)
        except ValueError as error:  # noqa: PERF203  # all of them are told
            problems.append(f'names."{shown(foreign)}": {error}')
    by_id: dict[PluginId, str] = {}
    for foreign, plugin in found.items():
        if (first := by_id.setdefault(plugin, foreign)) != foreign:
            problems.append(f'names."{shown(foreign)}": {plugin} is already the name of "{shown(first)}"')
    if problems:
        raise ConfigError("; ".join(problems), subject=str(path), untouched="nothing was imported")
    return found


def _values(path: Path) -> dict[str, Any]:
    gate = Gate(path.parent)
    if not gate.is_there(path):
        return {}
    try:
        data = without_mark(gate.read(path, _MAX_BYTES))
    except UnreadableError as error:
        raise ConfigError(f"{path.name} {error}", subject=str(path), untouched="nothing was imported") from error
    if (encoding := other_encoding(data)) is not None:
        raise ConfigError(
            f"{path.name} is not in UTF-8",
            subject=str(path),
            untouched="nothing was imported",
            hint=convert_command(path.name, encoding),
        )
    try:
        return toml_values(data.decode())
    except ValueError as error:
        raise ConfigError(f"is not valid TOML: {error}", subject=str(path), untouched="nothing was imported") from error


def assign(
    plugins: Iterable[ForeignPlugin],
    known: Mapping[str, PluginId],
    *,
    namespace: str,
    there: Collection[PluginId],
    file: str,
) -> Assigned:
    """Give each plugin its name: the file's, or else the first proposal that is valid and free. Pure.

    Args:
        plugins: of the source.
        known: the file.
        namespace: for plugins that propose none.
        there: plugins of the source tree; nothing is imported into one that the file doesn't name.
        file: how messages call the file.
    """
    ids: dict[str, PluginId] = {}
    new: dict[str, PluginId] = {}
    refused: dict[str, str] = {}
    proposals: dict[PluginId, list[str]] = {}
    for plugin in plugins:
        if plugin.id in known:
            ids[plugin.id] = known[plugin.id]
            continue
        proposed = _proposal(plugin, namespace)
        if isinstance(proposed, str):
            refused[plugin.id] = f"name: {proposed}: {_line(plugin.id, file)}"
        else:
            proposals.setdefault(proposed, []).append(plugin.id)
    taken = {**{plugin: foreign for foreign, plugin in known.items()}}
    for proposed, foreign_ids in proposals.items():
        if proposed in taken:
            why = f"{proposed} is the name of '{shown(taken[proposed])}'"
        elif len(foreign_ids) > 1:
            why = f"{' and '.join(repr(shown(i)) for i in foreign_ids)} would both be {proposed}"
        elif proposed in there:
            why = f"{proposed} is in the source tree already, and not imported from there"
        else:
            ids[foreign_ids[0]] = new[foreign_ids[0]] = proposed
            continue
        refused.update((foreign, f"name: {why}: {_line(foreign, file)}") for foreign in foreign_ids)
    return Assigned(ids, new, refused)


def _line(foreign: str, file: str) -> str:
    return f'write its name into {file}, below [names]: {_key(foreign)} = "NS/NAME"'


def _key(foreign: str) -> str:
    """Return an identifier of the source as a whole key in TOML, as it is looked up; what doesn't show is escaped."""
    quoted = foreign.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in quoted) + '"'


def _proposal(plugin: ForeignPlugin, namespace: str) -> PluginId | str:
    space = plugin.namespace or namespace
    if problem := namespace_problem(space):
        return f"namespace '{shown(space)}' {problem}"
    why = "is empty"
    for name in plugin.names:
        made = slug(name)
        if made is None:
            why = f"'{shown(name)}' has letters that an identifier can't have"
        elif problem := part_problem(made):
            why = f"'{shown(name)}' {problem}"
        else:
            return PluginId(space, made)
    return why


def write_names(path: Path, new: Mapping[str, PluginId]) -> bool:
    """Add names to the file, keeping comments and order; return whether anything was written."""
    if not new:
        return False
    if path.exists():
        document = tomlkit.parse(without_mark(path.read_bytes()).decode())
    else:
        document = tomlkit.document()
        for line in _COMMENT.splitlines():
            document.add(tomlkit.comment(line))
        document["format"] = FORMAT
    names: Any = document.setdefault("names", tomlkit.table())
    for foreign, plugin in sorted(new.items()):
        names[foreign] = str(plugin)
    replace_file(path, tomlkit.dumps(document).encode())
    return True


__all__ = ["FOLDER", "Assigned", "assign", "names_file", "read_names", "write_names"]
