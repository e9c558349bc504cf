"""Begins the first requests to a registry of which this host knows nothing, while what verifies them is imported.

Importing python-tuf takes longer than a round trip, and what is asked for first depends on nothing that it knows:
the timestamp, the root after the pinned one and the bundle. So they are under way meanwhile. The answers are taken and
verified as if they had been asked for later (`sealdex.trust._session`), so this module only decides when to ask.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sealdex.errors import ConfigError
from sealdex.model.foreign_json import json_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sealdex.config.config import Config
    from sealdex.transport import Transport

TIMESTAMP_BYTES, ROOT_BYTES, BUNDLE_BYTES = 16384, 512000, 1 << 20
"""The limits that these files are read with; a test compares them with those of python-tuf and of the bundle."""


def begin_first_round(config: Config, transport: Transport, registries: Iterable[str]) -> None:
    """Ask for what the first refresh of these registries will ask for; nothing, where this host has metadata of one.

    Errors are those of the refresh, which meets them again.

    Args:
        config: of this host.
        transport: makes the requests, and gives the answers to who asks for the same.
        registries: names of configured ones that are about to be refreshed.
    """
    for name in registries:
        address = config.section(name).addresses[0]
        if not address.startswith(("http://", "https://")) or os.path.lexists(config.trust_folder(name) / "metadata"):
            continue
        try:
            version = json_values(config.root_bytes(name))["signed"]["version"] + 1
        except (ConfigError, ValueError, TypeError, KeyError):
            continue
        base = f"{address.rstrip('/')}/metadata/"
        transport.begin(f"{base}timestamp.json", max_bytes=TIMESTAMP_BYTES)
        transport.begin(f"{base}{version}.root.json", max_bytes=ROOT_BYTES)
        transport.begin(f"{base}recent.bundle", max_bytes=BUNDLE_BYTES, retry=False)


__all__ = ["begin_first_round"]
