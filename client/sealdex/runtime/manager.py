"""`PluginManager`: the plugins of a host process, in any language.

A reload loads the new version beside the old one, which is replaced only when the new one is initialized, and closed
when its last use ends. Any failure sets the status to ERROR with the reason, and the old version stays active.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from sealdex.arguments import plugin_of
from sealdex.config.config import load_config
from sealdex.errors import NotFoundError, SealdexError, UsageError
from sealdex.events import Observer, guarded
from sealdex.model.ids import PluginId
from sealdex.paths import store_folder
from sealdex.runtime._loader import Loader, close
from sealdex.runtime._plugin_table import Crashes, Entry, Serving
from sealdex.runtime._process_plugin import CALL_TIMEOUT_S
from sealdex.runtime._status_recorder import Notes
from sealdex.runtime._watcher import Watcher
from sealdex.runtime.errors import PluginError
from sealdex.runtime.plugin import PluginState, PluginStatus, StatusKeeper
from sealdex.runtime.process._backoff import BackOff
from sealdex.store.database import StoredStatus
from sealdex.store.layout import Store

# a caller waits only for the start itself, so fewer tries than for a service
_RESTARTS = BackOff(max_restarts=5)


class PluginManager:
    """The plugins of this process. Thread-safe.

    Args:
        store: the folder with the installed plugins; default: the user's own.
        load_timeout: seconds that importing or starting a plugin may take, and again for initializing it; default: the
            setting ``runtime.load_timeout``; None: no limit, and Python plugins are then loaded in the caller's thread.
        call_timeout: seconds that a call of a process plugin may take.
        restarts: the back-off for restarting a process plugin that exited unexpectedly, by the next call.
        keeper: knows which plugins are disabled and stores statuses; default: the store's ``state.db``.
        observer: told how long plugins took to load and what failed.

    Raises:
        ConfigError: the configuration can't be read for the load timeout.
    """

    def __init__(
        self,
        store: Store | Path | str | None = None,
        *,
        load_timeout: float | Literal["configured"] | None = "configured",
        call_timeout: float = CALL_TIMEOUT_S,
        restarts: BackOff = _RESTARTS,
        keeper: StatusKeeper | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.store = store if isinstance(store, Store) else Store(os.fspath(store or store_folder()))
        if load_timeout == "configured":
            load_timeout = load_config().document.runtime.load_timeout
        self._restarts = restarts
        self._keeper = keeper if keeper is not None else StoredStatus(self.store)
        self._loader = Loader(self.store, self._keeper, load_timeout, call_timeout)
        self._notes = Notes(self._keeper, guarded(observer))
        self._mark: bytes | None = None
        self._entries: dict[str, Entry] = {}
        self._watchers: list[Watcher] = []
        self._lock = threading.RLock()

    def __enter__(self) -> PluginManager:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def register(
        self,
        plugin: PluginId | str,
        *,
        version: str | None = None,
        config: Mapping[str, Any] | None = None,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> PluginState:
        """Load an installed plugin.

        Args:
            plugin: ``NS/NAME``.
            version: a fixed version; default: the version in use, also after a `reload` or for a watcher.
            config: merged over ``default_config`` and checked against ``config_schema``.
            name: its name here; default: ``NS/NAME``. Two versions at once need two names.
            env: variables for its program, if it is one, beside those of this process.

        Raises:
            UsageError: the name is taken. NotFoundError: it isn't installed.
            ConfigError: the configuration doesn't fit. PluginError: it is disabled, or loading it failed. After
            these the name stays registered, so that `reload` or a watcher can recover.
        """
        asked = plugin_of(plugin)
        entry = Entry(name or str(asked), asked, version, dict(config or {}), Crashes(self._restarts), dict(env or {}))
        with entry.changing:
            with self._lock:
                if entry.name in self._entries:
                    raise UsageError(f"'{entry.name}' is already registered", hint="reload it, or give it another name")
                installed = self._loader.wanted(entry).version
                self._entries[entry.name] = entry
            self._require_enabled(entry)
            with self._notes.of(entry, installed):
                entry.serving = self._load(entry, installed)
            return entry.state()

    def init(self, name: str | None = None) -> None:
        """Initialize the plugins registered since the last call, or one plugin.

        Raises:
            PluginError: one or more failed; each has status ERROR, the others are ready.
        """
        entries = [self._entry(name)] if name is not None else self._all()
        failures: list[SealdexError] = []
        for entry in entries:
            try:
                self._init(entry)
            except SealdexError as error:  # noqa: PERF203  # one that fails doesn't keep the others from starting
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise PluginError("\n".join(map(str, failures)), untouched="the other plugins are ready")

    def get(self, name: str) -> Any:
        """Return a plugin's object: for a Python plugin that of its entry point, for a process a proxy.

        Call this for each use: a kept object is of the old version after a reload. `using` also prevents the version
        from being closed while it is used.

        Raises:
            NotFoundError: nothing is registered under that name.
            PluginError: it failed, is disabled or not initialized.
        """
        entry = self._entry(name)
        self._revive(entry)
        with self._lock:
            return entry.ready().loaded.target

    @contextmanager
    def using(self, name: str) -> Iterator[Any]:
        """Return a plugin's object for a block; a version that is replaced meanwhile is closed after the block.

        Raises:
            NotFoundError, PluginError: as `get`.
        """
        with self._used(name) as serving:
            yield serving.loaded.target

    def call(self, name: str, method: str, /, *params: Any, **named: Any) -> Any:
        """Call a method of a plugin of either kind, with positional or with named parameters.

        Named parameters, and a single object, are checked against the release's ``params_schema``, if it has one.

        Raises:
            NotFoundError, PluginError: as `get`. UsageError: the parameters don't match. And whatever the method
            raises.
        """
        with self._used(name) as serving:
            serving.params.require(method, params, named)
            return serving.loaded.call(method, params, named)

    def call_within(
        self,
        seconds: float | None,
        name: str,
        method: str,
        params: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a method as `call` does, with a time limit of its own.

        Args:
            seconds: how long the call may take; None: as long as `call`. Python code that takes longer is abandoned in
                its thread; a program goes on, and its late answer is dropped.
            name: of the plugin.
            method: its method.
            params: positional parameters.
            named: named parameters.

        Raises:
            PluginTimeoutError: it took longer. And as `call`.
        """
        asked, by_name = tuple(params), dict(named or {})
        with self._used(name) as serving:
            serving.params.require(method, asked, by_name)
            return serving.loaded.call(method, asked, by_name, seconds)

    def reload(self, name: str, *, version: str | None = None, config: Mapping[str, Any] | None = None) -> PluginState:
        """Load and initialize the version in use (or a given one, or with another configuration), then switch to it.

        Raises:
            NotFoundError: nothing is registered under that name, or the version isn't installed.
            ConfigError, PluginError: it failed; the old version stays active, with status ERROR.
        """
        entry = self._entry(name)
        with entry.changing:
            before = entry.given, entry.pinned
            entry.given = dict(config) if config is not None else entry.given
            entry.pinned = version or entry.pinned
            try:
                self._replace(entry)
            except BaseException:
                entry.given, entry.pinned = before
                raise
            return entry.state()

    def unregister(self, name: str) -> None:
        """Close a plugin after its last use and unregister it.

        Raises:
            NotFoundError: nothing is registered under that name.
        """
        entry = self._entry(name)
        with entry.changing:
            with self._lock:
                self._entries.pop(name, None)
                serving, entry.serving = entry.serving, None
            self._retire(serving)

    def state(self, name: str) -> PluginState:
        """Return the state of a plugin.

        Raises:
            NotFoundError: nothing is registered under that name.
        """
        return self._entry(name).state()

    def states(self) -> list[PluginState]:
        """Return the states of all plugins by name."""
        return [entry.state() for entry in self._all()]

    def watch(
        self, interval: float = 1.0, *, on_change: Callable[[PluginState], None] | None = None, start: bool = True
    ) -> Watcher:
        """Reload plugins when their version in use changes, until `close`.

        Plugins that are disabled meanwhile are closed, and loaded again when they are enabled.

        Args:
            interval: seconds between checks; a check reads one link per plugin.
            on_change: called after each reload, with the new state or the error.
            start: check in a thread; otherwise only when `Watcher.look` is called.
        """
        watcher = Watcher(self, interval, on_change)
        self._watchers.append(watcher)
        if start:
            watcher.start()
        return watcher

    def close(self) -> None:
        """Stop watching and unregister everything."""
        for watcher in self._watchers:
            watcher.stop()
        for entry in self._all():
            self.unregister(entry.name)

    # --- for watchers ------------------------------------------------------------------------------------------------

    def followed(self) -> list[tuple[str, PluginId]]:
        """Return name and plugin of the entries that follow the version in use."""
        return [
            (entry.name, entry.plugin)
            for entry in self._all()
            if entry.pinned is None and entry.status is not PluginStatus.DISABLED
        ]

    def switched(self) -> list[tuple[str, bool]]:
        """Return the plugins that were disabled (False) or enabled again (True) since the last call."""
        mark = self._keeper.mark() if isinstance(self._keeper, StoredStatus) else None
        if mark is not None and mark == self._mark:
            return []
        self._mark = mark
        found = [(entry, self._keeper.is_enabled(entry.plugin)) for entry in self._all()]
        return [(e.name, enabled) for e, enabled in found if enabled == (e.status is PluginStatus.DISABLED)]

    def unload(self, name: str) -> PluginState:
        """Close a plugin that was disabled, after its last use; it stays registered.

        Raises:
            NotFoundError: nothing is registered under that name.
        """
        entry = self._entry(name)
        with entry.changing:
            with self._lock:
                serving, entry.serving = entry.serving, None
                entry.status, entry.error = PluginStatus.DISABLED, None
            self._retire(serving)
        return entry.state()

    # --- steps -------------------------------------------------------------------------------------------------------

    def _replace(self, entry: Entry) -> None:
        version = self._loader.wanted(entry).version
        self._require_enabled(entry)
        with self._notes.of(entry, version):
            made = self._initialised(entry, version)
            with self._lock:
                old, entry.serving = entry.serving, made
        entry.crashes.forget()
        self._retire(old)

    def _initialised(self, entry: Entry, version: str) -> Serving:
        made = self._load(entry, version)
        began = time.monotonic()
        try:
            made.loaded.init(made.context)
        except BaseException:
            close(made)
            raise
        made.seconds += time.monotonic() - began
        made.is_initialised = True
        return made

    def _init(self, entry: Entry) -> None:
        with entry.changing:
            serving = entry.serving
            if serving is None or serving.is_initialised:
                return
            with self._notes.of(entry, serving.context.version):
                began = time.monotonic()
                try:
                    serving.loaded.init(serving.context)
                except BaseException:
                    entry.serving = None
                    close(serving)
                    raise
                serving.seconds += time.monotonic() - began
                serving.is_initialised = True

    def _load(self, entry: Entry, version: str) -> Serving:
        return self._loader.load(entry, version, lambda loaded, why: self._notes.crashed(entry, loaded, why))

    def _require_enabled(self, entry: Entry) -> None:
        try:
            self._loader.require_enabled(entry.plugin)
        except PluginError:
            entry.status, entry.error = PluginStatus.DISABLED, None
            raise

    def _revive(self, entry: Entry) -> None:
        """Restart a program that exited unexpectedly, if its crashes in a row allow it now."""
        serving = entry.serving
        if serving is None or serving.loaded.fault is None or not serving.is_initialised:
            return
        with entry.changing:
            serving = entry.serving
            fault = serving.loaded.fault if serving is not None else None
            if serving is None or fault is None:
                return  # another thread has done that
            if not serving.is_counted:
                entry.crashes.note(serving.since, fault.at)
                serving.is_counted = True
            entry.crashes.require_restart(entry.name, fault.why)
            self._require_enabled(entry)
            version = serving.context.version
            try:
                with self._notes.of(entry, version):
                    made = self._initialised(entry, version)
            except SealdexError:
                now = time.monotonic()
                entry.crashes.note(now, now)
                raise
            entry.crashes.restarts += 1
            made.context.logger.warning("%s %s exited unexpectedly and was restarted", entry.plugin, version)
            with self._lock:
                entry.serving = made
            self._retire(serving)

    def _all(self) -> list[Entry]:
        with self._lock:
            return [self._entries[name] for name in sorted(self._entries)]

    def _entry(self, name: str) -> Entry:
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                raise NotFoundError(
                    f"no plugin is registered as '{name}'",
                    subject=name,
                    hint=f"registered plugins: {', '.join(sorted(self._entries)) or 'none'}",
                )
            return entry

    @contextmanager
    def _used(self, name: str) -> Iterator[Serving]:
        entry = self._entry(name)
        self._revive(entry)
        with self._lock:
            serving = entry.ready()
            serving.uses += 1
        try:
            yield serving
        finally:
            with self._lock:
                serving.uses -= 1
                is_last = serving.is_retired and serving.uses == 0
            if is_last:
                close(serving)

    def _retire(self, serving: Serving | None) -> None:
        if serving is None:
            return
        with self._lock:
            serving.is_retired = True
            is_unused = serving.uses == 0
        if is_unused:
            close(serving)
