"""JSON from somebody else, to plain values: what can't be read is one ``ValueError``, however deep it nests.

For what must start quickly; documents that have a type are read by `sealdex.model.decode`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.errors`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BLANK = " \t\n\r"


class _Defaults:
    """How `json.loads` reads values, for CPython's scanner below it."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(
        {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}.__getitem__
    )


def _scanner() -> Callable[[str, int], tuple[Any, int]] | None:
    """Return CPython's own scanner of JSON; `json` imports `re` around it, which takes longer than `sealdex list`."""
    try:
        from _json import make_scanner  # noqa: PLC0415  # other Pythons don't have it
    except ImportError:
        return None
    scanner: Callable[[str, int], tuple[Any, int]] = make_scanner(_Defaults)  # type: ignore[arg-type]  # it reads these attributes
    return scanner


_scan = _scanner()


def json_values(data: bytes | str) -> Any:
    """Return the values of a JSON text.

    Raises:
        ValueError: not JSON, not in one of JSON's encodings, nested too deeply, or with a number of too many digits.
    """
    try:
        if _scan is not None:
            text = data if isinstance(data, str) else str(data, "utf-8")
            value, end = _scan(text, len(text) - len(text.lstrip(_BLANK)))
            if not text[end:].strip(_BLANK):
                return value
    except (ValueError, StopIteration, RecursionError):
        pass  # it is read again, for another encoding or a message that says where it is wrong
    import json  # noqa: PLC0415  # `re` and more; seldom needed

    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
