"""A client of 0.1.0 at a mirror of a part, which it knows nothing of: nothing older is taken in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import Run, captured
from support.plugin_registry import PluginRegistry
from support.released import Released


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    return captured(capsys)


def test_it_takes_what_is_there_by_name_and_nothing_older_in_silence(
    run: Run, v0_1_0: Released, tmp_path: Path
) -> None:
    registry = PluginRegistry()
    for version in ("1.0.0", "1.1.0"):
        registry.release("acme/slack", version)
    registry.release("acme/mail", "1.0.0")
    registry.publish()
    url = registry.write(tmp_path / "published")
    root = tmp_path / "root.json"
    root.write_bytes(registry.root)
    mirror = tmp_path / "mirror"
    made = run("mirror", "create", url, mirror, "--root", root, "--plugin", "acme/slack@<1.1")
    assert made.code == 0, made.err

    v0_1_0.run("sealdex", "registry", "add", "site", mirror.as_uri(), "--root", root, cwd=tmp_path)
    for plugin in ("acme/slack", "acme/mail"):
        refused = v0_1_0.run("sealdex", "install", plugin, cwd=tmp_path, expect=5)
        assert "404" in refused.stderr
        assert not list((tmp_path / "store/plugins").glob("*/*"))
    v0_1_0.run("sealdex", "install", "acme/slack@1.0.0", cwd=tmp_path)
    shown = v0_1_0.run("sealdex", "path", "acme/slack", cwd=tmp_path)
    assert shown.stdout.strip().endswith("1.0.0")


@pytest.mark.parametrize("line", ["partial = true", 'mirrors = ["https://b.example/"]'])
def test_it_refuses_a_configuration_that_it_would_misread(v0_1_0: Released, tmp_path: Path, line: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[registries.site]\nurl = "https://a.example/"\nroot = "r"\n{line}\n')
    refused = v0_1_0.run("sealdex", "registry", "list", "--config", config, cwd=tmp_path, expect=1)
    assert line.split(" ", maxsplit=1)[0] in refused.stderr
