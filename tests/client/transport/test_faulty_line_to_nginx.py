"""Whole commands over a faulty line from a real nginx: a cold install, an update by files, ensure with three at once.

At every file once, in each way; what comes out is all of it, and whole. Wrong bytes, which a server that is in the
wrong sends for good, are never taken.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.fault_server import (
    Cut,
    EndsShort,
    Fault,
    FaultServer,
    Gate,
    IgnoreRange,
    OtherRange,
    Silence,
    Slow,
    Status,
    Swap,
)
from support.nginx_server import nginx
from support.plugin_registry import PluginRegistry
from support.store_truth import disagreements

from sealdex import Client
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.errors import UnavailableError, VerificationError
from sealdex.project import Project
from sealdex.results import Installed
from sealdex.store.layout import Store

NAMES = ("app", "base", "tool")
VERSIONS = ("1.0.0", "2.0.0")


def files_of(name: str, version: str) -> dict[str, bytes]:
    same = random.Random(name)  # noqa: S311  # test data
    return {f"data/{n}": same.randbytes(100_000) for n in range(3)} | {"code.py": f"{name} {version}".encode() * 99}


class Origin:
    """nginx, and what it serves."""

    def __init__(self, address: str, root: bytes, paths: list[str]) -> None:
        self.address, self.root, self.paths = address, root, paths


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    folder = tmp_path_factory.mktemp("origin")
    registry = PluginRegistry()
    for version in VERSIONS:
        for name in NAMES:
            needs = {"acme/base": f"={version}"} if name == "app" else {}
            registry.release(f"acme/{name}", version, files_of(name, version), dependencies=needs, file_list=True)
    registry.publish()
    registry.write(folder / "published")
    with nginx(folder / "nginx", server=f"root {folder / 'published'};") as address:
        yield Origin(address, registry.root, [f"/{name}" for name in registry.files])


class Host:
    """A host behind a line that can be made to fail."""

    def __init__(self, folder: Path, origin: Origin, line: FaultServer) -> None:
        self.folder, self.origin, self.line = folder, origin, line
        self.store = Store(folder / "store")
        (folder / "root").write_bytes(origin.root)
        (folder / "sealdex.toml").write_text('[plugins]\n"acme/app" = "=2.0.0"\n"acme/tool" = "=2.0.0"\n')

    def client(self, timeout_s: float = 60, retry: int | None = None) -> Client:
        document = ConfigDocument(
            registries={"public": RegistrySection(url=self.line.url("/"), root="root")},
            download=DownloadSection(timeout=timeout_s, retry=retry, concurrent=3),
        )
        return Client(Config(self.folder / "config.toml", self.folder / "store", document))

    def fails(self, fault: Fault, *, endings: tuple[str, ...] = ("",), for_good: bool = False) -> None:
        for path in self.origin.paths:
            if path.endswith(endings):
                if for_good:
                    self.line.always(path, fault)
                else:
                    self.line.script(path, fault)

    def has(self, *installed: str) -> bool:
        assert disagreements(self.store) == []
        for each in installed:
            name, version = each.split("@")
            for path, data in files_of(name, version).items():
                assert (Path(self.store.version_folder(("acme", name), version)) / path).read_bytes() == data
        return {f"{i.name}@{i.version}" for i in self.client().list()} == set(installed)


@pytest.fixture
def host(tmp_path: Path, origin: Origin) -> Iterator[Host]:
    with FaultServer(origin=origin.address) as line:
        yield Host(tmp_path, origin, line)


@dataclass(frozen=True)
class Operation:
    """What is installed before the line fails, what is done then, and what is there at the end."""

    act: Callable[[Host, Client], Sequence[Installed]]
    after: tuple[str, ...]
    before: str | None = None


def install(_: Host, client: Client) -> Sequence[Installed]:
    return client.install("acme/app", fallback=False)


def ensure(host: Host, client: Client) -> Sequence[Installed]:
    project = Project(host.folder, client)
    return project.ensure(project.lock().document, fallback=False).installed


OPERATIONS = {
    "cold-install": Operation(install, ("app@2.0.0", "base@2.0.0")),
    "update": Operation(install, ("app@1.0.0", "base@1.0.0", "app@2.0.0", "base@2.0.0"), "acme/app@1.0.0"),
    "ensure": Operation(ensure, ("app@2.0.0", "base@2.0.0", "tool@2.0.0")),
}
PASSING: dict[str, Fault] = {
    "latency": Slow(0.003),
    "503": Status(503, {"Retry-After": "0"}),
    "500": Status(500),
    "silence": Silence(),
    "reset": Cut(after=10, reset=True),
    "truncated": Cut(after=10),
    "no-ranges": IgnoreRange(),
    "other-range": OtherRange(),
}


def prepared(host: Host, operation: Operation) -> None:
    if operation.before is not None:
        with host.client() as client:
            client.install(operation.before)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_what_passes_is_sat_out_at_every_file(host: Host, operation: Operation, fault: Fault) -> None:
    prepared(host, operation)
    host.fails(fault)
    with host.client() as client:
        done = operation.act(host, client)
    assert host.has(*operation.after)
    if operation.before is not None:
        has_ranges = not isinstance(fault, IgnoreRange | OtherRange)
        assert all((each.bytes_reused > 0) == has_ranges for each in done)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_stalls_and_bodies_that_end_early_are_sat_out_at_every_archive(host: Host, operation: Operation) -> None:
    prepared(host, operation)
    gates = []
    for path in (path for path in host.origin.paths if path.endswith(".zip")):
        gates.append(Gate(after=5))
        host.line.script(path, gates[-1], EndsShort(after=10))
    try:
        with host.client(timeout_s=1) as client:
            operation.act(host, client)
    finally:
        for gate in gates:
            gate.opened.set()
    assert host.has(*operation.after)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        *((name, ending) for name in OPERATIONS for ending in (".zip", "manifest.json", "timestamp.json")),
        ("cold-install", "base.json"),
        ("ensure", "base.json"),
        ("update", ".files.json"),
    ],
)
def test_wrong_bytes_are_never_taken(host: Host, name: str, ending: str) -> None:
    """Attack: who sits on the line changes a byte of every such file and range; exit code 4, and all is as it was."""
    operation = OPERATIONS[name]
    prepared(host, operation)
    if ending == "timestamp.json":
        for tags in host.folder.glob("store/trust/*/metadata/timestamp.validators.json"):
            tags.unlink()  # nginx would answer 304, which has no bytes
    host.fails(Swap(at=20), endings=(ending,), for_good=True)
    with host.client() as client, pytest.raises(VerificationError) as caught:
        operation.act(host, client)
    assert caught.value.exit_code == 4
    assert host.has(*operation.after[: 2 if operation.before else 0])


@pytest.mark.parametrize("fault", [Status(503), Silence(), Cut(after=10), Cut(after=10, reset=True)], ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_does_not_pass_leaves_nothing_and_goes_on_later(host: Host, name: str, fault: Fault) -> None:
    operation = OPERATIONS[name]
    prepared(host, operation)
    host.fails(fault, endings=("/2.0.0/base.zip",), for_good=True)
    with host.client(retry=1) as client, pytest.raises(UnavailableError) as caught:
        operation.act(host, client)
    assert caught.value.exit_code == 5
    assert host.has(*operation.after[: 2 if operation.before else 0])
    for path in host.origin.paths:
        host.line.always(path, None)
    with host.client() as client:
        operation.act(host, client)
    assert host.has(*operation.after)
