"""Imports inside functions: each says why it stands there, since a face imports most of what is to come late."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.places import REPOSITORY

SUPPRESSED = re.compile(r"# noqa: [A-Z0-9, ]*PLC0415\b(?P<reason>.*)$")
NO_REASON = re.compile(r"^\W*(as above|the same|as below|see (above|below|there)|ditto)?\W*$", re.IGNORECASE)


@pytest.mark.parametrize("folder", ["client/sealdex", "registry_builder"])
def test_an_import_inside_a_function_has_a_reason_of_its_own(folder: str) -> None:
    def without_reason(file: Path) -> list[str]:
        lines = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        found = ((number, SUPPRESSED.search(line)) for number, line in lines)
        return [f"{file}:{number}" for number, match in found if match and NO_REASON.match(match["reason"])]

    assert [each for file in sorted((REPOSITORY / folder).rglob("*.py")) for each in without_reason(file)] == []
