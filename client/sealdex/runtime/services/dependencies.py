"""The services that a service depends on: finds them in order, and makes sure that they run and are healthy.

Dependencies are those under ``dependencies`` in the manifest; one counts here if its version in use is a service.
Indirect dependencies count too: a service that needs a library which needs a service needs that service.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.runtime.errors import PluginError
from sealdex.runtime.services.state import OVER, ServiceFolder, ServiceState
from sealdex.runtime.services.supervisor import RestartPolicy
from sealdex.store.dependants import Broken, needs_of
from sealdex.store.installations import Installation, current, find_installation
from sealdex.store.layout import Store
from sealdex.store.manifests import installed_manifest

if TYPE_CHECKING:
    from sealdex.runtime.services.api import Services

_POLL_S = 0.05


def needed_services(store: Store, plugin: PluginId, version: str | None = None) -> list[PluginId]:
    """Return the services that a service depends on, each after its own dependencies.

    Raises:
        PluginError: the dependencies have a cycle.
    """
    ordered: dict[PluginId, None] = {}

    def visit(each: PluginId, installation: Installation | None, way: tuple[PluginId, ...]) -> None:
        for need in needs_of(installation):
            if need.on in way:
                circle = " -> ".join(map(str, (*way[way.index(need.on) :], need.on)))
                if any(_is_service(current(store, other)) for other in way[way.index(need.on) :]):
                    raise PluginError(
                        f"the dependencies of {plugin} have a cycle: {circle}",
                        subject=str(plugin),
                        untouched="nothing was started",
                        hint="start one of them without its dependencies: sealdex run NAMESPACE/NAME --no-dependencies",
                    )
            elif need.on not in ordered:
                visit(need.on, current(store, need.on), (*way, need.on))
        if each != plugin and _is_service(installation):
            ordered[each] = None

    asked = current(store, plugin) if version is None else find_installation(store, plugin, version)
    visit(plugin, asked, (plugin,))
    return list(ordered)


def unmet(store: Store, plugin: PluginId, version: str) -> list[Broken]:
    """Return the needs of a version that the versions in use don't satisfy."""
    found = []
    for need in needs_of(find_installation(store, plugin, version)):
        other = current(store, need.on)
        if other is not None and not need.is_met_by(other.version):
            found.append(Broken(need, other.version))
    return found


def see_to(
    services: Services,
    store: Store,
    plugins: Iterable[PluginId],
    policy: RestartPolicy,
    on_state: Callable[[ServiceState], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> list[ServiceState]:
    """Start each service that doesn't run, in the background, and wait until all are healthy.

    Healthy running services are left alone. Started services keep running if a later one fails: the next attempt needs
    them again.

    Args:
        services: the services of the store.
        store: the store.
        plugins: the services, in the order in which they must become healthy.
        policy: how long to wait for each, and how it is supervised.
        on_state: called for each service that was started.
        clock: monotonic seconds.

    Raises:
        PluginError: one can't be started, or isn't healthy in time.

    Returns:
        The services that were started.
    """
    started = []
    for plugin in plugins:
        folder = ServiceFolder(store, plugin)
        if not folder.is_supervised():
            try:
                state = services.start(services.plan(plugin), policy, follows=True)
            except SealdexError as error:
                if not folder.is_supervised():  # otherwise another process was first
                    raise PluginError(
                        f"{plugin}, which it depends on, could not be started: {error}",
                        subject=str(plugin),
                        untouched="the service that depends on it was not started",
                        hint=error.hint or f"sealdex logs {plugin}",
                    ) from error
            else:
                started.append(state)
                if on_state is not None:
                    on_state(state)
                continue
        _wait_until_well(folder, plugin, policy, clock)
    return started


def in_stopping_order(store: Store, plugins: Collection[PluginId]) -> list[PluginId]:
    """Return services so that each comes before its dependencies."""
    above: dict[PluginId, set[PluginId]] = {}
    for plugin in plugins:
        try:
            above[plugin] = set(needed_services(store, plugin)) & set(plugins)
        except PluginError:  # noqa: PERF203  # a circle has no order, and the others have theirs
            above[plugin] = set()
    # a service with more direct and indirect dependencies goes first
    return sorted(plugins, key=lambda plugin: (-len(above[plugin]), plugin))


def _wait_until_well(
    folder: ServiceFolder, plugin: PluginId, policy: RestartPolicy, clock: Callable[[], float]
) -> None:
    deadline = clock() + policy.health
    while True:
        state = folder.read()
        if state is not None and state.state == "running" and state.health != "unhealthy":
            return
        is_over = state is not None and (
            state.state == "failed" or (state.state in OVER and not folder.is_supervised())
        )
        if is_over or clock() >= deadline:
            how = "is not known" if state is None else f"is {state.health or state.state}"
            if state is not None and state.state == "failed":
                how = "could not be started"
            why = f": {state.error}" if state is not None and state.error else ""
            raise PluginError(
                f"{plugin}, which it depends on, {how}{why}",
                subject=str(plugin),
                untouched="the service that depends on it was not started",
                hint=f"to see its output: sealdex logs {plugin}; to see its state: sealdex ps",
            )
        time.sleep(_POLL_S)


def _is_service(installation: Installation | None) -> bool:
    if installation is None:
        return False
    try:
        manifest = installed_manifest(installation)
    except SealdexError:
        return False
    return manifest.service is not None and bool(manifest.service.command)
