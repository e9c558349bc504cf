"""The output of ``ensure`` when everything is in place; imports little (see `sealdex.cli.fast_path`)."""

from __future__ import annotations

import os

from sealdex.cli.output import Output

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from typing import Any

    from sealdex.store.installations import Installation


def show_in_place(out: Output, project: str, found: list[Installation]) -> None:
    """Show that nothing had to be done."""
    rows = [
        row(f"{i.namespace}/{i.name}", i.version, "keep", os.fspath(i), **({"image": i.image} if i.image else {}))
        for i in found
    ]
    show_ensured(out, project, rows)


def row(plugin: str, version: str, action: str, path: str | None, **more: Any) -> dict[str, Any]:
    """Return one plugin as shown in json mode."""
    return {"plugin": plugin, "version": version, "action": action, "path": path, **more}


def show_ensured(
    out: Output,
    project: str,
    rows: list[dict[str, Any]],
    unasked: dict[str, str] | None = None,
    summary: str | None = None,
) -> None:
    """Show the result for the plugins of a lock.

    Args:
        out: where to.
        project: the folder of the lock.
        rows: what `row` returned for each plugin.
        unasked: which registries couldn't be asked, and why.
        summary: what was installed, see `sealdex.cli.summary`.
    """
    lock = os.path.join(os.path.abspath(project), "sealdex.lock")  # noqa: PTH100, PTH118  # pathlib takes too long
    document = {"lock": lock, "ensured": rows}
    why = "; ".join(dict.fromkeys(unasked.values())) if unasked else ""
    out.result({**document, "unreachable": why, "pinned_by_lock": sorted(unasked)} if unasked else document)
    kept = sum(each["action"] == "keep" for each in rows)
    if kept == len(rows):
        out.line(f"all {kept} plugins are in place" if kept != 1 else "the only plugin is in place")
    elif summary is not None:
        out.line(f"{summary}; {kept} already in place" if kept else summary)
    else:
        out.line(f"{len(rows) - kept} installed, {kept} already in place")
