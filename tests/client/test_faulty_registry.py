"""Whole runs of the client against a registry whose server fails: at each file once, in each way, and for good.

What comes out is either the whole installation or none; wrong bytes are never taken, and are said to be a matter of
security. Nothing here waits for time to pass: what stalls is cut off by the read timeout of this client.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import Cut, EndsShort, FaultServer, Gate, IgnoreRange, OtherRange, Silence, Status, Swap
from support.plugin_registry import PluginRegistry

from sealdex import Client
from sealdex.config import Config, ConfigDocument, DownloadSection, RegistrySection
from sealdex.errors import SealdexError, UnavailableError, VerificationError

FILES = {f"{n}.txt": f"file {n}".encode() * 400 for n in range(6)}


class Host:
    """A registry of two plugins, one depending on the other, over a server that can fail; and a host."""

    def __init__(self, folder: Path, server: FaultServer) -> None:
        self.folder, self.server = folder, server
        registry = PluginRegistry()
        registry.release("acme/base", "1.0.0", FILES)
        registry.release("acme/app", "1.0.0", FILES, dependencies={"acme/base": "^1"})
        registry.publish()
        self.paths = [f"/{name}" for name in registry.files]
        for name, data in registry.files.items():
            server.put(f"/{name}", data)
        (folder / "root").write_bytes(registry.root)

    def install(self) -> list[str]:
        section = RegistrySection(url=self.server.url("/"), root="root")
        download = DownloadSection(no_progress_window=2.0, timeout=0.3)
        document = ConfigDocument(registries={"public": section}, download=download)
        with Client(Config(self.folder / "config.toml", self.folder / "store", document)) as client:
            try:
                client.install("acme/app")
            finally:
                whole = [f"{c.installation.name} {c.is_whole}" for c in client.verify()]
            return whole

    def nothing_is_installed(self) -> bool:
        plugins = self.folder / "store/plugins"
        return not plugins.exists() or not [path for path in plugins.rglob("*") if path.is_file()]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def host(tmp_path: Path, server: FaultServer) -> Host:
    return Host(tmp_path, server)


PASSING = {
    "503": Status(503, {"Retry-After": "0"}),
    "500": Status(500),
    "silence": Silence(),
    "reset": Cut(after=10, reset=True),
    "truncated": Cut(after=10),
    "short": EndsShort(after=10),
    "no-ranges": IgnoreRange(),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_what_passes_is_sat_out_at_every_file(host: Host, fault: Any) -> None:
    # metadata that ends properly, but early, can't be told from metadata that is wrong, and is refused as such
    for path in [p for p in host.paths if p.endswith(".zip") or not isinstance(fault, EndsShort)]:
        host.server.script(path, fault)
    assert sorted(host.install()) == ["app True", "base True"]


def test_stalls_are_cut_off_and_tried_again(host: Host) -> None:
    gates = [Gate(after=5) for path in host.paths if path.endswith(".zip")]
    for gate, path in zip(gates, [path for path in host.paths if path.endswith(".zip")], strict=True):
        host.server.script(path, gate)
    try:
        assert sorted(host.install()) == ["app True", "base True"]
    finally:
        for gate in gates:
            gate.opened.set()


@pytest.mark.parametrize("kind", [".zip", "manifest.json", "timestamp.json", "app.json"])
@pytest.mark.parametrize("fault", [Swap(at=0, length=1 << 30), Swap(at=20, length=1)], ids=["all", "one-byte"])
def test_wrong_bytes_are_never_taken(host: Host, kind: str, fault: Any) -> None:
    """Attack: the server (or who sits before it) changes a file for good; nothing is installed, exit code 4."""
    wrong = [path for path in host.paths if path.endswith(kind)]
    assert wrong
    for path in wrong:
        host.server.always(path, fault)
    with pytest.raises(VerificationError):
        host.install()
    assert host.nothing_is_installed()


@pytest.mark.parametrize("fault", [Status(503), Silence(), Cut(after=10), OtherRange()], ids=str)
def test_what_does_not_pass_leaves_nothing_and_goes_on_later(host: Host, fault: Any) -> None:
    archive = next(path for path in host.paths if path.endswith("app.zip"))
    if isinstance(fault, OtherRange):
        host.server.script(archive, Cut(after=10))
    host.server.always(archive, fault)
    with pytest.raises(SealdexError) as caught:
        host.install()
    assert isinstance(caught.value, UnavailableError)
    assert host.nothing_is_installed()
    host.server._always.clear()
    assert sorted(host.install()) == ["app True", "base True"]
