"""What the manager, its back ends and plugins agree on: status, state, context, and what a loaded plugin can do."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

from sealdex.model.ids import PluginId

_NOT_THE_PLUGINS = ("<frozen ", str(Path(__file__).parent))  # the import system's and this package's frames


class PluginStatus(IntEnum):
    """The numbers are those that hosts have always stored."""

    DISABLED = 0
    ENABLED = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class PluginState:
    """How a registered plugin is.

    Attributes:
        name: what it was registered as.
        plugin: which plugin.
        version: the version that serves; None when none does.
        status: ERROR also while an older version goes on serving after a reload that failed: `error` says why.
        error: what went wrong last, as text; the exception itself would keep the failed code alive.
        kind: ``python`` or ``process``; None before anything was loaded.
        load_seconds: what the serving version took to load and initialise.
        restarts: how often a program that ended by itself was started again.
    """

    name: str
    plugin: PluginId
    version: str | None
    status: PluginStatus
    error: str | None = None
    kind: str | None = None
    load_seconds: float | None = None
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a Python plugin's ``init(context)`` is given.

    Attributes:
        plugin, version: which release it is.
        folder: its installation; read-only by agreement.
        config: the configuration, merged over the defaults and validated.
        logger: where it should log.
    """

    plugin: PluginId
    version: str
    folder: Path
    config: dict[str, Any]
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("sealdex.plugin"))


@dataclass(frozen=True, slots=True)
class Fault:
    """That a plugin ended by itself: why, and when, in seconds of the monotonic clock."""

    why: str
    at: float


class LoadedPlugin(Protocol):
    """One loaded version, of whatever kind."""

    @property
    def kind(self) -> str:
        """``python`` or ``process``."""

    @property
    def target(self) -> Any:
        """What the host works with."""

    @property
    def fault(self) -> Fault | None:
        """Why it serves no more; None while it does."""

    def init(self, context: PluginContext) -> None:
        """Make it ready; called once."""

    def call(self, method: str, params: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call one of its methods."""

    def close(self) -> None:
        """Let it end and let go of it; called once, also when `init` failed."""


class StatusKeeper(Protocol):
    """Where statuses outlive the process."""

    def is_enabled(self, plugin: PluginId) -> bool:
        """Say whether the plugin may be loaded."""

    def note(self, plugin: PluginId, version: str, status: PluginStatus, error: str | None) -> None:
        """Keep how a version fared."""


def plugin_logger(plugin: PluginId) -> logging.Logger:
    """Return the logger that a plugin's own words go to: ``sealdex.plugin.NAMESPACE.NAME``."""
    # a dot inside a name would make it a child of another plugin's logger
    return logging.getLogger(".".join(("sealdex.plugin", *(part.replace(".", "_") for part in plugin))))


def failure_text(error: BaseException) -> str:
    """Return an exception as one line, with the place in the plugin where it was raised."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_NOT_THE_PLUGINS)]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
