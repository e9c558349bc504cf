"""Two hosts in network namespaces of their own, without a route between them; what is carried across is a file.

Needs root on Linux, or sudo without a password, for ``unshare --net``, and Debian's ``faketime`` for wrong clocks.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.components import program
from support.plugin_registry import PluginRegistry

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces are Linux's"),
]
CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"


def on_a_host(folder: Path, *command: str | Path, clock: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command on a host that has no network at all, not even loopback."""
    isolated = ["unshare", "--net", "--"]
    if os.geteuid() != 0:  # as in CI, where sudo asks for no password
        me = ["setpriv", f"--reuid={os.getuid()}", f"--regid={os.getgid()}", "--clear-groups"]
        isolated = ["sudo", "-n", "--preserve-env", *isolated, *me]
    faked = [program("faketime", "install faketime"), "-f", clock] if clock is not None else []
    return subprocess.run(
        [*isolated, *faked, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "SEALDEX_CONFIG": str(folder / "config.toml"),
            "SEALDEX_STORE": str(folder / "store"),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        },
    )


def test_a_state_across_the_gap_and_clocks_that_are_wrong(tmp_path: Path) -> None:
    registry = PluginRegistry()
    registry.release("acme/slack", "1.0.0")
    registry.publish()
    registry.write(tmp_path / "tree")
    root, archive, mirror = tmp_path / "root.json", tmp_path / "stick.tar", tmp_path / "mirror"
    shutil.copy(tmp_path / "tree/metadata/1.root.json", root)
    sealdex = (sys.executable, "-m", "sealdex")
    near, far = tmp_path / "near", tmp_path / "far"

    def host(*words: str | Path, clock: str | None = None) -> subprocess.CompletedProcess[str]:
        return on_a_host(far, *sealdex, *words, clock=clock)

    assert "unreachable" in on_a_host(far, sys.executable, "-c", CONNECT).stderr
    made = on_a_host(near, *sealdex, "mirror", "create", tmp_path / "tree", archive, "--root", root)
    assert made.returncode == 0, made.stderr
    refused = host("mirror", "import", archive, mirror, "--root", root, clock="+40d")
    assert refused.returncode == 4, refused.stderr
    assert "max_staleness" in refused.stderr
    done = host("mirror", "import", archive, mirror, "--root", root, "--max-staleness", "90d", clock="+40d")
    assert done.returncode == 0, done.stderr
    assert "max_staleness 90 days" in done.stderr
    added = host("registry", "add", "site", mirror, "--root", root, "--max-staleness", "90d", clock="+40d")
    assert added.returncode == 0, added.stderr

    installed = host("install", "acme/slack", "--json", clock="+40d")
    assert installed.returncode == 0, installed.stderr
    assert "timestamp" in json.loads(installed.stdout)["trust_age"][0]["expired"]
    for clock in ("@2099-01-01 00:00:00", "+200d"):
        late = host("install", "acme/slack", clock=clock)
        assert late.returncode == 4, late.stdout
        assert "what is installed goes on working" in late.stderr
        for words in (("list",), ("path", "acme/slack"), ("verify",)):
            assert host(*words, clock=clock).returncode == 0, words
    for clock in ("@1970-01-02 00:00:00", "+1d"):
        again = host("info", "acme/slack", clock=clock)
        assert again.returncode == 0, again.stderr
