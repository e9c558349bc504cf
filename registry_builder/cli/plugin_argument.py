"""A plugin as an argument: ``NS/NAME`` in the source tree, or the path of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from registry_builder import source
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.ids import PluginId, parse_plugin_id


class NamedPlugin(NamedTuple):
    """A plugin's folder, its id, and the source tree that it is in."""

    folder: Path
    id: PluginId
    tree: Path


def plugin_folder(text: str, tree: Path | None) -> Path:
    """Return the folder that an argument names: a path that exists, else ``NS/NAME`` in the source tree.

    Args:
        text: as given.
        tree: the tree of ``--tree``; by default the nearest one from the current folder upwards.

    Raises:
        NotFoundError: there is neither.
    """
    path = Path(text)
    if path.is_dir():
        return path
    try:
        plugin = parse_plugin_id(text)
    except ValueError:
        raise NotFoundError(f"there is no folder {text}", subject=text, hint="give a folder, or NS/NAME") from None
    found = source.find_tree(tree or Path.cwd()) / "plugins" / plugin.namespace / plugin.name
    if not found.is_dir():
        raise NotFoundError(
            f"there is no plugin {plugin} in the source tree, and no folder {text}",
            subject=text,
            hint=f"to create it: sealdex-builder new TYPE {plugin}",
        )
    here = Path.cwd()
    return found.relative_to(here) if found.is_relative_to(here) else found


def names_plugin(text: str) -> bool:
    """Return whether an argument names a plugin, by a folder or an id, and not a file."""
    path = Path(text)
    if path.exists():
        return path.is_dir()
    try:
        parse_plugin_id(text)
    except ValueError:
        return False
    return Path(text).suffix not in {".zip", ".gz", ".zst", ".tgz"}


def named_plugin(text: str, tree: Path | None) -> NamedPlugin:
    """Return the plugin of a source tree that an argument names; ``src/`` and what is below count as well.

    Raises:
        NotFoundError: there is none. UsageError: the folder isn't in ``plugins/NS/NAME`` of a source tree.
    """
    folder = plugin_folder(text, tree).resolve()
    for candidate in (folder, *folder.parents):
        if len(candidate.parents) > 2 and (candidate.parents[2] / source.CONFIG_NAME).is_file():
            if candidate.parents[1].name != "plugins":
                break
            plugin = parse_plugin_id(f"{candidate.parent.name}/{candidate.name}")
            return NamedPlugin(candidate, plugin, candidate.parents[2])
    raise UsageError(
        f"{text} is not a plugin's folder in a source tree",
        subject=text,
        hint="plugins are in plugins/NS/NAME; give NS/NAME, or --tree DIR before the command",
    )


__all__ = ["NamedPlugin", "named_plugin", "names_plugin", "plugin_folder"]
