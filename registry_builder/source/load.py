"""Loads a source tree: folders and files to plain data. Every problem is collected; content never raises.

    registry.toml
    plugins/<namespace>/<name>/
        plugin.yaml                      or plugin.yml or plugin.json
        README.md  README.<language>.md
        images/                          images of READMEs, see `registry_builder.source.readme_images`
        status.json                      what happened after publishing (events)
        status/<event>.json              the same, one event per file
        attachments/<version>/<file>     reports, SBOMs and statements that events name
        releases/<version>.json          or .yaml, .yml
        release.yaml  src/  dist/        the author's working copy: template, payload, archives

A file with a problem is left out and the rest is kept, so that one run reports everything. Every file is opened by the
gate, and paths are kept as strings: a tree may contain 100,000 releases.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from registry_builder.parallel import collector_paused
from registry_builder.source.allowed_secrets import with_allowed
from registry_builder.source.config import RegistryConfig, read_config
from registry_builder.source.documents import (
    MAX_MANIFEST_BYTES,
    MAX_STATUS_BYTES,
    MAX_VALUE_DEPTH,
    decode_document,
    depth_of,
)
from registry_builder.source.event_files import STATUS_FOLDER, EventOrder, event_name_problem, event_order
from registry_builder.source.safe_open import Found, Gate, UnreadableError
from registry_builder.source.text import conflict_problem, text_problem, without_mark
from registry_builder.source.tree import Problem, SourcePlugin, SourceTree
from sealdex.log import Log, stopwatch
from sealdex.model.decode import DocumentError
from sealdex.model.ids import PluginId, namespace_problem, part_problem
from sealdex.model.plugin import PLUGIN_FORMAT, STATUS_FORMAT, EventFile, Plugin, PluginStatus, StatusEvent
from sealdex.model.precedence import version_sort_key
from sealdex.model.release import MANIFEST_FORMAT, Release
from sealdex.model.versions import version_problem

_log = Log("registry_builder.source")

T = TypeVar("T")

PLUGINS_FOLDER = "plugins"
PLUGIN_FILES = ("plugin.yaml", "plugin.yml", "plugin.json")
RELEASE_SUFFIXES = (".json", ".yaml", ".yml")

STATUS_NAME = "status.json"

_NEWEST: dict[type, int] = {
    Plugin: PLUGIN_FORMAT,
    Release: MANIFEST_FORMAT,
    PluginStatus: STATUS_FORMAT,
    EventFile: STATUS_FORMAT,
}
_FOLDERS = frozenset({"releases", "src", "dist", "docs", "assets", "attachments", "tests", "images", STATUS_FOLDER})
_FILES = frozenset({*PLUGIN_FILES, "README.md", STATUS_NAME, "release.yaml"})
_BESIDE = ("license", "licence", "notice", "changelog", "icon.")  # files that people keep beside a plugin
_TRANSLATED = re.compile(r"README\.([a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|[0-9]{3}))?)\.md")
_FREE_FORM = ("config_schema", "params_schema", "default_config")


def load_tree(root: Path, *, only: Collection[PluginId] | None = None, allow_files: Collection[str] = ()) -> SourceTree:
    """Load a source tree, or some plugins of it.

    Args:
        root: the folder that contains ``registry.toml``.
        only: the plugins to load; all by default.
        allow_files: patterns of files that may hold secrets, besides those that registry.toml allows.

    Returns:
        What could be read; `SourceTree.problems` lists what couldn't. Content never raises.

    Raises:
        ConfigError: ``registry.toml`` is missing or wrong.
    """
    took = stopwatch()
    config = with_allowed(read_config(root), allow_files)
    loader = _Loader(root, config)
    with collector_paused(), loader:
        if only is None:
            loader.load_all()
        else:
            for plugin in sorted(set(only)):
                loader.load_named(plugin)
    _log.info(
        "source.tree",
        "source tree {path}: {plugins} plugins{part}, {problems} problems, loaded in {seconds} s",
        path=root,
        plugins=len(loader.plugins),
        part="" if only is None else " (only those named)",
        problems=len(loader.problems),
        seconds=took(),
    )
    return SourceTree(
        root=root,
        config=config,
        plugins=loader.plugins,
        problems=tuple(sorted(loader.problems)),
        complete=only is None,
    )


class _Loader:
    def __init__(self, root: Path, config: RegistryConfig) -> None:
        self._strays: list[Problem] = []
        self._gate = Gate(root, on_stray=lambda path, why: self._strays.append(Problem(path, "", why)), keep=True)
        self._config = config
        self._plugins_folder = os.path.join(self._gate.root, PLUGINS_FOLDER)  # noqa: PTH118  # text, see above
        self.plugins: dict[PluginId, SourcePlugin] = {}
        self.problems: list[Problem] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._gate.close()

    def load_all(self) -> None:
        if not os.path.lexists(self._plugins_folder):
            return  # a registry without plugins yet
        for namespace in self._folders(self._plugins_folder, "namespace", namespace_problem):
            for plugin in self._folders(namespace.path, "plugin", part_problem):
                self._load_plugin(PluginId(namespace.name, plugin.name), plugin.path)

    def load_named(self, plugin: PluginId) -> None:
        path = os.path.join(self._plugins_folder, *plugin)  # noqa: PTH118  # text, see above
        if namespace_problem(plugin.namespace) or part_problem(plugin.name) or not os.path.isdir(path):  # noqa: PTH112  # text, see above
            self._error(path, "", f"there is no plugin {plugin} in the source tree")
        elif problem := self._gate.folder_problem(path):
            self._error(path, "", problem)
        else:
            self._load_plugin(plugin, path)

    # --- folders --------------------------------------------------------------------------------------------------

    def _entries(self, folder: str) -> list[Found]:
        try:
            return self._gate.entries(folder, lambda path, why: self._error(path, "", why))
        except UnreadableError as error:
            self._error(folder, "", str(error))
            return []

    def _folders(self, folder: str, what: str, problem_of: Callable[[str], str | None]) -> Iterator[Found]:
        for found in self._entries(folder):
            if found.name.startswith("."):
                continue
            if not found.is_folder:
                if not found.name.lower().startswith(("readme", "codeowners")):
                    self._warning(found.path, f"is not a {what} folder and is ignored: move or remove it")
            elif problem := problem_of(found.name):
                self._error(found.path, "", f"folder name '{found.name}' {problem}: rename the folder")
            else:
                yield found

    # --- one plugin -----------------------------------------------------------------------------------------------

    def _load_plugin(self, plugin_id: PluginId, folder: str) -> None:
        self._strays.clear()
        entries = {found.name: found for found in self._entries(folder)}
        for found in entries.values():
            self._check_known(found)
        plugin = self._plugin(folder, entries)
        status, event_files = self._status(folder, entries)
        releases: dict[str, Release] = {}
        files: dict[str, str] = {}
        if (below := entries.get("releases")) is not None and below.is_folder:
            releases, files = self._releases(below.path)
        readme = entries.get("README.md")
        if readme is not None and (readme.is_folder or self._too_large(readme)):
            readme = None
        translated = {tag[1]: found for name, found in entries.items() if (tag := _TRANSLATED.fullmatch(name))}
        readme_i18n = {
            tag: Path(found.path)
            for tag, found in sorted(translated.items())
            if not found.is_folder and not self._too_large(found)
        }
        if plugin is not None:
            self.plugins[plugin_id] = SourcePlugin(
                id=plugin_id,
                folder=Path(folder),
                plugin=plugin,
                status=status,
                releases=releases,
                files=files,
                readme=Path(readme.path) if readme is not None else None,
                event_files=event_files,
                pending=tuple(sorted(set(self._strays))),
                readme_i18n=readme_i18n,
                has_images="images" in entries and entries["images"].is_folder,
            )

    def _status(self, folder: str, entries: dict[str, Found]) -> tuple[PluginStatus, tuple[str, ...]]:
        status: PluginStatus | None = PluginStatus()
        file, below = entries.get(STATUS_NAME), entries.get(STATUS_FOLDER)
        path = os.path.join(folder, STATUS_NAME)  # noqa: PTH118  # text, see above
        if file is not None and not file.is_folder:
            status = self._document(file.path, PluginStatus, MAX_STATUS_BYTES)
        if below is None:
            return status or PluginStatus(), ()
        if not below.is_folder:
            self._error(below.path, "", "has the name of the folder for events: rename the file")
            return status or PluginStatus(), ()
        found = self._events(below.path, strict=status is None or status.events_in is not None)
        if status is None:  # reported already: missing events must not look like no events
            return PluginStatus(events=tuple(event for event, _ in found)), tuple(name for _, name in found)
        if found and status.events_in is None:
            # builders of 0.1.0 would ignore the folder, and a yank with it; they refuse the field
            self._error(path, "events_in", 'is missing, but status/ contains events: write "events_in": "status"')
        events = (*status.events, *(event for event, _ in found))
        return msgspec.structs.replace(status, events=events), tuple(name for _, name in found)

    def _events(self, folder: str, *, strict: bool) -> list[tuple[StatusEvent, str]]:
        """Return the events of a ``status/`` folder with their files, in their order.

        Args:
            folder: the folder.
            strict: whether every JSON file must be an event: not in a folder of that name that is used for
                something else, which is so if status.json doesn't name it.
        """
        loaded: list[tuple[EventOrder, StatusEvent, str]] = []
        for found in self._entries(folder):
            if found.name.startswith("."):
                continue
            is_event = event_order(found.name) is not None or (strict and found.name.lower().endswith(".json"))
            if found.is_folder or not is_event:
                self._warning(found.path, "is not an event file and is ignored: move or remove it")
                continue
            document = self._document(found.path, EventFile, MAX_MANIFEST_BYTES)
            if document is None:
                continue
            event, order = document.event, event_order(found.name)
            if (problem := event_name_problem(found.name, event)) is not None or order is None:
                self._error(found.path, "", problem or "")
            else:
                loaded.append((order, event, self._gate.relative(found.path)))
        loaded.sort(key=lambda item: item[0])
        return [(event, name) for _, event, name in loaded]

    def _plugin(self, folder: str, entries: dict[str, Found]) -> Plugin | None:
        present = [entries[name] for name in PLUGIN_FILES if name in entries and not entries[name].is_folder]
        if not present:
            if not any(problem.file.startswith(self._gate.relative(folder) + "/plugin.") for problem in self.problems):
                missing = os.path.join(folder, PLUGIN_FILES[0])  # noqa: PTH118  # text, see above
                hint = "write it, or create the plugin with: sealdex-builder new TYPE NS/NAME"
                self._error(missing, "", f"is missing: {hint}")
            return None
        for extra in present[1:]:
            self._error(extra.path, "", f"exists beside {present[0].name}: keep one of them")
        return self._document(present[0].path, Plugin, MAX_MANIFEST_BYTES)

    def _check_known(self, found: Found) -> None:
        name = found.name
        if name.startswith("."):
            return
        if found.is_folder:
            if name not in _FOLDERS:
                self._warning(
                    found.path, f"is ignored; known folders are {', '.join(sorted(_FOLDERS))}: move or remove it"
                )
        elif name not in _FILES and not _TRANSLATED.fullmatch(name) and not name.lower().startswith(_BESIDE):
            hint = "move it into releases/" if name.endswith(RELEASE_SUFFIXES) else "move it into src/ or remove it"
            if name.lower().startswith("readme.") and name.lower().endswith(".md"):
                hint = "name it by the tag of its language, such as README.zh.md or README.pt-BR.md"
            if name.lower() in {known.lower() for known in _FILES}:
                hint = f"rename it to {next(known for known in _FILES if known.lower() == name.lower())}"
            self._warning(found.path, f"is ignored: {hint}")

    def _too_large(self, readme: Found) -> bool:
        try:
            size = self._gate.size(readme.path)
        except UnreadableError as error:
            self._error(readme.path, "", str(error))
            return True
        if size > MAX_MANIFEST_BYTES:
            self._error(readme.path, "", f"has {size} bytes, but at most {MAX_MANIFEST_BYTES} are read: shorten it")
            return True
        return False

    def _releases(self, folder: str) -> tuple[dict[str, Release], dict[str, str]]:
        loaded: list[tuple[str, Release, str]] = []
        by_precedence: dict[str, tuple[str, str]] = {}  # version without build metadata -> (version, file name)
        for found in self._entries(folder):
            version, suffix = os.path.splitext(found.name)  # noqa: PTH122  # text, see above
            if found.name.startswith("."):
                continue
            if found.is_folder or suffix not in RELEASE_SUFFIXES:
                self._warning(found.path, "is not a release file (VERSION.json or VERSION.yaml): move or remove it")
                continue
            if problem := version_problem(version):
                self._error(found.path, "", f"file name: '{version[:140]}' {problem} as the file's name")
                continue
            first = by_precedence.setdefault(version.partition("+")[0], (version, found.name))
            if first[1] != found.name:
                if first[0] == version:
                    self._error(found.path, "", f"is a second file for version {version}, beside {first[1]}: keep one")
                else:
                    self._error(
                        found.path,
                        "version",
                        f"'{version}' differs from '{first[0]}' ({first[1]}) only in build metadata, which precedence "
                        "ignores: raise the version",
                    )
                continue
            release = self._document(found.path, Release, MAX_MANIFEST_BYTES)
            if release is None:
                continue
            if release.version != version:
                self._error(
                    found.path,
                    "version",
                    f"is '{release.version}', but the file's name says '{version}': they must be the same",
                )
                continue
            if self._free_form_is_shallow(found.path, release):
                loaded.append((version, release, self._gate.relative(found.path)))
        if len(loaded) > 1:
            loaded.sort(key=lambda item: version_sort_key(item[0]), reverse=True)
        return {v: release for v, release, _ in loaded}, {v: file for v, _, file in loaded}

    def _free_form_is_shallow(self, path: str, release: Release) -> bool:
        shallow = True
        for name in _FREE_FORM:
            values = getattr(release, name)
            if values is not None and depth_of(values, MAX_VALUE_DEPTH) > MAX_VALUE_DEPTH:
                self._error(path, name, f"is nested more than {MAX_VALUE_DEPTH} levels deep")
                shallow = False
        return shallow

    def _document(self, path: str, kind: type[T], max_bytes: int) -> T | None:
        try:
            data = without_mark(self._gate.read(path, max_bytes))
            document, problems = decode_document(
                data,
                kind,
                is_json=path.lower().endswith(".json"),
                newest_format=_NEWEST[kind],
                # what is published with a newer format can't change; `release_problems` handles what isn't published
                refuse_newer=kind is not Release,
            )
        except UnreadableError as error:
            self._error(path, "", str(error))
            return None
        except DocumentError as error:
            if problem := text_problem(data, os.path.basename(path)):  # noqa: PTH119  # text, see above
                self._error(path, "", problem)
                return None
            for each in error.problems:
                self._error(path, each.path, each.message)
            return None
        for each in problems:
            self._error(path, each.path, each.message)
        if problem := conflict_problem(data):  # in a multi-line string, YAML would take them as text
            self._error(path, "", problem)
        return document

    def _error(self, path: str, where: str, message: str) -> None:
        self.problems.append(Problem(self._gate.relative(path), where, message))

    def _warning(self, path: str, message: str) -> None:
        self.problems.append(Problem(self._gate.relative(path), "", message, "warning"))


__all__ = ["PLUGINS_FOLDER", "PLUGIN_FILES", "RELEASE_SUFFIXES", "STATUS_NAME", "load_tree"]
