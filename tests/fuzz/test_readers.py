"""Every reader of foreign bytes ends in its value or in an error that it documents, whatever it is given.

The corpus here takes seconds: the same mutants in each run. `tests/fuzz/run_atheris.py` looks further, by schedule;
what it finds is kept under ``finds/READER/`` and read again here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.mutation import mutations
from fuzz.readers import Reader, readers

FINDS = Path(__file__).parent / "finds"
CASES = 400
NAMES = sorted(readers())


@pytest.mark.parametrize("name", NAMES)
def test_mutants_end_in_a_value_or_a_documented_error(name: str) -> None:
    reader = readers()[name]
    for seed in reader.seeds if reader.is_readable else ():
        reader.read(seed)
    for data in mutations(reader.seeds, reader.tokens, CASES // reader.cost, seed=1):
        found = _find(reader, data)
        assert found is None, f"{found!r} from {data[:300]!r}"


def _find(reader: Reader, data: bytes) -> Exception | None:
    try:
        reader.run(data)
    except Exception as error:  # noqa: BLE001  # what is looked for
        return error
    return None


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_once_is_not_found_again(name: str) -> None:
    cases = sorted((FINDS / name).glob("*"))
    for case in cases:
        readers()[name].run(case.read_bytes())
    assert all(case.stat().st_size < 100_000 for case in cases), "a case is small enough to be kept"
