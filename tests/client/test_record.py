"""What is given to programs behaves as the dataclasses that it was (`sealdex.record`)."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sealdex import project, results
from sealdex.config.config import Config
from sealdex.record import Record

GIVEN = [
    *(value for value in vars(results).values() if isinstance(value, type) and issubclass(value, Record)),
    Config,
    project.Locked,
    project.Ensured,
]
GIVEN.remove(Record)


class Kept(Record, frozen=True):
    """A value of each sort."""

    name: str
    size: int = 1
    more: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def double(self) -> int:
        """Twice the size."""
        return 2 * self.size


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """The same as a dataclass."""

    name: str
    size: int = 1
    more: dict[str, int] = dataclasses.field(default_factory=dict)


def seen(value: Any) -> list[Any]:
    """Return what programs see of it, but for its class."""
    fields = [
        (f.name, f.type, f.default, f.default_factory, f.init, f.repr, f.compare) for f in dataclasses.fields(value)
    ]
    return [
        dataclasses.is_dataclass(type(value)),
        fields,
        dataclasses.asdict(value),
        dataclasses.astuple(value),
        repr(value).partition("(")[2],
        str(inspect.signature(type(value))).removesuffix(" -> None").replace("'", ""),
        type(value).__match_args__,
        dataclasses.asdict(dataclasses.replace(value, size=9)),
        pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value),  # noqa: S301  # our own
        hasattr(value, "__dict__"),
    ]


def test_a_record_is_seen_as_a_frozen_dataclass_is() -> None:
    kept, twin = Kept("a", more={"b": 2}), Twin("a", more={"b": 2})
    assert seen(kept) == seen(twin)
    assert kept.double == 2
    assert kept != Kept("b", more={"b": 2})
    assert Kept("a").more is not Kept("a").more


def test_a_record_is_not_changed() -> None:
    kept = Kept("a")
    with pytest.raises(AttributeError):
        kept.name = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del kept.name
    with pytest.raises(AttributeError):
        kept.other = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Kept()  # type: ignore[call-arg]
    assert kept == Kept("a")


def test_dataclasses_may_be_made_of_it() -> None:
    @dataclasses.dataclass(frozen=True)
    class Outer:
        inner: Kept

    assert dataclasses.asdict(Outer(Kept("a"))) == {"inner": {"name": "a", "size": 1, "more": {}}}


@pytest.mark.parametrize("kind", GIVEN)
def test_what_is_given_to_programs_is_a_dataclass_for_them(kind: Any) -> None:
    assert dataclasses.is_dataclass(kind)
    assert [field.name for field in dataclasses.fields(kind)] == list(getattr(kind, "__match_args__"))  # noqa: B009
    assert getattr(kind, "__dataclass_params__").frozen  # noqa: B009  # not what type checkers know


def test_a_configuration_is_replaced_in_part() -> None:
    config = Config(Path("config.toml"), Path("store"))
    assert dataclasses.replace(config, store=Path("other")).store == Path("other")
    assert config.store == Path("store")
