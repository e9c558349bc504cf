"""A CloudFormation template as a test reads it: its tags as data, and its references resolved as a stack would."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Reads ``!Sub "x"`` as ``{"Fn::Sub": "x"}``, and so on."""


def _tagged(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    else:
        assert isinstance(node, yaml.SequenceNode)
        value = loader.construct_sequence(node, deep=True)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)


def read_template(text: str) -> dict[str, Any]:
    """Return a template, its references as the long form has them."""
    found: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506  # a loader that makes plain data
    return found


def resolved(value: Any, stack: Mapping[str, str]) -> Any:
    """Return a value with references replaced by what the stack has under these names, or by ``?NAME``."""
    if isinstance(value, list):
        return [resolved(each, stack) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"Ref": name} | {"Fn::GetAtt": name}:
            return stack.get(name, f"?{name}")
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{([^}]+)\}", lambda match: stack.get(match[1], f"?{match[1]}"), text)
        case {"Fn::If": [condition, yes, no]}:
            return resolved(yes if stack.get(condition) else no, stack)
        case _:
            return {key: resolved(each, stack) for key, each in value.items()}


__all__ = ["read_template", "resolved"]
