"""Messages, help, docstrings, comments, pages and guides are in plain English: the worst turns of phrase stay out.

A word list can't tell good prose from bad. It holds out what was once all over the place, with what to write instead.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.places import REPOSITORY

WORDS = {
    r"(?<![Tt]here )\bis no (?!longer\b|reason\b)[a-z]": "'is not a valid X', or 'is not an X'",
    r"\banew\b(?! ?[:=)&])": "'again', or 're-sign', 'republish', 'rebuild'",
    r"\b[Tt]ell whether\b": "'return whether'",
    r"\bon whose word\b|\bwhose word counts\b|\bnobody who counts\b": "name who signed it, or the accepted identities",
    r"\bgo(?:es)? over to\b": "'switch to'",
    r"\bwhoever else\b": "'another process'",
    r"\btell who runs\b": "'report this to the operator'",
    r"\bspeaks? for\b": "'signs for'",
    r"\b(becomes?|is|are|was) well\b(?! )": "'healthy', 'succeeded'",
    r"\bbe content with\b": "'fall back to'",
    r"\b[Tt]ake note\b": "'record', or 'called when'",
    r"\b[Ll]ook over where\b": "'check ... for problems'",
    r"\bnot to be chosen any more\b": "'yanked'",
    r"\bwhen left out\b": "'by default'",
    r"\bstands? there\b": "'is published', 'was found'",
    r"\bcatalogues?\b(?![._:\"]| shards\")": "'catalog', except in names of files and fields",
    r"\b[Ll]icences?\b(?!\"|:|`)": "'license'",
}
_ANY = re.compile("|".join(f"(?:{pattern})" for pattern in WORDS))
_LINES_OF_CODE = re.compile(r"^\s*(from|import|class|def|await)\b|catalogue[(\s]*[=,);]|addresses\.catalogue|\banew=")


def texts() -> list[Path]:
    """Return every file of both packages, the site and the guides that people read."""
    code = [
        *(REPOSITORY / "client" / "sealdex").rglob("*.py"),
        *(REPOSITORY / "registry_builder").rglob("*.py"),
        *(REPOSITORY / "registry_builder").rglob("*.j2"),
    ]
    site = [*(REPOSITORY / "site_templates").glob("*.j2"), *(REPOSITORY / "site_templates/assets").glob("*.js")]
    guides = [
        REPOSITORY / "docs" / name
        for name in (
            "agents.md",
            "format.md",
            "process-protocol.md",
            "publishing.md",
            "runtime.md",
            "services.md",
            "site.md",
        )
    ]
    return sorted([*code, *site, *guides, REPOSITORY / "keys/README.md", REPOSITORY / "Makefile"])


def found_in(line: str) -> list[str]:
    """Return what to write instead of each turn of phrase in a line of text."""
    if _LINES_OF_CODE.search(line) or not _ANY.search(line):
        return []
    return [instead for pattern, instead in WORDS.items() if re.search(pattern, line)]


def test_nobody_has_to_guess_what_is_meant() -> None:
    files = texts()
    assert len(files) > 200
    found = [
        f"{file.relative_to(REPOSITORY)}:{number}: {line.strip()}: write {', '.join(instead)}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (instead := found_in(line))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "'x' is no label",
        "Sign anew what is about to expire",
        "the role that speaks for a namespace",
        "Mark a release as not to be chosen any more",
        "all realms when left out",
        "the catalogue's shards",
        "a licence expression",
    ],
)
def test_what_is_held_out_is_found(line: str) -> None:
    assert found_in(line) != []


@pytest.mark.parametrize(
    "line",
    [
        "there is no plugin acme/gone in this registry",
        "it is no longer selected, except by an exact version",
        "    anew: bool = False",
        "search/catalogue.json",
        'kind == "catalogue shards"',
        "`licence` and `deprecated`",
    ],
)
def test_what_is_plain_or_a_name_is_left_alone(line: str) -> None:
    assert found_in(line) == []
