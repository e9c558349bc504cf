"""Writes ``plugin.yaml``: one field per line, its value in JSON, which is valid YAML 1.2 and needs no quoting rules."""

from __future__ import annotations

import json

import msgspec

from sealdex.model.plugin import Plugin

# Characters that YAML treats as line breaks inside quotes, but JSON doesn't.
_BREAKS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029\ufeff"}


def plugin_yaml(plugin: Plugin) -> bytes:
    """Return the text of a plugin.yaml."""
    lines = []
    for name, value in msgspec.to_builtins(plugin).items():
        text = json.dumps(value, ensure_ascii=False).translate(_BREAKS)
        lines.append(f"{name}: {value if _is_plain(value) else text}\n")
    return "".join(lines).encode()


def _is_plain(value: object) -> bool:
    """Return whether a string needs no quotes: a word that can't be read as anything else, such as a type or a URL."""
    if not isinstance(value, str) or not value.isascii() or value.lower() in {"null", "true", "false"}:
        return False
    return value[:1].isalpha() and all(c.isalnum() or c in "-_./:" for c in value) and not value.endswith(":")


__all__ = ["plugin_yaml"]
