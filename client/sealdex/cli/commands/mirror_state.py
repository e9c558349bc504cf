"""``sealdex mirror state``: what a mirror has, as a small file."""

from __future__ import annotations

from pathlib import Path

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.mirror_options import dest_of, existing
from sealdex.download.mirror.state import STATE_ENDING, state_of, write_state
from sealdex.text import counted


@click.command("state", epilog=examples("sealdex mirror state /srv/mirror -o site.state.jsonl.gz"))
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
    place = existing(dest_of(context.config(), dest))
    is_remote = not isinstance(place, Path)
    folder = place if isinstance(place, Path) else place.folder
    if not isinstance(place, Path):
        from sealdex.download.mirror.bucket_place import BucketPlace  # noqa: PLC0415  # for who has a bucket

        BucketPlace(place).bring()
    name = dest.partition("?")[0].rstrip("/").rpartition("/")[2] if is_remote else folder.resolve().name
    path = output or Path(f"{name}{STATE_ENDING}")
    state, keys = state_of(folder, is_remote=is_remote)
    files = write_state(state, keys, path)
    out.result({"mirror": str(place), "state": path, "number": state.number, "files": files})
    out.line(f"wrote {path} · {counted(files, 'file')}, archive {state.number}")
    out.note(f"on the other side: sealdex mirror create SOURCE update.tar --base {path.name}")
