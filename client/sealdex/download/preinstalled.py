"""Preinstalled archives: a folder that a host or image comes with, used before the network and verified the same way.

    <store>/builtin/                               or where `builtin` under [install] in config.toml says
        sealdex.lock                               what is there, with digests
        plugins/<ns>/<name>/<version>/<file>       archives, as in a published tree
        plugins/<ns>/<name>/<version>/manifest.json

`sealdex lock --export DIR` makes such a folder from a project. A file of it is used where the signed index or a lock
pins its digest, so it can be stale or wrong and nothing is weakened. Its own lock is what is installed from when no
registry can be reached, or none is configured: whoever puts the folder there vouches for that, as `sealdex list` says.
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
        """Where its lock lies."""
        return self.folder / "sealdex.lock"

    def place(self, plugin: PluginId, version: str, name: str) -> Path:
        """Return where a file of a release belongs."""
        return self.folder / release_folder(plugin, version) / name

    def seems_to_have(self, plugin: PluginId, version: str, name: str) -> bool:
        """Say whether there is such a file, whatever is in it."""
        return not file_name_problem(name) and self.place(plugin, version, name).is_file()

    def find(self, plugin: PluginId, version: str, name: str, sha256: str) -> Path | None:
        """Return the file if it is there and has this digest; a wrong one is as good as none."""
        if file_name_problem(name):
            return None
        path = self.place(plugin, version, name)
        return path if hash_of_regular(path) == sha256 else None
