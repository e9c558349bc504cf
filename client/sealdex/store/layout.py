"""The store: a host's folder of caches and installations. Paths only; nothing is read or written here.

    <store>/
        trust/<registry>/                    TUF metadata (sealdex.trust)
        cache/sha256/ab/<digest>             downloaded files (sealdex.store.cache)
        plugins/<namespace>/<name>/
            <version>/                       one installation; complete, or absent
                .sealdex/installation.json   its receipt: what it is, from where, by whom signed
                .sealdex/files.json          each file with mode, size and SHA-256
                .sealdex/manifest.json       the release's full manifest, as its index document pins it
                ...                          the plugin's own files, 0644 or 0755
            current -> <version>             what is in use; a text file where links can't be made
        staging/<random>/                    being created or deleted; stale once its lock isn't held
        staging/<random>.lock                held by the working process
        locks/<namespace>/<name>.lock        held while a plugin's installations change; empty, left in place
        holds/<namespace>/<name>/<version>/  files locked by the processes that use that version (sealdex.store.leases)
        locks/.change                        held during a change of a set of plugins (sealdex.store.transaction)
        host-id                              random; decides about staged rollouts (sealdex.store.host_id)
        ensured/<number>.json                what `ensure` found in place (sealdex.lockfile.freshness)
        builtin/                             preinstalled plugins
        run/<namespace>/<name>/              a service: state, log, lock (sealdex.runtime.services.state)
        envs/<namespace>/<name>/<version>/   its virtual environment, if one was asked for
        removed/<namespace>/<name>/<version>/  receipt and manifest of removed versions (sealdex.store.tombstones)
        config/<namespace>/<name>.json       what is set for a plugin (sealdex.store.plugin_config)
        state.db                             enabled, disabled, pins, history

The store belongs to one user, and nobody else may write to it: anyone who can is able to change installed files after
they were verified.

Paths are strings and imports are few, because `sealdex list` and `sealdex ensure` have about 16 ms for all of their
imports, of which `pathlib` or `typing` would take a third.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    Plugin = tuple[str, str]  # (namespace, name); a PluginId is one

RECEIPT_FOLDER = ".sealdex"
RECEIPT_NAME = "installation.json"
FILES_NAME = "files.json"
MANIFEST_NAME = "manifest.json"
CURRENT_NAME = "current"

# Allowed as one part of a path, without a special meaning on any platform. Identifiers and versions are narrower and
# were checked when they were read; this keeps paths inside the store whoever calls.
# Without `re`, whose import would take as long as `sealdex list` has.
_ENDS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_INNER = _ENDS | frozenset("._+-")
_MAX_PART = 128


class Store:
    """Paths of one store.

    Raises:
        ValueError: each method, for an identifier or version that can't be a folder's name.
    """

    __slots__ = ("root",)

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(root)  # noqa: PTH100  # see the module's docstring

    def __repr__(self) -> str:
        return f"Store({self.root!r})"

    @property
    def plugins_folder(self) -> str:
        """All installations."""
        return self._join("plugins")

    @property
    def cache_folder(self) -> str:
        """Downloaded files."""
        return self._join("cache")

    @property
    def staging_folder(self) -> str:
        """Folders that are being created or deleted."""
        return self._join("staging")

    @property
    def builtin_folder(self) -> str:
        """Preinstalled plugins."""
        return self._join("builtin")

    @property
    def state_file(self) -> str:
        """The database of states and history."""
        return self._join("state.db")

    @property
    def yanked_file(self) -> str:
        """Installed releases that were yanked."""
        return self._join("yanked.json")

    @property
    def config_folder(self) -> str:
        """Configurations of plugins."""
        return self._join("config")

    def config_file(self, plugin: Plugin) -> str:
        """Return the file with the configuration of a plugin."""
        return self._join("config", _part(plugin[0]), _part(plugin[1]) + ".json")

    def run_folder(self, plugin: Plugin) -> str:
        """State and log of a plugin that runs as a service."""
        return self._join("run", _part(plugin[0]), _part(plugin[1]))

    def environment_folder(self, plugin: Plugin, version: str) -> str:
        """Virtual environments of one release, one for each list of requirements."""
        return self._join("envs", _part(plugin[0]), _part(plugin[1]), _part(version))

    def trust_folder(self, registry: str) -> str:
        """Trusted metadata of a registry."""
        return self._join("trust", _part(registry))

    def plugin_folder(self, plugin: Plugin) -> str:
        """All versions of a plugin, and the current one."""
        return self._join("plugins", _part(plugin[0]), _part(plugin[1]))

    def version_folder(self, plugin: Plugin, version: str) -> str:
        """One installation."""
        if version == CURRENT_NAME:
            raise ValueError(f"{version!r} is not a valid version")
        return os.path.join(self.plugin_folder(plugin), _part(version))  # noqa: PTH118  # see above

    def removed_folder(self, plugin: Plugin, version: str) -> str:
        """Receipt and manifest of a removed version."""
        return self._join("removed", _part(plugin[0]), _part(plugin[1]), _part(version))

    def current_link(self, plugin: Plugin) -> str:
        """Link (or text file) that names the version in use."""
        return os.path.join(self.plugin_folder(plugin), CURRENT_NAME)  # noqa: PTH118  # see above

    def lock_file(self, plugin: Plugin) -> str:
        """Lock held while installations of a plugin change."""
        return self._join("locks", _part(plugin[0]), _part(plugin[1]) + ".lock")

    def holds_folder(self, plugin: Plugin, version: str) -> str:
        """Files locked by the processes that use a version."""
        return self._join("holds", _part(plugin[0]), _part(plugin[1]), _part(version))

    @property
    def holds_gate(self) -> str:
        """Lock held while a version is checked and then held or removed; no namespace begins with a dot."""
        return self._join("holds", ".gate")

    @property
    def change_lock(self) -> str:
        """Lock held while a set of plugins changes; no namespace begins with a dot."""
        return self._join("locks", ".change")

    @property
    def host_id_file(self) -> str:
        """Random id of this host."""
        return self._join("host-id")

    @property
    def ensured_folder(self) -> str:
        """What `ensure` found in place, one file per project."""
        return self._join("ensured")

    def _join(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)  # noqa: PTH118  # see above


def _part(text: str) -> str:
    if not (0 < len(text) <= _MAX_PART and text[0] in _ENDS and text[-1] != "." and _INNER.issuperset(text)):
        raise ValueError(f"{text!a} can't be the name of a folder in the store")
    return text
