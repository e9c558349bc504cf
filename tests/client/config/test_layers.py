"""Settings from defaults, config.toml, environment variables and options, and where each comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.commands import Run

from sealdex.config.config import load_config
from sealdex.errors import ConfigError, UsageError


def settings(run: Run, *args: str) -> dict[str, tuple[Any, str]]:
    shown = run("config", "show", "--json", *args)
    assert shown.code == 0, shown.out
    return {row["key"]: (row["value"], row["origin"]) for row in shown.document["settings"]}


def test_precedence_rises_from_default_to_option(bare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config/config.toml"
    assert settings(bare)["download.timeout"] == (20.0, "default")
    file.parent.mkdir()
    file.write_text("[download]\ntimeout = 7\nconcurrent = 2\n")
    assert settings(bare)["download.timeout"] == (7.0, str(file))
    monkeypatch.setenv("SEALDEX_DOWNLOAD_TIMEOUT", "5")
    assert settings(bare)["download.timeout"] == (5.0, "$SEALDEX_DOWNLOAD_TIMEOUT")
    assert settings(bare, "--set", "download.timeout=3")["download.timeout"] == (3.0, "--set")
    assert settings(bare)["download.concurrent"] == (2, str(file))
    assert settings(bare)["store"] == (str(tmp_path / "store"), "$SEALDEX_STORE")
    assert "$SEALDEX_DOWNLOAD_TIMEOUT" in bare("config", "show", "--origin").out
    assert "$SEALDEX_DOWNLOAD_TIMEOUT" not in bare("config", "show").out


def test_every_kind_of_value(tmp_path: Path) -> None:
    given = {
        "environment.labels": "gpu=a100, zone=b",
        "environment.tags": "cuda-11.8,jetpack-5",
        "environment.host_version": "3.2.0",
        "install.require_signed": "false",
        "install.builtin": "image",
        "cache.eviction": "lfu",
        "download.max_plugin_size": "1_000",
        "runtime.load_timeout": "2.5",
    }
    document = load_config(tmp_path / "c.toml", tmp_path, given).document
    assert document.environment.labels == {"gpu": "a100", "zone": "b"}
    assert document.environment.tags == ("cuda-11.8", "jetpack-5")
    assert document.environment.host_version == "3.2.0"
    assert (document.install.require_signed, document.install.builtin) == (False, "image")
    assert (document.cache.eviction, document.download.max_plugin_size) == ("lfu", 1000)
    assert document.runtime.load_timeout == 2.5


def test_what_names_no_setting_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"did you mean 'download\.timeout'"):
        load_config(tmp_path / "c.toml", tmp_path, {"download.timeuot": "1"})
    with pytest.raises(UsageError, match=r"no setting 'registries\.public\.url'"):
        load_config(tmp_path / "c.toml", tmp_path, {"registries.public.url": "https://evil.example/"})
    monkeypatch.setenv("SEALDEX_DOWNLOAD_TIMEUOT", "1")
    with pytest.raises(ConfigError, match="did you mean SEALDEX_DOWNLOAD_TIMEOUT"):
        load_config(tmp_path / "c.toml", tmp_path)


def test_a_value_of_the_wrong_kind_says_where_it_is_from(bare: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALDEX_DOWNLOAD_CONCURRENT", "many")
    wrong = bare("config", "show")
    assert (wrong.code, "download.concurrent from $SEALDEX_DOWNLOAD_CONCURRENT" in wrong.err) == (1, True)
    assert bare("config", "show", "--set", "nonsense").code == 2
