"""The store as seen by a supervisor: holds, the version in use, and whether the plugin is disabled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sealdex.errors import SealdexError
from sealdex.runtime.plugin import PluginStatus
from sealdex.runtime.services._plan import ServicePlan
from sealdex.store.database import StoredStatus
from sealdex.store.installations import current_version_named
from sealdex.store.layout import Store
from sealdex.store.leases import Hold, hold


class Surroundings:
    """The store, as seen by one service.

    Args:
        store: the store.
        plan_other: plans the start of another version of a service, with the same options; raises SealdexError if that
            isn't possible.
    """

    def __init__(self, store: Store, plan_other: Callable[[ServicePlan, str], ServicePlan]) -> None:
        self._store = store
        self.plan_other = plan_other
        self._statuses = StoredStatus(store)
        self._mark: bytes | None = None
        self._is_enabled = True

    def hold(self, plan: ServicePlan) -> Hold | None:
        """Prevent a version from being uninstalled; None if the store can't be written."""
        return hold(self._store, plan.plugin, plan.version, "service")

    def version_in_use(self, plan: ServicePlan) -> str | None:
        """Return the version that `current` names."""
        return current_version_named(self._store, plan.plugin)

    def is_enabled(self, plan: ServicePlan) -> bool:
        """Return whether it may run; reads one file if nothing has changed."""
        mark = self._statuses.mark()
        if mark is None or mark != self._mark:
            with suppress(SealdexError):  # a store that can't be read must not stop a running service
                self._mark, self._is_enabled = mark, self._statuses.is_enabled(plan.plugin)
        return self._is_enabled

    def note(self, plan: ServicePlan, status: PluginStatus, error: str | None) -> None:
        """Store the status of a version.

        Raises:
            InstallError: the store can't be written.
        """
        self._statuses.note(plan.plugin, plan.version, status, error)
