"""The types shared by the manager, its back ends and plugins: status, state, context, and a loaded plugin."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

from sealdex.model.ids import PluginId

_NOT_THE_PLUGINS = ("<frozen ", str(Path(__file__).parent))  # frames of the import system and of this package


class PluginStatus(IntEnum):
    """The numbers are fixed, and also used by other hosts."""

    DISABLED = 0
    ENABLED = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class PluginState:
    """The state of a registered plugin.

    Attributes:
        name: the name it was registered under.
        plugin: the plugin.
        version: the active version; None if there is none.
        status: ERROR also while an older version stays active after a failed reload: `error` says why.
        error: the last error, as text; the exception itself would keep the failed code alive.
        kind: ``python`` or ``process``; None before anything was loaded.
        load_seconds: seconds that the active version took to load and initialize.
        restarts: how often a program that exited unexpectedly was restarted.
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
    """The argument of a Python plugin's ``init(context)``.

    Attributes:
        plugin, version: the release.
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
    """The unexpected end of a plugin: why, and when, in seconds of the monotonic clock."""

    why: str
    at: float


class LoadedPlugin(Protocol):
    """One loaded version, of any kind."""

    @property
    def kind(self) -> str:
        """``python`` or ``process``."""

    @property
    def target(self) -> Any:
        """The object for the host."""

    @property
    def fault(self) -> Fault | None:
        """Why it is no longer usable; None while it is."""

    def init(self, context: PluginContext) -> None:
        """Make it ready; called once."""

    def call(self, method: str, params: tuple[Any, ...], named: dict[str, Any], timeout_s: float | None = None) -> Any:
        """Call one of its methods; ``timeout_s``: seconds that it may take, None: as usual for its kind."""

    def close(self) -> None:
        """Close and release it; called once, also if `init` failed."""


class StatusKeeper(Protocol):
    """Keeps statuses beyond the process."""

    def is_enabled(self, plugin: PluginId) -> bool:
        """Return whether the plugin may be loaded."""

    def note(self, plugin: PluginId, version: str, status: PluginStatus, error: str | None) -> None:
        """Store the status of a version."""


def plugin_logger(plugin: PluginId) -> logging.Logger:
    """Return the logger for a plugin's own messages: ``sealdex.plugin.NAMESPACE.NAME``."""
    # a dot inside a name would make it a child of another plugin's logger
    return logging.getLogger(".".join(("sealdex.plugin", *(part.replace(".", "_") for part in plugin))))


def failure_text(error: BaseException) -> str:
    """Return an exception as one line, with the place in the plugin where it was raised."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_NOT_THE_PLUGINS)]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
