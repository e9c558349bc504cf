"""Marks in signed metadata that say for which realm and role it was signed. Pure.

TUF binds metadata to a role by its key, but keys are shared: all bins have the same one, and so may several realms or
online roles. Because the snapshot lists versions only, a storage without any key could answer a request for one bin
with another bin of the same version, and a plugin would seem not to exist. So the builder writes two fields into
``signed``, which other clients ignore, and this client compares them with what it requested, before ngclient keeps
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from sealdex.lazy import regex
from sealdex.model.foreign_json import json_values

REALM_FIELD = "x-sealdex-realm"
ROLE_FIELD = "x-sealdex-role"

_FILE_NAME = regex(r"(?:[0-9]+\.)?(?P<role>.+)\.json")


def mark_problem(fields: Mapping[str, Any], role: str, realm: str | None) -> str | None:
    """Return how the marks contradict what was requested, or None if they don't.

    Args:
        fields: the fields of ``signed``, or those of them that TUF doesn't know.
        role: the requested role.
        realm: the realm in the pinned root; None if it has none, then nothing is compared.
    """
    if realm is not None and fields.get(REALM_FIELD) != realm:
        return f"it was signed for the realm {fields.get(REALM_FIELD)!r}, not for {realm!r}"
    if fields.get(ROLE_FIELD, role) != role:
        return f"it was signed as {fields[ROLE_FIELD]!r}, not as {role!r}"
    return None


def file_problem(name: str, data: bytes, realm: str | None) -> str | None:
    """Like `mark_problem`, for a metadata file by its name and bytes. Invalid metadata is left to ngclient.

    Read with the parser that ngclient uses, so that both see the same fields.
    """
    named = _FILE_NAME.fullmatch(name)
    try:
        signed = json_values(data)["signed"]
    except (ValueError, TypeError, KeyError):
        return None
    if named is None or not isinstance(signed, dict):
        return None
    return mark_problem(signed, unquote(named["role"]), realm)
