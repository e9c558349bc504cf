"""``sealdex mirror verify``: a mirror proved complete and intact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.mirror_options import (
    as_source,
    dest_of,
    existing,
    max_staleness,
    root_options,
    selection_of,
    selection_options,
)
from sealdex.cli.mirror_report import warn_of_age, watch_of
from sealdex.cli.progress import in_bytes
from sealdex.download.mirror.selection import Selection
from sealdex.download.mirror.source import pinned_root
from sealdex.download.mirror.verify import verify
from sealdex.errors import UsageError, VerificationError
from sealdex.text import counted
from sealdex.transport import Transport


@click.command(
    "verify",
    epilog=examples("sealdex mirror verify /srv/mirror --root root.json", "sealdex mirror verify /srv/mirror --json"),
)
@click.argument("dest")
@root_options
@click.option("--registry", metavar="NAME", help="Instead: the root of this configured registry.")
@click.option("--everything", is_flag=True, help="Demand all that is published, yanked releases aside.")
@selection_options
@client_command
def verify_(
    context: Context,
    dest: str,
    *,
    root: Path | None,
    fingerprint: str | None,
    registry: str | None,
    everything: bool,
    from_file: Path | None,
    **selected: Any,
) -> None:
    """Prove that a mirror has all of its selection, unchanged, from the root alone.

    Every signature is verified again and every file hashed, on all processors. Only what is wrong is listed. The
    selection is what mirror.json says, which nobody signs; with the options of `mirror create`, or --everything, it
    is what you demand, and mirror.json decides nothing.
    """
    out, config = context.out, context.config()
    demanded = _demanded(from_file, everything=everything, **selected)
    at = existing(dest_of(config, dest))
    place = as_source(registry, at)
    credentials = None if isinstance(at, Path) else at.credentials
    with (
        context.out.progress(f"verifying {dest}") as progress,
        Transport(config.transport_settings, credentials=credentials) as transport,
    ):
        data = pinned_root(config, place, root, fingerprint, transport)
        watch, limit = watch_of(context, progress), max_staleness(config, place.name)
        found = verify(at, data, transport, watch, limit, demanded=demanded)
    warn_of_age(context, found.state)
    out.result({
        "mirror": str(at),
        "intact": found.is_intact,
        "files": found.files,
        "bytes": found.bytes,
        "missing": found.missing,
        "wrong": found.wrong,
        "links": found.links,
        "extra": found.extra,
        "timestamp_version": found.state.timestamp_version,
        "made_at": found.record.made_at,
        "selection": msgspec.to_builtins(found.record.selection),
        "demanded": msgspec.to_builtins(demanded) if demanded is not None else None,
    })  # fmt: skip
    if not found.is_intact:
        links = set(found.links)
        wrong = [f"{key}: {'a link, not a file' if key in links else 'missing'}" for key in found.missing]
        wrong += [f"{key}: not what was signed" for key in found.wrong]
        raise VerificationError(
            f"{counted(len(wrong), 'file')} of {dest}: " + "\n".join(wrong),
            subject=str(at),
            untouched="nothing was changed",
            hint="to fetch them again: sealdex mirror create SOURCE DEST --verify",
        )
    out.line(f"{dest} is intact · {counted(found.files, 'file')}, {in_bytes(found.bytes)}", style="green")
    out.line(f"  {'selection' if demanded is None else 'demanded'}: {_described(found.selection)}")
    if found.extra is None:
        out.note(f"mirror.json says another selection, which wasn't looked at: {_described(found.record.selection)}")
    elif found.extra:
        out.note(f"{counted(found.extra, 'file')} of earlier states or selections: sealdex mirror prune {dest}")


def _demanded(from_file: Path | None, *, everything: bool, **selected: Any) -> Selection | None:
    """Return the selection that the options demand; None where there are none of them."""
    if from_file is None and not any(selected.values()):
        return Selection() if everything else None
    if everything:
        raise UsageError(
            "--everything leaves nothing to select",
            untouched="nothing was verified",
            hint="leave it, or the others, out",
        )
    return selection_of(from_file, **selected)


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
