"""Runs of a mirror that end amid, and go on: by bytes of a file, by files, and by volumes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from support.commands import Run
from support.fault_server import Cut, FaultServer, Status
from support.mirror_files import keys
from support.plugin_registry import PluginRegistry

SIZE = 2_000_000
BIG = "plugins/acme/big/1.0.0/big.zip"


@pytest.fixture
def big(registry: PluginRegistry) -> bytes:
    """A registry with an artifact that is large enough to be resumed."""
    data = registry.release("acme/big", "1.0.0", {"data": random.Random(1).randbytes(SIZE)})  # noqa: S311  # test data
    registry.publish()
    return data


def test_a_file_that_was_cut_off_goes_on_where_it_was(
    bare: Run, registry: PluginRegistry, root: Path, big: bytes, tmp_path: Path
) -> None:
    with FaultServer() as server:
        for key, data in registry.files.items():
            server.put(f"/{key}", data)
        cut = len(big) * 6 // 10
        server.script(f"/{BIG}", Cut(cut), Status(404))  # no retry of this run brings the rest
        (tmp_path / "config").mkdir(exist_ok=True)
        (tmp_path / "config/config.toml").write_text("[download]\nretry = 1\n")
        command = ["mirror", "create", server.url("/"), tmp_path / "mirror", "--root", root]
        refused = bare(*command)
        assert refused.code == 5, refused.err
        assert BIG in refused.err
        asked = len(server.requests)
        done = bare(*command, "--json")
        assert done.code == 0, done.err
        again = [request for request in server.requests[asked:] if request.path == f"/{BIG}"]
        assert [request.headers.get("range") for request in again] == [f"bytes={cut}-"]
        others = {request.path for request in server.requests[asked:] if request.path.startswith("/plugins/")}
        assert others == {f"/{BIG}"}, "what had come is not asked for again"
    assert json.loads(done.out)["files"] == 1
    assert (tmp_path / "mirror" / BIG).read_bytes() == big
    assert bare("mirror", "verify", tmp_path / "mirror", "--root", root).code == 0


@pytest.mark.usefixtures("big")
def test_an_import_goes_on_once_the_bad_volume_was_copied_again(run: Run, root: Path, tmp_path: Path) -> None:
    made = run("mirror", "create", "public", tmp_path / "out.tar", "--volume-size", "1M", "--json")
    assert made.code == 0, made.err
    paths = [Path(path) for path in json.loads(made.out)["volumes"]]
    assert len(paths) > 2
    good = paths[1].read_bytes()
    far = tmp_path / "far"
    command = ["mirror", "import", *reversed(paths), far, "--root", root]
    half, zeros = good[: len(good) // 2], good[:300_000] + bytes(100_000) + good[400_000:]
    for damaged, code in ((half, 1), (zeros, 4)):  # a stick that was pulled out, and one whose blocks went bad
        paths[1].write_bytes(damaged)
        refused = run(*command)
        assert refused.code == code, refused.err
        assert not (far / "metadata/timestamp.json").exists()
        assert BIG not in keys(far)
    paths[1].write_bytes(good)
    done = run(*command)
    assert done.code == 0, done.err
    assert run("mirror", "verify", far, "--root", root).code == 0
    assert not {path.name for path in (far / ".sealdex-mirror").iterdir()} & {"import", "staging"}
