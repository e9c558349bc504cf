"""`Record`: what is given to programs as a dataclass is, defined in a twentieth of the time.

A class of ``@dataclass(frozen=True, slots=True)`` writes six functions as text and compiles them, 0.5 ms each time a
command starts. A `Record` is a `msgspec.Struct`, whose functions are compiled already, and for `dataclasses` it is a
frozen dataclass: ``fields``, ``replace``, ``asdict`` and ``is_dataclass`` know it. Setting an attribute raises
AttributeError, of which ``FrozenInstanceError`` is a kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import NODEFAULT, Struct

if TYPE_CHECKING:
    from dataclasses import Field
    from typing import ClassVar


class _OfDataclass:
    """An attribute that `dataclasses` gives its classes; made when somebody asks for it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type[Record]) -> Any:
        """Return what a dataclass with these fields has."""
        value = getattr(_as_dataclass(owner), self._name)
        if self._name == "__dataclass_fields__":
            value = {name: value[name] for name in owner.__struct_fields__}
        return value


def _as_dataclass(owner: type[Record]) -> type:
    import dataclasses  # noqa: PLC0415  # only for who asks

    kinds: dict[str, Any] = {}
    for base in reversed(owner.__mro__):
        kinds |= getattr(base, "__annotations__", {})
    names = owner.__struct_fields__
    first = len(names) - len(owner.__struct_defaults__)
    fields: list[tuple[str, Any, Any]] = []
    for place, name in enumerate(names):
        default = owner.__struct_defaults__[place - first] if place >= first else NODEFAULT
        if default is NODEFAULT:
            stated = dataclasses.field()
        elif hasattr(default, "factory"):
            stated = dataclasses.field(default_factory=default.factory)
        else:
            stated = dataclasses.field(default=default)
        fields.append((name, kinds[name], stated))
    return dataclasses.make_dataclass(owner.__name__, fields, frozen=True)


class Record(Struct, frozen=True):
    """A frozen value of named fields; `dataclasses` takes it for one of its own."""

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:
        __dataclass_fields__ = _OfDataclass("__dataclass_fields__")
        __dataclass_params__ = _OfDataclass("__dataclass_params__")


__all__ = ["Record"]
