"""What tests of services share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.plugin_store import PluginStore
from support.service_commands import Command

from sealdex.cli.main import main
from sealdex.model.ids import PluginId
from sealdex.runtime import Services


@pytest.fixture
def sealdex(plugins: PluginStore, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run a command on the store; return its exit code and its JSON document. What still runs is ended at the end."""

    def run(*args: str) -> tuple[int, Any]:
        capfd.readouterr()
        code = main([args[0], "--json", "--store", plugins.store.root, *args[1:]])
        return code, json.loads(capfd.readouterr().out)

    yield run
    for state in Services(plugins.store).list():
        if state.state == "running" or state.is_left_behind:
            Services(plugins.store).stop(PluginId(*state.plugin.split("/")), 0)
