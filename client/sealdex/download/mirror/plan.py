"""What a mirror needs: the files of a selection, asked of the registry batch by batch, so that memory stays small."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sealdex.download.mirror.contents import MirrorFile, MirrorImage, files_of, images_of, readme_of
from sealdex.download.mirror.selection import (
    Picked,
    Selection,
    Want,
    dependencies_of,
    locked_of,
    named_wants,
    pick,
    wants_of_namespace,
)
from sealdex.errors import NotFoundError, SealdexError, VerificationError
from sealdex.model.catalog import MAX_SHARD_BYTES
from sealdex.model.ids import PluginId
from sealdex.model.index import MAX_INDEX_BYTES, IndexDocument, index_target
from sealdex.trust import Published, TrustedRegistry

_BATCH = 64
"""Plugins whose documents are read at a time."""


@dataclass
class Found:
    """What was found out on the way, complete once all files were yielded.

    Attributes:
        plugins, releases: how many are selected.
        images: container images of these.
        warnings: what the user should know.
        needed: ranges that the selected releases depend on, by plugin, if dependencies are selected.
        twins: releases and files whose names differ in case alone.
    """

    plugins: int = 0
    releases: int = 0
    images: list[MirrorImage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    needed: dict[str, set[str]] = field(default_factory=dict)
    twins: list[str] = field(default_factory=list)


class Target(tuple[str, bytes]):
    """A signed document: its key in the published tree, and its verified bytes."""

    __slots__ = ()


def plan_files(
    registry: TrustedRegistry,
    selection: Selection,
    found: Found,
    on_bad: Callable[[str, SealdexError], None] | None = None,
) -> Iterator[MirrorFile | Target]:
    """Yield everything but metadata that a mirror has: signed documents with their bytes, other files by their pins.

    Args:
        registry: asked for what is signed; afterwards its metadata is what the mirror needs.
        selection: what is asked for.
        found: filled in on the way.
        on_bad: told of each signed document that is missing or wrong, which is then left out; default: it raises.

    Raises:
        NotFoundError: a plugin, release or namespace that is named doesn't exist; all of them are named.
        VerificationError: as the registry does, or a lock names another release of that version.
        UnavailableError: as the registry does.
    """
    locked, missing, published = locked_of(selection), _Missing(), Published(registry)
    wants = named_wants(selection)
    for plugin in locked:
        wants.setdefault(plugin, [])
    if not selection.names_plugins:
        everything = published.plugins()
        for plugin in everything:
            if asked := wants_of_namespace(selection, plugin.namespace):
                wants.setdefault(plugin, []).extend(asked)
        missing.namespaces(selection, everything)
    bad: set[str] = set()

    def left_out(path: str, key: str, error: SealdexError) -> None:
        bad.add(path)
        if on_bad is not None:
            on_bad(key, error)

    telling = left_out if on_bad is not None else None
    yield from _shards(published, telling)
    done: set[tuple[PluginId, str]] = set()
    seen: set[PluginId] = set()
    waiting = sorted(wants)
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        signed = published.targets([index_target(plugin) for plugin in batch], MAX_INDEX_BYTES, telling)
        for plugin in batch:
            if (target := signed.get(index_target(plugin))) is None:
                if index_target(plugin) not in bad:
                    missing.plugin(plugin)
                continue
            document = registry.read_index(plugin, target[1])
            picked = list(pick(document, wants[plugin], locked.get(plugin, {}), selection))
            missing.releases(document, picked, wants[plugin], locked.get(plugin, {}))
            if plugin not in seen:
                seen.add(plugin)
                yield Target(target)
                yield from readme_of(document)
                found.plugins += 1
            new = [each for each in picked if (plugin, each.release.version) not in done]
            if selection.with_dependencies:  # only then a plugin is looked at again
                done.update((plugin, each.release.version) for each in new)
            found.twins += _twins(str(plugin), [each.release.version for each in picked])
            for each in new:
                files = [artifact.file for artifact in each.artifacts]
                found.twins += _twins(f"{plugin} {each.release.version}", files)
                found.releases += 1
                found.images += images_of(plugin, each)
                if each.yanked_for_lock:
                    found.warnings.append(
                        f"{plugin} {each.release.version} is yanked, and is here since a lock names it"
                    )
                yield from files_of(document, each, selection)
            if selection.with_dependencies:
                for each in new:
                    for name, wanted in each.release.dependencies.items():
                        found.needed.setdefault(name, set()).add(wanted)
                waiting += _further(dependencies_of(new), wants)
    missing.check()


def _twins(what: str, names: Sequence[str]) -> Iterator[str]:
    """Yield names that differ in case alone."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.casefold(), name)
        if other != name:
            yield f"{what}: {other} and {name}"


def _further(dependencies: Mapping[PluginId, list[Want]], wants: dict[PluginId, list[Want]]) -> list[PluginId]:
    """Add what is depended on to what is wanted; return the plugins that have to be looked at for it."""
    again = []
    for plugin, more in dependencies.items():
        known = wants.setdefault(plugin, [])
        fresh = [want for want in more if want not in known]
        if fresh:
            known += fresh
            again.append(plugin)
    return again


def _shards(published: Published, on_bad: Callable[[str, str, SealdexError], None] | None) -> Iterator[Target]:
    """Yield all shards of the catalog, whatever is selected: a row that is carried is carried as it was signed."""
    paths = published.catalog_targets()
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        yield from map(Target, published.targets(batch, MAX_SHARD_BYTES, on_bad).values())


class _Missing:
    """What a selection names and the registry doesn't have: collected, so that all of it is told at once."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def plugin(self, plugin: PluginId) -> None:
        self._problems.append(f"there is no plugin {plugin}")

    def namespaces(self, selection: Selection, plugins: Sequence[PluginId]) -> None:
        there = {plugin.namespace for plugin in plugins}
        absent = [name for name in selection.namespaces if name not in there]
        self._problems += [f"there is no plugin in namespace {name}" for name in absent]

    def releases(
        self, document: IndexDocument, picked: Sequence[Picked], wants: Sequence[Want], locked: dict[str, str]
    ) -> None:
        for version, digest in locked.items():
            release = document.release(version)
            if release is None:
                self._problems.append(f"{document.id} has no release {version}, which a lock names")
            elif release.manifest.sha256 != digest:
                raise VerificationError(
                    f"the registry signs another {document.id} {version} than the lock names",
                    subject=f"{document.id} {version}",
                    untouched="the mirror stays as it was",
                    hint="make the lock again with sealdex lock, and find out who changed it",
                )
        ranges = [want.range for want in wants if want.range is not None]
        versions = [each.release.version for each in picked]
        for asked in ranges:
            if not any(Want(asked).admits(version) for version in versions):
                self._problems.append(f"no selected release of {document.id} is in {asked}")

    def check(self) -> None:
        if self._problems:
            raise NotFoundError(
                "\n".join(dict.fromkeys(self._problems)),
                untouched="the mirror stays as it was",
                hint="see: sealdex search WORD, sealdex info NS/NAME",
            )


__all__ = ["Found", "Target", "plan_files"]
