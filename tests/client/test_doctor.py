"""What `doctor` finds, with what remedy and exit code, on hosts that each have one thing wrong with them."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from support.fault_server import FaultServer, Status
from support.plugin_registry import PluginRegistry

from sealdex import Client
from sealdex.cli.main import main
from sealdex.config.config import load_config
from sealdex.doctor import Finding, examine
from sealdex.errors import UnavailableError
from sealdex.model.ids import PluginId
from sealdex.store.database import State
from sealdex.store.layout import Store
from sealdex.transport import Transport


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, server: FaultServer) -> Path:
    """A host with one plugin installed."""
    registry = PluginRegistry()
    registry.release("acme/tool", "1.0.0", {"a.txt": b"hello"})
    registry.publish()
    for name, data in registry.files.items():
        server.put(f"/{name}", data)
    dated = Status(200, {"Date": formatdate(usegmt=True)}, registry.files["metadata/timestamp.json"])
    server.always("/metadata/timestamp.json", dated)
    (tmp_path / "root.json").write_bytes(registry.root)
    path = tmp_path / "config.toml"
    path.write_text(f'[registries.public]\nurl = "{server.url("/")}"\nroot = "root.json"\n[download]\nretry = 1\n')
    with Client(path, store=tmp_path / "store") as client:
        client.install("acme/tool")
    return path


def found(config: Path, **options: Any) -> dict[str, Finding]:
    """Return the gravest finding of each check."""
    findings = examine(lambda: load_config(config, config.parent / "store"), **options)
    order = ["ok", "warning", "problem"]
    return {f.check: f for f in sorted(findings, key=lambda f: order.index(f.state))}


def test_a_healthy_host(config: Path) -> None:
    findings = found(config)
    assert {f.state for f in findings.values()} == {"ok"}
    assert set(findings) == {
        "config", "reachability", "clock", "trust", "expiry", "disk", "store", "plugins", "dependencies", "yanked",
        "locks", "cache",
    }  # fmt: skip


@pytest.mark.parametrize(("ahead", "state"), [(600, "problem"), (-600, "problem"), (60, "ok")])
def test_the_clock_is_compared_with_the_servers(config: Path, ahead: float, state: str) -> None:
    assert found(config, now=time.time() + ahead)["clock"].state == state


def test_metadata_that_expires_soon_is_named(config: Path) -> None:
    registry_expires = found(config)["expiry"].detail
    finding = found(config, now=time.time() + 86400 * 3650)["expiry"]
    assert finding.state == "warning"
    assert finding.detail == registry_expires
    assert "sealdex-builder refresh" in finding.remedy


def test_what_cannot_be_reached(config: Path, server: FaultServer) -> None:
    server.always("/metadata/timestamp.json", Status(403))
    finding = found(config)["reachability"]
    assert (finding.state, finding.exit_code) == ("problem", 5)
    assert "auth = " in finding.remedy


def test_a_registry_that_is_not_the_one_it_was(config: Path, server: FaultServer) -> None:
    other = PluginRegistry()
    other.publish()
    (config.parent / "root.json").write_bytes(other.root)
    finding = found(config)["trust"]
    assert (finding.state, finding.exit_code) == ("problem", 4)
    assert finding.detail.startswith("SECURITY")


def test_a_changed_installation(config: Path) -> None:
    file = config.parent / "store/plugins/acme/tool/1.0.0/a.txt"
    file.write_bytes(b"other")
    assert found(config)["store"].state == "ok"
    finding = found(config, is_deep=True)["store"]
    assert (finding.state, finding.exit_code) == ("problem", 4)
    assert finding.remedy == "sealdex install acme/tool@1.0.0"
    file.unlink()
    assert found(config)["store"].state == "problem"


def test_a_folder_without_receipt(config: Path) -> None:
    (config.parent / "store/plugins/acme/tool/2.0.0").mkdir()
    assert "no readable receipt" in found(config)["store"].detail


def test_a_lock_that_is_held(config: Path) -> None:
    with FileLock(Store(config.parent / "store").lock_file(("acme", "tool"))):
        finding = found(config)["locks"]
    assert (finding.state, finding.subject) == ("warning", "acme/tool.lock")


def test_a_full_disk_and_an_overfull_cache(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil  # noqa: PLC0415  # what is replaced

    usage = shutil.disk_usage(config.parent)
    config.write_text(config.read_text() + "[cache]\nmax_bytes = 1\n")
    for free, state in ((10, "problem"), (2**29, "warning"), (2**34, "ok")):
        monkeypatch.setattr("sealdex._host_checks.shutil.disk_usage", lambda _, free=free: usage._replace(free=free))
        assert found(config)["disk"].state == state
    finding = found(config)["cache"]
    assert (finding.state, finding.remedy) == ("warning", "sealdex cache gc")


def test_the_command(config: Path, server: FaultServer, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--config", str(config), "--store", str(config.parent / "store")]
    assert main(["doctor", *base]) == 0
    assert "ok" in capsys.readouterr().out
    assert main(["doctor", "--json", *base]) == 0
    assert json.loads(capsys.readouterr().out)["healthy"] is True
    server.always("/metadata/timestamp.json", Status(410))
    assert main(["doctor", "--json", *base]) == 5
    answer = json.loads(capsys.readouterr().out)
    assert answer["healthy"] is False
    document = answer["error"]
    assert document["details"]["findings"] == answer["findings"]
    assert document["code"] == "problems-found"
    assert document["details"]["healthy"] is False
    (config.parent / "store/plugins/acme/tool/1.0.0/a.txt").unlink()
    assert main(["doctor", *base]) == 4
    shown = capsys.readouterr()
    assert re.search(r"-> sealdex install .*acme/tool@1\.0\.0", shown.out)
    config.write_text("[registries\n")
    assert main(["doctor", *base]) in {1, 4}
    assert "config" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["store", "store/plugins/acme/tool", "store/plugins/acme/tool/1.0.0", "store/trust"])
def test_a_store_that_everybody_can_write_to(config: Path, place: str) -> None:
    (config.parent / place).chmod(0o777)
    finding = found(config)["store"]
    assert (finding.state, finding.exit_code, finding.subject) == ("problem", 4, str(config.parent / place))
    assert "0777" in finding.detail
    (config.parent / place).chmod(0o755)
    assert found(config)["store"].state == "ok"


@pytest.mark.parametrize("place", ["config.toml", "root.json"])
def test_a_configuration_that_everybody_can_write_to(config: Path, place: str) -> None:
    """Who writes it decides whom this host trusts."""
    (config.parent / place).chmod(0o666)
    finding = found(config)["config"]
    assert (finding.state, finding.exit_code, finding.subject) == ("problem", 4, str(config.parent / place))


def test_a_store_of_somebody_else(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    if me == 0:  # what belongs to root is nobody's who couldn't change anything anyway
        os.chown(config.parent / "store", 2, 2)
    finding = found(config)["store"]
    assert (finding.state, f"belongs to user {me or 2}" in finding.detail) == ("problem", True)
    assert finding.exit_code == 1


@pytest.mark.parametrize(
    ("there", "state", "words"),
    [
        ("same", "ok", "has the same state"),
        ("newer", "warning", "has a newer state (timestamp 2)"),
        ("garbage", "warning", "something that is not TUF metadata"),
        ("nothing", "warning", "404"),
    ],
)
def test_each_further_address_is_compared_with_what_is_trusted(
    config: Path, server: FaultServer, there: str, state: str, words: str
) -> None:
    mirror = server.url("/mirror/")
    registry = PluginRegistry()
    registry.release("acme/tool", "1.0.0", {"a.txt": b"hello"})
    registry.publish()
    for name, data in registry.files.items():
        server.put(f"/{name}", data)
    (config.parent / "root.json").write_bytes(registry.root)
    server.always("/metadata/timestamp.json", None)
    if there == "newer":
        registry.release("acme/tool", "1.1.0")
        registry.publish()
    for name, data in registry.files.items() if there != "nothing" else ():
        server.put(f"/mirror/{name}", b"<html>" if there == "garbage" and "timestamp" in name else data)
    text = config.read_text().replace("root =", f'mirrors = ["{mirror}"]\nroot =')
    config.write_text(text)
    (config.parent / "store/trust").rename(config.parent / "another-registry-was-trusted")
    check = "reachability" if there == "nothing" else "addresses"
    finding = found(config)[check]
    assert (finding.state, finding.exit_code) == (state, 0)
    assert mirror in finding.detail
    assert words in finding.detail


def status(config: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = main(["status", "--json", "--config", str(config), "--store", str(config.parent / "store")])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, answer


def test_status_shows_what_is_in_order_without_a_request(
    config: Path, server: FaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(server.requests)
    code, answer = status(config, capsys)
    assert (code, answer["healthy"], answer["registries"], answer["plugins"]) == (0, True, 1, 1)
    shown = {(each["check"], each["subject"]): each for each in answer["findings"]}
    assert shown["plugins", "acme/tool@1.0.0"]["detail"] == "enabled"
    assert shown["trust", "public"]["state"] == shown["expiry", "public"]["state"] == "ok"
    assert len(server.requests) == before
    assert main(["status", "--config", str(config), "--store", str(config.parent / "fresh")]) == 0
    assert "WARNING  trust" in capsys.readouterr().out  # nothing is known yet


def test_what_must_not_stay_is_a_problem_with_its_remedy(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(config.parent / "store")
    State(store).note(PluginId("acme", "tool"), 2, "1.0.0", "ModuleNotFoundError: no module 'x'\nand more")
    for command in ("status", "doctor"):
        assert main([command, "--config", str(config), "--store", str(config.parent / "store")]) == 1
        said = capsys.readouterr().out
        assert "PROBLEM  plugins" in said
        assert "acme/tool@1.0.0: ModuleNotFoundError: no module 'x'\n" in said
        assert re.search(r"-> once that is mended: sealdex enable .*acme/tool", said)
    (config.parent / "store/plugins/acme/tool/1.0.0/a.txt").unlink()
    code, answer = status(config, capsys)
    assert (code, answer["healthy"]) == (4, False)
    problems = [each for each in answer["findings"] if each["state"] == "problem"]
    assert {each["check"] for each in problems} == {"plugins", "store"}
    assert all(each["remedy"] for each in problems)
    assert answer["error"]["code"] == "problems-found"


def test_each_registrys_clock_is_compared_when_it_answers(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another registry may have been waited for, longer than a clock may be off."""
    text = config.read_text(encoding="utf-8")
    config.write_text(f'[registries.slow]\nurl = "http://127.0.0.1:9/"\nroot = "root.json"\nnamespaces = ["x"]\n{text}')
    late, read = [1000.0], Transport.read

    def reads(transport: Transport, url: str, **options: Any) -> Any:
        if ":9/" in url:
            late[0] = 0.0
            raise UnavailableError("it took a thousand seconds to say nothing")
        return read(transport, url, **options)

    now = time.time
    monkeypatch.setattr("sealdex.doctor.time", SimpleNamespace(time=lambda: now() - late[0]))
    monkeypatch.setattr(Transport, "read", reads)
    assert found(config)["clock"].state == "ok"
    assert late == [0.0]


def test_an_answer_that_lay_in_a_cache_says_nothing_else_of_the_clock() -> None:
    """A cache in between repeats the date of the server, and says how old the answer is."""
    with FaultServer() as cache:
        body = b"{}"
        cache.always("/f", Status(200, {"Date": formatdate(time.time() - 900, usegmt=True), "Age": "900"}, body))
        with Transport() as transport:
            date = transport.read(cache.url("/f"), max_bytes=10).date
    assert date is not None
    assert abs(date - time.time()) < 300
