"""The source tree that people edit: its configuration, loading and lint, and how files of it are opened.

    config           registry.toml, as strict structs
    load             folders and files to plain data, every problem kept
    tree             the loaded source tree, as plain data
    safe_open        the one way to open files of a folder that others may have filled
    version_control  names of version control's own files, on any file system
    documents        decodes documents: strictly, every problem named
    text             text that people edit: byte order marks, line ends, conflict markers
    yaml12           YAML 1.2, bounded
    realms           which plugins a realm publishes, and what may not leave it
    private_names    names of one realm's plugins in what another publishes
    hub_ids          which id of the Model Hub a service or model has
    kms_keys         which keys in AWS KMS sign the online roles
    realm_sections   adds and removes a realm in the text of registry.toml
    storage_choice   where a new realm is published, by options and by git's remote
    lint/            every problem of a tree at once
    secrets/         keys and tokens that would be published
    allowed_secrets  which secrets are meant to be published
    archive_check    whether an installation could be made from an archive
    file_list        the list of files of an archive
    attachments      reports, SBOMs and statements of releases
    attestations     Sigstore bundles, held to [attestations] of registry.toml
    event_files      how files of status/ are named and ordered
    readme_file      a plugin's README as it is published
    readme_images    images of READMEs that the tree keeps, and their record
    pictures         which kind of picture bytes are, by their header
    public_addresses  whether an IP address is one of the public internet
    release_template  release.yaml: the starting point of the next release
    spelling         spellings of os and arch
    atomic_write     writes a file whole or not at all
    own_folders      whether what is about to be written stays in the tree
    _named_files     whether what a release names is in its archive
    _opaque_formats  archives that clients don't unpack

On disk::

    registry.toml                        name, realms, roles, keys, policy
    plugins/<namespace>/<name>/
        plugin.yaml                      or plugin.yml, plugin.json
        README.md, README.<language>.md
        images/                          images of READMEs, and their record
        releases/<version>.json          or .yaml, .yml
        status.json, status/<event>.json what happened after publishing
        attachments/<version>/<file>     reports, SBOMs and statements
        release.yaml, src/, dist/        the author's working copy
    trust/                               see `registry_builder.signing`
    ceremonies/                          see `registry_builder.ceremony`
    site/                                templates and assets of one's own

Other rooms import the modules without an underscore; commands take the names below.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.source.config import CONFIG_NAME, KeySection, RegistryConfig, find_tree, read_config
    from registry_builder.source.load import load_tree
    from registry_builder.source.realms import check_realm
    from registry_builder.source.tree import Problem, Severity, SourceTree
else:
    __getattr__, __dir__ = exports(__name__, {
        "config": ("CONFIG_NAME", "KeySection", "RegistryConfig", "find_tree", "read_config"),
        "load": ("load_tree",),
        "realms": ("check_realm",),
        "tree": ("Problem", "Severity", "SourceTree"),
    })  # fmt: skip

__all__ = [
    "CONFIG_NAME",
    "KeySection",
    "Problem",
    "RegistryConfig",
    "Severity",
    "SourceTree",
    "check_realm",
    "find_tree",
    "load_tree",
    "read_config",
]
