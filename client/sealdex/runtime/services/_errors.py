"""Errors that both a supervisor and the API meet: a service that runs already, and one that can't be ended."""

from __future__ import annotations

from sealdex.model.ids import PluginId
from sealdex.runtime.errors import PluginError
from sealdex.runtime.services._plan import ServicePlan


def already_running(plan: ServicePlan) -> PluginError:
    """Return the error for starting a service twice."""
    return PluginError(
        f"{plan.plugin} is already running",
        subject=str(plan.plugin),
        untouched="it keeps running",
        hint=f"to see it: sealdex ps; to stop it: sealdex stop {plan.plugin}",
    )


def not_ended(plugin: PluginId, pid: int) -> PluginError:
    """Return the error for a process that goes on after SIGKILL."""
    return PluginError(
        f"process {pid} of {plugin}, left behind by a supervisor that was killed, can't be ended",
        subject=str(plugin),
        untouched="it keeps running",
        hint=f"end it as the user that it belongs to: kill -9 -- -{pid}",
    )
