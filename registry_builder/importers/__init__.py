"""Imports other registries and systems into a source tree.

    krew             kubectl plugins, from the history of a krew index
    plain_list       JSON lines, for everything that a script can print

What the readers above share:

    foreign          what another system has, in plain values; what is read of it
    options          what the user asks of an import
    names            what each plugin is called here: imports/<system>.toml
    version_map      what versions become that aren't semantic
    addresses        which addresses last, and which are asked at all
    contents         the bytes of foreign files, hashed as they come
    run              decides, compares with the tree, and writes
    _build           a foreign release as a release
    _record          what no release has a field for, as an attachment
    _reading         bounded and strict reading of exports
    _binaries        which hosts a library is for, by its header
    _krew_manifest   one krew manifest to a release
    _plugin_yaml     writing plugin.yaml

What can't be represented is listed with its reason; nothing is dropped silently.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.importers.addresses import host_in, only_public
    from registry_builder.importers.foreign import Found, NotRepresentable
    from registry_builder.importers.krew import read_history, register_type, write_import
    from registry_builder.importers.options import ImportOptions
    from registry_builder.importers.plain_list import DEFAULT_LIST_TYPE, read_list
    from registry_builder.importers.run import ImportReport, run_import
    from registry_builder.importers.version_map import VersionMap, read_version_map
else:
    __getattr__, __dir__ = exports(__name__, {
        "addresses": ("host_in", "only_public"),
        "foreign": ("Found", "NotRepresentable"),
        "krew": ("read_history", "register_type", "write_import"),
        "options": ("ImportOptions",),
        "plain_list": ("DEFAULT_LIST_TYPE", "read_list"),
        "run": ("ImportReport", "run_import"),
        "version_map": ("VersionMap", "read_version_map"),
    })  # fmt: skip

__all__ = [
    "DEFAULT_LIST_TYPE",
    "Found",
    "ImportOptions",
    "ImportReport",
    "NotRepresentable",
    "VersionMap",
    "host_in",
    "only_public",
    "read_history",
    "read_list",
    "read_version_map",
    "register_type",
    "run_import",
    "write_import",
]
