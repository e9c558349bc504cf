"""``sealdex mirror import``: a mirror brought to the state that an archive carries."""

from __future__ import annotations

from pathlib import Path

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.mirror_options import as_source, dest_of, options_of, root_options
from sealdex.cli.mirror_report import note_sigstore_root, told, warn_of_age, watch_of
from sealdex.cli.progress import in_bytes
from sealdex.download.mirror.carry import import_archive
from sealdex.download.mirror.selection import Selection
from sealdex.download.mirror.source import pinned_root
from sealdex.text import counted
from sealdex.transport import Transport


@click.command(
    "import",
    epilog=examples(
        "sealdex mirror import /media/stick/update.tar /srv/mirror --root root.json",
        "sealdex mirror import /media/dvd1/*.tar /media/dvd2/*.tar /srv/mirror --registry public",
    ),
)
@click.argument("archives", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("dest")
@root_options
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
    to = dest_of(config, dest)
    place = as_source(registry, to)
    with context.out.progress(f"importing into {dest}") as progress, Transport(config.transport_settings) as transport:
        trusted = pinned_root(config, place, root, fingerprint, transport)
        head, result = import_archive(
            config,
            list(archives),
            to,
            trusted,
            options_of(config, Selection(), place.name),
            watch_of(context, progress),
            new_selection=new_selection,
        )
    warn_of_age(context, result.state)
    out.result({**told(result, place, to, dry_run=False), "number": head.number, "source": head.source})
    if result.changed:
        copied = f"{counted(result.files, 'file')}, {in_bytes(result.bytes)}"
        out.line(
            f"imported archive {head.number} · {copied} · {dest} is at timestamp {head.timestamp_version}",
            style="green",
        )
    else:
        out.line(f"{dest} has archive {head.number} already", style="green")
    note_sigstore_root(context, result, to)
