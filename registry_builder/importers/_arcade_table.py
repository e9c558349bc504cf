"""The engine's plugin table, as JSON or CSV: its rows by the engine's names of fields, and the manifest of each.

A column is called ``PluginId``, ``pluginId`` or ``plugin_id``. Spreadsheets put ``;`` or tabs between cells.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from registry_builder.importers._packages import MAX_MANIFEST_BYTES
from registry_builder.importers._reading import export_bytes, object_of, strict_json
from registry_builder.importers.foreign import SourceError, shown
from sealdex.errors import UsageError

_MANIFEST_FIELDS = (
    "name", "version", "description", "author", "homepage", "repository", "pluginType", "entryPoint", "dependencies",
    "configSchema", "paramsSchema", "defaultConfig", "icon", "tags", "minVersion", "resources", "documentation",
    "license",
)  # fmt: skip
COLUMNS = (
    *_MANIFEST_FIELDS, "pluginId", "isEnabled", "isBuiltin", "checksum", "source", "s3Path", "manifest", "installTime",
    "updateTime", "id", "createdAt", "updatedAt", "deletedAt", "createTime",
)  # fmt: skip
_BY_PLAIN = {name.lower(): name for name in COLUMNS}
_JSON_COLUMNS = ("configSchema", "paramsSchema", "defaultConfig", "manifest", "tags", "dependencies", "resources")
OF_THE_HOST = ("isEnabled", "isBuiltin", "source", "s3Path", "updateTime", "id", "createdAt", "updatedAt", "deletedAt")
_NULLS = frozenset({"", "NULL", "null", "\\N"})
_KEYED = ("data", "list", "records", "RECORDS", "plugins", "rows", "items")  # how tools wrap an exported table


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and row of an exported table.

    Raises:
        NotFoundError: there is no such file. UsageError: it isn't a table.
    """
    data = export_bytes(path)
    if path.suffix.lower() == ".json":
        try:
            values = strict_json(data)
        except SourceError as error:
            raise UsageError(str(error), subject=str(path), untouched="nothing was imported") from error
        if isinstance(values, dict):
            values = next((values[key] for key in _KEYED if isinstance(values.get(key), list)), [values])
        if not isinstance(values, list) or not all(isinstance(row, dict) for row in values):
            raise UsageError("is not a list of rows", subject=str(path), untouched="nothing was imported")
        for number, row in enumerate(values, 1):
            yield f"{path.name}:{number}", _by_field(row.items())
        return
    text = io.StringIO(data.decode(), newline="")
    first = text.readline()
    text.seek(0)
    mark = max(",;\t", key=first.count)
    csv.field_size_limit(MAX_MANIFEST_BYTES)
    rows = csv.reader(text, delimiter=mark, strict=True)
    try:
        header = next(rows, [])
        if "version" not in {_plain(name) for name in header}:
            raise UsageError(
                "has no column 'version' in its first line", subject=str(path), untouched="nothing was imported"
            )
        for row in rows:
            if row:
                place = f"{path.name}:{rows.line_num}"
                yield place, _by_field(zip(header, [*row, *[""] * (len(header) - len(row))], strict=False))
    except csv.Error as error:
        raise UsageError(
            f"is not valid CSV in line {rows.line_num}: {error}", subject=str(path), untouched="nothing was imported"
        ) from error


def _plain(name: str) -> str:
    return name.strip().strip('"`').replace("_", "").replace(" ", "").lower()


def _by_field(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return a row by the engine's names of fields; those that it doesn't have keep their own."""
    row: dict[str, Any] = {}
    for name, value in cells:
        cell = None if isinstance(value, str) and value.strip() in _NULLS else value
        row[_BY_PLAIN.get(_plain(name), name)] = cell
    return row


def merged(row: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a row, with what its own columns say."""
    problems: list[str] = []
    row = dict(row)
    for name in _JSON_COLUMNS:
        if isinstance(row.get(name), str):
            try:
                row[name] = strict_json(row[name])
            except SourceError as error:
                problems.append(f"{name}: {error}")
    manifest = object_of(row, "manifest", problems) or {}
    problems += [
        f"manifest.{name}: is '{shown(manifest[name])}', but the row says '{shown(row[name])}'"
        for name in ("version", "entryPoint")
        if row.get(name) and manifest.get(name) and row[name] != manifest[name]
    ]
    if problems:
        raise SourceError("\n".join(problems))
    own = {name: value for name, value in row.items() if name not in {*OF_THE_HOST, "pluginId", "checksum", "manifest"}}
    return {**manifest, **{name: value for name, value in own.items() if value is not None}}


__all__ = ["COLUMNS", "OF_THE_HOST", "merged", "rows_of"]
