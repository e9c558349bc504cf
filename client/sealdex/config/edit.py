"""Adds and removes a registry in the text of ``config.toml``, leaving everything else as it is, byte for byte.

The text is edited, never regenerated from the parsed values, so comments, order and spelling are kept. Each edited text
is parsed and compared with the intended result; if they differ (registries as an inline table, say) it is refused.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sealdex.config import toml_writer
from sealdex.config.config import CATCH_ALL, Config, ConfigDocument, RegistrySection, parse_config
from sealdex.config.document import AuthSection
from sealdex.config.toml_reader import read_toml_text
from sealdex.disk import replace, sync, sync_path
from sealdex.errors import ConfigError, UsageError
from sealdex.model.ids import part_problem

if TYPE_CHECKING:
    from filelock import FileLock

_LOCK_SECONDS = 10


def with_registry(text: str, name: str, section: RegistrySection) -> str:
    """Return the text with ``[registries.NAME]`` appended.

    Raises:
        UsageError: the name is taken.
        ConfigError: the edited text would not have the intended meaning, or there is a second catch-all.
    """
    before = parse_config(text)
    if problem := part_problem(name):
        raise UsageError(
            f"'{name}' is not a valid name of a registry: it {problem}",
            untouched="the configuration was not changed",
            hint="choose another name, such as: acme-team",
        )
    if name in before.registries:
        raise UsageError(
            f"there is already a registry '{name}', at {before.registries[name].url}",
            untouched="the configuration was not changed",
            hint=f"choose another name, or first: sealdex registry remove {name}",
        )
    taken = next((n for n, other in before.registries.items() if _takes_all(other)), None)
    if taken is not None and _takes_all(section):
        raise ConfigError(
            f"two registries can't both take every namespace, and '{taken}' already does",
            untouched="the configuration was not changed",
            hint=f"list the namespaces of '{name}': --namespace NAMESPACE (may be repeated; 'team-*' works)",
        )
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = list(toml_writer.table(f"registries.{toml_writer.key(name)}", {"url": section.url, "root": section.root}))
    if section.namespaces != RegistrySection(url="x", root="x").namespaces:
        lines.append(f"namespaces = {toml_writer.value(section.namespaces)}")
    if section.mirrors:
        lines.append(f"mirrors = {toml_writer.value(section.mirrors)}")
    if section.partial:
        lines.append("partial = true")
    if section.max_staleness is not None:
        lines.append(f"max_staleness = {toml_writer.value(section.max_staleness)}")
    if section.auth is not None:
        lines.append(f"auth = {toml_writer.value(msgspec.to_builtins(section.auth))}")
    start = text if not text or text.endswith("\n") else text + newline
    edited = start + (newline if start else "") + newline.join(lines) + newline
    return _checked(edited, _meaning(before, {**before.registries, name: section}), name)


def without_registry(text: str, name: str) -> str:
    """Return the text without the ``[registries.NAME]`` table and the blank line above it.

    Raises:
        ConfigError: the registry is configured in another way than by such a table.
    """
    before = parse_config(text)
    header = re.compile(rf"""[ \t]*\[[ \t]*registries[ \t]*\.[ \t]*(["']?){re.escape(name)}\1[ \t]*\][ \t]*(#.*)?""")
    lines = text.splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if header.fullmatch(line.rstrip("\r\n"))]
    if len(starts) != 1:
        raise _by_hand(name)
    start = starts[0]
    end = start + 1
    for i in range(start + 1, len(lines)):
        stripped = lines[i].strip()
        if stripped.startswith("["):
            break  # the next table; comments and blank lines above it belong to it
        if stripped and not stripped.startswith("#"):
            end = i + 1
    # the blank line that `with_registry` or the user put between two tables
    if start and not lines[start - 1].strip() and (end == len(lines) or not lines[end].strip()):
        start -= 1
    edited = "".join(lines[:start] + lines[end:])
    return _checked(edited, _meaning(before, {n: s for n, s in before.registries.items() if n != name}), name)


def _meaning(before: ConfigDocument, registries: dict[str, RegistrySection]) -> ConfigDocument:
    return msgspec.structs.replace(before, registries=registries)


def _checked(edited: str, meant: ConfigDocument, name: str) -> str:
    try:
        got = parse_config(edited)
    except ConfigError as error:
        raise _by_hand(name) from error
    if got != meant or list(got.registries) != list(meant.registries):
        raise _by_hand(name)
    return edited


def _takes_all(section: RegistrySection) -> bool:
    return any(not pattern.strip(CATCH_ALL) for pattern in section.namespaces)


def _by_hand(name: str) -> ConfigError:
    return ConfigError(
        f"the table of '{name}' can't be edited safely in the way this configuration is written",
        untouched="the configuration was not changed",
        hint=f"edit it by hand: a registry is a table [registries.{name}] with url, root and namespaces",
    )


# --- at the edge: files ----------------------------------------------------------------------------------------------


def add_registry(
    config: Config,
    name: str,
    url: str,
    namespaces: tuple[str, ...],
    root: bytes,
    auth: AuthSection | None = None,
    max_staleness: str | None = None,
    mirrors: tuple[str, ...] = (),
    *,
    partial: bool = False,
) -> RegistrySection:
    """Write a registry into the configuration file and its trust root beside it.

    The root is written first: a configuration never names a missing root. Both files are replaced atomically.

    Raises:
        UsageError: the name is taken.
        ConfigError: the edit is not possible; nothing was changed.
    """
    section = RegistrySection(
        url=url,
        root=f"roots/{name}.root.json",
        namespaces=namespaces or ("*",),
        auth=auth,
        max_staleness=max_staleness,
        mirrors=mirrors,
        partial=partial,
    )
    with _locked(config.path):
        edited = with_registry(_read(config.path), name, section)
        replace_file(config.path.parent / section.root, root)
        replace_file(config.path, edited.encode())
    return section


def remove_registry(config: Config, name: str) -> RegistrySection:
    """Remove a registry from the configuration file and delete the root that `add_registry` wrote.

    Raises:
        NotFoundError: there is none of that name.
        ConfigError: the edit is not possible; nothing was changed.
    """
    section = config.section(name)
    with _locked(config.path):
        edited = without_registry(_read(config.path), name)
        replace_file(config.path, edited.encode())
        if section.root == f"roots/{name}.root.json":
            (config.path.parent / section.root).unlink(missing_ok=True)
    return section


def _read(path: Path) -> str:
    try:
        return read_toml_text(path)  # line ends are kept
    except FileNotFoundError:
        return ""


def _locked(path: Path) -> FileLock:
    from filelock import FileLock  # noqa: PLC0415  # a project uses what this module writes files with

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_SECONDS)


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file atomically, readable by its owner only; a symbolic link is kept and its target replaced."""
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            sync(file.fileno())
        replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_path(target.parent)  # so that the rename survives a power cut
