"""The engine's plugin table, as JSON or CSV: its rows by the engine's names of fields, and the manifest of each.

A column is called ``PluginId``, ``pluginId`` or ``plugin_id``. Spreadsheets put ``;`` or tabs between cells. What could
be read in two ways is refused: a column twice, a row with more cells than there are columns.
"""

from __future__ import annotations

import csv
import io
import re
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
TOO_MANY = ""
"""In a row: why its cells can't be told apart; no column has this name."""
_SEPARATOR = re.compile(r'"?sep=[,;\t]"?', re.IGNORECASE)
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
        elif isinstance(values, list):
            values = next((each["data"] for each in values if _is_table(each)), values)
        if not isinstance(values, list) or not all(isinstance(row, dict) for row in values):
            raise UsageError("is not a list of rows", subject=str(path), untouched="nothing was imported")
        for number, row in enumerate(values, 1):
            yield f"{path.name}:{number}", _by_field(row.items())
        return
    text = io.StringIO(data.decode(), newline="")
    first = text.readline()
    if _SEPARATOR.fullmatch(first.strip()):  # Excel's own line
        first = text.readline()
    text.seek(text.tell() - len(first))
    mark = max(",;\t", key=first.count)
    csv.field_size_limit(MAX_MANIFEST_BYTES)
    rows = csv.reader(text, delimiter=mark, strict=True)
    try:
        header = next(rows, [])
        _check_columns(header, path)
        for row in rows:
            if any(cell.strip() for cell in row):  # spreadsheets keep empty rows
                place = f"{path.name}:{rows.line_num}"
                values = _by_field(zip(header, [*row, *[""] * (len(header) - len(row))], strict=False))
                if any(cell.strip() for cell in row[len(header) :]):
                    values[TOO_MANY] = f"has {len(row)} cells, and the table {len(header)} columns"
                yield place, values
    except csv.Error as error:
        raise UsageError(
            f"is not valid CSV in line {rows.line_num}: {error}", subject=str(path), untouched="nothing was imported"
        ) from error


def _is_table(value: object) -> bool:
    """``{"type": "table", "name": "t_plugin", "data": [...]}`` among other objects, as phpMyAdmin exports it."""
    return isinstance(value, dict) and value.get("type") == "table" and isinstance(value.get("data"), list)


def _check_columns(header: list[str], path: Path) -> None:
    names = [_plain(name) for name in header]
    problem = None
    if "version" not in names:
        problem = "has no column 'version' in its first line"
    elif twice := [name for number, name in enumerate(header) if name.strip() and _plain(name) in names[:number]]:
        problem = f"has the column '{shown(twice[0])}' twice: keep one"
    if problem is not None:
        raise UsageError(problem, subject=str(path), untouched="nothing was imported")


def _plain(name: str) -> str:
    return name.strip().strip('"`').replace("_", "").replace(" ", "").lower()


def _by_field(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return a row by the engine's names of fields; those that it doesn't have keep their own."""
    row: dict[str, Any] = {}
    for name, value in cells:
        cell = None if isinstance(value, str) and value.strip() in _NULLS else value
        field = _BY_PLAIN.get(_plain(name), name)
        if row.get(field) is not None and cell is not None and row[field] != cell:
            row[TOO_MANY] = f"{field}: is there twice, as '{shown(row[field])}' and as '{shown(cell)}'"
        elif field not in row or cell is not None:
            row[field] = cell
    return row


def merged(row: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a row, with what its own columns say."""
    row = dict(row)
    problems = [str(row.pop(TOO_MANY))] if TOO_MANY in row else []
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
