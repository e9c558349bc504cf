"""The type of options that take a size: ``--max-bytes 512MiB``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sealdex.model.sizes import SIZE_FORM, read_size

if TYPE_CHECKING:
    _SizeType = click.ParamType[int]
else:
    _SizeType = click.ParamType  # not generic in older releases of click


class Size(_SizeType):
    """A number of bytes, written as `sealdex.model.sizes.read_size` reads it.

    Args:
        least: the smallest that is taken.
        what: what it is, for messages.
    """

    name = "size"

    def __init__(self, least: int = 0, what: str = "size") -> None:
        self._least = least
        self._what = what

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        if isinstance(value, int):  # a default
            return value
        try:
            size = read_size(str(value))
        except ValueError:
            size = -1
        if size < self._least:
            least = f", at least {self._least}" if self._least else ""
            self.fail(f"'{value}' is not a valid {self._what}: write {SIZE_FORM}{least}", param, ctx)
        return size
