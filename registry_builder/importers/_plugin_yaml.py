"""Writing ``plugin.yaml``: one field a line, its value in JSON, which is YAML 1.2 and needs no rules for quoting."""

from __future__ import annotations

import json

import msgspec

from sealdex.model.plugin import Plugin

# Line breaks to YAML inside quotes, where JSON has them plain.
_BREAKS = {ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029\ufeff"}


def plugin_yaml(plugin: Plugin) -> bytes:
    """Return the text of a plugin.yaml."""
    lines = []
    for name, value in msgspec.to_builtins(plugin).items():
        text = json.dumps(value, ensure_ascii=False).translate(_BREAKS)
        lines.append(f"{name}: {value if _is_plain(value) else text}\n")
    return "".join(lines).encode()


def _is_plain(value: object) -> bool:
    """Return whether a text needs no quotes: a word that can be nothing else, such as a type or an address."""
    if not isinstance(value, str) or not value.isascii() or value.lower() in {"null", "true", "false"}:
        return False
    return value[:1].isalpha() and all(c.isalnum() or c in "-_./:" for c in value) and not value.endswith(":")


__all__ = ["plugin_yaml"]
