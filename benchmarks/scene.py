"""Our side of each comparison: a source tree, its keys and what it publishes to, and clients with stores of their own.

Everything is below one folder, the key folder and the publisher's memory too, so that nothing of whoever runs this
is read or written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.bench import put_aside
from benchmarks.harness import Command, Sample, run
from registry_builder.authoring.pack import Packed, pack
from registry_builder.source.file_list import file_list_pin

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Client:
    """A host that installs plugins: a folder with its configuration and its store."""

    folder: Path

    def command(self, *arguments: str) -> Command:
        """Return a ``sealdex`` command on this host."""
        variables = {"SEALDEX_CONFIG": str(self.folder / "config.toml"), "SEALDEX_STORE": str(self.store)}
        return Command([str(PROGRAMS / "sealdex"), *arguments], self.folder, _home(self.folder) | variables)

    @property
    def store(self) -> Path:
        """The store."""
        return self.folder / "store"

    def forget(self) -> None:
        """Become a host without a store: no trust, no cache, no installations."""
        put_aside(self.store)


@dataclass(frozen=True)
class Registry:
    """A registry with development keys that publishes to a folder.

    Attributes:
        folder: the source tree; ``state`` beside it holds keys and the publisher's memory.
    """

    folder: Path

    def command(self, *arguments: str) -> Command:
        """Return a ``sealdex-builder`` command in the source tree."""
        return Command([str(PROGRAMS / "sealdex-builder"), *arguments], self.folder, _home(self.state))

    @property
    def state(self) -> Path:
        """The location of keys and memory."""
        return self.folder.with_name(f"{self.folder.name}.state")

    @property
    def published(self) -> Path:
        """The published tree."""
        return self.folder / "published"

    @property
    def trust_root(self) -> Path:
        """The root that clients start from."""
        return self.folder / "trust" / "public" / "1.root.json"

    def forget_published(self) -> None:
        """Return to the state before the first publish: no published tree, no memory of one."""
        put_aside(self.published)
        put_aside(self.state / "state")

    def client(self, folder: Path, url: str) -> Client:
        """Make a host that knows this registry, published at ``url``."""
        folder.mkdir(parents=True)
        client = Client(folder)
        run(client.command("registry", "add", "bench", url, "--root", str(self.trust_root)))
        return client


def add_packed(registry: Registry, plugin: str, version: str, payload: Path) -> Packed:
    """Pack a folder as an author would, and write the source tree's files of a release of it."""
    home = registry.folder / "plugins" / plugin
    (home / "releases").mkdir(parents=True, exist_ok=True)
    (home / "plugin.yaml").write_text("type: model\nsummary: Made for a benchmark\nlicense: Apache-2.0\n")
    packed = pack(payload, home / "dist" / f"{home.name}-{version}.zip")
    source = packed.path.relative_to(registry.folder).as_posix()
    artifact = {"source": source, "size": packed.size, "sha256": packed.sha256, "file_list": file_list_pin(packed.path)}
    release = {"format": 1, "version": version, "artifacts": [artifact]}
    (home / "releases" / f"{version}.json").write_bytes(msgspec.json.encode(release))
    return packed


def make_registry(folder: Path) -> Registry:
    """Make an empty registry."""
    registry = Registry(folder)
    registry.state.mkdir(parents=True)
    command = registry.command("init", str(folder), "--dev-keys")
    run(Command(command.argv, registry.state, command.env))
    return registry


@dataclass(frozen=True)
class Written:
    """What a publish changed in the published folder, as seen from outside: created or replaced files, their bytes."""

    files: tuple[str, ...]
    size: int


Listing = dict[str, tuple[int, int, int]]


def listing(folder: Path) -> Listing:
    """Return path to (inode, time of change in ns, size) of every file of a published tree.

    What a storage keeps for itself (names that start with a dot) isn't published and isn't counted.
    """
    found: Listing = {}
    _list(str(folder), "", found)
    return found


def _list(folder: str, prefix: str, found: Listing) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                _list(entry.path, f"{prefix}{entry.name}/", found)
            else:
                status = entry.stat(follow_symlinks=False)
                found[prefix + entry.name] = (status.st_ino, status.st_mtime_ns, status.st_size)


def written(before: Listing, after: Listing) -> Written:
    """Compare two listings."""
    changed = tuple(sorted(path for path, facts in after.items() if before.get(path) != facts))
    return Written(changed, sum(after[path][2] for path in changed))


def releases_in(paths: Listing | Sequence[str]) -> int:
    """Return how many releases a published tree holds: each has one full manifest."""
    return sum(path.startswith("plugins/") and path.endswith("/manifest.json") for path in paths)


def check_prints(sample: Sample, text: str) -> None:
    """Make sure that a command printed ``text``: that it did its work is checked, not assumed.

    Raises:
        RuntimeError: it didn't.
    """
    if text not in sample.output:
        raise RuntimeError(f"the output lacks '{text}': {sample.output[-2000:]}")


def _home(folder: Path) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "SEALDEX_KEYS": str(folder / "keys"),
        "NO_PROXY": "127.0.0.1",
    }
