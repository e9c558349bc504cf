"""What programs give the API, as texts or as objects: plugins, requests, paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sealdex.errors import UsageError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.resolve import Request, parse_request


def plugin_of(plugin: PluginId | str) -> PluginId:
    """Read ``NAMESPACE/NAME``.

    Raises:
        UsageError: it has another form.
    """
    if isinstance(plugin, PluginId):
        return plugin
    if not isinstance(plugin, str):
        raise UsageError(f"a plugin is a text or a PluginId, not {_type_of(plugin)}", hint="for example 'acme/slack'")
    try:
        return parse_plugin_id(plugin)
    except ValueError as error:
        raise UsageError(str(error), subject=plugin, hint="write NAMESPACE/NAME, such as acme/slack") from error


def requests_of(requests: Sequence[Request | str]) -> list[Request]:
    """Read requests: ``NAMESPACE/NAME[@RANGE]``.

    Raises:
        UsageError: one has another form or type.
    """
    found = []
    for request in requests:
        if isinstance(request, Request):
            found.append(request)
        elif isinstance(request, str):
            found.append(parse_request(request))
        elif isinstance(request, PluginId):
            found.append(Request(request))
        else:
            raise UsageError(
                f"a request is a text or a Request, not {_type_of(request)}",
                hint="pass several as several arguments: client.install(*requests)",
            )
    return found


def path_of(path: Path | str | os.PathLike[str], what: str) -> Path:
    """Return a path that was given as a path or a text.

    Raises:
        UsageError: it is something else.
    """
    try:
        return Path(path)
    except TypeError as error:
        raise UsageError(f"{what} is a path, not {_type_of(path)}") from error


def _type_of(value: object) -> str:
    return type(value).__name__


__all__ = ["path_of", "plugin_of", "requests_of"]
