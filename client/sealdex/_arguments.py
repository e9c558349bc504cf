"""Refuses arguments of a wrong type before a method begins, by the method's own annotations."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import os
import re
import types
import typing
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from sealdex.errors import UsageError

T = TypeVar("T")

# where annotations come from that their modules import for type checkers alone
_HOMES = {
    "Any": "typing",
    "Choice": "sealdex.resolve",
    "EvictionOrder": "sealdex.store.cache_policy",
    "Mapping": "collections.abc",
    "Mark": "sealdex.model.plugin",
    "OtherHost": "sealdex.config.environment_file",
    "PluginId": "sealdex.model.ids",
    "Policy": "sealdex.resolve",
    "Query": "sealdex.resolve.search",
    "Request": "sealdex.resolve",
    "Vouch": "sealdex.install.batch",
}


def checked(kind: type[T]) -> type[T]:
    """Have every public method of a class, inherited ones too, check the types of its arguments when it is called.

    A text is never taken for a list of texts, a truth value never for a number, and a path has no zero byte. What an
    annotation doesn't say isn't checked: the methods of a protocol, what a callable takes.
    """
    for name in dir(kind):
        method = inspect.getattr_static(kind, name)
        if not name.startswith("_") and isinstance(method, types.FunctionType):
            setattr(kind, name, _checking(method))
    return kind


def hints_of(method: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a method's parameters by name, without that of what it returns.

    Raises:
        NameError: an annotation has a name that neither its module nor this one knows.
    """
    texts = {name: text for name, text in method.__annotations__.items() if name != "return"}
    words = {word for text in texts.values() for word in re.findall(r"\w+", str(text))}
    names = {word: getattr(import_module(_HOMES[word]), word) for word in words & _HOMES.keys()}

    def bare() -> None: ...

    bare.__annotations__ = texts
    return typing.get_type_hints(bare, globalns=getattr(inspect.unwrap(method), "__globals__", {}), localns=names)


# both take longer than a call, and are the same for each
_signature = functools.cache(inspect.signature)
_hints = functools.cache(hints_of)


def _checking(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        try:
            given = _signature(method).bind(*args, **options)
        except TypeError:
            return method(*args, **options)  # Python says what is missing or unknown
        for name, value in given.arguments.items():
            if name in _hints(method):
                _check(method, name, value, _hints(method)[name])
        return method(*args, **options)

    return call


def _check(method: Callable[..., Any], name: str, value: Any, hint: Any) -> None:
    is_variadic = _signature(method).parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
    for each in value if is_variadic else (value,):
        if not fits(each, hint):
            wanted = _values(hint) or method.__annotations__[name]
            raise UsageError(
                f"{method.__name__}({name}=...) takes {wanted}, not {_kind(each)}",
                hint=f"help(sealdex.Client.{method.__name__})",
            )
        if Path in (hint, *typing.get_args(hint)) and each is not None and "\0" in os.fspath(each):
            raise UsageError(f"{method.__name__}({name}=...) takes a path, and no path has a zero byte")


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of a type; what can't be told is."""
    origin, within = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in within)
    if origin is typing.Literal:
        return value in within
    if origin is collections.abc.Callable:
        return callable(value)
    if origin is tuple:
        kinds = within[:1] * len(value) if isinstance(value, tuple) and within[1:] == (...,) else within
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(fits, value, kinds))
    if origin is not None:
        return _holds(value, origin, within)
    if hint is None or hint is type(None):
        return value is None
    if hint is typing.Any:
        return True
    return _is_a(value, hint) if isinstance(hint, type) else True


def _is_a(value: Any, kind: type) -> bool:
    if kind in (int, float):
        return isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if kind is Path:
        return isinstance(value, os.PathLike)
    return bool(getattr(kind, "_is_protocol", False)) or isinstance(value, kind)


def _holds(value: Any, container: type, within: tuple[Any, ...]) -> bool:
    if not isinstance(value, container) or isinstance(value, (str, bytes)):
        return False
    if isinstance(value, collections.abc.Mapping):
        pairs = within if issubclass(container, collections.abc.Mapping) else (*within, Any)
        return all(fits(key, pairs[0]) and fits(each, pairs[1]) for key, each in value.items())
    # what is read once is left for the method
    return not isinstance(value, collections.abc.Collection) or all(fits(each, within[0]) for each in value)


def _values(hint: Any) -> str:
    """Return the values that an annotation lists, as text; empty if it lists none."""
    return " or ".join(
        repr(value)
        for each in (hint, *typing.get_args(hint))
        if typing.get_origin(each) is typing.Literal
        for value in typing.get_args(each)
    )


def _kind(value: Any) -> str:
    """Return the type of a value as text: never the value, which may be a secret."""
    return "None" if value is None else type(value).__name__
