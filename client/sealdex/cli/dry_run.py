"""Shows what ``install --dry-run`` and ``ensure --dry-run`` would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sealdex.cli.progress import in_bytes

if TYPE_CHECKING:
    from sealdex.cli.output import Output
    from sealdex.results import Planned

_VERBS = {
    "unpack": "would install",
    "repair": "would repair",
    "nothing": "would record",
    "image": "would need the image",
}


def show_planned(out: Output, planned: Sequence[Planned], **more: Any) -> None:
    """Show the plan, and that nothing was changed; ``more`` is added to the JSON document."""
    sizes = [each.bytes_to_fetch for each in planned]
    total = sum(size or 0 for size in sizes)
    out.result({
        "dry_run": True,
        **more,
        "planned": [_plain(each) for each in planned],
        "bytes_to_fetch": None if None in sizes else total,
    })  # fmt: skip
    for each in planned:
        out.line(_line(each))
    going = [each for each in planned if each.action != "keep"]
    if not going and not any(each.previous for each in planned):
        out.line("dry run: everything is in place; nothing was changed")
        return
    about = "at most " if any(each.may_be_less for each in planned) else "at least " if None in sizes else ""
    fetched = f"{about}{in_bytes(total)} to download" if total or None in sizes else "nothing to download"
    out.line(f"dry run: {len(going)} to install, {fetched}; nothing was changed")


def _line(each: Planned) -> str:
    was = f" (was {each.previous})" if each.previous else ""
    if each.action == "keep":
        return f"would switch to {each.choice}{was}" if each.previous else f"{each.choice} is already installed"
    if each.image is not None:
        return f"{_VERBS[each.action]} {each.image} of {each.choice}"
    size = "size not stated" if each.bytes_to_fetch is None else in_bytes(each.bytes_to_fetch)
    if each.bytes_to_fetch == 0:
        size = "nothing to download"
    elif each.may_be_less:
        size = f"at most {size}"
    return f"{_VERBS[each.action]} {each.choice}{was} · {size} · {each.trust}"


def _plain(each: Planned) -> dict[str, Any]:
    artifact = each.choice.artifact
    return {
        "plugin": str(each.choice.plugin),
        "version": each.choice.release.version,
        "requested": each.choice.requested,
        "action": each.action,
        "previous": each.previous,
        "image": each.image,
        "sha256": artifact.sha256 if artifact is not None else None,
        "size": artifact.size if artifact is not None else None,
        "bytes_to_fetch": each.bytes_to_fetch,
        "may_be_less": each.may_be_less,
        "yanked": each.choice.release.yanked is not None,
        "registry": each.trust.registry,
        "signed_by": each.trust.signed_by,
        "root_version": each.trust.root_version,
    }
