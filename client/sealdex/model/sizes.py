"""Sizes as people write them: ``500k``, ``512MiB``, ``1.5GB``. Read alike in options, variables and settings."""

from __future__ import annotations

from typing import Any

SIZE_FORM = "a number of bytes, or a size such as 500k, 512MiB or 1.5GB"
"""What to write, for messages."""
_UNITS: dict[str, int] = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", 1):
    _UNITS |= {_letter: 1 << 10 * _power, f"{_letter}ib": 1 << 10 * _power, f"{_letter}b": int(1000**_power)}
_MAX = 2**63 - 1  # the largest integer of TOML
_MAX_DIGITS = 30


def read_size(text: str) -> int:
    """Return the bytes that ``512``, ``500k``, ``1.5 GiB`` or ``1GB`` stands for.

    As for GNU's tools, ``k``, ``M``, ``G``, ``T`` and ``KiB``, ``MiB`` ... are powers of 1024, and ``kB``, ``MB`` ...
    of 1000. Upper or lower case is all one, and a space may stand before the unit.

    Raises:
        ValueError: it is written otherwise; the message says what to write.
    """
    plain = text.strip().lower()
    number = plain.rstrip("bikmgt")
    unit = plain[len(number) :]
    number = number.rstrip().replace("_", "")
    whole, _, part = number.partition(".")
    digits = whole + part
    factor = _UNITS.get(unit)
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS
    is_half = "." in number and factor == 1  # there are no halves of bytes
    size = int(digits) * factor // int(10 ** len(part)) if is_number and not is_half and factor is not None else None
    if size is None or size > _MAX:
        raise ValueError(f"'{text}' is not a valid size: write {SIZE_FORM}")
    return size


def size_extra(least: int = 0) -> dict[str, Any]:
    """Return ``extra`` of `msgspec.Meta` for a setting in bytes: `sealdex.model.decode.read_values` reads text as well.

    Args:
        least: the smallest number that the setting takes, for the message.
    """
    return {"expects": SIZE_FORM + (f", at least {least}" if least else ""), "is_size": True}
