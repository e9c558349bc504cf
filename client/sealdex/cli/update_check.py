"""Notes about outdated plugins, in commands that ask a registry anyway: `auto_check_update` in config.toml."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from sealdex.errors import SealdexError

if TYPE_CHECKING:
    from sealdex.cli.output import Output
    from sealdex.client import Client

MARK_NAME = "last-update-check"
"""An empty file in the store; its modification time is the time of the last check."""

_MOST = 5


def say_what_is_outdated(client: Client, out: Output) -> None:
    """Look for newer releases of plugins in use, if configured and not done recently, and show them as a note.

    This is only advice: if no answer comes, nothing is shown and nothing fails.
    """
    settings = client.config.document.update
    mark = client.config.store / MARK_NAME
    if client.offline or not settings.auto_check_update or _is_recent(mark, settings.update_check_interval):
        return
    from sealdex.update import outdated  # noqa: PLC0415  # only for who wants to know

    try:
        mark.touch()
        found = outdated(client)
    except (SealdexError, OSError):
        return
    if found:
        shown = ", ".join(f"{each.plugin} {each.version} -> {each.newest}" for each in found[:_MOST])
        rest = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
        out.note(f"outdated: {shown}{rest}; sealdex update")


def _is_recent(mark: Path, interval_s: float) -> bool:
    try:
        age_s = time.time() - mark.stat().st_mtime
    except OSError:
        return False
    return 0 <= age_s < interval_s  # a time in the future means that the clock was set back: don't wait for it
