"""What a supervisor asks of the store while its service runs: holds, the version in use, whether it is disabled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sealdex.errors import SealdexError
from sealdex.runtime.plugin import PluginStatus
from sealdex.runtime.services._plan import ServicePlan
from sealdex.store.database import StoredStatus
from sealdex.store.installations import current_version_named
from sealdex.store.layout import Store
from sealdex.store.leases import SERVICE, Hold, hold


class Surroundings:
    """The store, as one service sees it.

    Args:
        store: which.
        plan_other: decides how another version of a planned service is started, with the same wishes; raises
            SealdexError where it can't be.
    """

    def __init__(self, store: Store, plan_other: Callable[[ServicePlan, str], ServicePlan]) -> None:
        self._store = store
        self.plan_other = plan_other
        self._statuses = StoredStatus(store)
        self._mark: bytes | None = None
        self._is_enabled = True

    def hold(self, plan: ServicePlan) -> Hold | None:
        """Keep a version from being uninstalled; None where the store can't be written."""
        return hold(self._store, plan.plugin, plan.version, SERVICE)

    def version_in_use(self, plan: ServicePlan) -> str | None:
        """Return what `current` names."""
        return current_version_named(self._store, plan.plugin)

    def is_enabled(self, plan: ServicePlan) -> bool:
        """Say whether it may run; a look at one file where nothing has changed."""
        mark = self._statuses.mark()
        if mark is None or mark != self._mark:
            with suppress(SealdexError):  # a store that can't be read must not end what runs
                self._mark, self._is_enabled = mark, self._statuses.is_enabled(plan.plugin)
        return self._is_enabled

    def note(self, plan: ServicePlan, status: PluginStatus, error: str | None) -> None:
        """Keep how a version fared.

        Raises:
            InstallError: the store can't be written.
        """
        self._statuses.note(plan.plugin, plan.version, status, error)
