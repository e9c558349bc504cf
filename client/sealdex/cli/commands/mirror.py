"""``sealdex mirror``: create, verify and prune."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.group import LazyGroup, examples
from sealdex.cli.progress import in_bytes
from sealdex.config.toml_reader import parse_toml, read_toml_text
from sealdex.errors import ConfigError, VerificationError
from sealdex.lockfile.lock_file import read_lock
from sealdex.mirror.create import MirrorResult, Options, Watch, create
from sealdex.mirror.selection import LockedRelease, Selection, check_selection
from sealdex.mirror.source import Source, find_source, pinned_root
from sealdex.mirror.verify import prune, verify
from sealdex.model.decode import DocumentError, read_values
from sealdex.text import counted
from sealdex.transport import Transport

if TYPE_CHECKING:
    from sealdex.cli.progress import Progress

mirror = LazyGroup(
    name="mirror", help="Copy a registry, or a part of it, for places that can't reach it; prove and tidy such copies."
)


class SelectionFile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A file of ``--from``: the options of ``mirror create``, to be kept in git; ``locks`` are paths beside it."""

    plugins: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    latest: int | None = None
    locks: tuple[str, ...] = ()
    with_dependencies: bool = False
    artifacts: str | None = None


def _root_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--fingerprint", metavar="SHA256", help="Instead: the root whose SHA-256 the owners told you."),
        click.option(
            "--root",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="The root metadata that you trust; that of the configured registry when left out.",
        ),
    ):
        command = option(command)
    return command


@mirror.command(
    "create",
    epilog=examples(
        "sealdex mirror create public /srv/mirror",
        "sealdex mirror create public /srv/mirror --lock sealdex.lock --platform linux/arm64",
        "sealdex mirror create public /srv/mirror --namespace acme --latest 3 --with-dependencies",
        "sealdex mirror create https://plugins.example.org/ /media/stick --root root.json --dry-run",
        "sealdex mirror create /srv/test-ring /srv/production --root root.json",
    ),
)
@click.argument("source")
@click.argument("dest", type=click.Path(file_okay=False, path_type=Path))
@_root_options
@click.option("--plugin", "plugins", multiple=True, metavar="NS/NAME[@RANGE]", help="A plugin; may be repeated.")
@click.option("--namespace", "namespaces", multiple=True, metavar="NS", help="All plugins of a namespace.")
@click.option("--channel", "channels", multiple=True, metavar="NAME", help="Releases of this channel only.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Artifacts for this platform only.")
@click.option(
    "--latest",
    type=click.IntRange(min=1),
    metavar="N",
    help="The newest N releases of each channel and major version; pre-releases are left out.",
)
@click.option(
    "--lock",
    "locks",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What a sealdex.lock names, yanked releases too.",
)
@click.option("--with-dependencies", is_flag=True, help="And what the selected releases depend on.")
@click.option(
    "--artifacts",
    type=click.Choice(["all", "store", "none"]),
    help="Copy all artifacts, only those in the registry's own store, or none; 'all' when left out.",
)
@click.option(
    "--from",
    "from_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The selection from a TOML file: plugins, namespaces, channels, platforms, latest, locks, ...",
)
@click.option("--dry-run", is_flag=True, help="Say how many files and bytes would be copied.")
@click.option("--verify", "hash_all", is_flag=True, help="Hash what is there already, in place of comparing sizes.")
@download_options
@client_command
def create_(
    context: Context,
    source: str,
    dest: Path,
    *,
    root: Path | None,
    fingerprint: str | None,
    from_file: Path | None,
    dry_run: bool,
    hash_all: bool,
    **selected: Any,
) -> None:
    """Copy a registry, or a part of it, into a folder, or bring such a copy up to date.

    SOURCE is a configured registry, an address, a published folder or another mirror; DEST a folder, which any web
    server can serve. Metadata comes along unchanged, so clients go on verifying with the registry's own root. Without
    a selection everything is copied but yanked releases. A second run fetches only what changed; readers see the old
    or the new state at every moment.
    """
    out, config = context.out, context.config()
    selection = check_selection(_selection(from_file, **selected))
    found = find_source(config, source)
    with (
        context.out.progress(f"mirroring {source}") as progress,
        Transport(config.transport_settings, credentials=found.credentials) as transport,
    ):
        result = create(
            found,
            pinned_root(config, found, root, fingerprint, transport),
            transport,
            dest,
            Options(
                selection,
                config.document.download.concurrent,
                config.document.download.max_plugin_size,
                dry_run=dry_run,
                verify=hash_all,
            ),
            _watch(context, progress),
        )
    for warning in result.warnings:
        out.warn(warning)
    out.result(_told(result, found, dest, dry_run=dry_run))
    what = f"{counted(result.files, 'file')}, {in_bytes(result.bytes)}"
    whole = f"{counted(result.total_files, 'file')}, {in_bytes(result.total_bytes)}"
    if dry_run:
        out.line(f"would copy {what} of {whole} into {dest}")
    elif not result.changed:
        out.line(f"{dest} is up to date · {whole}", style="green")
    else:
        out.line(f"copied {what} · {dest} has {whole}", style="green")
    out.line(
        f"  state: timestamp {result.state.timestamp_version}, root v{result.state.root_version}, "
        f"{counted(result.plugins, 'plugin')}, {counted(result.releases, 'release')}"
        if result.changed
        else f"  state: timestamp {result.state.timestamp_version}, root v{result.state.root_version}"
    )
    for image in result.images:
        out.note(f"not copied: the container image of {image.plugin} {image.version}: docker pull {image.reference}")


@mirror.command(
    "verify",
    epilog=examples("sealdex mirror verify /srv/mirror --root root.json", "sealdex mirror verify /srv/mirror --json"),
)
@click.argument("dest", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_root_options
@click.option("--registry", metavar="NAME", help="Instead: the root of this configured registry.")
@client_command
def verify_(context: Context, dest: Path, *, root: Path | None, fingerprint: str | None, registry: str | None) -> None:
    """Prove that a mirror has all of its selection, unchanged, from the root alone.

    Every signature is verified again and every file hashed, on all processors. Only what is wrong is listed.
    """
    out, config = context.out, context.config()
    place = Source(registry or "", dest.resolve().as_uri() + "/", None)
    with context.out.progress(f"verifying {dest}") as progress, Transport(config.transport_settings) as transport:
        data = pinned_root(config, place, root, fingerprint, transport)
        found = verify(dest, data, transport, _watch(context, progress))
    out.result({
        "mirror": dest,
        "intact": found.is_intact,
        "files": found.files,
        "bytes": found.bytes,
        "missing": found.missing,
        "wrong": found.wrong,
        "extra": found.extra,
        "timestamp_version": found.state.timestamp_version,
        "made_at": found.record.made_at,
    })  # fmt: skip
    if not found.is_intact:
        wrong = [f"{key}: missing" for key in found.missing] + [f"{key}: not what was signed" for key in found.wrong]
        raise VerificationError(
            f"{counted(len(wrong), 'file')} of {dest}: " + "\n".join(wrong),
            subject=str(dest),
            untouched="nothing was changed",
            hint="to fetch them again: sealdex mirror create SOURCE DEST --verify",
        )
    out.line(f"{dest} is intact · {counted(found.files, 'file')}, {in_bytes(found.bytes)}", style="green")
    if found.extra:
        out.note(f"{counted(found.extra, 'file')} of earlier states or selections: sealdex mirror prune {dest}")


@mirror.command(
    "prune",
    epilog=examples("sealdex mirror prune /srv/mirror --dry-run", "sealdex mirror prune /srv/mirror --yes"),
)
@click.argument("dest", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--keep-lock",
    "locks",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep what this sealdex.lock names; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@click.option("--yes", is_flag=True, help="Remove even more than a fifth of all files.")
@client_command
def prune_(context: Context, dest: Path, *, locks: tuple[Path, ...], dry_run: bool, yes: bool) -> None:
    """Remove files that neither the present nor the previous state of a mirror leads to."""
    out = context.out
    watch = Watch(waiting=out.note)
    done = prune(dest, [read_lock(path) for path in locks], watch, dry_run=dry_run, confirmed=yes)
    out.result({"mirror": dest, "files": done.files, "bytes": done.bytes, "kept": done.kept, "removed": done.removed})
    verb = "removed" if done.removed else "would remove"
    out.line(f"{verb} {counted(done.files, 'file')}, {in_bytes(done.bytes)}; {counted(done.kept, 'file')} stay")


def _selection(
    from_file: Path | None,
    *,
    plugins: tuple[str, ...],
    namespaces: tuple[str, ...],
    channels: tuple[str, ...],
    platforms: tuple[str, ...],
    latest: int | None,
    locks: tuple[Path, ...],
    with_dependencies: bool,
    artifacts: str | None,
) -> Selection:
    """Return what the options and the file of ``--from`` say; an option adds to the file, or stands in its place."""
    said = SelectionFile() if from_file is None else _read_selection(from_file)
    beside = [from_file.parent / each for each in said.locks] if from_file is not None else []
    return Selection(
        plugins=(*said.plugins, *plugins),
        namespaces=(*said.namespaces, *namespaces),
        channels=(*said.channels, *channels),
        platforms=(*said.platforms, *platforms),
        latest=latest if latest is not None else said.latest,
        locked=tuple(_locked([*beside, *locks])),
        with_dependencies=with_dependencies or said.with_dependencies,
        artifacts=artifacts or said.artifacts or "all",  # type: ignore[arg-type]  # click and _read_selection see to it
    )


def _read_selection(path: Path) -> SelectionFile:
    hint = f"edit {path}; its fields are those of: sealdex mirror create --help"
    try:
        said = read_values(parse_toml(read_toml_text(path), str(path), hint), SelectionFile)
    except DocumentError as error:
        raise ConfigError(
            "\n".join(map(str, error.problems)), subject=str(path), untouched="nothing was copied", hint=hint
        ) from error
    if said.artifacts not in {None, "all", "store", "none"}:
        raise ConfigError(f"artifacts: '{said.artifacts}' is not one of all, store, none", subject=str(path), hint=hint)
    if said.latest is not None and said.latest < 1:
        raise ConfigError(f"latest: {said.latest} is less than 1", subject=str(path), hint=hint)
    return said


def _locked(paths: list[Path]) -> list[LockedRelease]:
    found: dict[LockedRelease, None] = {}
    for path in paths:
        for block in read_lock(path).plugin:
            found[LockedRelease(block.name, block.version, block.manifest.sha256)] = None
    return list(found)


def _watch(context: Context, progress: Progress) -> Watch:
    done, whole = [0], [0]

    def totals(_files: int, size: int) -> None:
        whole[0] = size

    def moved(count: int) -> None:
        done[0] += count
        progress.update(done[0], whole[0] or None)

    return Watch(waiting=context.out.note, totals=totals, moved=moved)


def _told(result: MirrorResult, source: Source, dest: Path, *, dry_run: bool) -> dict[str, Any]:
    return {
        "mirror": dest,
        "source": source.url,
        "dry_run": dry_run,
        "changed": result.changed,
        "files": result.files,
        "bytes": result.bytes,
        "total_files": result.total_files,
        "total_bytes": result.total_bytes,
        "plugins": result.plugins,
        "releases": result.releases,
        "timestamp_version": result.state.timestamp_version,
        "root_version": result.state.root_version,
        "images": [msgspec.to_builtins(image) for image in result.images],
        "warnings": result.warnings,
    }
