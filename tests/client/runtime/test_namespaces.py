"""Versions side by side in one process, what they import, and that an old one is really gone."""

from __future__ import annotations

import gc
import pickle
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from support.plugin_store import PluginStore

from sealdex.runtime import PluginError, PluginManager

HELPED = """
import helper
from helper import VERSION as also
import package.below
import package.below as aliased
from package import below, beside
from typing import Optional
import dataclasses

@dataclasses.dataclass
class Point:
    x: int = 1

class Plugin:
    def __init__(self, config): self.config, self.other = config, Optional[Plugin]
    def versions(self):
        return [helper.VERSION, also, package.below.VERSION, aliased.VERSION, below.VERSION, beside.ABOVE, later()]
    def point(self): return Point()

def later():
    import late
    return late.VERSION
"""


def package(version: str) -> dict[str, str]:
    line = f"VERSION = {version!r}\n"
    return {
        "helper.py": line,
        "late.py": line,
        "package/__init__.py": "",
        "package/below.py": "from helper import VERSION\n",
        "package/beside.py": "from .below import VERSION as ABOVE\n",
    }


def helped(plugins: PluginStore, manager: PluginManager, version: str) -> Any:
    plugins.python("acme/tool", version, HELPED, files=package(version))
    manager.register("acme/tool", version=version, name=version)
    manager.init()
    return manager.get(version)


def test_two_versions_in_one_process_each_import_their_own_modules(
    plugins: PluginStore, manager: PluginManager
) -> None:
    one, two = helped(plugins, manager, "1.0.0"), helped(plugins, manager, "2.0.0")
    assert one.versions() == ["1.0.0"] * 7
    assert two.versions() == ["2.0.0"] * 7
    assert type(one) is not type(two)
    assert {"helper", "plugin", "package", "late"}.isdisjoint(sys.modules)


def test_what_is_not_the_plugins_is_the_hosts(plugins: PluginStore, manager: PluginManager) -> None:
    plugins.python(
        "acme/tool",
        "1.0.0",
        "import json, queue, email\nimport email.message\n"
        "class Plugin:\n"
        "    def __init__(self, config): self.modules = [json, queue.MINE, email]\n",
        files={"queue.py": "MINE = True\nimport json\n", "email/readme.txt": "no package"},
    )
    manager.register("acme/tool")
    manager.init()
    import email  # noqa: PLC0415  # the point is that it is the same one
    import json  # noqa: PLC0415  # the same

    assert manager.get("acme/tool").modules == [json, True, email]


def test_an_old_version_is_collected_modules_classes_and_all(plugins: PluginStore, manager: PluginManager) -> None:
    plugin = helped(plugins, manager, "1.0.0")
    assert plugin.versions()
    module = sys.modules[type(plugin).__module__]
    names = [name for name in sys.modules if name.startswith(module.__name__.partition(".")[0])]
    assert len(names) >= 6
    gone = [
        weakref.ref(each) for each in (plugin, type(plugin), type(plugin.point()), *(sys.modules[n] for n in names))
    ]
    del plugin, module
    plugins.python("acme/tool", "2.0.0", HELPED, files=package("2.0.0"))
    manager.reload("1.0.0", version="2.0.0")
    gc.collect()
    assert [ref() for ref in gone] == [None] * len(gone)
    assert not [name for name in names if name in sys.modules]
    assert manager.get("1.0.0").versions() == ["2.0.0"] * 7


def test_a_failed_load_leaves_nothing_either(plugins: PluginStore, manager: PluginManager) -> None:
    before = set(sys.modules)
    finders = list(sys.meta_path)
    plugins.python("acme/tool", "1.0.0", "import helper\n1 / 0\n", files=package("1.0.0"))
    with pytest.raises(PluginError, match=r"ZeroDivisionError: division by zero \(plugin.py, line 2\)") as failed:
        manager.register("acme/tool")
    assert failed.value.__context__ is None
    assert {name for name in set(sys.modules) - before if name.startswith("sealdex_plugin")} == set()
    assert sys.meta_path == finders


def test_pickles_are_read_by_the_load_that_wrote_them_and_by_no_other(
    plugins: PluginStore, manager: PluginManager
) -> None:
    point = helped(plugins, manager, "1.0.0").point()
    data = pickle.dumps(point)
    assert pickle.loads(data) == point  # noqa: S301  # written one line above
    manager.unregister("1.0.0")
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(data)  # noqa: S301  # the same


def test_code_of_an_unloaded_version_that_imports_late_is_told(plugins: PluginStore, manager: PluginManager) -> None:
    plugin = helped(plugins, manager, "1.0.0")
    manager.unregister("1.0.0")
    with pytest.raises(ImportError, match=r"acme/tool 1\.0\.0 was unloaded"):
        plugin.versions()


def test_nothing_is_written_beside_the_code(plugins: PluginStore, manager: PluginManager) -> None:
    helped(plugins, manager, "1.0.0")
    assert not list(Path(plugins.store.plugins_folder).rglob("*.pyc"))
