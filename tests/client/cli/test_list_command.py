"""``sealdex list`` of what was asked for: names, namespaces, types and statuses; and how a status is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import Run, captured
from support.plugin_registry import PluginRegistry
from support.plugin_store import PluginStore

from sealdex.model.ids import PluginId
from sealdex.store.database import FAILED, StoredStatus


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs commands on a store with acme/slack 1.0.0 and 1.1.0, acme/mail and team-x/slack."""
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    made = PluginStore(tmp_path)
    for plugin, version in (
        ("acme/slack", "1.0.0"),
        ("acme/slack", "1.1.0"),
        ("acme/mail", "1.0.0"),
        ("team-x/slack", "2.0.0"),
    ):
        made.install(plugin, version, {"a": "a"})
    return captured(capsys)


def shown(run: Run, *words: str) -> list[str]:
    ran = run("list", *words, "-q")
    assert ran.code == 0, ran.err
    return [" ".join(line.split("\t")[:2]) for line in ran.out.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["acme/mail"], ["acme/mail 1.0.0"]),
        (["slack"], ["acme/slack 1.0.0", "acme/slack 1.1.0", "team-x/slack 2.0.0"]),
        (["acme/slack@1.0.0", "acme/m*"], ["acme/mail 1.0.0", "acme/slack 1.0.0"]),
        (["--namespace", "team-*"], ["team-x/slack 2.0.0"]),
        (["slack", "--namespace", "acme", "--status", "enabled"], ["acme/slack 1.1.0"]),
        (["--status", "pinned", "--status", "disabled"], ["acme/mail 1.0.0", "acme/slack 1.0.0"]),
        (["--status", "error"], []),
    ],
)
def test_what_was_asked_for(run: Run, words: list[str], expected: list[str]) -> None:
    assert run("disable", "acme/mail").code == 0
    assert run("use", "acme/slack", "1.0.0", "--pin").code == 0
    assert run("use", "acme/slack", "--unpin").code == 0
    assert run("use", "acme/slack", "1.0.0", "--pin").code == 0
    if "enabled" in words:
        assert run("use", "acme/slack", "--unpin").code == 0
        assert run("use", "acme/slack", "1.1.0").code == 0
    assert shown(run, *words) == expected


def test_a_name_that_is_not_installed_is_told_apart_from_a_filter_that_nothing_passes(run: Run) -> None:
    missing = run("list", "acme/mial")
    assert (missing.code, "did you mean acme/mail?" in missing.err) == (3, True)
    assert run("list", "acme/slack@9.0.0").err.startswith("error: acme/slack@9.0.0 is not installed; installed: 1.0.0,")
    nothing = run("list", "--namespace", "other")
    assert (nothing.code, nothing.out) == (0, "")
    assert "nothing that is installed is what was asked for" in nothing.err
    assert run("list", "--namespace", "other", "--json").document == {"installed": []}
    assert run("list", "--status", "broken").code == 2


def test_a_status_is_one_word_and_its_error_stands_below(run: Run, tmp_path: Path) -> None:
    StoredStatus(PluginStore(tmp_path).store).note(
        PluginId("acme", "mail"), "1.0.0", FAILED, "ImportError: no\nmodule \x1b[31mhere"
    )
    lines = run("list").out.splitlines()
    assert lines[1].split()[:4] == ["acme/mail", "1.0.0", "(current)", "error"]
    assert lines[2] == "  ImportError: no module here"
    assert lines[3].split()[0] == "acme/slack"
    failed = run("list", "--status", "error", "--json").document["installed"]
    assert [(each["plugin"], each["status"]) for each in failed] == [("acme/mail", 2)]


def test_types_come_from_what_was_verified_last(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    run = captured(capsys)
    registry = PluginRegistry()
    registry.plugin("acme/arm", type="HAL_DRIVER")
    registry.release("acme/arm", "1.0.0")
    registry.release("acme/slack", "1.0.0")
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    url = registry.write(tmp_path / "published")
    assert run("registry", "add", "public", url, "--root", tmp_path / "root.json").code == 0
    assert run("install", "acme/arm", "acme/slack").code == 0
    PluginStore(tmp_path).install("else/where", "1.0.0", {"a": "a"})
    (tmp_path / "published").rename(tmp_path / "gone")
    assert shown(run, "--type", "hal-driver") == ["acme/arm 1.0.0"]
    ran = run("list", "--type", "notify", "--type", "service")
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == ["acme/slack"]
    assert "the type of else/where is not known without a request" in ran.err
