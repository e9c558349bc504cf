"""The walls of the house: which rooms may import which, what is private to a room, what the builder has of the client.

A row names what a room may import: other rooms (folders) and loose modules of its package, all of them in rows above
its own, so that no arrow runs back up. Imports count wherever they stand: in functions and for type checkers as well.
A new arrow wants a row here, and a reason that survives review.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from support.import_graph import (
    Import,
    arrows_back_up,
    between_folders,
    circles,
    imports,
    modules,
    never_used,
    private_used,
    room_of,
    shared_broken,
    walls_broken,
)
from support.places import REPOSITORY

# every room of both packages may import these, which import no room
ANYWHERE = {"disk", "errors", "lazy", "log", "record", "similar"}

CLIENT = {
    # what everything else is built of: text, facts and bytes; none of these knows what a registry or a store is
    "text": "",  # every start of the program waits for it
    "_redaction": "text",
    "_arguments": "",
    "log": "_redaction",
    "log_level": "",
    "model": "",  # the wire format: pure, and the same for builder and client
    "paths": "",
    "archive": "",  # reads hostile bytes: nothing to trust, configure or ask here
    "transport": "",  # moves bytes and says nothing about whether to trust them
    "resolve": "model",  # pure: documents come through a callback
    # the host: what it keeps and what it was told
    "store": "model archive",  # `list` and `path` start by it: no configuration, no network
    "config": "model paths transport store",
    "events": "model transport resolve store",
    "results": "model resolve store",
    # what is signed, and the bytes that it pins
    "trust": "model transport resolve store config events results",  # knows of no installation
    "_host_checks": "text store",
    "doctor": "_host_checks text paths transport store config events trust",
    "download": "model archive transport resolve store config events results trust",  # verifies, and installs nothing
    "arguments": "model resolve",  # of programs: texts and objects alike
    "queries": "arguments model transport resolve store config events results trust download",
    "locate": "model resolve config results download queries",  # for other hosts too: knows no installation
    # what changes the host
    "lockfile": "model paths resolve store config results download queries",
    "install": "model archive resolve store config events results trust download queries lockfile",
    "client": "arguments model resolve store config events results trust download queries install",
    "update": "model resolve store lockfile install client",
    "registration": "model transport config events trust",  # what the configuration is to say is verified first
    # what runs and shows it
    # knows nothing of the command line
    "runtime": (
        "arguments log_level model paths resolve store config events results locate lockfile install client update"
    ),
    "project": "model resolve store config results download lockfile install client",
    # for programs
    "api": (
        "_arguments arguments model resolve store config results locate install client update project registration"
    ),
    "async_api": "config events locate model resolve api",  # and the same for asyncio
    "bundle": "config download lockfile",  # a lock, carried: what makes it
    "bundle_install": "model transport store config events download lockfile client project",  # and what installs it
    "testing": "",  # names the builder's fixtures as text
    "metrics": "model transport resolve store events runtime",
    "cli": (
        "text model paths transport resolve store config events results trust doctor download lockfile install client"
        " update log_level locate registration runtime project bundle bundle_install metrics"
    ),
    "__main__": "cli",
}

BUILDER = {
    "parallel": "",
    "storage": "parallel",  # puts and gets bytes under keys; knows nothing of what they are
    "source": "parallel storage",  # what people edit; nothing here has seen a published byte
    "authoring": "storage source",  # authors have no keys: signing and publishing are out of reach
    "compile": "source",  # pure: from the source tree to bytes
    "signing": "source",
    "importers": "source authoring",  # events and archives of imports are made as authors make theirs
    "baseline": "parallel storage source compile signing",
    "ceremony": "source signing",  # on the machines of signers, which reach no storage
    "site": "parallel storage source compile signing baseline",  # nothing trusts the pages
    "publication": "parallel storage source compile signing baseline site",
    "api": "storage source authoring publication",
    "maintenance": "storage source compile signing baseline site publication",
    "throwaway": "source authoring signing publication",  # what authors try out is signed by keys made for it alone
    "trial_host": "",  # a host as any other: nothing of the builder
    "trial": "source throwaway trial_host",
    "testing": "throwaway trial",
    "cli": ("storage source authoring compile signing importers ceremony site publication maintenance trial"),
    "__main__": "cli",
}

# what the builder has of the client, and which of its rooms; all of it is built and released together, but each line is
# one more thing that the client can't change for itself alone
EVERY = " ".join(BUILDER)
SHARED = {
    "model.*": EVERY,  # any module of it: the wire format is common to both
    "text": "ceremony cli compile importers publication site",
    "resolve.search": "compile",  # keys of rows by name are made of texts as search folds them
    "paths": "baseline signing",  # where this machine keeps keys and what it saw last
    # an archive is refused by the rules that its installation will be held to
    "archive.entries": "authoring importers source",
    "archive.limits": "importers source",
    "archive.mapping": "source",
    "archive.reader": "importers source",
    "archive.tar": "source",
    "archive.windows_names": "authoring source",
    "archive.zip": "importers source",
    # one manner of speaking on the command line
    "cli.complete": "cli",
    "cli.completion": "cli",
    "cli.errors": "cli",
    "cli.findings": "cli",
    "cli.group": "cli",
    "cli.number_option": "cli",
    "cli.output": "cli",
    "cli.progress": "cli",
    "cli.size_option": "cli",
    # the same words in registry.toml and in config.toml
    "config.attestation_policy": "source",
    "config.toml_reader": "ceremony cli importers signing source",
    # what clients read, and how they verify it
    "trust.key_libraries": "cli signing",
    "trust.metadata_bundle": "publication",
    "config.document": "cli",  # the same ages and addresses on both command lines
    "trust": "site",  # pages of a mirror are made of what a client would verify
    "trust.role_marks": "baseline ceremony maintenance publication signing site",
    "trust.signed_time": "publication signing",
    "trust.sigstore_bundles": "signing source",
    "trust.sigstore_key": "signing",
    # artifacts at foreign addresses, and a registry as its readers see it
    "download.download": "publication",
    "store.cache": "publication",
    "transport": "cli importers maintenance publication site storage",
    # plugins are tried out as hosts run them
    "client": "throwaway trial_host",
    "config.config": "throwaway trial_host",
    "runtime": "testing trial trial_host",
    "runtime.process_variables": "throwaway",
    "store.installations": "testing trial trial_host",
    "store.layout": "testing trial trial_host",
    "store.manifests": "testing trial trial_host",
}

# `python -m` names that stand in a room but belong above it
ALIASES = {"sealdex.runtime.supervise"}  # supervisors of version 0.1.0 start by it; it only imports its successor

CLIENT_FILES = modules(REPOSITORY / "client" / "sealdex")
BUILDER_FILES = modules(REPOSITORY / "registry_builder")


@cache
def across() -> list[Import]:
    """Return what the builder imports of the client."""
    found = imports(BUILDER_FILES, CLIENT_FILES)
    return [each for each in found if each.imported in CLIENT_FILES and room_of(each.imported) not in ANYWHERE]


houses = pytest.mark.parametrize(
    ("files", "contract"),
    [pytest.param(CLIENT_FILES, CLIENT, id="client"), pytest.param(BUILDER_FILES, BUILDER, id="builder")],
)


@houses
def test_a_room_imports_what_its_row_says(files: dict[str, Path], contract: dict[str, str]) -> None:
    assert walls_broken(imports(files), contract, ANYWHERE) == []


@houses
def test_a_row_allows_no_more_than_is_done(files: dict[str, Path], contract: dict[str, str]) -> None:
    assert never_used(imports(files), contract) == []


@pytest.mark.parametrize("contract", [CLIENT, BUILDER], ids=["client", "builder"])
def test_no_arrow_runs_back_up(contract: dict[str, str]) -> None:
    assert arrows_back_up(contract) == []


@pytest.mark.parametrize("files", [CLIENT_FILES, BUILDER_FILES], ids=["client", "builder"])
def test_no_modules_and_no_rooms_import_each_other_in_a_circle(files: dict[str, Path]) -> None:
    found = [each for each in imports(files) if each.importer not in ALIASES]
    assert circles((each.importer, each.imported) for each in found) == []
    assert circles(between_folders(found, files)) == []


def test_what_is_private_is_used_in_its_room_alone() -> None:
    assert private_used([*imports(CLIENT_FILES), *imports(BUILDER_FILES), *across()]) == []


def test_the_builder_uses_of_the_client_what_is_listed() -> None:
    assert shared_broken(across(), SHARED) == []


def test_the_client_never_imports_the_builder() -> None:
    assert [each for each in imports(CLIENT_FILES, BUILDER_FILES) if each.imported in BUILDER_FILES] == []


@pytest.mark.parametrize("files", [CLIENT_FILES, BUILDER_FILES], ids=["client", "builder"])
def test_each_package_has_at_most_twelve_rooms(files: dict[str, Path]) -> None:
    rooms = {module for module, file in files.items() if module.count(".") == 1 and file.name == "__init__.py"}
    assert len(rooms) <= 12, sorted(rooms)
