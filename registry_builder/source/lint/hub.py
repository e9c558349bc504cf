"""Lint of the ids that services and models have in the Model Hub's documents: each leads to one plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from registry_builder.source.config import CONFIG_NAME
from registry_builder.source.hub_ids import HubKind, without_id
from registry_builder.source.tree import Problem, SourceTree
from sealdex.model.ids import normalise_type


def hub_problems(tree: SourceTree) -> Iterator[Problem]:
    """Yield ids of registry.toml that lead nowhere, and names that no plugin has as id because several want it."""
    if not (tree.complete and tree.config.api.model_hub):
        return
    file = CONFIG_NAME
    plugins = [(each.id, each.plugin.type) for each in tree.plugins.values()]
    types = {str(plugin): kind for plugin, kind in plugins}
    for kind in get_args(HubKind):
        stated = tree.config.api.services if kind == "service" else tree.config.api.models
        for name, plugin in stated.items():
            if normalise_type(types.get(plugin, "")) != kind:
                yield Problem(file, f"api.{kind}s.{name}", f"there is no {kind} {plugin}")
        for name, found in without_id(plugins, kind, stated).items():
            several = " and ".join(map(str, found))
            message = f"{several} have no id in api/{kind}s/: choose with [api.{kind}s], '{name}' = 'NAMESPACE/NAME'"
            yield Problem(file, f"api.{kind}s", message, "warning")


__all__ = ["hub_problems"]
