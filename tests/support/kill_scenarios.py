"""What `support.kill_runner` kills: changes of one plugin, changes of a set, whole commands, and mirrors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from support import installing, plugin_set
from support.command_scene import APP, BASE, make_scene, operations
from support.installing import PLUGIN, make_release
from support.kill_runner import Scenario
from support.mirror_scene import MirrorScene
from support.store_truth import disagreements

from sealdex.errors import NotFoundError, UsageError
from sealdex.install.install import install
from sealdex.install.rollback import roll_back_with_cache
from sealdex.install.transaction import deploy, finish_killed
from sealdex.store.activation import remove, switch
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import verify_files
from sealdex.store.installations import current_version_named, installations
from sealdex.store.layout import Store
from sealdex.store.rollback import roll_back
from sealdex.store.transaction import remove_versions
from sealdex.store.verify import verify_installation


def scenarios(folder: Path) -> dict[str, Scenario]:
    """Return all scenarios by name; what they need is made in a folder."""
    return {
        **_of_one_plugin(folder / "one"),
        **_of_a_set(folder / "set"),
        **_of_commands(folder / "commands"),
        **MirrorScene(folder / "mirrors").scenarios(),
    }


def _nothing(_: Store) -> None: ...


# --- one plugin ------------------------------------------------------------------------------------------------------


def _of_one_plugin(folder: Path) -> dict[str, Scenario]:
    one, two = make_release(folder, "1.0.0"), make_release(folder, "2.0.0")

    def install_one(store: Store) -> object:
        return install(store, one[1], one[0])

    def install_two(store: Store) -> object:
        return install(store, two[1], two[0])

    def install_both(store: Store) -> object:
        return install_one(store), install_two(store)

    def damage_one(store: Store) -> None:
        install_one(store)
        (Path(store.version_folder(PLUGIN, "1.0.0")) / "lib/a").write_bytes(b"damaged")

    def remove_version(version: str, store: Store) -> None:
        with contextlib.suppress(NotFoundError):  # the killed run had removed it: what is asked for is so
            remove(store, PLUGIN, version)

    look = installing.state
    return {
        "first": Scenario(_nothing, install_one, look),
        "upgrade": Scenario(install_one, install_two, look),
        "repair": Scenario(damage_one, install_one, look),
        "switch": Scenario(install_both, lambda store: switch(store, PLUGIN, "1.0.0"), look),
        "remove-current": Scenario(install_both, partial(remove_version, "2.0.0"), look),
        "remove-other": Scenario(install_both, partial(remove_version, "1.0.0"), look),
        "remove-last": Scenario(install_one, partial(remove_version, "1.0.0"), look),
    }


# --- a set -----------------------------------------------------------------------------------------------------------


def _of_a_set(folder: Path) -> dict[str, Scenario]:
    one, two = plugin_set.jobs(folder, "1.0.0"), plugin_set.jobs(folder, "2.0.0", pin=True)

    def install_one(store: Store) -> object:
        return deploy(store, one, command="one")

    def install_two(store: Store) -> object:
        return deploy(store, two, command="two")

    def both(store: Store) -> object:
        return install_one(store), install_two(store)

    def back(store: Store) -> object:
        finish_killed(store)
        try:
            return roll_back(store, to=1)
        except UsageError:  # the killed run had got so far that there is nothing left to take back
            return None

    def remove_all(store: Store) -> None:
        install_one(store)
        archive, digest = Path(str(one[0].archive)), one[0].request.artifact.sha256  # the same for both
        ContentCache(Path(store.cache_folder)).add_file(archive, digest)
        remove_versions(store, "uninstall", dict.fromkeys(plugin_set.PLUGINS, ("1.0.0",)))

    def put_back(store: Store) -> object:
        finish_killed(store)
        with contextlib.suppress(UsageError):  # as above
            return roll_back_with_cache(store, 1)
        return None

    look = plugin_set.state
    return {
        "set-restore": Scenario(remove_all, put_back, look, finish_killed),
        "set-first": Scenario(_nothing, install_one, look, finish_killed),
        "set-upgrade": Scenario(install_one, install_two, look, finish_killed),
        "set-rollback": Scenario(both, back, look, finish_killed),
    }


# --- commands --------------------------------------------------------------------------------------------------------


def _look(store: Store) -> dict[str, Any]:
    """Return what is in use and installed, what of it is damaged, and how the store differs from its history."""
    cache = ContentCache(Path(store.cache_folder))
    return {
        "in-use": {plugin: current_version_named(store, tuple(plugin.split("/"))) for plugin in (APP, BASE)},  # type: ignore[arg-type]  # two parts
        "installed": sorted(f"{i.namespace}/{i.name}@{i.version}" for i in installations(store)),
        "damaged": [str(finding) for i in installations(store) for finding in verify_installation(i)],
        "disagreements": disagreements(store),
        "cached": sorted(file.digest for file, is_whole in verify_files(cache) if is_whole),
    }


def _of_commands(folder: Path) -> dict[str, Scenario]:
    def after(prepare: Callable[[Store], None], store: Store) -> None:
        make_scene(folder)
        prepare(store)

    return {name: Scenario(partial(after, prepare), act, _look) for name, (prepare, act) in operations(folder).items()}
