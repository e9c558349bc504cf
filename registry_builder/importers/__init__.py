"""Imports metadata of other registries into a source tree.

    krew             kubectl plugins, from the history of a krew index
    _krew_manifest   one krew manifest to a release
    _plugin_yaml     writing plugin.yaml

What can't be represented is listed with its reason; nothing is dropped silently.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.importers.krew import read_history, register_type, write_import
else:
    __getattr__, __dir__ = exports(__name__, {
        "krew": ("read_history", "register_type", "write_import"),
    })  # fmt: skip

__all__ = [
    "read_history",
    "register_type",
    "write_import",
]
