"""Preinstalled archives: a folder shipped with a host or image, used before the network and verified the same way.

    <store>/builtin/                               or the folder in `builtin` under [install] in config.toml
        sealdex.lock                               the releases, with digests
        plugins/<ns>/<name>/<version>/<file>       archives, as in a published tree
        plugins/<ns>/<name>/<version>/manifest.json

`sealdex lock --export DIR` makes such a folder from a project. A file in it is used only if the signed index or a lock
pins its digest, so stale or wrong files do no harm. If no registry can be reached or none is configured, releases are
installed according to the folder's own lock: whoever put the folder there is trusted, and `sealdex list` says so.
"""

from __future__ import annotations

from pathlib import Path

from sealdex.model.ids import PluginId, file_name_problem
from sealdex.model.index import release_folder
from sealdex.store.hashing import hash_of_regular


class Builtin:
    """One folder of preinstalled archives; it need not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def lock(self) -> Path:
        """The path of its lock."""
        return self.folder / "sealdex.lock"

    def place(self, plugin: PluginId, version: str, name: str) -> Path:
        """Return the path of a file of a release."""
        return self.folder / release_folder(plugin, version) / name

    def seems_to_have(self, plugin: PluginId, version: str, name: str) -> bool:
        """Return whether there is such a file, whatever its content."""
        return not file_name_problem(name) and self.place(plugin, version, name).is_file()

    def find(self, plugin: PluginId, version: str, name: str, sha256: str) -> Path | None:
        """Return the file if it is there and has this digest, else None."""
        if file_name_problem(name):
            return None
        path = self.place(plugin, version, name)
        return path if hash_of_regular(path) == sha256 else None
