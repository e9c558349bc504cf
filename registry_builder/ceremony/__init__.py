"""Changes of root and targets metadata, signed one after the other by people on different machines.

    ceremony     the state of a ceremony: what changes, who has signed, what is missing
    steps        start, sign, finish, abort
    branch       imports a ceremony's files from the git branch that signers push to
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
    from registry_builder.ceremony.steps import Wanted, abort_ceremony, finish_ceremony, sign_ceremony, start_ceremony
else:
    __getattr__, __dir__ = exports(__name__, {
        "branch": ("take_ceremony",),
        "ceremony": ("Ceremony", "ceremonies", "load_ceremony", "missing_signatures"),
        "due": ("due_offline_roles",),
        "steps": ("Wanted", "abort_ceremony", "finish_ceremony", "sign_ceremony", "start_ceremony"),
    })  # fmt: skip

__all__ = [
    "Ceremony",
    "Wanted",
    "abort_ceremony",
    "ceremonies",
    "due_offline_roles",
    "finish_ceremony",
    "load_ceremony",
    "missing_signatures",
    "sign_ceremony",
    "start_ceremony",
    "take_ceremony",
]
