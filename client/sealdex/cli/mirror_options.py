"""The options that the commands about mirrors share: the root, a selection, and what a DEST names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import msgspec

from sealdex.config.document import max_staleness_of, parse_age
from sealdex.config.toml_reader import parse_toml, read_toml_text
from sealdex.download.mirror.options import Options
from sealdex.download.mirror.selection import Artifacts, LockedRelease, Selection, check_selection
from sealdex.download.mirror.source import Source
from sealdex.errors import ConfigError, NotFoundError
from sealdex.model.decode import DocumentError, read_values

if TYPE_CHECKING:
    from sealdex.config.config import Config
    from sealdex.download.mirror.bucket import Bucket

_SCHEME = "s3://"


class SelectionFile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A file of ``--from``: the options of ``mirror create``, to be kept in git; ``locks`` are paths beside it."""

    plugins: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    latest: Annotated[int, msgspec.Meta(ge=1)] | None = None
    locks: tuple[str, ...] = ()
    with_dependencies: bool = False
    artifacts: Artifacts | None = None


_MAX_STALENESS = "sealdex.max_staleness"


def _keep_age(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        try:
            ctx.meta[_MAX_STALENESS] = parse_age(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error


def max_staleness(config: Config, name: str) -> timedelta | None:
    """Return what the option says, or else the configured registry."""
    given: timedelta | None = click.get_current_context().meta.get(_MAX_STALENESS)
    section = config.registries.get(name)
    return given if given is not None or section is None else max_staleness_of(section)


def root_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--root``, ``--fingerprint`` and ``--max-staleness``; the last is kept for `max_staleness`."""
    for option in (
        click.option(
            "--max-staleness",
            metavar="AGE",
            expose_value=False,
            callback=_keep_age,
            help="Take expired metadata up to this age, such as 90d; default: as the registry is configured.",
        ),
        click.option("--fingerprint", metavar="SHA256", help="Instead: the root whose SHA-256 the owners told you."),
        click.option(
            "--root",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The root metadata that you trust; default: that of the configured registry.",
        ),
    ):
        command = option(command)
    return command


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what a mirror has; `selection_of` takes what they were given."""
    for option in (
        click.option(
            "--from",
            "from_file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The selection from a TOML file: plugins, namespaces, channels, platforms, latest, locks, ...",
        ),
        click.option(
            "--artifacts",
            type=click.Choice(["all", "store", "none"]),
            help="All artifacts (default), only those in the registry's own store, or none.",
        ),
        click.option("--with-dependencies", is_flag=True, help="And what the selected releases depend on."),
        click.option(
            "--lock",
            "locks",
            multiple=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="What a sealdex.lock names, yanked releases too.",
        ),
        click.option(
            "--latest",
            type=click.IntRange(min=1),
            metavar="N",
            help="The newest N releases of each channel and major version; pre-releases are left out.",
        ),
        click.option(
            "--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Artifacts for this platform only."
        ),
        click.option("--channel", "channels", multiple=True, metavar="NAME", help="Releases of this channel only."),
        click.option("--namespace", "namespaces", multiple=True, metavar="NS", help="All plugins of a namespace."),
        click.option(
            "--plugin", "plugins", multiple=True, metavar="NS/NAME[@RANGE]", help="A plugin; may be repeated."
        ),
    ):
        command = option(command)
    return command


def selection_of(
    from_file: Path | None,
    *,
    plugins: tuple[str, ...],
    namespaces: tuple[str, ...],
    channels: tuple[str, ...],
    platforms: tuple[str, ...],
    latest: int | None,
    locks: tuple[Path, ...],
    with_dependencies: bool,
    artifacts: Artifacts | None,
) -> Selection:
    """Return what the options and the file of ``--from`` say together; an option adds to the file or overrides it.

    Raises:
        UsageError, ConfigError: it isn't a valid selection.
        NotFoundError, ConfigError: a lock isn't there, or can't be read.
    """
    said = SelectionFile() if from_file is None else _read_selection(from_file)
    beside = [from_file.parent / each for each in said.locks] if from_file is not None else []
    return check_selection(
        Selection(
            plugins=(*said.plugins, *plugins),
            namespaces=(*said.namespaces, *namespaces),
            channels=(*said.channels, *channels),
            platforms=(*said.platforms, *platforms),
            latest=latest if latest is not None else said.latest,
            locked=tuple(locked_in((*beside, *locks))),
            with_dependencies=with_dependencies or said.with_dependencies,
            artifacts=artifacts or said.artifacts or "all",
        )
    )


def _read_selection(path: Path) -> SelectionFile:
    hint = f"edit {path}; its fields are those of: sealdex mirror create --help"
    try:
        return read_values(parse_toml(read_toml_text(path), str(path), hint), SelectionFile)
    except DocumentError as error:
        raise ConfigError(
            "\n".join(map(str, error.problems)), subject=str(path), untouched="nothing was copied", hint=hint
        ) from error


def locked_in(paths: Sequence[Path]) -> list[LockedRelease]:
    """Return the releases that lock files name, each once.

    Raises:
        NotFoundError, ConfigError: a lock isn't there, or can't be read.
    """
    if not paths:
        return []
    from sealdex.lockfile.lock_file import read_lock  # noqa: PLC0415  # for who names one

    found: dict[LockedRelease, None] = {}
    for path in paths:
        for block in read_lock(path).plugin:
            found[LockedRelease(block.name, block.version, block.manifest.sha256)] = None
    return list(found)


def dest_of(config: Config, text: str) -> Path | Bucket:
    """Return what a DEST names."""
    if not text.startswith(_SCHEME):
        return Path(text)
    from sealdex.download.mirror.bucket import Bucket  # noqa: PLC0415  # for who has one

    return Bucket(text, config)


def existing(place: Path | Bucket) -> Path | Bucket:
    """Return a place that is there, as far as that is seen from here.

    Raises:
        NotFoundError: it isn't.
    """
    if isinstance(place, Path) and not place.is_dir():
        raise NotFoundError(f"there is no folder {place}", subject=str(place), untouched="nothing was changed")
    return place


def as_source(registry: str | None, place: Path | Bucket) -> Source:
    """Return a mirror as a source, whose root is that of a configured registry."""
    return Source(registry or "", place.resolve().as_uri() + "/" if isinstance(place, Path) else place.url, None)


def options_of(
    config: Config, selection: Selection, registry: str, *, dry_run: bool = False, verify: bool = False
) -> Options:
    """Return how a mirror is made, as options and configuration have it."""
    said = config.document.download
    return Options(
        selection,
        said.concurrent,
        said.max_plugin_size,
        dry_run=dry_run,
        verify=verify,
        max_staleness=max_staleness(config, registry),
    )


__all__ = [
    "SelectionFile",
    "as_source",
    "dest_of",
    "existing",
    "locked_in",
    "max_staleness",
    "options_of",
    "root_options",
    "selection_of",
    "selection_options",
]
