"""JSON from somebody else, to plain values: what can't be read is one ``ValueError``, however deep it nests.

For what must start quickly; documents that have a type are read by `sealdex.model.decode`.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.errors`
if TYPE_CHECKING:
    from typing import Any


def json_values(data: bytes | str) -> Any:
    """Return the values of a JSON text.

    Raises:
        ValueError: not JSON, not in one of JSON's encodings, nested too deeply, or with a number of too many digits.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
