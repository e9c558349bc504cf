"""Reads what the Arcade plugin engine has: packages with ``manifest.json``, its exported plugin table, its S3 layout.

A file of the table is at ``S3Path``, or by the engine's rule at ``plugins/{id}/{version}/{id}_{version}.so``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from registry_builder.importers._arcade_table import COLUMNS, OF_THE_HOST, merged, rows_of
from registry_builder.importers._binaries import HEAD_BYTES
from registry_builder.importers._packages import MAX_MANIFEST_BYTES, ZipPackage, files_below, head_of
from registry_builder.importers._reading import in_utf8, strict_json, text_of, utc
from registry_builder.importers.foreign import (
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    LocalFile,
    Packing,
    RemoteFile,
    SourceError,
    keywords,
    shown,
    stated_problems,
    summary_of,
    unknown_fields,
    web_address,
)
from registry_builder.source.safe_open import Gate, UnreadableError
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.foreign_release import ENGINE_MANIFEST as MANIFEST
from sealdex.model.foreign_release import engine_dependencies, engine_fields, is_library

SYSTEM = "arcade"
_SHOWN = 10
_TYPE = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
_NAMED = {
    "min_host_version": "minVersion", "entry_point": "entryPoint", "config_schema": "configSchema",
    "params_schema": "paramsSchema", "default_config": "defaultConfig", "authors": "author",
    "released_at": "installTime",
}  # fmt: skip


@dataclass(frozen=True)
class ArcadeFiles:
    """Where the engine's storage is: a folder, or an address."""

    folder: Path | None = None
    address: str | None = None


def read_arcade(sources: Iterable[Path], files: ArcadeFiles, *, plugin_type: str | None = None) -> Found:
    """Read packages, folders and exported tables.

    Args:
        sources: zips, folders, and tables (``.json``, ``.csv``).
        files: the engine's storage, for tables.
        plugin_type: of plugins that state none.

    Raises:
        NotFoundError: a source doesn't exist. UsageError: a table isn't one.
    """
    reader = _Reader(files, plugin_type)
    tables: list[Path] = []
    packages: list[tuple[Path | None, Path]] = []
    for path in sources:
        if path.is_dir():
            inside = _packages_in(path)
            packages += [(path, each) for each in inside]
            reader.pass_over(path, inside)
            stored = path / "plugins"
            if not packages and not stored.is_dir():
                raise UsageError(
                    f"has neither {MANIFEST}, nor packages, nor the engine's plugins/",
                    subject=str(path),
                    untouched="nothing was imported",
                )
            if stored.is_dir() and files == ArcadeFiles():
                reader.files = ArcadeFiles(folder=path)
        elif not path.exists():
            raise NotFoundError("does not exist", subject=str(path), untouched="nothing was imported")
        elif path.suffix.lower() in {".json", ".csv", ".tsv"}:
            tables.append(path)
        else:
            packages.append((None, path))
    for path in tables:
        reader.table(path)
    for folder, path in packages:
        reader.package(folder, path)
    reader.stored()
    return reader.done()


def _packages_in(folder: Path) -> list[Path]:
    if (folder / MANIFEST).is_file():
        return [folder]
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == ".zip" or (path.is_dir() and (path / MANIFEST).is_file())
    )


class _Reader:
    def __init__(self, files: ArcadeFiles, plugin_type: str | None) -> None:
        self.files = files
        self._type = plugin_type
        self._found = Found()
        # the engine's names are unique, and all that a package has; its ids are in tables and storages alone
        self._names: dict[str, str] = {}  # ids to names
        self._known: set[tuple[str, str]] = set()  # id and version
        self._entries: dict[str, str] = {}  # id to the last entry point
        self._refused: dict[str, str] = {}  # id to the place of a row that can't be read

    def done(self) -> Found:
        """Return what was read; dependencies by the engine's names."""
        self._found.releases = [
            replace(r, dependencies={self._names.get(name, name): wanted for name, wanted in r.dependencies.items()})
            for r in self._found.releases
        ]
        return self._found

    def pass_over(self, folder: Path, packages: list[Path]) -> None:
        """Tell which files of a folder of packages aren't any."""
        if folder in packages:
            return
        others = [each.name for each in sorted(folder.iterdir()) if each not in packages and each.name[0] != "."]
        if others := [shown(name) for name in others if name != "plugins"]:
            more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
            self._found.notes.append(
                f"{folder.name}: not read: {', '.join(others[:_SHOWN])}{more}: packages are zips, and folders with "
                f"{MANIFEST}; a table is named by itself"
            )

    # --- packages -------------------------------------------------------------------------------------------------

    def package(self, folder: Path | None, path: Path) -> None:
        """Read a zip or a folder with ``manifest.json``."""
        self._found.entries += 1
        name, version = path.name, ""
        try:
            if path.is_dir():
                members = files_below(path, root=folder or path)
                if MANIFEST not in members:
                    raise SourceError(f"{MANIFEST}: is missing")  # noqa: TRY301  # one place lists them
                data = head_of(LocalFile(folder or path, path / MANIFEST), MAX_MANIFEST_BYTES + 1)
                values = _manifest(data, path)
                name, version = shown(values.get("name")), shown(values.get("version"))
                entry = values.get("entryPoint")
                library = members.get(entry) if isinstance(entry, str) else None
                head = None
                if library is not None and isinstance(library.origin, LocalFile):
                    head = head_of(library.origin, HEAD_BYTES)
                file = ForeignFile(Packing(members), name=f"{path.name}-{version}.zip", head=head)
                problem = None if library is not None or entry is None else _missing(entry, members)
            else:
                local = LocalFile(folder or path.parent, path, is_named=folder is None)
                with ZipPackage(local) as package:
                    data = package.read(MANIFEST) or b""
                    if not data:
                        raise SourceError(f"{MANIFEST}: is missing at the top level of the zip")  # noqa: TRY301  # as above
                    values = _manifest(data, path)
                    name, version = shown(values.get("name")), shown(values.get("version"))
                    entry = values.get("entryPoint")
                    there = isinstance(entry, str) and package.is_file(entry)
                    head = package.head(entry, HEAD_BYTES) if there and isinstance(entry, str) else None
                    problem = None if there or entry is None else _missing(entry, package.entries)
                file = ForeignFile(local, name=path.name, head=head, verify=True)
            self._add(values, str(path.name), file, [problem] if problem else [])
        except SourceError as error:
            self._found.refuse(path.name, name, version, str(error).split("\n"))

    # --- the table ------------------------------------------------------------------------------------------------

    def table(self, path: Path) -> None:
        """Read an exported plugin table."""
        for place, row in rows_of(path):
            self._found.entries += 1
            name, version = shown(row.get("name") or row.get("pluginId")), shown(row.get("version"))
            try:
                values = merged(row)
                self._add(values, place, None, [], row)
            except SourceError as error:
                self._found.refuse(place, name, version, str(error).split("\n"))
                self._refused[str(row.get("pluginId") or row.get("name"))] = place

    def stored(self) -> None:
        """Add versions that the storage has and no row of a table names: the table has the last one only."""
        folder = self.files.folder
        if folder is None or not (folder / "plugins").is_dir():
            return
        gate = Gate(folder)
        for plugin in _entries(gate, folder / "plugins"):
            for version in _entries(gate, Path(plugin.path)) if plugin.is_folder else ():
                if not version.is_folder or (plugin.name, version.name) in self._known:
                    continue
                place = f"plugins/{plugin.name}/{version.name}"
                file = folder / place / f"{plugin.name}_{version.name}.so"
                self._found.entries += 1
                if plugin.name in self._refused:
                    # without it neither the plugin's name nor the checksum of this file are known
                    why = f"its row of the table ({self._refused[plugin.name]}) can't be read: correct that first"
                    self._found.refuse(place, plugin.name, version.name, why)
                    continue
                if not gate.is_there(file):
                    self._found.refuse(place, plugin.name, version.name, f"{file.name}: is missing")
                    continue
                entry = self._entries.get(plugin.name)
                name = self._names.get(plugin.name, plugin.name)
                values = {"name": name, "version": version.name, "entryPoint": entry or file.name}
                try:
                    self._add(values, place, None, [], {"pluginId": plugin.name}, is_stored=True)
                except SourceError as error:
                    self._found.refuse(place, plugin.name, version.name, str(error).split("\n"))
                else:
                    said = f"{plugin.name} {version.name}: is in the storage and not in the table: its manifest is lost"
                    self._found.notes.append(said)

    # --- both -----------------------------------------------------------------------------------------------------

    def _add(
        self,
        values: dict[str, Any],
        place: str,
        file: ForeignFile | None,
        problems: list[str],
        row: Mapping[str, Any] | None = None,
        *,
        is_stored: bool = False,
    ) -> None:
        name = text_of(values, "name", problems, required=True) or ""
        version = text_of(values, "version", problems, required=True) or ""
        plugin_id = str((row or {}).get("pluginId") or name)
        fields = _fields(values, row or {}, problems)
        kind = text_of(values, "pluginType", problems) or self._type
        known = self._found.plugins.get(name)
        if kind is None and known is None:
            problems.append("pluginType: is missing: give --type TYPE")
        elif kind is not None and not _TYPE.fullmatch(kind):
            problems.append(f"pluginType: '{shown(kind)}' is not a type such as 'notify': give --type TYPE")
        entry = fields.get("entry_point")
        if row is not None:
            file = self._stored_file(plugin_id, version, str(entry or ""), row, problems)
        if file is not None and is_library(entry):
            file = replace(file, is_library=True)
        found_keywords, left = keywords(values.get("tags"), "tags")
        dependencies = dict(engine_dependencies(values, problems))
        record = dict(unknown_fields(values, COLUMNS))
        left += [f"{name}: is not a field of the engine's manifest; it is kept in import.json" for name in record]
        if row is not None:
            record.update({k: row[k] for k in ("pluginId", *OF_THE_HOST) if row.get(k) not in (None, "")})
        if problems:
            raise SourceError("\n".join(problems))
        if known is None or not is_stored:
            self._names.setdefault(plugin_id, name)
            self._entries[plugin_id] = str(entry or "")
            self._found.plugins[name] = _plugin(plugin_id, name, values, kind, found_keywords)
        self._known.add((plugin_id, version))
        self._found.releases.append(
            ForeignRelease(
                plugin=name,
                version=version,
                place=place,
                fields=fields,
                files=(file,) if file is not None else (),
                named=_NAMED,
                dependencies=dependencies,
                record=record,
                left_out=tuple(left),
            )
        )

    def _stored_file(
        self, plugin_id: str, version: str, entry: str, row: Mapping[str, Any], problems: list[str]
    ) -> ForeignFile | None:
        path = str(row.get("s3Path") or f"plugins/{plugin_id}/{version}/{plugin_id}_{version}.so")
        if path.startswith("s3://"):
            path = path[5:].partition("/")[2]
        checksum = row.get("checksum")
        digests = {} if checksum in (None, "") else {"sha256": str(checksum).removeprefix("sha256:").lower()}
        problems += (p.replace("sha256:", "checksum:", 1) for p in stated_problems(digests, None))
        # the entry point is what the engine loads, whatever the file is called in its storage
        name = PurePosixPath(entry).name if is_library(entry) else PurePosixPath(path).name
        if path.startswith(("http://", "https://")):
            return ForeignFile(RemoteFile(path), name=name, digests=digests, verify=True)
        if path.startswith("/") or ".." in path.split("/") or "\\" in path:
            problems.append(f"s3Path: '{shown(path)}' is not a path in the storage")
            return None
        if self.files.folder is not None:
            folder = self.files.folder
            return ForeignFile(LocalFile(folder, folder / path), name=name, digests=digests, verify=True)
        if self.files.address is not None:
            url = f"{self.files.address.rstrip('/')}/{quote(path)}"
            return ForeignFile(RemoteFile(url), name=name, digests=digests, verify=True)
        problems.append(
            f"s3Path: '{shown(path)}' is in the engine's storage: say where that is with --files DIR or URL"
        )
        return None


def _missing(entry: object, members: Iterable[str]) -> str:
    there = [name for name in members if is_library(name)]
    return f"entryPoint: '{shown(entry)}' is not in the package{f'; there is {there[0]}' if there else ''}"


def _entries(gate: Gate, folder: Path) -> list[Any]:
    try:
        return list(gate.entries(folder, lambda _path, _why: None))
    except UnreadableError:
        return []


def _manifest(data: bytes, path: Path) -> dict[str, Any]:
    if len(data) > MAX_MANIFEST_BYTES:
        raise SourceError(f"{MANIFEST}: has more than {MAX_MANIFEST_BYTES} bytes")
    try:
        values = strict_json(in_utf8(data, MANIFEST, f"{path.name}: {MANIFEST}"))
    except UsageError as error:
        raise SourceError(f"{MANIFEST}: {error.message}; {error.hint}") from error
    except SourceError as error:
        raise SourceError(f"{MANIFEST}: {error}") from error
    if not isinstance(values, dict):
        raise SourceError(f"{MANIFEST}: is not an object")
    return values


def _fields(values: dict[str, Any], row: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    fields = engine_fields(values, problems)
    if row.get("installTime") is not None:
        try:
            fields["released_at"] = utc(row["installTime"], "installTime")
        except SourceError as error:
            problems.append(str(error))
    return fields


def _plugin(
    plugin_id: str, name: str, values: Mapping[str, Any], kind: str | None, found_keywords: tuple[str, ...]
) -> ForeignPlugin:
    author: Any = values.get("author")
    description = str(values.get("description") or "")
    return ForeignPlugin(
        id=name,
        names=tuple(dict.fromkeys((name, plugin_id))),
        fields={
            "type": kind,
            "summary": summary_of(description, name),
            "license": values.get("license"),
            "keywords": found_keywords,
            "owners": [{"name": author[:128]}] if isinstance(author, str) and author.strip() else [],
            **{key: web_address(values.get(key)) for key in ("homepage", "repository", "documentation")},
            "icon": web_address(values.get("icon")),
        },
        readme=f"# {name}\n\n{description}".strip(),
    )


__all__ = ["SYSTEM", "ArcadeFiles", "read_arcade"]
