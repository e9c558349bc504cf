"""Options of commands that download: how they are read, and that they hold over the configuration; the time left."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sealdex.cli.commands.install import fetch, install
from sealdex.cli.commands.project import ensure, update
from sealdex.cli.context import ConsoleObserver, Context, client_command, download_options
from sealdex.cli.output import Output
from sealdex.cli.progress import Progress, _rate
from sealdex.config.config import load_config
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, FilePin, IndexDocument, ReleaseEntry
from sealdex.resolve import Choice


def config_after(tmp_path: Path, *args: str) -> Any:
    seen: list[Any] = []

    @click.command()
    @download_options
    @client_command
    def command(context: Context) -> None:
        seen.append(context.config())

    path = tmp_path / "config.toml"
    if not path.exists():
        path.write_text("[download]\nconcurrent = 7\n")
    result = CliRunner().invoke(command, ["--config", str(path), "--store", str(tmp_path / "store"), *args])
    return seen[0] if seen else result


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1000", 1000), ("500k", 512_000), ("2M", 2 << 20), ("1.5G", 3 << 29), ("1K", 1024), ("1T", 1 << 40)],
)
def test_a_rate_is_read_as_curl_does(tmp_path: Path, text: str, rate: int) -> None:
    config = config_after(tmp_path, "--limit-rate", text)
    assert config.transport_settings.max_bytes_per_second == rate
    assert config.document.download.concurrent == 7


def test_what_is_left_out_stays_as_configured(tmp_path: Path) -> None:
    assert config_after(tmp_path).transport_settings.max_bytes_per_second is None
    assert config_after(tmp_path, "--concurrent", "2").document.download.concurrent == 2


def test_precedence_of_retry_rises_from_the_file_to_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def retries(*args: str) -> int | None:
        found = config_after(tmp_path, *args).transport_settings.retries
        assert found is None or isinstance(found, int)
        return found

    (tmp_path / "config.toml").write_text("[download]\nretry = 1\n")
    assert load_config(tmp_path / "missing.toml", tmp_path).transport_settings.retries is None
    assert load_config(tmp_path / "config.toml", tmp_path).transport_settings.retries == 1
    monkeypatch.setenv("SEALDEX_RETRY", "2")
    assert load_config(tmp_path / "config.toml", tmp_path).origins["download.retry"] == "$SEALDEX_RETRY"
    assert retries() == 2
    monkeypatch.setenv("SEALDEX_DOWNLOAD_RETRY", "3")
    assert retries() == 3
    assert retries("--set", "download.retry=4") == 4
    assert retries("--set", "download.retry=4", "--retry", "0") == 0


@pytest.mark.parametrize(("option", "value"), [("--retry", "-1"), ("--retry", "x"), ("--timeout", "0")])
def test_what_is_out_of_bounds_is_refused(tmp_path: Path, option: str, value: str) -> None:
    assert config_after(tmp_path, option, value).exit_code == 2


@pytest.mark.parametrize("command", [install, fetch, ensure, update])
def test_every_command_that_downloads_has_them(command: click.Command) -> None:
    names = {name for option in command.params for name in option.opts}
    assert {"--limit-rate", "--concurrent", "--timeout", "--retry"} <= names


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "1E", "k", "inf", "infM", "nanM"])
def test_what_is_no_rate_is_refused(tmp_path: Path, text: str) -> None:
    result = config_after(tmp_path, "--limit-rate", text)
    assert result.exit_code == 2
    assert "is not a valid rate" in result.output


@pytest.mark.parametrize(
    ("left", "shown"),
    [(0, "  1.0 KiB/s"), (41 * 1024, "  1.0 KiB/s  0:42 left"), (7200 << 10, "  1.0 KiB/s  2:00:01 left")],
)
def test_the_time_left_is_said(left: int, shown: str) -> None:
    assert _rate(1024, left) == shown
    assert _rate(0.2, left) == "  0 B/s"


def test_progress_of_unknown_length_says_no_time() -> None:
    stream = io.StringIO()
    with Progress("x", stream) as progress:
        progress.update(1)
    assert "left" not in stream.getvalue()


class Shown(Progress):
    """Keeps what would be drawn."""

    def __init__(self) -> None:
        super().__init__("x", None)
        self.updates: list[tuple[int, int | None]] = []

    def update(self, done: int, total: int | None = None) -> None:
        self.updates.append((done, total))


def choice(name: str, size: int | None) -> Choice:
    artifact = ArtifactEntry(f"{name}.zip", "ab" * 32, "zip", size)
    release = ReleaseEntry("1.0.0", FilePin(1, "ab" * 32), artifacts=(artifact,))
    plugin = PluginId("acme", name)
    return Choice(plugin, release, IndexDocument(1, *plugin, "", "", (release,)), artifact, requested=True)


def test_the_whole_is_known_before_the_first_byte() -> None:
    shown = Shown()
    observer = ConsoleObserver(Output("human"), shown)
    one, two = choice("one", 100), choice("two", 300)
    observer.planning([one, two])
    first = observer.downloading(one)
    first.start(100)
    first.advance(100)
    assert shown.updates == [(100, 400)]
    pieces = observer.downloading(two)  # an update by files needs less than the whole ...
    pieces.start(30)
    pieces.advance(10)
    whole = observer.downloading(two)  # ... and is given up
    whole.start(300)
    whole.advance(300)
    assert shown.updates[1:] == [(110, 130), (410, 410)]


def test_without_a_size_no_whole_is_claimed() -> None:
    shown = Shown()
    observer = ConsoleObserver(Output("human"), shown)
    observer.planning([choice("one", 100), choice("two", None)])
    transfer = observer.downloading(choice("one", 100))
    transfer.start(100)
    transfer.advance(50)
    assert shown.updates == [(50, None)]
