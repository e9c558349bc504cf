"""What authors do: new registries and plugins, packing, releases, and the events that come after them.

    scaffold           a new registry or plugin, from the templates
    templates/         templates of registries, plugins and workflows
    github             the workflows of a registry on GitHub, and the action that releases to it
    github_install     what these workflows install: everything by version and digest
    cloud/             the account at AWS: which jobs may assume its roles, and a template of everything
    payload            which folder of a plugin is packed, and under which name
    pack               a folder to a zip: same input, same bytes
    release            archives and release.yaml to releases/<version>.json
    release_files      what release.yaml says of the next release: its version and archives
    submit             a release as a commit on a branch, and as a pull request
    lifecycle          yank, deprecate, promote, evaluate, attest and their opposites
    move               a plugin to another realm, with all its releases
    status_file        the events of a plugin, each a file in status/
    _ignore_rules      what .sealdexignore or .gitignore exclude from an archive
    _release_artifacts  the artifacts of a release, from archives, images and release.yaml
    _release_checks    whether a planned release may be written
    _service_package   service.json of a service's archive

Authors have no keys: nothing here signs or publishes.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.authoring.github import upgrade_workflows, write_workflows
    from registry_builder.authoring.github_install import DISTRIBUTIONS, digests_of_wheels
    from registry_builder.authoring.lifecycle import (
        attest,
        demote,
        deprecate,
        evaluate,
        promote,
        undeprecate,
        unyank,
        yank,
    )
    from registry_builder.authoring.move import MoveRefusedError, move_plugin
    from registry_builder.authoring.payload import pack_folder
    from registry_builder.authoring.release import (
        Archive,
        Image,
        ReleasePlan,
        write_release,
    )
    from registry_builder.authoring.release_files import (
        archives_of,
        has_built_archives,
        names_images_alone,
        stated_version_of,
    )
    from registry_builder.authoring.scaffold import RUNTIMES, Made, RuntimeKind, init_tree, new_plugin
    from registry_builder.authoring.status_file import Report, StatusChange, committer
    from registry_builder.authoring.submit import (
        GitError,
        Submission,
        check_branch,
        commit_release,
        open_pull_request,
        release_branch,
    )
else:
    __getattr__, __dir__ = exports(__name__, {
        "scaffold": ("RUNTIMES", "RuntimeKind", "Made", "init_tree", "new_plugin"),
        "github": ("upgrade_workflows", "write_workflows"),
        "github_install": ("DISTRIBUTIONS", "digests_of_wheels"),
        "move": ("MoveRefusedError", "move_plugin"),
        "payload": ("pack_folder",),
        "release": ("Archive", "Image", "ReleasePlan", "write_release"),
        "release_files": ("archives_of", "has_built_archives", "names_images_alone", "stated_version_of"),
        "submit": (
            "GitError", "Submission", "check_branch", "commit_release", "open_pull_request", "release_branch",
        ),
        "lifecycle": (
            "attest", "demote", "deprecate", "evaluate", "promote", "undeprecate", "unyank", "yank",
        ),
        "status_file": ("Report", "StatusChange", "committer"),
    })  # fmt: skip

__all__ = [
    "DISTRIBUTIONS",
    "RUNTIMES",
    "Archive",
    "GitError",
    "Image",
    "Made",
    "MoveRefusedError",
    "ReleasePlan",
    "Report",
    "RuntimeKind",
    "StatusChange",
    "Submission",
    "archives_of",
    "attest",
    "check_branch",
    "commit_release",
    "committer",
    "demote",
    "deprecate",
    "digests_of_wheels",
    "evaluate",
    "has_built_archives",
    "init_tree",
    "move_plugin",
    "names_images_alone",
    "new_plugin",
    "open_pull_request",
    "pack_folder",
    "promote",
    "release_branch",
    "stated_version_of",
    "undeprecate",
    "unyank",
    "upgrade_workflows",
    "write_release",
    "write_workflows",
    "yank",
]
