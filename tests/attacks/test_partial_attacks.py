"""Attacks with ``mirror.json``, which nobody signs: it words errors, and has nothing chosen that isn't asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

SAYS = {
    "format": 1,
    "source": "https://plugins.example.org/",
    "made_at": "2026-11-28T12:00:00Z",
    "timestamp_version": 1,
    "snapshot_version": 1,
    "root_version": 1,
    "selection": {"plugins": ["acme/slack@<1.1"], "with_dependencies": True},
    "needed": {"acme/base": ["^1"]},
}


def plant(registry: PluginRegistry, **changes: object) -> None:
    registry.files["mirror.json"] = json.dumps({**SAYS, **changes}).encode()


def test_attack_a_planted_mirror_json_does_not_choose_an_older_release(
    run: Run, registry: PluginRegistry, server: TreeServer, tmp_path: Path
) -> None:
    """Writes to the store or the way: says that the newest release wasn't selected, and withholds its files."""
    plant(registry)
    for command in (["install", "acme/slack"], ["install", "acme/slack", "--dry-run"]):
        done = run(*command, "--json")
        assert done.code == 0
        assert "1.1.0" in done.out, "it isn't even asked for"
        assert "mirror.json" not in server.requests
        if "--dry-run" not in command:
            assert run("uninstall", "acme/slack", "--cascade").code == 0
    server.instead = {key: 404 for key in registry.files if "/slack/1.1.0/" in key}
    (tmp_path / "store/cache").rename(tmp_path / "no-cache")
    for command in (["install", "acme/slack"], ["update"], ["fetch", "acme/slack", "--cache-only"]):
        ran = run(*command)
        assert ran.code == (0 if command == ["update"] else 3), ran.err
        if command != ["update"]:
            assert "acme/slack 1.1.0 is not on this mirror: selection of 2026-11-28, acme/slack@<1.1" in ran.err
    assert not list((tmp_path / "store/plugins").rglob("slack/1.0.0"))


def test_attack_a_planted_mirror_json_does_not_hide_a_plugin(run: Run, registry: PluginRegistry) -> None:
    """Says that nothing was selected: what is there is found all the same."""
    plant(registry, selection={"plugins": ["acme/none"]})
    assert run("info", "acme/slack").code == 0
    assert run("install", "acme/mail").code == 0


def test_attack_with_partial_the_newer_release_is_named_whatever_the_mirror_says(
    run: Run, registry: PluginRegistry, tmp_path: Path
) -> None:
    """The host is content with a part: who writes mirror.json chooses which, and can't keep it quiet."""
    plant(registry)
    config = tmp_path / "config/config.toml"
    config.write_text(config.read_text().replace("[download]", "partial = true\n[download]"))
    text = config.read_text()
    assert "partial = true" in text
    config.write_text(text.replace("\npartial = true\n", "\n").replace("root =", "partial = true\nroot ="))
    done = run("install", "acme/slack", "--json")
    assert done.code == 0, done.err
    assert [(e["newer"], e["version"]) for e in done.document["passed_over"]] == [("1.1.0", "1.0.0")]
    assert "1.1.0 is signed and newer than 1.0.0, but passed over" in run("install", "acme/slack").err


@pytest.mark.parametrize(
    "planted",
    [b"", b"{", b"[]", b'{"format": 99}', json.dumps({**SAYS, "selection": {"platforms": ["a/b/c"]}}).encode()],
)
def test_attack_a_mirror_json_that_can_not_be_read_changes_nothing(
    run: Run, registry: PluginRegistry, server: TreeServer, tmp_path: Path, planted: bytes
) -> None:
    """Plants bytes that break a reader."""
    registry.files["mirror.json"] = planted
    server.instead = {key: 404 for key in registry.files if "/slack/1.1.0/" in key}
    ran = run("install", "acme/slack")
    assert ran.code in {3, 5}, ran.err
    config = tmp_path / "config/config.toml"
    config.write_text(config.read_text().replace("root =", "partial = true\nroot ="))
    ran = run("install", "acme/slack")
    assert "unexpected" not in ran.err
    if ran.code == 0:
        assert "passed over" in ran.err


def test_attack_words_of_a_mirror_json_reach_the_terminal_clean_and_short(
    run: Run, registry: PluginRegistry, server: TreeServer
) -> None:
    """Writes control characters and much text where people read."""
    plant(
        registry,
        made_at="\x1b[2J\x1b[31m",
        selection={"plugins": ["acme/slack@<1.1"], "channels": ["\x1b]0;x\x07much" * 9999]},
    )
    server.instead = {key: 404 for key in registry.files if "/slack/1.1.0/" in key}
    ran = run("install", "acme/slack")
    assert ran.code == 3
    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err
    assert len(ran.err) < 3000
