"""Installs chosen releases as one change: unpack beside the store's versions, switch by rename, roll back.

Its modules:

    installer                resolves, downloads and installs in one go: what Client installs with
    uninstall                takes versions out of the store, as one change
    check                    what is installed of a plugin, and whether it still is what was installed
    batch                    installs chosen releases as one change
    install                  installs one release: look, decide, unpack beside, then switch by rename
    plan                     what installing a release will do, decided before anything is written
    preview                  what installing would do, without doing it
    transaction              brings a set of releases into the store: all unpacked, then all switched
    rollback                 puts a version back that was taken out, from its cached archive
    attestations             whether an accepted identity vouches for a release
    installed_constraints    what installed plugins need of the others goes on being met
    fallback                 what serves when no registry can be asked
    preinstalled             installs from a folder of preinstalled archives alone
    archive_path             which arguments mean an archive on this host's disk; pure
    local_archive            an archive from this host's disk: which release it is
    foreign_manifest         what archives of other systems say of themselves
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.install.archive_path import is_archive_path
    from sealdex.install.attestations import (
        Attested,
        attested,
        refuse_unsigned,
        require_attestations,
        requiring_attestations,
    )
    from sealdex.install.batch import Vouch, install_chosen, install_request
    from sealdex.install.fallback import fall_back
    from sealdex.install.install import needs_archive
    from sealdex.install.installed_constraints import resolve_beside
    from sealdex.install.plan import NO_FILES, InstallRequest
    from sealdex.install.rollback import roll_back_with_cache
    from sealdex.install.transaction import Job, deploy, finish_killed, pins
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "attestations": (
                "Attested",
                "attested",
                "refuse_unsigned",
                "require_attestations",
                "requiring_attestations",
            ),
            "batch": ("Vouch", "install_chosen", "install_request"),
            "fallback": ("fall_back",),
            "install": ("needs_archive",),
            "installed_constraints": ("resolve_beside",),
            "archive_path": ("is_archive_path",),
            "plan": ("InstallRequest", "NO_FILES"),
            "rollback": ("roll_back_with_cache",),
            "transaction": ("Job", "deploy", "finish_killed", "pins"),
        },
    )

__all__ = [
    "NO_FILES",
    "Attested",
    "InstallRequest",
    "Job",
    "Vouch",
    "attested",
    "deploy",
    "fall_back",
    "finish_killed",
    "install_chosen",
    "install_request",
    "is_archive_path",
    "needs_archive",
    "pins",
    "refuse_unsigned",
    "require_attestations",
    "requiring_attestations",
    "resolve_beside",
    "roll_back_with_cache",
]
