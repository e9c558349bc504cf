"""``sealdex.lock``: exact releases and, for every platform, their artifacts. Made by ``sealdex lock``.

    version = 1

    [[plugin]]                                   # one block per plugin, sorted by name, so that git merges them
    name = "acme/slack"
    version = "1.2.0"
    registry = "public"                          # where it was found; config.toml decides which namespaces it has
    wanted = "^1.2"                              # as in sealdex.toml; left out: something depends on it
    dependencies = { "acme/base" = "^1" }        # ranges, each kept by another block
    manifest = { size = 812, sha256 = "..." }

    [[plugin.artifact]]                          # in order: the first that fits a host is used
    file = "slack-linux.zip"
    format = "zip"
    size = 48123
    sha256 = "..."
    file_list = { size = 9321, sha256 = "..." }  # of a large zip: the list of files for delta downloads
    selector = { match_labels = { os = "linux" } }

It has no time, author or checksum of the whole file: two branches that lock different plugins merge without a conflict,
and `staleness` finds what a merge got wrong.
"""

# annotations are types here, not text (no __future__): msgspec evaluates each that is text, whenever a command starts

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sealdex.config.toml_reader import parse_toml, read_toml_text, require_toml_text, sides_of_merge
from sealdex.errors import ConfigError, FormatTooNewError, NotFoundError
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import ArtifactEntry, FilePin, IndexDocument, ReleaseEntry
from sealdex.model.versions import VersionText, parse_version, version_problem
from sealdex.resolve import Choice, Request

LOCK_NAME = "sealdex.lock"
LOCK_FORMAT = 1
_HEAD = "# Made by `sealdex lock` from sealdex.toml: commit it, and don't edit it by hand.\n"
_ARTIFACT_FIELDS = tuple(dict.fromkeys(["file", "format", "size", "sha256", *ArtifactEntry.__struct_encode_fields__]))


class LockedPlugin(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One block; see the module's docstring. ``channel`` and ``pre`` are as in ``sealdex.toml``."""

    name: str
    version: VersionText
    registry: str
    wanted: str | None = None
    channel: str | None = None
    pre: bool = False
    dependencies: dict[str, str] = {}
    selector: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    min_host_version: VersionText | None = None
    manifest: FilePin
    artifact: tuple[ArtifactEntry, ...] = ()

    @property
    def id(self) -> PluginId:
        """``namespace/name``."""
        return parse_plugin_id(self.name)

    @property
    def release(self) -> ReleaseEntry:
        """The locked fields of the release's entry in the index document."""
        return ReleaseEntry(
            self.version,
            self.manifest,
            artifacts=self.artifact,
            selector=self.selector,
            tags=self.tags,
            min_host_version=self.min_host_version,
            dependencies=self.dependencies,
        )

    @property
    def document(self) -> IndexDocument:
        """An index document with this release alone."""
        return IndexDocument(1, *self.id, "", "", (self.release,))


class LockDocument(Struct, frozen=True, kw_only=True):
    """The whole of ``sealdex.lock``."""

    version: Annotated[int, Meta(ge=1)] = LOCK_FORMAT
    plugin: tuple[LockedPlugin, ...] = ()

    @property
    def by_id(self) -> dict[PluginId, LockedPlugin]:
        """The blocks by plugin."""
        return {locked.id: locked for locked in self.plugin}


def locked_plugin(choice: Choice, registry: str, request: Request | None) -> LockedPlugin:
    """Return the block of a chosen release."""
    release = choice.release
    return LockedPlugin(
        name=str(choice.plugin),
        version=release.version,
        registry=registry,
        wanted=request.range if request is not None else None,
        channel=request.channel if request is not None else None,
        pre=request.prereleases if request is not None else False,
        dependencies=dict(sorted(release.dependencies.items())),
        selector=release.selector,
        tags=release.tags,
        min_host_version=release.min_host_version,
        manifest=release.manifest,
        artifact=release.artifacts,
    )


def lock_text(document: LockDocument) -> str:
    """Format a lock: the same content gives the same text, whatever its order."""
    parts = [f"{_HEAD}version = {document.version}\n"]
    for locked in sorted(document.plugin, key=lambda plugin: plugin.name):
        values = msgspec.to_builtins(locked)
        artifacts = values.pop("artifact", [])
        parts.append(_lines("plugin", values))
        parts += [_lines("plugin.artifact", {f: each.get(f) for f in _ARTIFACT_FIELDS}) for each in artifacts]
    return "\n".join(parts)


def _lines(header: str, values: Mapping[str, Any]) -> str:
    from sealdex.config import toml_writer  # noqa: PLC0415  # an up-to-date lock isn't written

    return "".join(f"{line}\n" for line in toml_writer.table(header, values, is_array=True))


def read_lock(path: Path) -> LockDocument:
    """Read ``sealdex.lock``.

    Raises:
        NotFoundError: it isn't there.
        ConfigError, FormatTooNewError: as `parse_lock`, or the file can't be read.
    """
    return parse_lock(require_toml_text(path, "to create it: sealdex lock"), str(path))


def parse_lock(text: str, subject: str = LOCK_NAME) -> LockDocument:
    """Read the text of a lock.

    Raises:
        ConfigError: not TOML (perhaps with merge conflicts), or not valid; every problem is named.
        FormatTooNewError: a newer sealdex made it.
    """
    hint = "to re-create it: sealdex lock; it keeps what can still be read, such as both sides of a merge"
    values = parse_toml(text, subject, hint)
    if isinstance(found := values.get("version"), int) and found > LOCK_FORMAT:
        raise FormatTooNewError(
            f"the lock has format {found}; this sealdex reads up to {LOCK_FORMAT}",
            subject=subject,
            untouched="nothing was changed",
            hint="upgrade sealdex: pip install --upgrade sealdex",
        )
    try:
        document = read_values(values, LockDocument)
        problems = _problems(document)
    except DocumentError as error:
        problems = list(map(str, error.problems))
    if problems:
        raise ConfigError("\n".join(problems), subject=subject, hint=hint)
    return document


def locked_versions(path: Path) -> tuple[dict[PluginId, str], str | None]:
    """Return the locked version of each plugin, and why the lock must be re-created if it can't be read.

    With merge conflicts both sides are used; where they differ, the newer version counts. Of a lock that is invalid in
    another way nothing is kept.

    Raises:
        FormatTooNewError: a newer sealdex made it.
    """
    try:
        return {plugin: block.version for plugin, block in read_lock(path).by_id.items()}, None
    except NotFoundError:
        return {}, None
    except ConfigError as error:
        problem = error.message
    versions: dict[PluginId, str] = {}
    with suppress(ConfigError, FileNotFoundError):
        for side in sides_of_merge(read_toml_text(path)) or ():
            with suppress(ConfigError):
                for plugin, block in parse_lock(side).by_id.items():
                    both = [block.version, versions.get(plugin, block.version)]
                    versions[plugin] = max(both, key=parse_version)
    return versions, problem


def _problems(document: LockDocument) -> list[str]:
    """Return problems that the types don't express: names, versions, a plugin that is locked twice."""
    problems: list[str] = []
    seen: set[str] = set()
    for locked in document.plugin:
        try:
            parse_plugin_id(locked.name)
        except ValueError as error:
            problems.append(str(error))
        if problem := version_problem(locked.version):
            problems.append(f"{locked.name}: version '{locked.version}' {problem}")
        if locked.name in seen:
            problems.append(f"{locked.name} is locked twice: a merge kept both")
        seen.add(locked.name)
    return problems
