"""Versions that are being used aren't removed, also when who started their use was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.plugin_store import PluginStore

from sealdex.errors import InstallError
from sealdex.model.ids import PluginId
from sealdex.store.installations import current, find_installation
from sealdex.store.leases import Holder, LeaseKind, hold, holders, unheld
from sealdex.store.transaction import remove_versions

TOOL = PluginId("acme", "tool")
HOLDING = """
import sys
from sealdex.store.leases import hold
from sealdex.store.layout import Store
held = hold(Store(sys.argv[1]), ("acme", "tool"), "1.0.0", "service")
{then}
"""


@pytest.fixture
def plugins(tmp_path: Path) -> PluginStore:
    made = PluginStore(tmp_path)
    for version in ("1.0.0", "1.1.0"):
        made.install("acme/tool", version, {"a": version})
    return made


def holding(plugins: PluginStore, then: str = "print('held', flush=True); input()") -> subprocess.Popen[str]:
    """Start a process that holds 1.0.0, and wait until it does."""
    command = [sys.executable, "-c", HOLDING.format(then=then), plugins.store.root]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("held")
    return process


def test_what_is_held_is_not_uninstalled_and_the_holder_is_named(plugins: PluginStore) -> None:
    held = hold(plugins.store, TOOL, "1.0.0", "host")
    assert held is not None
    with pytest.raises(InstallError, match=rf"acme/tool 1\.0\.0 is in use: process {os.getpid()} has it loaded"):
        remove_versions(plugins.store, "uninstall", {TOOL: ("1.0.0", "1.1.0")})
    assert find_installation(plugins.store, TOOL, "1.0.0") is not None
    assert find_installation(plugins.store, TOOL, "1.1.0") is not None
    remove_versions(plugins.store, "uninstall", {TOOL: ("1.1.0",)})  # nobody holds that one
    held.release()
    held.release()
    remove_versions(plugins.store, "uninstall", {TOOL: ("1.0.0",)})
    assert current(plugins.store, TOOL) is None
    assert not Path(plugins.store.root, "holds", "acme").exists()


@pytest.mark.parametrize(
    ("what", "said", "hint"), [("service", "sealdex stop acme/tool", "sealdex stop"), ("job", "job", "end process")]
)
def test_each_kind_of_holder_is_told_with_what_ends_it(
    plugins: PluginStore, what: LeaseKind, said: str, hint: str
) -> None:
    held = hold(plugins.store, TOOL, "1.0.0", what)
    assert held is not None
    with pytest.raises(InstallError, match=said) as refused, unheld(plugins.store, [(TOOL, "1.0.0")]):
        pass
    assert refused.value.hint is not None
    assert hint in refused.value.hint
    held.release()


def test_a_killed_holder_holds_nothing_and_leaves_nothing(plugins: PluginStore) -> None:
    with holding(plugins) as process:
        assert holders(plugins.store, TOOL, "1.0.0") == [Holder("service", process.pid)]
        process.kill()
        process.wait(60)
        assert holders(plugins.store, TOOL, "1.0.0") == []
    assert not Path(plugins.store.holds_folder(TOOL, "1.0.0")).exists()


def test_attack_a_file_named_for_a_living_process_holds_nothing(plugins: PluginStore) -> None:
    """A hold that was left behind, and whose process id somebody else has now: only the lock counts."""
    folder = Path(plugins.store.holds_folder(TOOL, "1.0.0"))
    folder.mkdir(parents=True)
    (folder / f"service-{os.getpid()}-1").touch()
    assert holders(plugins.store, TOOL, "1.0.0") == []


def test_who_inherits_a_hold_goes_on_holding_when_its_supervisor_is_killed(plugins: PluginStore) -> None:
    then = (
        "import subprocess\n"
        "subprocess.Popen([sys.executable, '-c', 'print(\"held\", flush=True); input()'], pass_fds=[held.fileno()])\n"
        "input()"
    )
    with holding(plugins, then) as supervisor:
        supervisor.kill()
        supervisor.wait(60)
        assert [each.what for each in holders(plugins.store, TOOL, "1.0.0")] == ["service"]
        assert supervisor.stdin is not None
        supervisor.stdin.close()  # which the child reads as well
        assert supervisor.stdout is not None
        assert supervisor.stdout.read() == ""  # the child ends, and closes what it holds in some order
    deadline = time.monotonic() + 60
    while (left := holders(plugins.store, TOOL, "1.0.0")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == []


def test_a_store_that_cannot_be_written_holds_nobody_up(plugins: PluginStore) -> None:
    Path(plugins.store.root, "holds").write_text("no folder")
    assert hold(plugins.store, TOOL, "1.0.0", "host") is None
