"""Records what `ensure` found in place, so that the next run sees quickly that nothing has changed.

    <store>/ensured/<number>.json      the number is the CRC-32 of the lock's path; another project with the same number
                                       replaces the file, which says what it is about
        inputs     every file that could change the answer, with its text (null: it didn't exist), and the environment
        installed  [namespace, name, version, artifact's SHA-256] of each plugin of the lock that has files

Nothing is trusted because of it: who can write to it can also write to the installations. Imports are few, see
`sealdex.store.layout`.
"""

from __future__ import annotations

import os
import sys
from binascii import crc32
from stat import S_ISREG

from sealdex.disk import replace
from sealdex.model.foreign_json import json_values
from sealdex.paths import config_file
from sealdex.store.installations import current_version_named, find_installation
from sealdex.store.layout import Store

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from typing import Any

    from sealdex.store.installations import Installation

WANTED_NAME, LOCK_NAME = "sealdex.toml", "sealdex.lock"
STAMP_FORMAT = 1


def in_place(store: Store, folder: str, config: str | None = None) -> list[Installation] | None:
    """Return the installations of a project's lock if all are in use and nothing has changed, else None.

    Args:
        store: the store.
        folder: the project's folder.
        config: the configuration file, if not the user's own.
    """
    try:
        with open(_place(store, folder), encoding="utf-8") as file:  # noqa: PTH123  # pathlib costs more than all of this
            stamp = json_values(file.read())
        if stamp["format"] != STAMP_FORMAT or stamp["inputs"] != _inputs(folder, config):
            return None
        found = []
        for namespace, name, version, sha256 in stamp["installed"]:
            plugin = (namespace, name)
            if current_version_named(store, plugin) != version:
                return None
            installation = find_installation(store, plugin, version)
            if installation is None or installation.artifact_sha256 != sha256:
                return None
            found.append(installation)
    except (OSError, ValueError, KeyError, TypeError):  # missing, half written, or in another format
        return None
    return found


def keep(store: Store, folder: str, config: str | None, installed: list[Installation]) -> None:
    """Record that a lock and its inputs are in place; if that fails, the next check only takes longer."""
    place = _place(store, folder)
    draft = f"{place}.{os.getpid()}"
    try:
        inputs = _inputs(folder, config)
    except OSError:
        return
    values = {
        "format": STAMP_FORMAT,
        "inputs": inputs,
        "installed": [[i.namespace, i.name, i.version, i.artifact_sha256] for i in installed],
    }
    import json  # noqa: PLC0415  # only who writes it

    try:
        os.makedirs(store.ensured_folder, exist_ok=True)  # noqa: PTH103  # the same
        try:
            with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123  # the same
                json.dump(values, file)
            replace(draft, place)
        except OSError:
            os.unlink(draft)  # noqa: PTH108  # the same
    except OSError:
        return


def _place(store: Store, folder: str) -> str:
    number = crc32(os.fsencode(os.path.abspath(folder)))  # noqa: PTH100  # the same
    return os.path.join(store.ensured_folder, f"{number:08x}.json")  # noqa: PTH118  # the same


def _inputs(folder: str, config: str | None) -> dict[str, Any]:
    here = os.path.abspath(folder)  # noqa: PTH100  # the same
    paths = [os.path.join(here, name) for name in (WANTED_NAME, LOCK_NAME)]  # noqa: PTH118  # the same
    variables = {name: text for name, text in os.environ.items() if name.startswith("SEALDEX_")}
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "")
    return {
        "files": {path: _text(path) for path in (*paths, config or config_file())},
        "variables": variables,
        "host": [sys.platform, machine],
    }


def _text(path: str) -> str | None:
    try:
        if not S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  # the same
            raise OSError(path)  # a pipe can be read once, and not by who only compares
        with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123  # the same
            return file.read()
    except FileNotFoundError:
        return None
