"""Sizes are read alike in options, variables, settings and registry.toml, and what is shown can be written."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from registry_builder.source.config import RegistrySection as RegistryOfTree
from sealdex.cli.commands.cache import cache
from sealdex.cli.commands.config import config
from sealdex.cli.progress import in_bytes
from sealdex.cli.size_option import Size
from sealdex.config.config import load_config, parse_config
from sealdex.errors import ConfigError
from sealdex.model.decode import DocumentError, read_values
from sealdex.model.sizes import read_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("512", 512), ("512 B", 512), ("10_737_418_240", 10 << 30), ("500k", 512_000), ("2M", 2 << 20),
        ("512MiB", 512 << 20), ("512mib", 512 << 20), (" 1.5 GiB ", 3 << 29), ("1GB", 10**9), ("1.5 kB", 1500),
        ("4.7GB", 4_700_000_000), ("1TB", 10**12), (".5G", 1 << 29), ("1.0001k", 1024),
    ],
)  # fmt: skip
def test_sizes_that_are_read(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "k", "B", "GiB", "-1", "+1", "1.5", "1.5B", "1,5G", "1.2.3M", "1E", "1XB", "1bk", "1kk", "1iB", "1 0", "1k b",
     "inf", "nanM", "1e3", "0x10", "٣M", "³M", "9999999T", "9" * 5000],
)  # fmt: skip
def test_sizes_that_are_not_valid(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid size: write a number of bytes, or a size such as"):
        read_size(text)


@given(st.integers(0, 1 << 50))
@example(1_099_457_940_685)  # which rounds up to the next unit
def test_what_is_shown_can_be_written(size: int) -> None:
    assert in_bytes(read_size(in_bytes(size))) == in_bytes(size)


def test_settings_in_bytes_take_text_and_numbers() -> None:
    text = """
        [download]
        max_plugin_size = "2GiB"
        max_bytes_per_second = "500k"
        min_bytes_per_second = "0"
        [cache]
        max_bytes = 1000
    """
    document = parse_config(text)
    said = document.download
    assert (said.max_plugin_size, said.max_bytes_per_second, said.min_bytes_per_second) == (2 << 30, 512_000, 0)
    assert document.cache.max_bytes == 1000


def test_every_wrong_size_is_named_with_what_to_write() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config('[download]\nmax_plugin_size = "much"\nmax_bytes_per_second = "0k"\n[cache]\nmax_bytes = true\n')
    lines = caught.value.message.splitlines()
    form = "must be a number of bytes, or a size such as 500k, 512MiB or 1.5GB"
    assert sorted(lines) == [
        f"cache.max_bytes: {form}, not true",
        f"download.max_bytes_per_second: {form}, at least 1, not '0k'",
        f"download.max_plugin_size: {form}, at least 1, not 'much'",
    ]


def test_numbers_of_something_else_stay_numbers() -> None:
    with pytest.raises(ConfigError, match="concurrent"):
        parse_config('[download]\nconcurrent = "2k"\n')


def test_variables_and_options_take_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALDEX_MAX_PLUGIN_SIZE", "1.5GB")
    found = load_config(tmp_path / "missing.toml", tmp_path, {"cache.max_bytes": "512 MiB"})
    assert found.document.download.max_plugin_size == 1_500_000_000
    assert found.cache_limits.max_bytes == 512 << 20


def test_the_limit_of_a_registry_takes_sizes() -> None:
    values = {"name": "demo", "id": "0a1b2c3d", "max_artifact_size": "4GB"}
    assert read_values(values, RegistryOfTree).max_artifact_size == 4 * 10**9
    with pytest.raises(DocumentError, match="max_artifact_size: must be a number of bytes, or a size such as"):
        read_values({**values, "max_artifact_size": "4 gigs"}, RegistryOfTree)


def test_options_take_sizes_or_say_what_to_write(tmp_path: Path) -> None:
    runner = CliRunner()
    place = ["--config", str(tmp_path / "config.toml"), "--store", str(tmp_path / "store")]
    assert runner.invoke(cache, ["gc", "--max-bytes", "512MiB", *place]).exit_code == 0
    refused = runner.invoke(cache, ["gc", "--max-bytes", "lots", *place])
    assert refused.exit_code == 2
    assert "'lots' is not a valid size: write a number of bytes, or a size such as 500k" in refused.output
    with pytest.raises(click.BadParameter, match="at least 1024"):
        Size(1024).convert("1000", None, None)
    shown = runner.invoke(config, ["show", "--set", "cache.max_bytes=2GiB", *place])
    assert "2147483648 (2.0 GiB)" in shown.output
