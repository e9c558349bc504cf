"""docs/logging.md: the command of its example prints the lines that stand there, in that order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.commands import captured
from support.places import REPOSITORY
from support.plugin_registry import YANKED, PluginRegistry


def test_the_example_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (REPOSITORY / "docs/logging.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```text\n\$ sealdex (.*?)^```$", page, re.MULTILINE | re.DOTALL)
    command, *lines = block.splitlines()
    registry = PluginRegistry()
    registry.release("acme/slack", "1.0.0")
    registry.release("acme/slack", "1.1.0", yanked=YANKED)
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    url = registry.write(tmp_path / "published")
    (tmp_path / "config.toml").write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n')
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    for name in ("SEALDEX_LOG", "SEALDEX_LOG_FILE", "SEALDEX_LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    ran = captured(capsys)(*command.split())
    assert ran.code == 0
    said = iter(ran.err.splitlines())
    for line in lines:
        wanted = ".*".join(re.escape(part) for part in line.split("…"))
        assert any(re.fullmatch(wanted, each.strip()) for each in said), f"{line}\n{ran.err}"
