"""Sixteen processes install, update, switch, roll back and collect on one store: no error that isn't one, no loss."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.deploying import finish_killed
from sealdex.store.layout import Store
from sealdex.store.state import State

COMMANDS = (
    ["install", "acme/slack@1.0.0"],
    ["install", "acme/slack@1.1.0", "acme/mail"],
    ["update"],
    ["rollback"],
    ["cache", "gc"],
    ["uninstall", "acme/mail"],
    ["use", "acme/slack", "1.0.0"],
    ["disable", "acme/slack"],
)
MAY_SAY = {
    "rollback": {0, 2, 3},  # there may be nothing to take back, or what was in use is gone
    "uninstall": {0, 3},  # another was quicker
    "use": {0, 3},
    "disable": {0, 3},
}


def test_sixteen_at_once(run: Run, registry: PluginRegistry, server: TreeServer, tmp_path: Path) -> None:
    assert run("install", "acme/slack@1.0.0", "acme/mail").code == 0
    code = f"import sys; sys.path[:0] = {sys.path!r}\nfrom sealdex.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    started = [
        (command, subprocess.Popen(
            [sys.executable, "-c", code, *command], env=dict(os.environ), stderr=subprocess.PIPE, stdout=subprocess.PIPE
        ))
        for command in COMMANDS * 2
    ]  # fmt: skip
    for command, process in started:
        _, said = process.communicate(timeout=150)
        text = said.decode()
        assert process.returncode in MAY_SAY.get(command[0], {0}), f"{command}: {text}"
    store = Store(tmp_path / "store")
    finish_killed(store)
    assert State(store).unfinished() == []
    checked = run("verify", "--json")
    assert checked.code == 0, checked.out
    assert all(row["whole"] for row in checked.document["verified"])
    listed = run("list", "--json").document["installed"]
    assert json.dumps(listed) == json.dumps(run("list", "--json").document["installed"])
    for plugin in {each["plugin"] for each in listed}:
        assert run("path", plugin).code == 0
    assert run("install", "acme/slack", "acme/mail").code == 0
    staging = Path(store.staging_folder)
    assert [path.name for path in staging.iterdir() if path.name != "guard"] == []
