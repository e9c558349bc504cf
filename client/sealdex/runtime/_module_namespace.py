"""A separate module namespace for each loaded version of a plugin, so that versions coexist and can be unloaded.

A plugin's modules are imported under a private top-level name (``sealdex_plugin_7_acme_slack_1_2_0.helper``), never
under their own: no module of the host is shadowed, and two versions never mix. Imports of the plugin's own code are
resolved as follows:

- relative imports: as usual, below the private name;
- ``import helper``: each of its modules has a ``__builtins__`` of its own, whose ``__import__`` searches the plugin's
  folder first. A module or package found there is that version's copy; anything else is the host's. A folder without
  ``__init__.py`` counts only if the host has nothing of that name, as Python orders namespace packages;
- ``importlib.import_module("helper")`` and C code don't use that and see the host's modules only: pass
  ``package=__package__`` and a relative name.

Closing a namespace removes its modules from ``sys.modules`` and its finder from the import system. The modules and
classes are collected once the host releases their objects. What Python never unloads remains: C extensions, threads
that a plugin left running, and what it registered with ``atexit`` or in the host.

Pickles name a class by its private module, so they can only be read by the same load of the same version.

Source is compiled at each load and no ``__pycache__`` is written: an installation is not changed by using it.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import itertools
import re
import sys
import typing
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_PREFIX = "sealdex_plugin"
_numbers = itertools.count(1)


class PluginNamespace:
    """The modules of one load of one version.

    Args:
        root: the folder whose modules are importable.
        label: plugin and version, for names and messages: ``acme/slack 1.2.0``.
    """

    def __init__(self, root: Path, label: str) -> None:
        self.root = root
        self.label = label
        self.name = f"{_PREFIX}_{next(_numbers)}_{re.sub(r'[^A-Za-z0-9]+', '_', label)}"
        self.builtins = {**vars(builtins), "__import__": self._import}
        self._loaders: tuple[Any, ...] = (
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (partial(_Source, self), SOURCE_SUFFIXES),
            (partial(_Sourceless, self), BYTECODE_SUFFIXES),
        )
        self._finders: dict[str, FileFinder] = {}
        self._owned: dict[str, bool] = {}
        self._is_open = True
        package = ModuleType(self.name, f"Modules of {label}.")
        package.__spec__ = ModuleSpec(self.name, None, is_package=True)
        package.__path__ = [str(root)]
        package.__package__ = self.name
        sys.modules[self.name] = package
        _FINDER.add(self)

    def load(self, module: str) -> ModuleType:
        """Import one of the plugin's modules by its own name.

        Raises:
            ImportError: there is no such module, or the namespace is closed; else whatever the module raises.
        """
        self._require_open(module)
        return importlib.import_module(f"{self.name}.{module}")

    def close(self) -> None:
        """Remove the modules from the interpreter. May be called again, after a hanging import added some."""
        self._is_open = False
        _FINDER.remove(self)
        for name in [n for n in sys.modules if n == self.name or n.startswith(f"{self.name}.")]:
            sys.modules.pop(name, None)
        # Optional[PluginClass] and the like stay in caches of `typing`, which would keep the class alive
        for clear in getattr(typing, "_cleanups", ()):
            clear()

    def find(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Find a module of this namespace, for the import system."""
        portions: list[str] = []
        for folder in path or ():
            spec = self._finder(folder).find_spec(fullname)
            if spec is not None and spec.loader is not None:
                return spec
            if spec is not None:
                portions += spec.submodule_search_locations or ()
        if not portions:
            return None
        found = ModuleSpec(fullname, None, is_package=True)
        found.submodule_search_locations = portions
        return found

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  # the signature of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002  # the same
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        head = name.partition(".")[0]
        if level or not self._owns(head):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        self._require_open(name)
        module = builtins.__import__(f"{self.name}.{name}", globals, locals, fromlist or (), 0)
        return module if fromlist else sys.modules[f"{self.name}.{head}"]

    def _owns(self, head: str) -> bool:
        owned = self._owned.get(head)
        if owned is None:
            owned = self._owned[head] = self._look_for(head)
        return owned

    def _look_for(self, head: str) -> bool:
        if head in sys.builtin_module_names:
            return False
        spec = self._finder(str(self.root)).find_spec(f"{self.name}.{head}")
        if spec is None or spec.loader is not None:
            return spec is not None
        try:
            of_host = importlib.util.find_spec(head)
        except ValueError:  # a module that the host created itself
            return False
        return of_host is None or of_host.loader is None

    def _finder(self, folder: str) -> FileFinder:
        finder = self._finders.get(folder)
        if finder is None:
            finder = self._finders[folder] = FileFinder(folder, *self._loaders)
        return finder

    def _require_open(self, module: str) -> None:
        if not self._is_open:
            raise ImportError(f"{self.label} was unloaded, so its module '{module}' can no longer be imported")


class _Finder(MetaPathFinder):
    """The single entry in ``sys.meta_path``: passes names with a private prefix to their namespace."""

    def __init__(self) -> None:
        self._namespaces: dict[str, PluginNamespace] = {}

    def add(self, namespace: PluginNamespace) -> None:
        self._namespaces[namespace.name] = namespace
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)  # before the one for sys.path, which would load without our builtins

    def remove(self, namespace: PluginNamespace) -> None:
        self._namespaces.pop(namespace.name, None)
        if not self._namespaces and self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002  # its signature
    ) -> ModuleSpec | None:
        namespace = self._namespaces.get(fullname.partition(".")[0])
        return None if namespace is None else namespace.find(fullname, path)


_FINDER = _Finder()


class _Source(SourceFileLoader):
    """Compiles source at each load, and gives modules the namespace's ``__import__``."""

    def __init__(self, namespace: PluginNamespace, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._namespace = namespace

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._namespace.builtins
        super().exec_module(module)


class _Sourceless(SourcelessFileLoader):
    """The same for modules that come as bytecode only."""

    def __init__(self, namespace: PluginNamespace, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._namespace = namespace

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._namespace.builtins
        super().exec_module(module)
