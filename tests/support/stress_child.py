"""One of many processes that change one store: ``python -m support.stress_child CONFIG STORE SEED ROUNDS``.

It installs, updates, uninstalls, rolls back and makes room in the cache, at random, through the public API. What may
happen when others do the same at the same moment (what it wants to remove is gone already) is no failure; anything else
ends it with a traceback.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from sealdex import Client
from sealdex.errors import NotFoundError
from sealdex.store.cache import ContentCache
from sealdex.store.cache_policy import CacheLimits
from sealdex.store.cache_upkeep import tidy

PLUGINS = ("acme/app", "acme/base", "acme/tool")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")


def work(config: Path, store: Path, seed: int, rounds: int) -> None:
    """Do ``rounds`` things."""
    random_ = random.Random(seed)  # noqa: S311  # which thing to do
    with Client(config, store=store) as client:
        for _ in range(rounds):
            plugin, version = random_.choice(PLUGINS), random_.choice(VERSIONS)
            deed = random_.choice(("install", "install", "newest", "uninstall", "gc", "look"))
            if deed == "install":
                client.install(f"{plugin}@{version}")
            elif deed == "newest":
                client.install(plugin)
            elif deed == "uninstall":
                try:
                    client.uninstall(plugin, version)
                except NotFoundError:
                    continue
            elif deed == "gc":
                tidy(ContentCache(store / "cache"), CacheLimits(random_.choice((0, 2_000, 10**9))))
            else:
                for installation in client.list():
                    if not Path(installation.path).is_relative_to(store):
                        raise AssertionError(installation.path)


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
