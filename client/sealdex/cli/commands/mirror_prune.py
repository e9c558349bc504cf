"""``sealdex mirror prune``: what a mirror's states don't lead to any more, removed."""

from __future__ import annotations

from pathlib import Path

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.mirror_options import dest_of, existing, locked_in
from sealdex.cli.progress import in_bytes
from sealdex.download.mirror.options import Watch
from sealdex.download.mirror.prune import prune
from sealdex.text import counted


@click.command(
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
    place = existing(dest_of(context.config(), dest))
    done = prune(place, locked_in(list(locks)), watch, dry_run=dry_run, confirmed=yes)
    out.result(
        {"mirror": str(place), "files": done.files, "bytes": done.bytes, "kept": done.kept, "removed": done.removed}
    )
    verb = "removed" if done.removed else "would remove"
    out.line(f"{verb} {counted(done.files, 'file')}, {in_bytes(done.bytes)}; {counted(done.kept, 'file')} stay")
