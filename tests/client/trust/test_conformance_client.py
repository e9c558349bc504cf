"""tests/conformance_client run as the public tuf-conformance suite runs it: a process a command, over HTTP."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.places import TESTS
from support.tree_server import TreeServer
from support.tuf_repository import TufRepository, in_future, in_past, new_key, signed_bytes
from tuf.api.metadata import DelegatedRole, Targets

CLIENT = TESTS / "conformance_client"
PATH = "path/to/file.txt"


class Host:
    """The suite's side: folders of one client, a repository, and how the client is called."""

    def __init__(self, folder: Path, repository: TufRepository, server: TreeServer) -> None:
        self.repository = repository
        self.server = server
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self.metadata.mkdir()
        self.targets.mkdir()
        self.root = folder / "initial_root.json"
        self.root.write_bytes(repository.pinned_root)

    def run(self, *arguments: str) -> int:
        # the interpreter of the tests, under the name that the client's first line asks for
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [str(CLIENT), *arguments]
        return subprocess.run(command, env={**os.environ, "PATH": path}, check=False, capture_output=True).returncode

    def init(self) -> int:
        return self.run("--metadata-dir", str(self.metadata), "init", str(self.root))

    def refresh(self) -> int:
        url = f"{self.server.url}/metadata"
        return self.run("--metadata-url", url, "--metadata-dir", str(self.metadata), "refresh")

    def download(self, *names: str) -> int:
        wanted = [part for name in names for part in ("--target-name", name)]
        where = ["--target-dir", str(self.targets), "--target-base-url", f"{self.server.url}/targets"]
        base = ["--metadata-url", f"{self.server.url}/metadata", "--metadata-dir", str(self.metadata)]
        return self.run(*base, *wanted, *where, "download")

    def trusted(self) -> list[str]:
        return sorted(p.name for p in self.metadata.iterdir() if p.name.endswith(".json"))

    def downloaded(self) -> list[bytes]:
        return [p.read_bytes() for p in sorted(self.targets.rglob("*")) if p.is_file()]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    repository = TufRepository(realm=None)
    repository.add_target(PATH, b"artifact", "targets")
    repository.publish()
    with TreeServer(repository.files) as server:
        yield Host(tmp_path, repository, server)


def test_init_pins_the_root_and_asks_nothing(host: Host) -> None:
    assert host.init() == 0
    assert (host.metadata / "root.json").read_bytes() == host.repository.pinned_root
    assert host.trusted() == ["root.json"]
    assert host.server.requests == []


def test_refresh_makes_ngclients_requests_and_no_others(host: Host) -> None:
    assert host.init() == 0
    assert host.refresh() == 0
    first = ["metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json"]
    assert host.server.requests == first
    assert host.trusted() == ["root.json", "snapshot.json", "targets.json", "timestamp.json"]
    host.server.requests.clear()
    host.repository.rotate_root("timestamp")
    host.repository.publish()
    assert host.refresh() == 0
    assert host.server.requests == [
        "metadata/2.root.json",
        "metadata/3.root.json",
        "metadata/timestamp.json",
        "metadata/2.snapshot.json",
    ]
    assert (host.metadata / "root.json").read_bytes() == host.repository.files["metadata/2.root.json"]


def test_download_stores_the_artifact_and_does_not_fetch_it_again(host: Host) -> None:
    assert host.init() == 0
    assert host.download(PATH) == 0
    assert host.downloaded() == [b"artifact"]
    assert len([r for r in host.server.requests if r.startswith("targets/")]) == 1
    host.server.requests.clear()
    assert host.download(PATH) == 0
    assert host.server.requests == ["metadata/2.root.json", "metadata/timestamp.json"]
    host.repository.add_target(PATH, b"changed", "targets")
    host.repository.add_target("second", b"another", "targets")
    host.repository.publish()
    assert host.download(PATH, "second") == 0
    assert sorted(host.downloaded()) == [b"another", b"changed"]


def test_a_target_with_a_sha512_alone_is_read_by_that_name(host: Host) -> None:
    targets = host.repository.roles["targets"]
    assert isinstance(targets, Targets)
    digest = hashlib.sha512(b"artifact").hexdigest()
    targets.targets[PATH].hashes = {"sha512": digest}
    host.repository.files[f"targets/path/to/{digest}.file.txt"] = b"artifact"
    host.repository.touch("targets")
    host.repository.publish()
    assert host.init() == 0
    assert host.download(PATH) == 0
    assert host.downloaded() == [b"artifact"]
    host.repository.files[f"targets/path/to/{digest}.file.txt"] = b"malwares"
    shutil.rmtree(host.targets)
    host.targets.mkdir()
    assert host.download(PATH) == 1
    assert host.downloaded() == []


def test_a_substituted_artifact_fails_and_leaves_the_old_one(host: Host) -> None:
    assert host.init() == 0
    assert host.download(PATH) == 0
    host.repository.add_target(PATH, b"changed", "targets")
    host.repository.publish()
    host.repository.files[host.repository.target_key(PATH)] = b"malware"
    assert host.download(PATH) == 1
    assert host.downloaded() == [b"artifact"]


def test_failures_exit_with_1(host: Host) -> None:
    assert host.refresh() == 1, "not initialised"
    assert host.init() == 0
    assert host.download("missing") == 1
    old = host.repository.files["metadata/timestamp.json"]
    host.repository.publish()
    honest = host.repository.files["metadata/timestamp.json"]
    host.repository.files["metadata/timestamp.json"] = signed_bytes(host.repository.timestamp, [new_key()])
    assert host.refresh() == 1, "signed by a stranger"
    host.repository.files["metadata/timestamp.json"] = honest
    assert host.refresh() == 0
    host.repository.files["metadata/timestamp.json"] = old
    assert host.refresh() == 1, "rolled back"
    host.repository.timestamp.expires = in_past()
    host.repository.publish()
    assert host.refresh() == 1, "expired"


def test_names_of_roles_are_quoted_in_addresses_and_files(host: Host) -> None:
    repository = host.repository
    quoted = {"?": "%3F", "#": "%23", "/delegated": "%2Fdelegated", "../delegated": "..%2Fdelegated"}
    targets = repository.roles["targets"]
    assert targets.delegations is not None
    keyids = [key.public_key.keyid for key in repository.keys["packages"]]
    targets.delegations.roles = {role: DelegatedRole(role, keyids, 1, False, ["*"]) for role in quoted}
    for role in quoted:
        repository.keys[role] = repository.keys["packages"]
        repository.roles[role] = Targets(expires=in_future())
    repository.touch("targets", *quoted)
    repository.publish()
    for role, name in quoted.items():
        repository.files[f"metadata/1.{name}.json"] = repository.files.pop(f"metadata/1.{role}.json")
    assert host.init() == 0
    assert host.download("nothing") == 1
    assert [r for r in host.server.requests if "%" in r] == [f"metadata/1.{name}.json" for name in quoted.values()]
    assert len(host.trusted()) == 4 + len(quoted)


def test_a_repository_without_consistent_snapshots_has_plain_names(host: Host) -> None:
    repository = host.repository
    repository.root.consistent_snapshot = False
    host.root.write_bytes(signed_bytes(repository.root, repository.keys["root"]))
    for role in ("snapshot", "targets"):
        repository.files[f"metadata/{role}.json"] = repository.files.pop(repository.key(role))
    repository.files[f"targets/{PATH}"] = repository.files.pop(repository.target_key(PATH))
    assert host.init() == 0
    assert host.download(PATH) == 0
    assert host.downloaded() == [b"artifact"]
    assert host.server.requests[2:] == ["metadata/snapshot.json", "metadata/targets.json", f"targets/{PATH}"]
