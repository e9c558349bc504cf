"""examples/clients: a second client in another language agrees with ours, and refuses what ours refuses.

In CI a missing node is a failure; elsewhere these tests are skipped with the reason.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.node_tools import node
from support.places import REPOSITORY
from support.plugin_registry import YANKED, PluginRegistry, sha256
from support.tree_server import TreeServer
from support.tuf_repository import TufRepository, in_past

from sealdex import Client, Environment, NotFoundError, Policy
from sealdex.model.ranges import parse_range
from sealdex.model.versions import parse_version

CLIENTS = REPOSITORY / "examples" / "clients"
FORMAT = (REPOSITORY / "docs" / "format.md").read_text(encoding="utf-8")
ARM = {"match_labels": {"os": "linux", "arch": "arm64"}}
BIG = {"match_expressions": [{"key": "memory", "operator": "Gt", "values": ["4096"]}]}


@pytest.fixture
def registry() -> PluginRegistry:
    made = PluginRegistry()
    for version in ("1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1"):
        made.release("acme/base", version)
    made.release("acme/slack", "1.0.0", dependencies={"acme/base": "^1.0 <1.9"})
    made.release("acme/slack", "1.1.0", selector=ARM, dependencies={"acme/base": ">= 1.9"})
    made.release("acme/slack", "1.2.0", selector=BIG, tags=("cuda-11.8",))
    made.release("acme/slack", "1.3.0", yanked=YANKED)
    made.release("acme/slack", "1.4.0", channels=("beta",))
    made.release("acme/slack", "1.5.0", rollout=0)
    made.release("acme/slack", "1.6.0", selector={"match_everything": True})
    made.release("acme/suite", "1.0.0", artifacts=(), dependencies={"acme/slack": "1", "acme/base": "1.10.0"})
    made.publish()
    return made


@pytest.fixture
def server(registry: PluginRegistry) -> Iterator[TreeServer]:
    with TreeServer(registry.files) as serving:
        yield serving


class Second:
    """The second client of one host."""

    def __init__(self, folder: Path, registry: PluginRegistry, url: str) -> None:
        self.folder = folder
        self.url = url
        (folder / "pinned.json").write_bytes(registry.root)

    def run(self, environment: Environment, *requests: str) -> subprocess.CompletedProcess[str]:
        about = [word for key, value in environment.labels.items() for word in ("--label", f"{key}={value}")]
        about += [word for tag in sorted(environment.tags) for word in ("--tag", tag)]
        places = ["--root", "pinned.json", "--state", "state", "--to", "out"]
        words = [node(), str(CLIENTS / "sealdex.mjs"), *places, *about, self.url, *requests]
        return subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False, timeout=120)

    def chosen(self, environment: Environment, *requests: str) -> dict[str, str] | None:
        done = self.run(environment, *requests)
        if done.returncode:
            assert "nothing fits" in done.stderr, done.stderr
            return None
        return dict(line.split()[:2] for line in done.stdout.splitlines())


@pytest.fixture
def second(tmp_path: Path, registry: PluginRegistry, server: TreeServer) -> Second:
    return Second(tmp_path, registry, server.url)


LINUX = Environment({"os": "linux", "arch": "amd64"})


@pytest.mark.parametrize(
    ("environment", "requests"),
    [
        (LINUX, ["acme/slack"]),
        (Environment({"os": "linux", "arch": "arm64"}), ["acme/slack"]),
        (Environment({"os": "linux", "memory": "8192"}, frozenset({"cuda-11.8"})), ["acme/slack", "acme/base"]),
        (LINUX, ["acme/suite"]),
        (LINUX, ["acme/base@<1.10"]),
        (LINUX, ["acme/slack@1.3.0"]),
        (LINUX, ["acme/base@^2"]),
        (LINUX, ["acme/base@^2.0.0-rc.0"]),
    ],
)
def test_it_chooses_what_ours_chooses(
    second: Second, registry: PluginRegistry, tmp_path: Path, environment: Environment, requests: list[str]
) -> None:
    (tmp_path / "config.toml").write_text(f'[registries.p]\nurl = "{second.url}"\nroot = "pinned.json"\n')
    with Client(tmp_path / "config.toml", store=tmp_path / "store") as ours:
        try:
            found = ours.queries.resolve(*requests, policy=Policy(host="0" * 32), platforms=(environment,))
            wanted = {str(choice.plugin): choice.release.version for choice in found}
        except NotFoundError:
            wanted = None
    assert second.chosen(environment, *requests) == wanted


def test_what_it_downloads_is_what_was_signed(second: Second, server: TreeServer) -> None:
    done = second.run(LINUX, "acme/slack")
    for line in done.stdout.splitlines():
        plugin, _, digest = line.split()
        [file] = (second.folder / "out" / plugin).iterdir()
        assert sha256(file.read_bytes()) == digest
    server.instead["plugins/acme/slack/1.0.0/slack.zip"] = b"malware"
    done = second.run(LINUX, "acme/slack")
    assert (done.returncode, "is not what was signed" in done.stderr) == (1, True)


@pytest.mark.parametrize("attack", ["rollback", "expired", "forged root", "other document", "other role"])
def test_attack_on_its_chain(second: Second, registry: PluginRegistry, server: TreeServer, attack: str) -> None:
    """Attacker: the server. Change: an older state, an expired one, a root of their own, another document, metadata of
    another role. Refused, and nothing is downloaded.
    """
    older = registry.files["metadata/timestamp.json"]
    registry.tuf.rotate_root("timestamp")
    registry.publish()
    server.files = registry.files
    assert second.chosen(LINUX, "acme/base@1.0.0") == {"acme/base": "1.0.0"}  # by way of the second root
    shutil.rmtree(second.folder / "out")
    timestamp = "metadata/timestamp.json"
    if attack == "rollback":
        registry.tuf.timestamp.version = 1
        registry.tuf.sign_timestamp()
        server.instead = {timestamp: registry.files[timestamp]}
    elif attack == "expired":
        registry.tuf.timestamp.expires = in_past()
        registry.tuf.sign_timestamp()
    elif attack == "forged root":
        server.instead = {"metadata/3.root.json": TufRepository().pinned_root}
    elif attack == "other document":
        [key] = [key for key in server.files if key.endswith(".base.json")]
        server.instead = {key: server.files[key].replace(b"1.10.0", b"1.11.0")}
    else:
        server.instead = {timestamp: older}  # signed by a key that the second root has no more
    done = second.run(LINUX, "acme/base")
    said = {"rollback": "rolled back", "expired": "expired", "forged root": "root", "other document": "not as signed"}
    assert (done.returncode, said.get(attack, "not signed") in done.stderr) == (1, True), done.stderr
    assert not (second.folder / "out").exists()


def test_its_ranges_are_those_of_the_format(tmp_path: Path) -> None:
    table = re.findall(r"^\| `([^`]+)` \| `[^`]+` \| (.*?) \| (.*?) \|$", FORMAT, re.MULTILINE)
    assert len(table) > 25
    cases = [
        (version, wanted.replace("\\|", "|"), is_in)
        for wanted, inside, outside in table
        for is_in, cell in ((True, inside), (False, outside))
        for version in re.findall(r"`([^`]+)`", cell)
    ]
    for version, wanted, is_in in cases:
        assert parse_range(wanted).contains(parse_version(version)) is is_in  # ours, of the same table
    script = (
        f"import {{ inRange }} from {json.dumps((CLIENTS / 'ranges.mjs').as_uri())};"
        f"const cases = {json.dumps(cases)};"
        "console.log(JSON.stringify(cases.filter(([version, range, isIn]) => inRange(version, range) !== isIn)));"
    )
    (tmp_path / "cases.mjs").write_text(script)
    done = subprocess.run(
        [node(), str(tmp_path / "cases.mjs")], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, json.loads(done.stdout or "null"), done.stderr) == (0, [], "")


def test_it_is_short() -> None:
    assert len((CLIENTS / "sealdex.mjs").read_text(encoding="utf-8").splitlines()) <= 200
