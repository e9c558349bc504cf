"""Arguments of a wrong type: every public method of the Python API refuses each of them before it does anything."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from sealdex import Client, SealdexError, UsageError
from sealdex._arguments import fits, hints_of

METHODS = {
    name: method
    for name, method in inspect.getmembers(Client, inspect.isfunction)
    if not name.startswith("_") and len(inspect.signature(method).parameters) > 1
}


class Wrong:
    """Nothing that any method takes."""


WRONG: list[Any] = [Wrong(), b"acme/slack", [Wrong()], {"a": Wrong()}, 3.5, True, "a\0b", "../up", "", None]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    config = tmp_path / "config.toml"
    config.write_text("")
    with Client(config, store=tmp_path / "store") as client:
        yield client


def arguments(method: Callable[..., Any], of: str, value: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments that are right as far as they go, and `value` for the one that is named ``of``."""
    given, named = [], {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        right = {"name": "own", "seconds": 5}.get(parameter.name, "acme/slack")
        if parameter.name == of or parameter.default is parameter.empty:
            taken = value if parameter.name == of else right
            if parameter.kind is parameter.KEYWORD_ONLY:
                named[parameter.name] = taken
            else:
                given.append(taken)
    return given, named


@pytest.mark.parametrize("name", METHODS)
def test_no_method_fails_by_another_error(name: str, client: Client, tmp_path: Path) -> None:
    method = getattr(client, name)
    for parameter in list(inspect.signature(METHODS[name]).parameters)[1:]:
        for value in WRONG:
            given, named = arguments(METHODS[name], parameter, value)
            try:
                answer = method(*given, **named)
                if isinstance(answer, Iterator):
                    list(answer)
            except SealdexError:
                pass
            except BaseException as error:
                raise AssertionError(f"{name}({parameter}={value!r}): {error!r}") from error
            if isinstance(value, Wrong) and hints_of(METHODS[name])[parameter] is not Any:
                with pytest.raises(UsageError):
                    method(*given, **named)
    assert (tmp_path / "config.toml").read_text() == ""


@pytest.mark.parametrize("name", METHODS)
def test_every_annotation_is_understood(name: str) -> None:
    assert set(hints_of(METHODS[name])) == set(list(inspect.signature(METHODS[name]).parameters)[1:])


class Named(typing.Protocol):
    name: str


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (str, ["", "a"], [b"a", None, 3]),
        (int, [0, -1], [True, 1.0, "1", None]),
        (float, [0, 0.5], [False, "1"]),
        (bool, [True], [1, None, "no"]),
        (Path | str | None, [Path("a"), "a", None], [b"a", 3]),
        (Literal["lru", "lfu"] | None, ["lru", None], ["LRU", "", 0]),
        (Sequence[str], [[], ["a"], ("a",)], ["a", b"a", {"a"}, [3], None]),
        (Collection[int], [[], {3}], ["3", {"3"}, 3]),
        (Iterable[int], [[3], iter(["left to the method"])], ["3", ["3"]]),
        (Mapping[str, int], [{}, {"a": 1}], [{"a": "1"}, {1: 1}, [("a", 1)]]),
        (tuple[str, int], [("a", 1)], [("a",), ("a", "b"), ["a", 1], ("a", 1, 2)]),
        (tuple[str, ...], [(), ("a", "b")], [("a", 1), "ab"]),
        (Callable[[int], None] | None, [print, None], [3, "print"]),
        (Any, [None, Wrong()], []),
        (Named, [Wrong()], []),
    ],
)
def test_what_fits(hint: Any, right: list[Any], wrong: list[Any]) -> None:
    assert [fits(value, hint) for value in right] == [True] * len(right)
    assert [fits(value, hint) for value in wrong] == [False] * len(wrong)


def test_the_message_has_method_parameter_and_kinds_and_never_the_value(client: Client) -> None:
    with pytest.raises(UsageError, match=r"gc\(eviction=...\) takes 'lru' or 'lfu' or 'fifo', not str") as refused:
        client.gc(eviction="secret")  # type: ignore[arg-type]  # what a caller without types gives
    assert "secret" not in str(refused.value)
    with pytest.raises(UsageError, match=r"install\(policy=...\) takes Policy . None, not int"):
        client.install("acme/slack", policy=5)  # type: ignore[arg-type]  # as above
    with pytest.raises(UsageError, match="zero byte"):
        client.lock("a\0b")
    with pytest.raises(TypeError, match="nosuch"):
        client.install("acme/slack", nosuch=1)  # type: ignore[call-arg]  # Python's own words for it


@pytest.mark.parametrize("version", ["a/b", "../up", "", "a\0b", "current", "1.0.0 "])
def test_a_version_that_no_folder_can_be_named_by_is_not_installed(version: str, client: Client) -> None:
    for ask in (client.use, client.path, client.verify, client.uninstall):
        with pytest.raises(SealdexError):
            ask("acme/slack", version)
