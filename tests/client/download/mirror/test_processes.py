"""Mirrors that several processes fill and prove: the same files, the same errors, as one process alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Run
from support.mirror_files import keys
from support.plugin_registry import PluginRegistry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")

PROGRAM = """
import sys
from sealdex.download.mirror import _fetch_all, verify
_fetch_all._MANY = 1
_fetch_all.processes = verify.processes = lambda: 3
from sealdex.cli.main import main
sys.exit(main())
"""


def shared(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_they_fetch_and_prove_the_same_as_one(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    registry.release("acme/large", "1.0.0", {"data.bin": bytes(range(256)) * 6000, "x.bin": b"%d" % (7**2000)})
    registry.publish()
    assert run("mirror", "create", "public", tmp_path / "one").code == 0
    made = shared("mirror", "create", "public", tmp_path / "many", "--json")
    assert made.returncode == 0, made.stderr
    assert keys(tmp_path / "many") == keys(tmp_path / "one")
    proved = shared("mirror", "verify", tmp_path / "many", "--registry", "public", "--json")
    assert proved.returncode == 0, proved.stderr
    assert json.loads(proved.stdout)["files"] == json.loads(made.stdout)["files"]


def test_what_can_not_be_had_is_named(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    gone = "plugins/acme/slack/1.1.0/slack.zip"
    del registry.files[gone]
    refused = shared("mirror", "create", "public", tmp_path / "many")
    assert refused.returncode == 5, refused.stderr
    assert gone in refused.stderr
    assert not (tmp_path / "many/metadata/timestamp.json").exists()


def test_attack_a_swapped_file_is_refused_whoever_fetches_it(
    registry: PluginRegistry, run: Run, tmp_path: Path
) -> None:
    """Holds the source's store: another archive of the same size under a signed name."""
    swapped = "plugins/acme/slack/1.1.0/slack.zip"
    was = registry.files[swapped]
    registry.files[swapped] = bytes(len(was))
    refused = shared("mirror", "create", "public", tmp_path / "many")
    assert refused.returncode == 4, refused.stderr
    assert swapped in refused.stderr
    assert not (tmp_path / "many" / swapped).exists()
    registry.files[swapped] = was
    assert run("mirror", "create", "public", tmp_path / "many").code == 0
    (tmp_path / "many" / swapped).write_bytes(bytes(len(was)))
    other = "plugins/acme/base/1.0.0/manifest.json"
    (tmp_path / "many" / other).unlink()
    found = shared("mirror", "verify", tmp_path / "many", "--registry", "public")
    assert found.returncode == 4
    assert f"{swapped}: not what was signed" in found.stderr
    assert f"{other}: missing" in found.stderr
