"""A registry in a temporary folder, with keys and a trust root of its own: published and installed as real ones are.

<folder>/tree         a source tree with the plugins that were added
<folder>/keys         its development keys; nobody else's key folder is touched
<folder>/published    what it publishes
<folder>/store        the store of a host that trusts it and nothing else
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from registry_builder.authoring import Archive, init_tree, pack_folder, write_release
from registry_builder.publication import open_publisher, publish_realm
from registry_builder.signing import make_dev_trust
from registry_builder.source import CONFIG_NAME, load_tree, read_config
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.release_template import TEMPLATE_NAME, read_template
from registry_builder.source.tree import SourcePlugin
from sealdex.client import Client
from sealdex.config.config import Config, ConfigDocument, RegistrySection
from sealdex.errors import ConfigError, NotFoundError
from sealdex.model.decode import encode_pretty
from sealdex.model.ids import KNOWN_TYPES, PluginId, parse_plugin_id
from sealdex.runtime.process_variables import process_variables

NAME = "throwaway"
_REALM = "public"
_WORKING = ("README.md", TEMPLATE_NAME)
_RELEASED = ("README.md", "releases", "dist")
_ABOUT = ("plugin.yaml", "plugin.yml", "plugin.json")


@dataclass(frozen=True)
class Added:
    """A working copy that was packed and released.

    Attributes:
        archives: what was packed, or the archives of ``dist/`` that release.yaml lists.
        files: how many files the first of them has; None for archives that were there.
    """

    plugin: PluginId
    version: str
    archives: tuple[Path, ...]
    files: int | None


class Throwaway:
    """A registry that nobody else sees.

    Args:
        folder: an empty folder, which the caller removes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self.published = folder / "published"
        self.store = folder / "store"
        with self._own_places():
            init_tree(self.tree, name=NAME, storage=f"folder:{self.published.resolve()}")
            make_dev_trust(self.tree)

    @property
    def root(self) -> Path:
        """The trust root, as a file."""
        return self.tree / "trust" / _REALM / "1.root.json"

    @property
    def url(self) -> str:
        """Where it is published."""
        return self.published.resolve().as_uri()

    def add(self, folder: Path, plugin: PluginId, *, allow_files: Collection[str] = ()) -> Added:
        """Pack a plugin's working copy as it is, and release it here; existing releases aren't looked at.

        Raises:
            NotFoundError: there is no release.yaml. ConfigError, UnpackableError: as `pack` and `release`.
        """
        if not (folder / TEMPLATE_NAME).is_file():
            raise NotFoundError(
                f"{plugin} has no {TEMPLATE_NAME}",
                subject=str(folder),
                hint=f"write one with at least: version: 0.1.0; see: sealdex-builder new --help, in {folder}",
            )
        home = self.tree / "plugins" / plugin.namespace / plugin.name
        _copy(folder, home, (*_WORKING, "src"))
        self._about(folder, home, plugin)
        template = read_template(home / TEMPLATE_NAME)
        version = template.release.version
        usual = f"{plugin.name}-{version}.zip"
        if not template.artifacts or any(fnmatchcase(usual, each.match) for each in template.artifacts):
            packed = pack_folder(home, allow_files=allow_files)
            archives, files = [packed.path], len(packed.files)
        else:
            archives, files = self._built(folder, home, version, [each.match for each in template.artifacts]), None
        made = write_release(self.tree, [Archive(path) for path in archives], plugin=plugin, allow_files=allow_files)
        return Added(plugin, made.release.version, tuple(archives), files)

    def add_released(self, source_tree: Path, plugin: PluginId) -> None:
        """Take over a plugin with its releases from a source tree, and those that it depends on.

        Raises:
            NotFoundError: a dependency isn't in that tree.
        """
        wanted, done = [plugin], set[PluginId]()
        while wanted:
            each = wanted.pop()
            if each in done:
                continue
            done.add(each)
            home = self.tree / "plugins" / each.namespace / each.name
            if not home.exists():
                origin = source_tree / "plugins" / each.namespace / each.name
                if not origin.is_dir():
                    raise NotFoundError(
                        f"{each}, which {plugin} depends on, is not in this source tree",
                        subject=str(each),
                        hint="a plugin is tested together with what it depends on",
                    )
                _copy(origin, home, _RELEASED)
                self._about(origin, home, each)
            for release in self._source(each).releases.values():
                wanted += [parse_plugin_id(name) for name in release.dependencies]

    def publish(self) -> None:
        """Sign and publish what was added.

        Raises:
            SealdexError: what `publish` says.
        """
        with self._own_places():
            publish_realm(open_publisher(load_tree(self.tree), _REALM, use_memory=False, site=False))

    def config(self) -> Config:
        """Return the configuration of a host that has only this registry."""
        section = RegistrySection(url=self.url, root=str(self.root.resolve()))
        return Config(self.folder / "config.toml", self.store, ConfigDocument(registries={NAME: section}))

    def client(self) -> Client:
        """Return a client of that host."""
        return Client(self.config())

    def _source(self, plugin: PluginId) -> SourcePlugin:
        tree = load_tree(self.tree, only=[plugin])
        if plugin not in tree.plugins:
            raise ConfigError("; ".join(map(str, tree.problems)), subject=str(plugin))
        return tree.plugins[plugin]

    def _about(self, folder: Path, home: Path, plugin: PluginId) -> None:
        """Take over what holds for all releases; its realm and type are what this registry has."""
        home.mkdir(parents=True, exist_ok=True)
        for name in _ABOUT:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, home / name)
        about = self._source(plugin).plugin
        for name in _ABOUT:
            (home / name).unlink(missing_ok=True)
        replace_file(home / "plugin.json", encode_pretty(msgspec.structs.replace(about, realm=_REALM)))
        if about.type not in {*KNOWN_TYPES, *read_config(self.tree).registry.types}:
            config = self.tree / CONFIG_NAME
            text = config.read_text(encoding="utf-8")
            replace_file(config, text.replace("types = [", f'types = ["{about.type}", ', 1).encode())

    def _built(self, folder: Path, home: Path, version: str, patterns: list[str]) -> list[Path]:
        there = folder / "dist" / version
        found = sorted(
            path
            for path in (there.iterdir() if there.is_dir() else ())
            if any(fnmatchcase(path.name, pattern) for pattern in patterns)
        )
        if not found:
            raise NotFoundError(
                f"{TEMPLATE_NAME} lists artifacts ({', '.join(patterns)}), and dist/{version}/ has none of them",
                subject=str(folder),
                hint="pack each of them first: sealdex-builder pack FOLDER -o dist/VERSION/NAME",
            )
        target = home / "dist" / version
        target.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(path, target / path.name)) for path in found]

    @contextmanager
    def _own_places(self) -> Iterator[None]:
        """Have keys and memory in this folder: the builder finds both by the environment."""
        own = {"SEALDEX_KEYS": str(self.folder / "keys"), "XDG_STATE_HOME": str(self.folder / "state")}
        with process_variables(own):
            yield


def _copy(origin: Path, target: Path, names: Collection[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (origin / name).is_dir():
            shutil.copytree(origin / name, target / name, symlinks=True, dirs_exist_ok=True)
        elif (origin / name).is_file():
            shutil.copyfile(origin / name, target / name)


__all__ = ["Added", "Throwaway"]
