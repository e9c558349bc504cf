"""Loads an installed version into a host, by the kind of its runtime."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sealdex.errors import NotFoundError
from sealdex.log import Log
from sealdex.model.ids import PluginId
from sealdex.runtime._plugin_config import plugin_config
from sealdex.runtime._plugin_table import Entry, Serving
from sealdex.runtime._process_plugin import ProcessPlugin
from sealdex.runtime._python_plugin import PythonPlugin
from sealdex.runtime._schema_check import ParamsCheck
from sealdex.runtime.errors import PluginError
from sealdex.runtime.plugin import LoadedPlugin, PluginContext, StatusKeeper, failure_text, plugin_logger
from sealdex.store.activation import require_installed
from sealdex.store.installations import Installation, current
from sealdex.store.layout import Store
from sealdex.store.leases import hold
from sealdex.store.manifests import installed_manifest
from sealdex.store.plugin_config import kept_config

_log = Log("sealdex.runtime")


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads plugins of one store.

    Attributes:
        store: where they are installed.
        keeper: knows which are disabled.
        load_timeout: seconds for loading, and again for initializing; None: no limit.
        call_timeout: seconds for a call of a process plugin.
    """

    store: Store
    keeper: StatusKeeper
    load_timeout: float | None
    call_timeout: float

    def wanted(self, entry: Entry) -> Installation:
        """Return the installation that an entry should load now: its fixed version, or the one in use.

        Raises:
            NotFoundError: it isn't installed.
        """
        if entry.pinned is not None:
            return require_installed(self.store, entry.plugin, entry.pinned)
        found = current(self.store, entry.plugin)
        if found is None:
            raise NotFoundError(
                f"{entry.plugin} is not installed",
                subject=str(entry.plugin),
                hint=f"sealdex install {entry.plugin}",
            )
        return found

    def require_enabled(self, plugin: PluginId) -> None:
        """Refuse a disabled plugin.

        Raises:
            PluginError: it is disabled.
        """
        if not self.keeper.is_enabled(plugin):
            raise PluginError(
                f"{plugin} is disabled",
                subject=str(plugin),
                untouched="nothing of it was run",
                hint=f"sealdex enable {plugin}",
            )

    def load(self, entry: Entry, version: str, on_end: Callable[[ProcessPlugin, str], None]) -> Serving:
        """Load a version; it can't be uninstalled until `close`.

        Args:
            entry: the registered plugin.
            version: the version.
            on_end: called when a process plugin exits unexpectedly, with the reason.

        Raises:
            NotFoundError: it isn't installed. ConfigError: the configuration doesn't fit. PluginError: it failed.
        """
        began = time.monotonic()
        held = hold(self.store, entry.plugin, version, "host")
        try:
            installation = require_installed(self.store, entry.plugin, version)
            manifest = installed_manifest(installation)
            config = plugin_config(manifest, entry.given, kept_config(self.store, entry.plugin))
            kind = manifest.runtime.kind if manifest.runtime is not None else "python"
            loaded = self._loaded(installation, kind, config, entry.env, on_end)
        except BaseException:
            if held is not None:
                held.release()
            raise
        _log.info(
            "runtime.loaded",
            "{plugin} {version} is loaded ({kind}) in {seconds} s",
            plugin=entry.plugin,
            version=version,
            kind=kind,
            seconds=round(time.monotonic() - began, 3),
        )
        context = PluginContext(entry.plugin, version, installation.path, config, plugin_logger(entry.plugin))
        return Serving(loaded, context, ParamsCheck(manifest), time.monotonic() - began, held)

    def _loaded(
        self,
        installation: Installation,
        kind: str,
        config: dict[str, Any],
        env: dict[str, str],
        on_end: Callable[[ProcessPlugin, str], None],
    ) -> LoadedPlugin:
        if kind == "python":
            return PythonPlugin(installation, config, self.load_timeout)
        if kind == "process":
            return ProcessPlugin(
                installation, config, self.load_timeout, call_timeout_s=self.call_timeout, env=env, on_end=on_end
            )  # fmt: skip
        plugin = PluginId(*installation.id)
        name = f"{plugin} {installation.version}"
        raise PluginError(
            f"{name} has the runtime kind '{kind}', which a host can't load: it must be python or process",
            subject=name,
            hint=f"to start a service: sealdex run {plugin}",
        )


def close(serving: Serving) -> None:
    """Close a version and release its hold; errors are only logged, since other versions are still in use."""
    try:
        serving.loaded.close()
    except Exception as error:  # noqa: BLE001  # what ends badly must not keep the new version from serving
        serving.context.logger.warning("%s failed to close: %s", serving.context.plugin, failure_text(error))
    finally:
        if serving.hold is not None:
            serving.hold.release()
