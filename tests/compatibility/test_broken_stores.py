"""Stores that 0.1.0 left with broken dependencies: they are named, stand in nobody's way, and are mended."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import Run, captured
from support.plugin_registry import PluginRegistry
from support.released import Released


@pytest.fixture
def broken(
    v0_1_0: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """acme/a needs acme/b ^0.1, and 0.1.0 installed acme/b 0.2.0 under it without a word; acme/d lost its acme/e."""
    registry = PluginRegistry()
    registry.release("acme/a", "1.0.0", dependencies={"acme/b": "^0.1"})
    registry.release("acme/b", "0.1.0")
    registry.release("acme/b", "0.2.0")
    registry.release("acme/c", "1.0.0")
    registry.release("acme/d", "1.0.0", dependencies={"acme/e": "*"})
    registry.release("acme/e", "1.0.0")
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    url = registry.write(tmp_path / "published")
    (tmp_path / "config.toml").write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n')
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    for words in (["install", "acme/a", "acme/d"], ["install", "acme/b@0.2"], ["uninstall", "acme/e"]):
        v0_1_0.run("sealdex", *words, cwd=tmp_path)
    return captured(capsys)


def in_use(run: Run) -> dict[str, str]:
    return {row["plugin"]: row["version"] for row in run("list", "--json").document["installed"] if row["current"]}


def test_doctor_names_them_with_what_helps(broken: Run) -> None:
    doctor = broken("doctor", "--json")
    findings = doctor.document["error"]["details"]["findings"]
    found = [each for each in findings if each["check"] == "dependencies"]
    assert [each["detail"] for each in found] == [
        "acme/a 1.0.0 needs acme/b ^0.1, 0.2.0 is in use",
        "acme/d 1.0.0 needs acme/e *, which is not installed",
    ]
    for each in found:
        assert broken("install", each["remedy"].split("'")[1]).code == 0
    assert broken("doctor").code == 0
    assert in_use(broken) == {"acme/a": "1.0.0", "acme/b": "0.1.0", "acme/d": "1.0.0", "acme/e": "1.0.0"}


def test_update_mends_them(broken: Run) -> None:
    assert broken("update").code == 0
    assert broken("doctor").code == 0
    assert in_use(broken) == {"acme/a": "1.0.0", "acme/b": "0.1.0", "acme/d": "1.0.0", "acme/e": "1.0.0"}


def test_they_stand_in_nobodys_way(broken: Run) -> None:
    assert broken("install", "acme/c").code == 0
    assert broken("rollback").code == 0
    assert broken("disable", "acme/a").code == 0
    assert broken("uninstall", "acme/d").code == 0
    assert broken("uninstall", "acme/a", "acme/b").code == 0
    assert in_use(broken) == {}


def test_the_old_client_goes_on_with_a_store_that_this_one_has_changed(
    broken: Run, v0_1_0: Released, tmp_path: Path
) -> None:
    broken("update")
    v0_1_0.run("sealdex", "list", cwd=tmp_path)
    v0_1_0.run("sealdex", "install", "acme/c", cwd=tmp_path)
    v0_1_0.run("sealdex", "rollback", cwd=tmp_path)
    v0_1_0.run("sealdex", "verify", cwd=tmp_path)
