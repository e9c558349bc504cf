"""``sealdex mirror create``: into a folder, a bucket or an archive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.group import examples
from sealdex.cli.mirror_options import dest_of, options_of, root_options, selection_of, selection_options
from sealdex.cli.mirror_report import note_images, note_sigstore_root, told, warn_of_age, watch_of
from sealdex.cli.progress import in_bytes
from sealdex.download.mirror.create import create
from sealdex.download.mirror.sigstore_root import digest_of, taken_here
from sealdex.download.mirror.source import Source, find_source, pinned_root
from sealdex.errors import UsageError
from sealdex.text import counted
from sealdex.transport import Transport

if TYPE_CHECKING:
    from sealdex.download.mirror.carry import Exported
    from sealdex.download.mirror.selection import Selection


@click.command(
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
@root_options
@selection_options
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
    selection = selection_of(from_file, **selected)
    place = dest_of(config, dest)
    archive = place if isinstance(place, Path) and place.suffix == ".tar" else None
    if archive is None and (base is not None or resend is not None or volume_size is not None):
        raise UsageError(
            "--base, --resend and --volume-size are for archives",
            subject=dest,
            untouched="nothing was copied",
            hint="name an archive that ends in .tar, or leave them out",
        )
    part: dict[str, Any] = {}
    if archive is not None:
        part, selection = _part(archive, selection, base, resend, volume_size)
    carried = taken_here(config, sigstore_root)
    found = find_source(config, source)
    with (
        context.out.progress(f"mirroring {source}") as progress,
        Transport(config.transport_settings, credentials=found.credentials) as transport,
    ):
        trusted = pinned_root(config, found, root, fingerprint, transport)
        options = replace(
            options_of(config, selection, found.name, dry_run=dry_run, verify=hash_all), sigstore_root=carried
        )
        watch = watch_of(context, progress, found)
        if archive is not None:
            from sealdex.download.mirror.carry import export  # noqa: PLC0415  # for who writes an archive

            exported = export(found, trusted, transport, archive, options, watch, **part)
            _show_export(context, exported, found, archive, dry_run=dry_run)
            return
        result = create(found, trusted, transport, place, options, watch)
    warn_of_age(context, result.state)
    for warning in result.warnings:
        out.warn(warning)
    out.result(told(result, found, place, dry_run=dry_run))
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
    note_images(context, result)
    note_sigstore_root(context, result, place)


def _part(
    archive: Path, selection: Selection, base: Path | None, resend: int | None, volume_size: str | None
) -> tuple[dict[str, Any], Selection]:
    """Return what `export` is told of the archive, and the selection that it is of."""
    from sealdex.download.mirror.carry import to_resend  # noqa: PLC0415  # for who writes an archive
    from sealdex.download.mirror.state import read_state  # noqa: PLC0415  # for --base
    from sealdex.download.mirror.volumes import parse_volume_size  # noqa: PLC0415  # for --volume-size

    volume_bytes = parse_volume_size(volume_size) if volume_size is not None else None
    state, number = (read_state(base) if base is not None else None), None
    if resend is not None:
        if base is not None:
            raise UsageError("give --base or --resend, not both", untouched="nothing was written")
        state, number = to_resend(archive.parent, resend, selection)
        selection = selection if state is None else state.state.selection
    return {"base": state, "volume_bytes": volume_bytes, "number": number}, selection


def _show_export(context: Context, exported: Exported, source: Source, dest: Path, *, dry_run: bool) -> None:
    out, result = context.out, exported.result
    for warning in result.warnings:
        out.warn(warning)
    out.result({
        **told(result, source, dest, dry_run=dry_run),
        "number": exported.head.number if exported.head is not None else None,
        "base": exported.head.base if exported.head is not None else None,
        "volumes": exported.paths,
        "state": exported.state,
    })  # fmt: skip
    what = f"{counted(result.files, 'file')}, {in_bytes(result.bytes)}"
    note_images(context, result)
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
