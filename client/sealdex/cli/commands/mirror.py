"""``sealdex mirror``: its commands, each in a module of its own."""

from __future__ import annotations

from sealdex.cli.group import LazyCommand, LazyGroup

_HERE = "sealdex.cli.commands"

mirror = LazyGroup(
    name="mirror",
    help="Copy a registry, or a part of it, for places that can't reach it; prove and tidy such copies.",
    lazy={
        "create": LazyCommand(
            f"{_HERE}.mirror_create:create_",
            "Copy a registry, or a part of it, into a folder, or bring such a copy up to date.",
        ),
        "import": LazyCommand(f"{_HERE}.mirror_import:import_", "Bring a mirror to the state that an archive carries."),
        "state": LazyCommand(
            f"{_HERE}.mirror_state:state_",
            "Write what a mirror has, to be carried back: the sender then sends only what is lacking.",
        ),
        "verify": LazyCommand(
            f"{_HERE}.mirror_verify:verify_",
            "Prove that a mirror has all of its selection, unchanged, from the root alone.",
        ),
        "prune": LazyCommand(
            f"{_HERE}.mirror_prune:prune_",
            "Remove files that neither the present nor the previous state of a mirror leads to.",
        ),
    },
)
