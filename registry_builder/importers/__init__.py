"""Imports other registries and systems into a source tree.

    krew             kubectl plugins, from the history of a krew index
    arcade           the Arcade engine: packages, its exported table, its storage
    model_hub        a Model Hub: service packages and models, from its storage or its address
    service_map      services out of code and models that are apart
    marketplace      the marketplace's messages as JSON
    github_releases  releases on GitHub: a saved answer, or its API
    helm             the index of a chart repository
    huggingface      one commit of a model on the Hugging Face Hub
    plain_list       JSON lines, for everything that a script can print

What the readers above share:

    foreign          what another system has, in plain values; what is read of it
    options          what the user asks of an import
    names            what each plugin is called here: imports/<system>.toml
    version_map      what versions become that aren't semantic
    addresses        which addresses last, and which are asked at all
    contents         the bytes of foreign files, hashed as they come
    container_registry    manifests of container registries, and tokens where they want one
    docker_login     what `docker login` keeps on this machine
    run              decides, and writes plugins and releases
    report           what an import did, and what it couldn't
    _import_run      what the steps of one import share
    _checked_release  a foreign release as one of the tree, with all that lint says of it
    _build           its fields
    _comparison      whether the source still has what was imported
    _arrivals        yanks, deprecations, channels and attachments of the source
    _record          what no release has a field for, as an attachment
    _packages        zips and folders of other systems
    _reading         bounded and strict reading of exports
    _asset_names     what the files of a release on GitHub are, by their names
    _binaries        which hosts a library is for, by its header
    _arcade_table    the rows of the engine's exported table
    _hub_answers     what a hub's API says
    _hub_releases    a hub's packages and models as releases
    _checksums       checksum.sha256
    _krew_manifest   one krew manifest to a release
    _plugin_yaml     writing plugin.yaml

What can't be represented is listed with its reason; nothing is dropped silently.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.importers.addresses import host_in, only_public
    from registry_builder.importers.arcade import ArcadeFiles, read_arcade
    from registry_builder.importers.container_registry import ContainerRegistries, RegistryLogins
    from registry_builder.importers.foreign import Found, NotRepresentable
    from registry_builder.importers.github_releases import (
        DEFAULT_GITHUB_TYPE,
        GITHUB_API,
        GitHubToken,
        read_github,
    )
    from registry_builder.importers.helm import read_helm
    from registry_builder.importers.huggingface import HUGGINGFACE, read_huggingface
    from registry_builder.importers.krew import read_history, register_type, write_import
    from registry_builder.importers.marketplace import read_marketplace
    from registry_builder.importers.model_hub import read_hub_address, read_hub_folder
    from registry_builder.importers.options import ImportOptions
    from registry_builder.importers.plain_list import DEFAULT_LIST_TYPE, read_list
    from registry_builder.importers.report import ImportReport
    from registry_builder.importers.run import known_digests, run_import
    from registry_builder.importers.service_map import as_services
    from registry_builder.importers.version_map import VersionMap, read_version_map
else:
    __getattr__, __dir__ = exports(__name__, {
        "arcade": ("ArcadeFiles", "read_arcade"),
        "addresses": ("host_in", "only_public"),
        "container_registry": ("ContainerRegistries", "RegistryLogins"),
        "foreign": ("Found", "NotRepresentable"),
        "krew": ("read_history", "register_type", "write_import"),
        "github_releases": ("DEFAULT_GITHUB_TYPE", "GITHUB_API", "GitHubToken", "read_github"),
        "helm": ("read_helm",),
        "huggingface": ("HUGGINGFACE", "read_huggingface"),
        "marketplace": ("read_marketplace",),
        "model_hub": ("read_hub_address", "read_hub_folder"),
        "options": ("ImportOptions",),
        "plain_list": ("DEFAULT_LIST_TYPE", "read_list"),
        "report": ("ImportReport",),
        "run": ("known_digests", "run_import"),
        "service_map": ("as_services",),
        "version_map": ("VersionMap", "read_version_map"),
    })  # fmt: skip

__all__ = [
    "DEFAULT_GITHUB_TYPE",
    "DEFAULT_LIST_TYPE",
    "GITHUB_API",
    "HUGGINGFACE",
    "ArcadeFiles",
    "ContainerRegistries",
    "Found",
    "GitHubToken",
    "ImportOptions",
    "ImportReport",
    "NotRepresentable",
    "RegistryLogins",
    "VersionMap",
    "as_services",
    "host_in",
    "known_digests",
    "only_public",
    "read_arcade",
    "read_github",
    "read_helm",
    "read_history",
    "read_hub_address",
    "read_hub_folder",
    "read_huggingface",
    "read_list",
    "read_marketplace",
    "read_version_map",
    "register_type",
    "run_import",
    "write_import",
]
