"""Python plugins, which run in the host's process: ``entry_point: module:attribute``.

If the attribute is callable, it is called with the configuration and returns the plugin's object; otherwise it is the
object. ``init(context)`` and ``close()`` are called if the object has them.

Python can't stop a thread. If loading times out, the thread is abandoned with a closed namespace, in which it can no
longer import, and its result is dropped. A plugin that may hang should run in its own process
(``runtime: {kind: process}``), which can be killed.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from sealdex.errors import SealdexError
from sealdex.runtime._module_namespace import PluginNamespace
from sealdex.runtime.errors import MethodNotFoundError, PluginError, PluginTimeoutError
from sealdex.runtime.plugin import PluginContext, failure_text
from sealdex.store.installations import Installation
from sealdex.store.manifests import installed_manifest

T = TypeVar("T")


class PythonPlugin:
    """One load of one version; imports and calls the entry point when it is created.

    Args:
        installation: what to load.
        config: passed to the entry point.
        timeout_s: for loading, and again for `init`; None runs both in the caller's thread without a limit.

    Raises:
        PluginError: no such module or attribute, or it raised; PluginTimeoutError: it took too long.
    """

    kind = "python"

    def __init__(self, installation: Installation, config: dict[str, Any], timeout_s: float | None) -> None:
        self._name = f"{installation.namespace}/{installation.name} {installation.version}"
        self._timeout_s = timeout_s
        entry_point = installed_manifest(installation).entry_point or ""
        module, colon, attribute = entry_point.partition(":")
        if not (module and colon and attribute):
            raise PluginError(
                f"the entry point of {self._name} is '{entry_point}', not 'module:attribute'",
                subject=self._name,
                hint="a host can only load plugins that have one; to start a service: "
                f"sealdex run {installation.namespace}/{installation.name}",
            )
        self._namespace = PluginNamespace(installation.path, self._name)

        def load() -> Any:
            found = operator.attrgetter(attribute)(self._namespace.load(module))
            return found(config) if callable(found) else found

        try:
            self._object = self._bounded("loading", load)
        except BaseException:
            self._namespace.close()
            raise

    @property
    def target(self) -> Any:
        """The plugin's object."""
        return self._object

    @property
    def fault(self) -> None:
        """Always None: the plugin runs in the host."""
        return

    def init(self, context: PluginContext) -> None:
        """Call the object's ``init(context)``, if it has one."""
        init = getattr(self._object, "init", None)
        if callable(init):
            self._bounded("initialising", lambda: init(context))

    def call(self, method: str, params: tuple[Any, ...], named: dict[str, Any], timeout_s: float | None = None) -> Any:
        """Call a method of the object; its exceptions reach the caller.

        With a time limit it is called in a thread of its own, which is abandoned if it takes longer.

        Raises:
            MethodNotFoundError: it has no such method. PluginTimeoutError: it took longer.
            PluginError: it called ``sys.exit``, which is not a plugin's to decide for its host.
        """
        found = getattr(self._object, method, None)
        if not callable(found):
            raise MethodNotFoundError(f"{self._name} has no method '{method}'", subject=self._name)

        def ask() -> Any:
            try:
                return found(*params, **named)
            except SystemExit as error:
                why = failure_text(error)
            raise PluginError(f"{method} of {self._name} would have ended its host: {why}", subject=self._name)

        if timeout_s is None:
            return ask()
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(ask())
            except BaseException as error:  # noqa: BLE001  # whatever it is, the caller gets it
                answer.set_exception(error)

        threading.Thread(target=run, name=f"{method} of {self._name}", daemon=True).start()
        wait([answer], timeout_s)
        if not answer.done():
            raise PluginTimeoutError(
                f"{method} of {self._name} took longer than {timeout_s:g} s and was abandoned", subject=self._name
            )
        return answer.result()

    def close(self) -> None:
        """Call the object's ``close()``, if it has one, and unload the modules.

        Raises:
            PluginError: ``close()`` raised; the modules are unloaded anyway.
        """
        target, self._object = self._object, None
        try:
            close = getattr(target, "close", None)
            if callable(close):
                self._bounded("closing", close)
        finally:
            self._namespace.close()

    def _bounded(self, doing: str, work: Callable[[], T]) -> T:
        if self._timeout_s is None:
            return self._told(doing, work)
        results: list[T] = []
        failures: list[SealdexError] = []
        is_late = threading.Event()

        def run() -> None:
            try:
                results.append(self._told(doing, work))
            except SealdexError as error:
                failures.append(error.with_traceback(None))  # its frames would keep the plugin's code alive
            if is_late.is_set():
                results.clear()
                self._namespace.close()

        thread = threading.Thread(target=run, name=f"{doing} {self._name}", daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if thread.is_alive():
            is_late.set()
            self._namespace.close()
            raise PluginTimeoutError(
                f"{doing} {self._name} took longer than {self._timeout_s:g} s and was aborted",
                subject=self._name,
                untouched="its thread is abandoned; a previously loaded version is still in use",
                hint="increase load_timeout, or run the plugin in its own process (runtime kind: process)",
            )
        if failures:
            raise failures[0]
        return results[0]

    def _told(self, doing: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except (SealdexError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # SystemExit from a plugin may not end the host
            why = failure_text(error)
        # not inside `except`, where this exception would keep the plugin's exception and frames alive
        raise PluginError(f"{doing} {self._name} failed: {why}", subject=self._name)
