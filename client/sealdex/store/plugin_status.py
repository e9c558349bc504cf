"""Reads the status and pin of each plugin from ``state.db``; imports little (see `sealdex.store.layout`)."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.store.layout import Plugin, Store

    Status = tuple[int, str | None, str | None]  # (0 disabled, 1 enabled, 2 error; error text; pinned version)

ENABLED = (1, None, None)
STATUS_WORDS = ("disabled", "enabled", "error")
"""The names of the status numbers 0, 1 and 2."""
_PATIENCE_S = 60.0


def statuses(store: Store) -> dict[Plugin, Status]:
    """Return (status, error, pin) of the plugins that have one; all others are `ENABLED`.

    A database that can't be read gives nothing: `sealdex doctor` and commands that change something report it.
    """
    if not os.path.exists(store.state_file):  # noqa: PTH110  # see layout
        return {}
    # a store in which nothing was ever decided needn't wait for it, and `sqlite3` imports `datetime` around it
    try:
        import _sqlite3 as sqlite3  # noqa: PLC0415  # half the time of sqlite3
    except ImportError:  # another Python
        import sqlite3  # type: ignore[no-redef]  # noqa: PLC0415  # the other half, where it has to be

    try:
        database = sqlite3.connect(store.state_file, timeout=_PATIENCE_S)
        try:
            rows = database.execute("SELECT namespace, name, status, error, pin FROM plugin").fetchall()
        finally:
            database.close()
    except sqlite3.Error:
        return {}
    return {
        (namespace, name): (status, error, pin)
        for namespace, name, status, error, pin in rows
        if status in range(len(STATUS_WORDS))  # something else may have written there; `sealdex doctor` reports it
    }
