"""Two hosts in network namespaces of their own, without a route between them; what is carried across is a file.

Needs root on Linux, or sudo without a password, for ``unshare --net``, and Debian's ``faketime`` for wrong clocks.
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.commands import Ran
from support.components import at_clock
from support.mirror_files import published
from support.plugin_registry import PluginRegistry
from support.small_disk import Filler, small_disk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces are Linux's"),
]
CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
COMMANDS = """
import contextlib, io, json, sys
from sealdex.cli.main import main
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""
IN_A_HOST = """
import json, sys
from sealdex.runtime import PluginManager, Services
from sealdex.runtime.services.supervisor import RestartPolicy
from sealdex.store.layout import Store
from sealdex.model.ids import PluginId
from sealdex.errors import SealdexError
store, said = Store(sys.argv[1]), []
with PluginManager(store) as manager:
    manager.register("acme/slack")
    manager.init()
    said.append(manager.call("acme/slack", "greet"))
services = Services(store)
plan = services.plan(PluginId("acme", "serve"))
try:
    services.supervisor(plan, RestartPolicy(max_restarts=0), on_line=said.append).run()
except SealdexError:
    pass  # it ends by itself, which a service shouldn't
print(json.dumps(said))
"""


class Host:
    """A host that has no network at all, not even loopback.

    Args:
        folder: its configuration and store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"

    def program(self, *command: str | Path, clock: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program on it, where it has the clock that faketime understands."""
        isolated = ["unshare", "--net", "--"]
        if os.geteuid() != 0:  # as in CI, where sudo asks for no password
            me = ["setpriv", f"--reuid={os.getuid()}", f"--regid={os.getgid()}", "--clear-groups"]
            isolated = ["sudo", "-n", "--preserve-env", *isolated, *me]
        faked = at_clock(clock) if clock is not None else []
        return subprocess.run(
            [*isolated, *faked, *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                "SEALDEX_CONFIG": str(self.folder / "config.toml"),
                "SEALDEX_STORE": str(self.store),
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            },
        )

    def run(self, *commands: tuple[str | Path, ...], clock: str | None = None) -> list[Ran]:
        """Run commands of sealdex one after the other, in one process."""
        words = json.dumps([[str(word) for word in command] for command in commands])
        ran = self.program(sys.executable, "-c", COMMANDS, words, clock=clock)
        assert ran.returncode == 0, ran.stderr
        return [Ran(*json.loads(line)) for line in ran.stdout.splitlines()]


class World:
    """A registry, and the folder of the near host in which archives of its states are made.

    Args:
        folder: for all of it.
    """

    def __init__(self, folder: Path) -> None:
        self.registry = PluginRegistry()
        self.tree, self.sticks, self.root = folder / "tree", folder / "sticks", folder / "root.json"
        self.near, self.far = Host(folder / "near"), Host(folder / "far")
        self.root.write_bytes(self.registry.root)
        self.sticks.mkdir()

    def publish(self) -> None:
        self.registry.publish()
        self.registry.write(self.tree)

    def carry(self, *archives: tuple[str | Path, ...]) -> list[list[Path]]:
        """Make archives on the near side, each by its name and options; return their volumes."""
        common = ("--root", self.root, "--json")
        all_made = self.near.run(
            *(("mirror", "create", self.tree, self.sticks / name, *common, *options) for name, *options in archives)
        )
        assert [made.code for made in all_made] == [0] * len(archives), [made.err for made in all_made]
        return [[Path(path) for path in made.document["volumes"]] for made in all_made]

    def imported(self, volumes: list[Path], mirror: Path, *options: str) -> tuple[str | Path, ...]:
        return ("mirror", "import", *volumes, mirror, "--root", self.root, *options)

    def verify(self, mirror: Path) -> tuple[str | Path, ...]:
        return ("mirror", "verify", mirror, "--root", self.root)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def repacked(archive: Path, changed: dict[str, bytes]) -> Path:
    """Return a copy of an archive with other bytes for some files, as who holds the stick can write it."""
    out = archive.with_name(f"repacked-{archive.name}")
    with tarfile.open(archive) as source, tarfile.open(out, "w") as target:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            body = changed.pop(member.name, None) or content.read()
            member.size = len(body)
            target.addfile(member, io.BytesIO(body))
    assert not changed
    return out


def test_states_and_attacks_across_the_gap(world: World, tmp_path: Path) -> None:
    """Install, update, volumes that are lost or swapped, a rolled-back archive, a missing link, a revoked key."""
    registry, far, mirror = world.registry, world.far, tmp_path / "mirror"
    noise = random.Random(1)  # noqa: S311  # test data
    registry.release("acme/slack", "1.0.0", {"data": noise.randbytes(1_500_000)})
    world.publish()
    (first,) = world.carry(("1.tar", "--volume-size", "1M"))
    (tmp_path / "other").mkdir()
    old = [Path(shutil.copy(volume, tmp_path / "other")) for volume in first]
    registry.release("acme/slack", "1.1.0", {"data": noise.randbytes(1_500_000)})
    world.publish()
    second, strange = world.carry(
        ("2.tar", "--base", world.sticks / "1.tar.state.jsonl.gz"), ("strange.tar", "--volume-size", "1M")
    )
    stolen = list(registry.tuf.keys["timestamp"])
    registry.tuf.rotate_root("timestamp")
    registry.release("acme/slack", "1.2.0")
    world.publish()
    third, resent = world.carry(
        ("3.tar", "--base", world.sticks / "2.tar.state.jsonl.gz"), ("again.tar", "--resend", "2")
    )

    assert "unreachable" in far.program(sys.executable, "-c", CONNECT).stderr
    # an empty place: a lost volume, one of another archive, and an increment
    lost, swapped, link = far.run(
        world.imported([first[0], *first[2:]], mirror),
        world.imported([first[0], strange[1], *first[2:]], mirror),
        world.imported(second, mirror),
    )
    assert (lost.code, swapped.code, link.code) == (3, 2, 3), (lost.err, swapped.err, link.err)
    assert "volume 2" in lost.err
    assert strange[1].name in swapped.err
    assert "import archive 1 first" in link.err
    assert not (mirror / "metadata").exists()

    done, added, installed, gap, more, updated = far.run(
        world.imported(list(reversed(first)), mirror),
        ("registry", "add", "site", mirror, "--root", world.root),
        ("install", "acme/slack"),
        world.imported(third, mirror),
        world.imported(second, mirror),
        ("update",),
    )
    assert [each.code for each in (done, added, installed, gap, more, updated)] == [0, 0, 0, 3, 0, 0], gap.err
    assert "acme/slack 1.0.0" in installed.out
    assert "--resend 2" in gap.err
    assert "1.1.0" in updated.out

    before = published(mirror)
    rolled_back, intact = far.run(world.imported(old, mirror), world.verify(mirror))
    assert (rolled_back.code, intact.code) == (4, 0), rolled_back.err
    assert published(mirror) == before

    # the root was rotated upstream; whoever has the former key of timestamp signs what comes next with it
    newest, again = far.run(world.imported(third, mirror), ("update", "--json"))
    assert (newest.code, again.code) == (0, 0), (newest.err, again.err)
    before = published(mirror)
    theirs = copy.deepcopy(registry.tuf.files)
    registry.tuf.keys["timestamp"] = stolen
    registry.tuf.timestamp.version += 1
    registry.tuf.sign_timestamp()
    forged = registry.files["metadata/timestamp.json"]
    registry.files.update(theirs)
    bad = repacked(third[0], {"files/metadata/timestamp.json": forged})
    revoked, intact = far.run(world.imported([bad], mirror), world.verify(mirror))
    assert (revoked.code, intact.code) == (4, 0), revoked.err
    assert published(mirror) == before
    (mirror / "metadata/timestamp.json").write_bytes(forged)  # and once more, past the import
    shutil.rmtree(mirror / "metadata/recent.bundle", ignore_errors=True)
    (refused,) = far.run(("info", "acme/slack"))
    assert refused.code == 4, refused.out

    # a mirror that is behind, where archive 2 never came
    behind = tmp_path / "behind"
    caught = far.run(world.imported(first, behind), world.imported(resent, behind), world.verify(behind))
    assert [each.code for each in caught] == [0, 0, 0], [each.err for each in caught]
    assert published(behind)["metadata/timestamp.json"] == before["metadata/timestamp.json"]


def test_a_disk_that_is_full_amid_an_import(world: World, tmp_path: Path) -> None:
    noise = random.Random(2)  # noqa: S311  # test data
    world.registry.release("acme/slack", "1.0.0", {"data": noise.randbytes(100_000)})
    world.publish()
    (first,) = world.carry(("1.tar",))
    world.registry.release("acme/slack", "1.1.0", {"data": noise.randbytes(400_000)})
    world.publish()
    (second,) = world.carry(("2.tar", "--base", world.sticks / "1.tar.state.jsonl.gz"))
    with small_disk(tmp_path / "disk", "2m") as disk:
        mirror = disk / "mirror"
        (done,) = world.far.run(world.imported(first, mirror))
        assert done.code == 0, done.err
        before = published(mirror)["metadata/timestamp.json"]
        filler = Filler(disk, sum(path.stat().st_size for path in second) - 10_000)  # its files fit, and no more
        full, intact = world.far.run(world.imported(second, mirror), world.verify(mirror))
        filler.close()
        assert (full.code, intact.code) == (1, 0), full.err
        assert published(mirror)["metadata/timestamp.json"] == before
        again, intact = world.far.run(world.imported(second, mirror), world.verify(mirror))
        assert (again.code, intact.code) == (0, 0), again.err


def test_clocks_that_are_wrong_and_a_root_that_is_never_renewed(world: World, tmp_path: Path) -> None:
    """Every role of the registry, root too, is over after 30 days, and nobody signs any of it again."""
    registry, far, mirror = world.registry, world.far, tmp_path / "mirror"
    source = (
        "class Plugin:\n    def __init__(self, config):\n        pass\n    def greet(self):\n        return 'hello'\n"
    )
    python = {"entry_point": "plugin:Plugin", "runtime": {"kind": "python"}}
    registry.release("acme/slack", "1.0.0", {"plugin.py": source.encode()}, manifest=python)
    serve = {"service": {"command": ["python3", "serve.py"]}}
    registry.release("acme/serve", "1.0.0", {"serve.py": b"print('served', flush=True)\n"}, manifest=serve)
    registry.release("acme/later", "1.0.0")
    world.publish()
    (archive,) = world.carry(("stick.tar",))
    project = tmp_path / "project"
    project.mkdir()
    (project / "sealdex.toml").write_text('[plugins]\n"acme/slack" = "^1"\n"acme/serve" = "^1"\n')

    stale = ("--max-staleness", "90d")
    refused, done, added, locked, installed = far.run(
        world.imported(archive, mirror),
        world.imported(archive, mirror, *stale),
        ("registry", "add", "site", mirror, "--root", world.root, *stale),
        ("lock", "--project", project),
        ("ensure", "--project", project, "--json"),
        clock="+40d",
    )
    assert refused.code == 4, refused.err
    assert "max_staleness" in refused.err
    assert done.code == 0, done.err
    assert "max_staleness 90 days" in done.err
    assert [each.code for each in (added, locked, installed)] == [0, 0, 0], (added.err, locked.err, installed.err)
    (info,) = far.run(("info", "acme/later", "--json"), clock="+40d")
    assert {"timestamp", "root"} <= set(info.document["trust_age"][0]["expired"])

    lock = (project / "sealdex.lock").read_bytes()
    *late, listed, path, verified, ensured = far.run(
        ("install", "acme/later"),
        ("update",),
        ("lock", "--project", project, "--update", "acme/slack"),
        ("list",),
        ("path", "acme/slack"),
        ("verify",),
        ("ensure", "--project", project),
        clock="@2099-01-01 00:00:00",
    )
    assert late[0].code == 4, late[0].out
    assert all(each.code for each in late), [each.out for each in late]
    assert "what is installed goes on working" in late[0].err
    assert [each.code for each in (listed, path, verified, ensured)] == [0] * 4, [verified.err, ensured.err]
    assert "acme/later" not in listed.out
    assert (project / "sealdex.lock").read_bytes() == lock
    host = far.program(sys.executable, "-c", IN_A_HOST, far.store, clock="+200d")
    assert host.returncode == 0, host.stderr
    assert json.loads(host.stdout) == ["hello", "served"]
    for clock in ("@1970-01-02 00:00:00", "+1d"):
        (again,) = far.run(("info", "acme/slack"), clock=clock)
        assert again.code == 0, again.err
