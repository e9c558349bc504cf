"""Resolves requests from a folder of preinstalled archives alone, using the lock in that folder."""

from __future__ import annotations

from collections.abc import Sequence

from sealdex.download.preinstalled import Builtin
from sealdex.errors import NotFoundError
from sealdex.lockfile.lock_file import read_lock
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.index import choose_artifact
from sealdex.model.ranges import parse_range
from sealdex.model.versions import parse_version
from sealdex.resolve import Choice, Request
from sealdex.resolve.resolver import in_order
from sealdex.results import Trust

BY_BUILTIN = "builtin"
"""In receipts, says that the lock of the folder of preinstalled archives was trusted."""


def preinstalled(
    builtin: Builtin, requests: Sequence[Request], environment: Environment
) -> tuple[list[Choice], dict[PluginId, Trust]] | None:
    """Return releases that satisfy all requests, dependencies first, and who signed them; None if one isn't satisfied.

    Raises:
        ConfigError, FormatTooNewError: the lock exists but can't be read.
    """
    try:
        blocks = read_lock(builtin.lock).by_id
    except NotFoundError:
        return None
    asked = {request.plugin for request in requests}
    for request in requests:
        block = blocks.get(request.plugin)
        if block is None or not parse_range(request.range).contains(
            parse_version(block.version), include_prereleases=True
        ):
            return None
    needs: dict[PluginId, list[PluginId]] = {}
    queue = list(asked)
    while queue:
        plugin = queue.pop()
        if plugin not in blocks:
            return None
        if plugin not in needs:
            needs[plugin] = [parse_plugin_id(name) for name in blocks[plugin].dependencies]
            queue += needs[plugin]
    choices = []
    for plugin in in_order(needs):
        block = blocks[plugin]
        artifact, mismatches = choose_artifact(block.release, environment)
        if artifact is None and mismatches:
            return None
        choices.append(
            Choice(
                plugin, block.release, block.document, artifact,
                requested=plugin in asked, dependencies=tuple(needs[plugin]),
            )
        )  # fmt: skip
    return choices, {plugin: Trust(blocks[plugin].registry, BY_BUILTIN, None) for plugin in needs}
