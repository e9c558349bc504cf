"""Projects: the requests (``sealdex.toml``), the resolved releases (``sealdex.lock``), and installing those.

`sealdex.project` brings it into the store.

    project_file     sealdex.toml: written by people, read strictly
    lock_file        sealdex.lock: exact releases and, for every platform, their artifacts
    staleness        whether a lock still is what sealdex.toml asks for; pure
    voucher          who vouches for each plugin of a lock
    freshness        what `ensure` found in place last time; imports little
    _signed_check    what of a lock the registry must sign as well; pure

On disk:

    sealdex.toml, sealdex.lock        in the project's folder, both meant to be committed
    <store>/ensured/<number>.json     what `ensure` found in place (`sealdex.lockfile.freshness`)
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.lockfile.lock_file import (
        LOCK_NAME,
        LockDocument,
        LockedPlugin,
        lock_text,
        locked_plugin,
        locked_versions,
        read_lock,
    )
    from sealdex.lockfile.project_file import WANTED_NAME, WantedDocument, read_wanted
    from sealdex.lockfile.staleness import Difference, differences
    from sealdex.lockfile.voucher import BY_LOCK, Voucher
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "lock_file": (
                "LOCK_NAME",
                "LockDocument",
                "LockedPlugin",
                "lock_text",
                "locked_plugin",
                "locked_versions",
                "read_lock",
            ),
            "project_file": ("WANTED_NAME", "WantedDocument", "read_wanted"),
            "staleness": ("Difference", "differences"),
            "voucher": ("BY_LOCK", "Voucher"),
        },
    )

__all__ = [
    "BY_LOCK",
    "LOCK_NAME",
    "WANTED_NAME",
    "Difference",
    "LockDocument",
    "LockedPlugin",
    "Voucher",
    "WantedDocument",
    "differences",
    "lock_text",
    "locked_plugin",
    "locked_versions",
    "read_lock",
    "read_wanted",
]
