"""Chooses releases such that the dependencies of installed plugins stay satisfied."""

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
    """Choose releases without breaking the dependencies of installed plugins that aren't among them.

    First they are chosen without regard to those: mostly nothing is broken, and the registries aren't asked further.
    Otherwise the dependencies that would be broken are added to the requests, until none is.

    Args:
        resolve: chooses releases for requests, with what is to be kept.
        requests: what is requested.
        keeping: as `sealdex.resolve.resolve`.
        needs: dependencies between installed plugins, as far as they are satisfied.
        cascade: instead of respecting those dependencies, also update the plugins that have them.

    Raises:
        as `resolve`: NothingFitsError names the installed plugins that prevent it.
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
