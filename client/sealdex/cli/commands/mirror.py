"""``sealdex mirror``: create, import, state, verify and prune."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import msgspec

from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.group import LazyGroup, examples
from sealdex.cli.progress import in_bytes
from sealdex.config.document import max_staleness_of, parse_age
from sealdex.config.toml_reader import parse_toml, read_toml_text
from sealdex.download.mirror.bucket import SCHEME, Bucket
from sealdex.download.mirror.bucket_place import BucketPlace
from sealdex.download.mirror.carry import Exported, export, import_archive, to_resend
from sealdex.download.mirror.create import MirrorResult, Options, Watch, create
from sealdex.download.mirror.record import NamedImage
from sealdex.download.mirror.selection import Artifacts, LockedRelease, Selection, check_selection
from sealdex.download.mirror.sigstore_root import digest_of, taken_here
from sealdex.download.mirror.source import Source, find_source, pinned_root
from sealdex.download.mirror.state import STATE_ENDING, read_state, state_of, write_state
from sealdex.download.mirror.verify import prune, verify
from sealdex.download.mirror.volumes import parse_volume_size
from sealdex.errors import ConfigError, NotFoundError, SealdexError, UsageError, VerificationError
from sealdex.lockfile.lock_file import read_lock
from sealdex.model.decode import DocumentError, read_values
from sealdex.text import counted
from sealdex.transport import Transport

if TYPE_CHECKING:
    from sealdex.cli.progress import Progress
    from sealdex.config.config import Config
    from sealdex.trust import TrustState

mirror = LazyGroup(
    name="mirror", help="Copy a registry, or a part of it, for places that can't reach it; prove and tidy such copies."
)


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


def _max_staleness(config: Config, name: str) -> timedelta | None:
    """Return what the option says, or else the configured registry."""
    given: timedelta | None = click.get_current_context().meta.get(_MAX_STALENESS)
    section = config.registries.get(name)
    return given if given is not None or section is None else max_staleness_of(section)


def _warn_of_age(context: Context, state: TrustState) -> None:
    if (note := state.age_note) is not None:
        context.out.warn(note)
        context.out.ages.append(state.age_report())


def _root_options(command: Callable[..., Any]) -> Callable[..., Any]:
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


@mirror.command(
    "create",
    epilog=examples(
        "sealdex mirror create public /srv/mirror",
        "sealdex mirror create public /srv/mirror --lock sealdex.lock --platform linux/arm64",
        "sealdex mirror create public /srv/mirror --namespace acme --latest 3 --with-dependencies",
        "sealdex mirror create https://plugins.example.org/ /media/stick --root root.json --dry-run",
        "sealdex mirror create /srv/test-ring /srv/production --root root.json",
        "sealdex mirror create public update.tar --base site.state.jsonl.gz --volume-size fat32",
    ),
)
@click.argument("source")
@click.argument("dest")
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
    help="Copy all artifacts (default), only those in the registry's own store, or none.",
)
@click.option(
    "--from",
    "from_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The selection from a TOML file: plugins, namespaces, channels, platforms, latest, locks, ...",
)
@click.option(
    "--base",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Of an archive: leave out what the far side has by this file, which `mirror state` wrote there.",
)
@click.option(
    "--resend",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of an archive: make number N again, which never arrived, from the records beside the archives.",
)
@click.option(
    "--sigstore-root",
    metavar="FILE",
    help="Carry this trusted_root.json of Sigstore, or 'public' for Sigstore's own; default: that of [attestations].",
)
@click.option("--volume-size", metavar="SIZE", help="Of an archive: cut it into files of fat32, cd, dvd, 8G, 500M ...")
@click.option("--dry-run", is_flag=True, help="Say how many files and bytes would be copied.")
@click.option("--verify", "hash_all", is_flag=True, help="Hash what is there already, in place of comparing sizes.")
@download_options
@client_command
def create_(
    context: Context,
    source: str,
    dest: str,
    *,
    root: Path | None,
    fingerprint: str | None,
    from_file: Path | None,
    base: Path | None,
    resend: int | None,
    volume_size: str | None,
    sigstore_root: str | None,
    dry_run: bool,
    hash_all: bool,
    **selected: Any,
) -> None:
    """Copy a registry, or a part of it, into a folder, or bring such a copy up to date.

    SOURCE is a configured registry, an address, a published folder or another mirror; DEST a folder, which any web
    server can serve, or an archive to carry across a gap, whose name ends in .tar. Metadata comes along unchanged, so
    clients go on verifying with the registry's own root. Without a selection everything is copied but yanked releases.
    A second run fetches only what changed; readers see the old or the new state at every moment.
    """
    out, config = context.out, context.config()
    selection = check_selection(_selection(from_file, **selected))
    place = _dest(config, dest)
    archive = place if isinstance(place, Path) and place.suffix == ".tar" else None
    if archive is None and (base is not None or resend is not None or volume_size is not None):
        raise UsageError(
            "--base, --resend and --volume-size are for archives",
            subject=dest,
            untouched="nothing was copied",
            hint="name an archive that ends in .tar, or leave them out",
        )
    volume_bytes = parse_volume_size(volume_size) if volume_size is not None else None
    state, number = (read_state(base) if base is not None else None), None
    if resend is not None and archive is not None:
        if base is not None:
            raise UsageError("give --base or --resend, not both", untouched="nothing was written")
        state, number = to_resend(archive.parent, resend, selection)
        selection = selection if state is None else state.state.selection
    carried = taken_here(config, sigstore_root)
    found = find_source(config, source)
    with (
        context.out.progress(f"mirroring {source}") as progress,
        Transport(config.transport_settings, credentials=found.credentials) as transport,
    ):
        trusted = pinned_root(config, found, root, fingerprint, transport)
        options = replace(
            _options(config, selection, found.name, dry_run=dry_run, verify=hash_all), sigstore_root=carried
        )
        watch = watch_of(context, progress, found)
        if archive is not None:
            exported = export(
                found, trusted, transport, archive, options, watch, base=state, volume_bytes=volume_bytes, number=number
            )
            _show_export(context, exported, found, archive, dry_run=dry_run)
            return
        result = create(found, trusted, transport, place, options, watch)
    _warn_of_age(context, result.state)
    for warning in result.warnings:
        out.warn(warning)
    out.result(_told(result, found, place, dry_run=dry_run))
    what = f"{counted(result.files, 'file')}, {in_bytes(result.bytes)}"
    whole = f"{counted(result.total_files, 'file')}, {in_bytes(result.total_bytes)}"
    if dry_run:
        out.line(f"would copy {what} of {whole} into {place}")
    elif not result.changed:
        out.line(f"{place} is up to date · {whole}", style="green")
    else:
        out.line(f"copied {what} · {place} has {whole}", style="green")
    out.line(
        f"  state: timestamp {result.state.timestamp_version}, root v{result.state.root_version}, "
        f"{counted(result.plugins, 'plugin')}, {counted(result.releases, 'release')}"
        if result.changed
        else f"  state: timestamp {result.state.timestamp_version}, root v{result.state.root_version}"
    )
    _note_images(context, result)
    _note_sigstore_root(context, result, place)


@mirror.command(
    "import",
    epilog=examples(
        "sealdex mirror import /media/stick/update.tar /srv/mirror --root root.json",
        "sealdex mirror import /media/dvd1/*.tar /media/dvd2/*.tar /srv/mirror --registry public",
    ),
)
@click.argument("archives", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("dest")
@_root_options
@click.option("--registry", metavar="NAME", help="Instead: the root of this configured registry.")
@click.option("--new-selection", is_flag=True, help="Take over another selection than the mirror has had.")
@client_command
def import_(
    context: Context,
    archives: tuple[Path, ...],
    dest: str,
    *,
    root: Path | None,
    fingerprint: str | None,
    registry: str | None,
    new_selection: bool,
) -> None:
    """Bring a mirror to the state that an archive carries.

    All volumes are given at once, in any order. They are read once and never written to. Every signature and digest is
    verified from the root before readers see any of it; what would roll the mirror back is refused. It can be run
    again after any failure, and the same archive twice changes nothing.
    """
    out, config = context.out, context.config()
    to = _dest(config, dest)
    place = _as_source(registry, to)
    with context.out.progress(f"importing into {dest}") as progress, Transport(config.transport_settings) as transport:
        trusted = pinned_root(config, place, root, fingerprint, transport)
        head, result = import_archive(
            config,
            list(archives),
            to,
            trusted,
            _options(config, Selection(), place.name),
            watch_of(context, progress),
            new_selection=new_selection,
        )
    _warn_of_age(context, result.state)
    out.result({**_told(result, place, to, dry_run=False), "number": head.number, "source": head.source})
    if result.changed:
        copied = f"{counted(result.files, 'file')}, {in_bytes(result.bytes)}"
        out.line(
            f"imported archive {head.number} · {copied} · {dest} is at timestamp {head.timestamp_version}",
            style="green",
        )
    else:
        out.line(f"{dest} has archive {head.number} already", style="green")
    _note_sigstore_root(context, result, to)


@mirror.command("state", epilog=examples("sealdex mirror state /srv/mirror -o site.state.jsonl.gz"))
@click.argument("dest")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it; default: DEST's name with .state.jsonl.gz.",
)
@client_command
def state_(context: Context, dest: str, *, output: Path | None) -> None:
    """Write what a mirror has, to be carried back: the sender then sends only what is lacking."""
    out = context.out
    place = _there(_dest(context.config(), dest))
    is_remote = isinstance(place, Bucket)
    folder = place.folder if isinstance(place, Bucket) else place
    if isinstance(place, Bucket):
        BucketPlace(place).bring()
    name = dest.partition("?")[0].rstrip("/").rpartition("/")[2] if is_remote else folder.resolve().name
    path = output or Path(f"{name}{STATE_ENDING}")
    state, keys = state_of(folder, is_remote=is_remote)
    files = write_state(state, keys, path)
    out.result({"mirror": str(place), "state": path, "number": state.number, "files": files})
    out.line(f"wrote {path} · {counted(files, 'file')}, archive {state.number}")
    out.note(f"on the other side: sealdex mirror create SOURCE update.tar --base {path.name}")


@mirror.command(
    "verify",
    epilog=examples("sealdex mirror verify /srv/mirror --root root.json", "sealdex mirror verify /srv/mirror --json"),
)
@click.argument("dest")
@_root_options
@click.option("--registry", metavar="NAME", help="Instead: the root of this configured registry.")
@client_command
def verify_(context: Context, dest: str, *, root: Path | None, fingerprint: str | None, registry: str | None) -> None:
    """Prove that a mirror has all of its selection, unchanged, from the root alone.

    Every signature is verified again and every file hashed, on all processors. Only what is wrong is listed.
    """
    out, config = context.out, context.config()
    at = _there(_dest(config, dest))
    place = _as_source(registry, at)
    credentials = at.credentials if isinstance(at, Bucket) else None
    with (
        context.out.progress(f"verifying {dest}") as progress,
        Transport(config.transport_settings, credentials=credentials) as transport,
    ):
        data = pinned_root(config, place, root, fingerprint, transport)
        found = verify(at, data, transport, watch_of(context, progress), _max_staleness(config, place.name))
    _warn_of_age(context, found.state)
    out.result({
        "mirror": str(at),
        "intact": found.is_intact,
        "files": found.files,
        "bytes": found.bytes,
        "missing": found.missing,
        "wrong": found.wrong,
        "extra": found.extra,
        "timestamp_version": found.state.timestamp_version,
        "made_at": found.record.made_at,
        "selection": msgspec.to_builtins(found.record.selection),
    })  # fmt: skip
    if not found.is_intact:
        wrong = [f"{key}: missing" for key in found.missing] + [f"{key}: not what was signed" for key in found.wrong]
        raise VerificationError(
            f"{counted(len(wrong), 'file')} of {dest}: " + "\n".join(wrong),
            subject=str(at),
            untouched="nothing was changed",
            hint="to fetch them again: sealdex mirror create SOURCE DEST --verify",
        )
    out.line(f"{dest} is intact · {counted(found.files, 'file')}, {in_bytes(found.bytes)}", style="green")
    out.line(f"  selection: {_described(found.record.selection)}")
    if found.extra:
        out.note(f"{counted(found.extra, 'file')} of earlier states or selections: sealdex mirror prune {dest}")


@mirror.command(
    "prune",
    epilog=examples("sealdex mirror prune /srv/mirror --dry-run", "sealdex mirror prune /srv/mirror --yes"),
)
@click.argument("dest")
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
def prune_(context: Context, dest: str, *, locks: tuple[Path, ...], dry_run: bool, yes: bool) -> None:
    """Remove files that neither the present nor the previous state of a mirror leads to."""
    out = context.out
    watch = Watch(waiting=out.note)
    place = _there(_dest(context.config(), dest))
    done = prune(place, _locked(list(locks)), watch, dry_run=dry_run, confirmed=yes)
    out.result(
        {"mirror": str(place), "files": done.files, "bytes": done.bytes, "kept": done.kept, "removed": done.removed}
    )
    verb = "removed" if done.removed else "would remove"
    out.line(f"{verb} {counted(done.files, 'file')}, {in_bytes(done.bytes)}; {counted(done.kept, 'file')} stay")


def _dest(config: Config, text: str) -> Path | Bucket:
    """Return what a DEST names."""
    return Bucket(text, config) if text.startswith(SCHEME) else Path(text)


def _there(place: Path | Bucket) -> Path | Bucket:
    """Return a place that is there, as far as that is seen from here.

    Raises:
        NotFoundError: it isn't.
    """
    if isinstance(place, Path) and not place.is_dir():
        raise NotFoundError(f"there is no folder {place}", subject=str(place), untouched="nothing was changed")
    return place


def _as_source(registry: str | None, place: Path | Bucket) -> Source:
    return Source(registry or "", place.url if isinstance(place, Bucket) else place.resolve().as_uri() + "/", None)


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
    artifacts: Artifacts | None,
) -> Selection:
    """Return what the options and the file of ``--from`` say; an option adds to the file or overrides it."""
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
        artifacts=artifacts or said.artifacts or "all",
    )


def _read_selection(path: Path) -> SelectionFile:
    hint = f"edit {path}; its fields are those of: sealdex mirror create --help"
    try:
        return read_values(parse_toml(read_toml_text(path), str(path), hint), SelectionFile)
    except DocumentError as error:
        raise ConfigError(
            "\n".join(map(str, error.problems)), subject=str(path), untouched="nothing was copied", hint=hint
        ) from error


def _described(selection: Selection) -> str:
    """Return a selection on one line, as options: what ``mirror verify`` looked for is for a person to judge."""
    said = msgspec.to_builtins(selection)
    locked = said.pop("locked", ())
    parts = []
    for name, value in said.items():
        parts.append(f"{name} {', '.join(value) if isinstance(value, list | tuple) else value}")
    if locked:
        parts.append(f"{counted(len(locked), 'release')} of locks")
    return "; ".join(parts) or "everything"


def _locked(paths: list[Path]) -> list[LockedRelease]:
    found: dict[LockedRelease, None] = {}
    for path in paths:
        for block in read_lock(path).plugin:
            found[LockedRelease(block.name, block.version, block.manifest.sha256)] = None
    return list(found)


def _options(
    config: Config, selection: Selection, registry: str, *, dry_run: bool = False, verify: bool = False
) -> Options:
    said = config.document.download
    return Options(
        selection,
        said.concurrent,
        said.max_plugin_size,
        dry_run=dry_run,
        verify=verify,
        max_staleness=_max_staleness(config, registry),
    )


def _note_images(context: Context, result: MirrorResult) -> None:
    """Say which container images aren't copied, and how each is: all of it, under the digest that is signed."""
    for image in result.images:
        context.out.note(f"not copied: the container image of {image.plugin} {image.version}: {_copying(image)}")


def _note_sigstore_root(context: Context, result: MirrorResult, place: Path | Bucket) -> None:
    """Say that Sigstore's trust root came along, and what a person has to do before it counts."""
    if result.record is not None and result.changed and (digest := digest_of(result.record.sigstore_root)):
        context.out.note(
            f"Sigstore's trust root came along as {place}/{result.record.sigstore_root}; nothing uses it until "
            f"trusted_root of [attestations] in config.toml names it: compare its SHA-256 first: {digest}"
        )


def _copying(image: NamedImage) -> str:
    name = f"{image.plugin.replace('/', '-')}-{image.version}.oci.tar"
    return f"skopeo copy --all --preserve-digests docker://{image.reference} oci-archive:{name}"


def _show_export(context: Context, exported: Exported, source: Source, dest: Path, *, dry_run: bool) -> None:
    out, result = context.out, exported.result
    for warning in result.warnings:
        out.warn(warning)
    out.result({
        **_told(result, source, dest, dry_run=dry_run),
        "number": exported.head.number if exported.head is not None else None,
        "base": exported.head.base if exported.head is not None else None,
        "volumes": exported.paths,
        "state": exported.state,
    })  # fmt: skip
    what = f"{counted(result.files, 'file')}, {in_bytes(result.bytes)}"
    _note_images(context, result)
    if exported.head is None:
        out.line(f"would write {what} and metadata into {dest}")
        return
    for path in exported.paths:
        out.line(f"wrote {path} · {in_bytes(path.stat().st_size)}", style="green")
    out.line(f"  archive {exported.head.number}, on top of {exported.head.base or 'nothing'}: {what} and metadata")
    out.note(f"on the other side: sealdex mirror import {exported.paths[0].name} DEST --root FILE")
    if result.record is not None and (digest := digest_of(result.record.sigstore_root)):
        out.note(f"Sigstore's trust root comes along; tell the far side its SHA-256 over another way: {digest}")
    if exported.state is not None:
        out.note(f"where nothing comes back: the next one with --base {exported.state}")


def watch_of(context: Context, progress: Progress, source: Source | None = None) -> Watch:
    """Return a watch that shows progress and waits, and which addresses of the source are left."""
    done, whole = [0], [0]

    def totals(_files: int, size: int) -> None:
        whole[0] = size

    def moved(count: int) -> None:
        done[0] += count
        progress.update(done[0], whole[0] or None)

    def left(url: str, error: SealdexError) -> None:
        context.out.leave(source.name if source is not None else "", url, error)

    return Watch(waiting=context.out.note, totals=totals, moved=moved, left=left)


def _told(result: MirrorResult, source: Source, dest: Path | Bucket, *, dry_run: bool) -> dict[str, Any]:
    return {
        "mirror": str(dest),
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
        "images": [{**msgspec.to_builtins(image), "command": _copying(image)} for image in result.images],
        "warnings": result.warnings,
        "sigstore_root": result.record.sigstore_root or None if result.record is not None else None,
    }
