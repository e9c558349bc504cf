"""Changes of root and targets metadata, signed one after the other by people on different machines.

    ceremony     the state of a ceremony: what changes, who has signed, what is missing
    steps        start, sign, finish, abort
    first_root   starts the ceremony of version 1, which nothing vouches for yet
    realm_setup  adds a realm to a source tree, or what one lacks, and removes it
    branch       imports a ceremony's files from the git branch that signers push to
    realm_check  what keeps a realm from being published
    due          which offline roles expire soon
    _describe    what new metadata changes, in plain language

On disk, in the source tree::

    ceremonies/<name>/
        plan.json                                what changes, who asked for it, when and why
        <realm>/<N>.root.json, <N>.targets.json  the new metadata, unsigned
        <realm>/signatures/<role>.<keyid>.json   one file per signer
        closed.json                              finished or aborted, by whom, when and why
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.ceremony.branch import take_ceremony
    from registry_builder.ceremony.ceremony import Ceremony, ceremonies, load_ceremony, missing_signatures
    from registry_builder.ceremony.due import due_offline_roles
    from registry_builder.ceremony.first_root import RoleChoice
    from registry_builder.ceremony.realm_check import realm_problems
    from registry_builder.ceremony.realm_setup import RealmWish, add_realm, realm_states, remove_realm
    from registry_builder.ceremony.steps import Wanted, abort_ceremony, finish_ceremony, sign_ceremony, start_ceremony
else:
    __getattr__, __dir__ = exports(__name__, {
        "branch": ("take_ceremony",),
        "ceremony": ("Ceremony", "ceremonies", "load_ceremony", "missing_signatures"),
        "due": ("due_offline_roles",),
        "first_root": ("RoleChoice",),
        "realm_check": ("realm_problems",),
        "realm_setup": ("RealmWish", "add_realm", "realm_states", "remove_realm"),
        "steps": ("Wanted", "abort_ceremony", "finish_ceremony", "sign_ceremony", "start_ceremony"),
    })  # fmt: skip

__all__ = [
    "Ceremony",
    "RealmWish",
    "RoleChoice",
    "Wanted",
    "abort_ceremony",
    "add_realm",
    "ceremonies",
    "due_offline_roles",
    "finish_ceremony",
    "load_ceremony",
    "missing_signatures",
    "realm_problems",
    "realm_states",
    "remove_realm",
    "sign_ceremony",
    "start_ceremony",
    "take_ceremony",
]
