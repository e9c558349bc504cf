"""Moves a plugin to another realm: its plugin.yaml, and an event that says when, who and with which releases.

No release changes. The realm that the plugin leaves for the public one goes on publishing the releases that it had, for
locks that name them, and says where the plugin is now; later releases are in the new realm alone. What was public once
stays known: a move to a private realm takes nothing back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from registry_builder.authoring.status_file import UNTOUCHED, EventTarget, no_plugin
from registry_builder.source.atomic_write import replace_file
from registry_builder.source.documents import MAX_MANIFEST_BYTES, decode_document
from registry_builder.source.load import PLUGIN_FILES, load_tree
from registry_builder.source.private_names import PUBLIC_REALM, PrivateNames, name_problems
from registry_builder.source.safe_open import Gate
from registry_builder.source.tree import Problem, SourcePlugin, SourceTree
from sealdex.errors import ConfigError, SealdexError, UsageError
from sealdex.model.decode import DocumentError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.plugin import PLUGIN_FORMAT, Plugin, StatusEvent, last_move
from sealdex.model.release import artifact_kind

_YAML_REALM = re.compile(
    r"""^realm[ \t]*:[ \t]*(["']?)[A-Za-z0-9._-]+\1[ \t]*(?P<rest>#[^\r\n]*)?(?=\r?$)""", re.MULTILINE
)
_JSON_REALM = re.compile(r'"realm"(?P<colon>[ \t\r\n]*:[ \t\r\n]*)"[A-Za-z0-9._-]+"')


class MoveRefusedError(SealdexError):
    """A plugin can't move to a realm; ``problems`` lists every reason."""

    code = "move-refused"

    def __init__(self, plugin: PluginId, realm: str, problems: list[Problem]) -> None:
        super().__init__(
            f"{plugin} can't move to realm {realm}: " + "; ".join(map(str, problems)),
            subject=str(plugin),
            untouched="nothing was written",
            hint="a release that is published never changes: where one has the problem, the plugin stays, and a new "
            "plugin can go on from it",
        )
        self.problems = problems


@dataclass(frozen=True)
class Moved:
    """What `move_plugin` did, or would do.

    Attributes:
        plugin: the plugin.
        from_realm, to_realm: the realm that it leaves, and the one that it is in afterwards.
        versions: its releases, all of which move.
        event: the event; None where nothing had to change.
        files: what was written, to be committed.
        warnings: what the move doesn't do.
    """

    plugin: PluginId
    from_realm: str
    to_realm: str
    versions: tuple[str, ...]
    event: StatusEvent | None
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def move_plugin(
    tree: Path,
    plugin: PluginId,
    to_realm: str,
    *,
    why: str = "",
    by: str | None = None,
    at: str | None = None,
    dry_run: bool = False,
) -> Moved:
    """Move a plugin with all its releases to another realm.

    Raises:
        NotFoundError: there is no such plugin.
        UsageError: there is no such realm, or nobody is known who does it.
        MoveRefusedError: the plugin names plugins that the new realm's readers may not know, plugins need it that
            couldn't read it there, or files of releases are missing, which have to be published again.
        ConfigError: the tree has errors, or plugin.yaml can't be edited safely.
    """
    loaded = load_tree(tree)
    source = loaded.plugins.get(plugin)
    if source is None:
        raise no_plugin(tree, plugin)
    if to_realm not in loaded.config.realms:
        raise UsageError(
            f"there is no realm '{to_realm}'; realms are {', '.join(loaded.config.realms)}",
            untouched="nothing was written",
            hint=f"sealdex-builder realm add {to_realm} --storage PLACE",
        )
    before, moved = source.plugin.realm, last_move(source.status.events)
    versions = tuple(source.releases)
    # an event without the change of plugin.yaml: the rest of a move that was interrupted
    resumed = moved is not None and moved.to_realm == to_realm and moved.from_realm == before
    if before == to_realm:
        return Moved(plugin, before, to_realm, versions, None)
    broken = [problem for problem in loaded.problems if problem.severity == "error"]
    if broken:
        raise ConfigError(
            f"the source tree has errors: {broken[0]}",
            subject=broken[0].file,
            untouched="nothing was written",
            hint="sealdex-builder validate shows all of them",
        )
    if problems := sorted(set(_problems(loaded, source, to_realm))):
        raise MoveRefusedError(plugin, to_realm, problems)
    path, edited = _edited(tree, source, to_realm)
    target = EventTarget(tree, plugin)
    event = target.event("move", by=by, at=at, why=why, from_realm=before, to_realm=to_realm, versions=list(versions))
    done = Moved(plugin, before, to_realm, versions, event, warnings=tuple(_warnings(source, before, to_realm)))
    if dry_run:
        return done
    files = () if resumed else target.write(event).files
    replace_file(path, edited)
    return replace(done, files=(*files, path))


def _problems(tree: SourceTree, source: SourcePlugin, realm: str) -> Iterator[Problem]:
    there = replace(source, plugin=msgspec.structs.replace(source.plugin, realm=realm))
    moved = replace(tree, plugins={**tree.plugins, source.id: there})
    yield from name_problems(there, None, PrivateNames(moved))
    for version, release in source.releases.items():
        for artifact in release.artifacts:
            if artifact_kind(artifact.source) == "path" and not Gate(tree.root).is_there(tree.root / artifact.source):
                yield Problem(
                    source.files[version],
                    "artifacts",
                    f"{artifact.source} is not in the source tree, and is published again: restore it, for example "
                    f"with sealdex fetch {source.id}@{version}",
                )
    if realm == PUBLIC_REALM:
        return
    for other in tree.plugins.values():
        if other.plugin.realm == realm:
            continue
        for version, release in other.releases.items():
            if any(_same(named, source.id) for named in release.dependencies):
                yield Problem(
                    other.files[version],
                    "dependencies",
                    f"needs {source.id}, which readers of realm {other.plugin.realm} couldn't read in realm {realm}",
                )


def _same(text: str, plugin: PluginId) -> bool:
    try:
        return parse_plugin_id(text) == plugin
    except ValueError:
        return False


def _warnings(source: SourcePlugin, before: str, after: str) -> Iterator[str]:
    if before == PUBLIC_REALM:
        yield (
            f"what was public stays known: the name {source.id} and its {len(source.releases)} release(s) stay "
            "published in the public realm, in mirrors and in caches; only what is released from now on is private"
        )
        yield f"its users aren't told; to tell them, before the next publish: sealdex-builder deprecate {source.id}"
    elif after != PUBLIC_REALM:
        yield f"readers of realm {before} aren't told where it is now, and keep the releases that are published there"


# --- plugin.yaml -----------------------------------------------------------------------------------------------------


def _edited(tree: Path, source: SourcePlugin, realm: str) -> tuple[Path, bytes]:
    """Return plugin.yaml (or .yml, .json) with another realm; everything else stays as it is."""
    gate = Gate(tree)
    path = next(source.folder / name for name in PLUGIN_FILES if gate.is_there(source.folder / name))
    text = gate.read(path, MAX_MANIFEST_BYTES).decode()
    is_json = path.suffix == ".json"
    newline = "\r\n" if "\r\n" in text else "\n"
    if is_json:
        edited = _JSON_REALM.sub(lambda match: f'"realm"{match["colon"]}"{realm}"', text, count=1)
        if edited == text:
            values: dict[str, Any] = {**json.loads(text.removeprefix("\ufeff")), "realm": realm}
            edited = json.dumps(values, ensure_ascii=False, indent=2) + newline
    elif _YAML_REALM.search(text):
        edited = _YAML_REALM.sub(lambda match: f"realm: {realm}{'  ' + match['rest'] if match['rest'] else ''}", text)
    else:
        edited = text + ("" if text.endswith("\n") or not text else newline) + f"realm: {realm}{newline}"
    meant = msgspec.structs.replace(source.plugin, realm=realm)
    try:
        got, problems = decode_document(
            edited.removeprefix("\ufeff").encode(), Plugin, is_json=is_json, newest_format=PLUGIN_FORMAT
        )
    except DocumentError:
        got, problems = None, []
    if got != meant or problems:
        raise ConfigError(
            f"the realm can't be changed safely in the way {path.name} is written",
            subject=str(path),
            untouched=UNTOUCHED,
            hint=f"write 'realm: {source.plugin.realm}' on a line of its own, then run the same command again",
        )
    return path, edited.encode()


__all__ = ["MoveRefusedError", "Moved", "move_plugin"]
