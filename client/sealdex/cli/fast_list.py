"""The output of ``list`` and ``path``, read from the store; imports little (see `sealdex.cli.fast_path`)."""

from __future__ import annotations

import os

from sealdex.cli.output import Output
from sealdex.paths import store_folder
from sealdex.store.installations import (
    current,
    current_version_named,
    find_installation,
    format_trust,
    installations,
    installed_versions,
    look_over,
)
from sealdex.store.layout import Store
from sealdex.store.plugin_status import ENABLED, STATUS_WORDS, statuses
from sealdex.store.yanked import format_mark, yanked_releases

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    import os
    from typing import Any

    from sealdex.cli.list_filter import ListFilter
    from sealdex.store.installations import Damaged, Installation
    from sealdex.store.layout import Plugin
    from sealdex.store.plugin_status import Status
    from sealdex.store.yanked import Yank


def show_list(out: Output, store: str | os.PathLike[str] | None, chosen: ListFilter | None = None) -> None:
    """Show what is installed, or what of it was asked for; in quiet mode names, versions and paths.

    Raises:
        NotFoundError: a name that was asked for is not installed.
    """
    place = Store(store or store_folder())
    found, damaged = look_over(place)
    in_use = {plugin: current_version_named(place, plugin) for plugin in {i.id for i in found}}
    known, yanked = statuses(place), yanked_releases(place)
    nothing = f"nothing is installed in {place.root}; sealdex search WORD, sealdex install NAMESPACE/NAME"
    if chosen is not None:
        found, damaged, nothing = _chosen(place, chosen, found, damaged, in_use, known, yanked) or ([], [], nothing)
    out.result({
        "installed": [
            {
                **as_plain(i, is_current=in_use[i.id] == i.version, status=known.get(i.id, ENABLED)),
                "yanked": yanked.get((*i.id, i.version)),
            }
            for i in found
        ],
        **({"damaged": [each.as_dict() for each in damaged]} if damaged else {}),
    })  # fmt: skip
    for each in damaged:
        out.warn(f"{each.path} {each.why}; to find a fix: sealdex doctor")
    if out.mode == "quiet":
        for i in found:
            out.answer_path(os.fspath(i), f"{i.namespace}/{i.name}", i.version)
        return
    rows, errors = [], {}
    for number, i in enumerate(found):
        status, error, pin = known.get(i.id, ENABLED)
        is_current = in_use[i.id] == i.version
        marks = [word for word, holds in (("current", is_current), ("pinned", pin == i.version)) if holds]
        rows.append([
            f"{i.namespace}/{i.name}",
            i.version
            + (f" ({', '.join(map(out.say, marks))})" if marks else "")
            + (f" {out.say('YANKED')}" if (*i.id, i.version) in yanked else ""),
            STATUS_WORDS[status] if is_current else "",
            i.registry,
            format_trust(i.signed_by, i.root_version),
        ])  # fmt: skip
        if is_current and error:
            errors[number] = error
    rows += [[f"{each.namespace}/{each.name}", each.version, "DAMAGED", "", ""] for each in damaged]
    out.table(["PLUGIN", "VERSION", "STATUS", "REGISTRY", "TRUST"], rows, below=errors, worded=("STATUS", "TRUST"))
    for i in found:
        if (mark := yanked.get((*i.id, i.version))) is not None:
            name = f"{i.namespace}/{i.name}"
            out.warn(f"{name} {i.version} was {format_mark(mark)}; sealdex info {name}")
    if not found and not damaged:
        out.note(nothing)


def _chosen(
    place: Store,
    chosen: ListFilter,
    found: list[Installation],
    damaged: list[Damaged],
    in_use: dict[Plugin, str | None],
    known: dict[Plugin, Status],
    yanked: dict[tuple[str, str, str], Yank],
) -> tuple[list[Installation], list[Damaged], str] | None:
    """Return what was asked for, and what to say if that is nothing; None if nothing is installed at all."""
    shown = [
        i
        for i in found
        if chosen.admits(
            i,
            known.get(i.id, ENABLED),
            is_current=in_use[i.id] == i.version,
            is_yanked=(*i.id, i.version) in yanked,
        )
    ]
    broken = [d for d in damaged if chosen.admits_release(d.namespace, d.name, d.version, {"damaged"})]
    if missing := chosen.unseen():
        raise not_installed_named(place, missing[0])
    return (
        (shown, broken, "nothing that is installed is what was asked for; sealdex list") if found or damaged else None
    )


def as_plain(installation: Installation, *, is_current: bool, status: Status) -> dict[str, Any]:
    """Return an installation as shown in json mode."""
    plugin = f"{installation.namespace}/{installation.name}"
    number, error, pin = status
    decided = {"status": number, "error": error, "pin": pin}
    image = {"image": installation.image} if installation.image is not None else {}
    return {"plugin": plugin, **installation.as_dict(), **image, "current": is_current, **decided}


def show_path(out: Output, store: str | os.PathLike[str] | None, asked: str) -> None:
    """Show the folder of an installation: the version in use, or the one named.

    Raises:
        UsageError: ``asked`` is not of the form ``NAMESPACE/NAME[@VERSION]``.
        NotFoundError: it isn't installed.
    """
    place = Store(store or store_folder())
    plugin, _, version = asked.partition("@")
    try:
        namespace, name = plugin.split("/")
        asked_for = (namespace, name)
        found = find_installation(place, asked_for, version) if version else current(place, asked_for)
    except ValueError as error:
        from sealdex.errors import UsageError  # noqa: PLC0415  # only when it fails

        raise UsageError(
            f"'{asked}' is not of the form NAMESPACE/NAME or NAMESPACE/NAME@VERSION",
            hint="to see what is installed: sealdex list",
        ) from error
    if found is None:
        raise not_installed_named(place, asked)
    out.answer_path(os.fspath(found))
    if found.image is not None:
        out.note(f"it is a container image, and that folder has only its receipt: docker pull {found.image}")
    is_current = current_version_named(place, found.id) == found.version
    out.result(as_plain(found, is_current=is_current, status=statuses(place).get(found.id, ENABLED)))


def not_installed_named(place: Store, wanted: str) -> Exception:
    """Return the error that nothing of a name, or no such version of it, is installed."""
    from sealdex.errors import NotFoundError  # noqa: PLC0415  # only when it fails
    from sealdex.similar import most_similar  # noqa: PLC0415  # only when it fails

    name = wanted.partition("@")[0]
    namespace, _, short = name.partition("/")
    there = {f"{i.namespace}/{i.name}": i for i in installations(place)}
    others = [i.version for i in installed_versions(place, (namespace, short))] if name in there else []
    near = most_similar(name, there)
    also = f"; did you mean {near[0]}?" if near and not others else ""
    if others:
        also = f"; installed: {', '.join(others)}"
    return NotFoundError(
        f"{wanted} is not installed{also}",
        subject=wanted,
        untouched="nothing was changed",
        hint=f"sealdex install {wanted}" if short and "*" not in wanted else "sealdex list",
    )
