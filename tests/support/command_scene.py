"""A registry in a folder, a project that wants what is in it, and commands run on a store: what whole runs need.

The registry has ``acme/app``, which needs ``acme/base`` of its own version, in 1.0.0 and 2.0.0; most of their files are
the same in both, so that updates fetch by files.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

from support.commands import Ran
from support.plugin_registry import PluginRegistry

from sealdex.cli.main import main
from sealdex.store.cache import ContentCache
from sealdex.store.cache_gc import tidy
from sealdex.store.cache_policy import CacheLimits
from sealdex.store.layout import Store

APP, BASE = "acme/app", "acme/base"


def make_scene(folder: Path) -> None:
    """Make registry, configuration, and ``project`` with its lock; the environment names the configuration."""
    registry = PluginRegistry()
    for version in ("1.0.0", "2.0.0"):
        for plugin in (APP, BASE):
            same = random.Random(plugin)  # noqa: S311  # test data
            files = {f"data/{number}": same.randbytes(70_000) for number in range(2)}
            needs = {BASE: f"={version}"} if plugin == APP else {}
            registry.release(
                plugin, version, {**files, "VERSION": version.encode()}, dependencies=needs, file_list=True
            )
    registry.publish()
    (folder / "project").mkdir(parents=True)
    (folder / "root.json").write_bytes(registry.root)
    (folder / "project/sealdex.toml").write_text(f'[plugins]\n"{APP}" = "^2"\n')
    url = registry.write(folder / "published")
    (folder / "config.toml").write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n')
    os.environ["SEALDEX_CONFIG"] = str(folder / "config.toml")
    assert run(Store(folder / "locking"), "lock", "--project", str(folder / "project")).code == 0


def run(store: Store, *words: str) -> Ran:
    """Run a command on a store."""
    os.environ["SEALDEX_STORE"] = store.root
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    return Ran(code, out.getvalue(), err.getvalue())


def do(store: Store, *words: str, may_say: int = 0) -> None:
    """Run a command that must succeed, or say by its exit code that there is nothing to do; print what it printed."""
    ran = run(store, *words)
    sys.stderr.write(f"{' '.join(words)}: exit {ran.code}\n{ran.out}{ran.err}")
    if ran.code not in {0, may_say}:
        raise AssertionError(f"{' '.join(words)}: exit {ran.code}\n{ran.err}")


def with_one(store: Store) -> None:
    """Install 1.0.0 of both."""
    do(store, "install", f"{APP}@1.0.0")


def with_none(store: Store) -> None:
    """Leave nothing but what is known of the registry."""
    with_one(store)
    do(store, "rollback")
    tidy(ContentCache(Path(store.cache_folder)), CacheLimits(0))


def with_both(store: Store) -> None:
    """Install 1.0.0, then 2.0.0 of both."""
    with_one(store)
    do(store, "update")


def operations(folder: Path) -> dict[str, tuple[Callable[[Store], None], Callable[[Store], None]]]:
    """Return what is done before and then, by name; the commands can be given again, and lead to the same."""
    ensure = ("ensure", "--locked", "--project", str(folder / "project"))

    def command(*words: str, may_say: int = 0) -> Callable[[Store], None]:
        return lambda store: do(store, *words, may_say=may_say)

    return {
        "install": (with_none, command("install", APP)),
        "ensure": (with_one, command(*ensure)),
        "update": (with_one, command("update")),
        "rollback": (with_both, command("rollback", "--to", "1", may_say=2)),
        "use": (with_both, command("use", BASE, "1.0.0", "--force")),
        "uninstall": (with_both, command("uninstall", BASE, "--force", may_say=3)),
        "cache-gc": (with_both, command("cache", "gc", "--max-bytes", "0")),
    }
