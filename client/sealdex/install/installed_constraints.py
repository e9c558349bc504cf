"""Choosing releases beside what is installed and stays: what that needs of the others goes on being met."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from sealdex.resolve.requests import Request, Want
from sealdex.resolve.resolver import Resolution
from sealdex.resolve.universe import Keeping
from sealdex.store.dependants import Need

Resolve = Callable[[Sequence[Request], Keeping], Resolution]


def resolve_beside(
    resolve: Resolve, requests: Sequence[Request], keeping: Keeping, needs: Sequence[Need], *, cascade: bool = False
) -> Resolution:
    """Choose releases so that no need is broken of an installed plugin that isn't among them.

    What is chosen freely is looked at first: mostly nothing speaks against it, and then nothing more is asked of a
    registry. Else the needs that would be broken are added, until none is.

    Args:
        resolve: chooses for requests, with what is to be kept.
        requests: what is asked for.
        keeping: as `sealdex.resolve.resolve`.
        needs: what installed plugins need of each other, as far as that is met.
        cascade: rather than stay within needs, bring the plugins that have them along, to releases that fit.

    Raises:
        as `resolve`: NothingFitsError names the installed plugins that stand in the way.
    """
    asked, needed = list(requests), list(keeping.needed)
    while True:
        found = resolve(asked, msgspec.structs.replace(keeping, needed=tuple(needed)))
        versions = {choice.plugin: choice.release.version for choice in found}
        broken = [
            need
            for need in needs
            if need.plugin not in versions and need.on in versions and not need.is_met_by(versions[need.on])
        ]
        if not broken:
            named = {request.plugin for request in requests}
            return Resolution(tuple(msgspec.structs.replace(c, requested=c.plugin in named) for c in found))
        for need in broken:
            if cascade and need.plugin not in {request.plugin for request in asked}:
                asked.append(Request(need.plugin, f">={need.version}", is_floor=True))
            elif not cascade:
                by = f"{need.plugin} {need.version}"
                needed.append(Want(need.on, need.range, by=by, chain=(by,), installed=True))
