"""A pytest plugin for authors of plugins: ``pytest_plugins = ["sealdex.testing"]`` in the top-level conftest.py.

    plugin         the plugin under test, packed, signed, installed and loaded: ``plugin.call("send", text="hello")``
    plugin_host    a `sealdex.runtime.PluginManager` without plugins
    registry       a throw-away registry with a trust root of its own

The fixtures are the builder's, who has the keys and the compiler for it, and are named here as text: the client never
imports the builder. They need sealdex-builder and pytest; hosts need neither.
"""

from importlib.util import find_spec

if find_spec("registry_builder") is None:
    raise ImportError("sealdex.testing needs the builder: pip install sealdex-builder")

pytest_plugins = ["registry_builder.testing"]
