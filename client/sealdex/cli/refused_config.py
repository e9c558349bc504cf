"""Says which plugins don't take the configuration that this host keeps for them, after their versions changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sealdex.cli.output import Output
    from sealdex.model.ids import PluginId
    from sealdex.store.layout import Store


def refused_configs(store: Store) -> Iterator[tuple[PluginId, str, list[str]]]:
    """Yield the plugins whose version in use refuses what is set for them; nothing is imported where nothing is set."""
    if os.path.isdir(store.config_folder):  # noqa: PTH112  # without pathlib, as the layout
        from sealdex.runtime.configuration import refused  # noqa: PLC0415  # few hosts set any

        yield from refused(store)


def warn_of_refused(out: Output, store: Store) -> None:
    """Warn of each."""
    for plugin, version, problems in refused_configs(store):
        out.warn(
            f"{plugin} {version} does not take its configuration on this host, so that it can't be loaded: "
            f"{'; '.join(problems)}; to change it: sealdex config plugin {plugin} edit"
        )
