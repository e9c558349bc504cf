"""What ``-v``, ``-vv`` and ``SEALDEX_LOG`` say: the decisions of the main journeys, by their fields."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Run, captured
from support.fault_server import FaultServer, Redirect, Status
from support.log_lines import LogLines
from support.plugin_registry import YANKED, PluginRegistry

from sealdex.cli.output import Output, verbosity
from sealdex.log import Log
from sealdex.log_level import Levels, read_levels


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    for name in ("SEALDEX_LOG", "SEALDEX_LOG_FILE", "SEALDEX_LOG_FORMAT", "SEALDEX_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return captured(capsys)


@pytest.fixture
def registry() -> PluginRegistry:
    made = PluginRegistry()
    same = {"same": os.urandom(200_000)}
    made.release("acme/slack", "1.0.0", {**same, "VERSION": b"1"}, file_list=True)
    made.release("acme/slack", "1.1.0", {**same, "VERSION": b"2"}, file_list=True, dependencies={"acme/base": "^1"})
    made.release("acme/slack", "1.2.0", yanked=YANKED)
    made.release("acme/slack", "1.3.0", selector={"match_labels": {"os": "plan9"}})
    made.release("acme/slack", "2.0.0", channels=("beta",))
    made.release("acme/base", "1.0.0")
    made.publish()
    return made


@pytest.fixture
def server(registry: PluginRegistry) -> Iterator[FaultServer]:
    with FaultServer() as running:
        for path, data in registry.files.items():
            running.put(f"/{path}", data)
        yield running


@pytest.fixture
def ready(run: Run, server: FaultServer, registry: PluginRegistry, tmp_path: Path) -> Run:
    (tmp_path / "root.json").write_bytes(registry.root)
    assert run("registry", "add", "public", server.url("/"), "--root", "root.json").code == 0
    return run


def logged(run: Run, *args: str | Path, code: int = 0) -> LogLines:
    ran = run(*args, "--json")
    assert ran.code == code, ran
    json.loads(ran.out)  # stdout stays the one document
    return LogLines.of(ran.err)


# --- the client's journeys ------------------------------------------------------------------------------------------


def test_adding_a_registry_says_which_root_is_pinned_and_who_signed(
    run: Run, server: FaultServer, registry: PluginRegistry, tmp_path: Path
) -> None:
    (tmp_path / "root.json").write_bytes(registry.root)
    log = logged(run, "registry", "add", "public", server.url("/"), "--root", "root.json", "-v")
    pinned = log.one("trust.pinned")
    assert (pinned["registry"], pinned["version"]) == ("public", 1)
    assert pinned["fingerprint"] == hashlib.sha256(registry.root).hexdigest()
    for role in ("root", "timestamp", "snapshot", "targets"):
        said = log.one("trust.role", role=role)
        assert (said["version"], len(said["key_ids"])) == (1, said["threshold"])
        assert said["expires"].endswith("Z")
    assert log.one("trust.refreshed")["seconds"] >= 0
    assert log.one("config.file")["path"] == str(tmp_path / "config/config.toml")


def test_a_cold_and_a_warm_install(ready: Run, server: FaultServer, registry: PluginRegistry, tmp_path: Path) -> None:
    cold = logged(ready, "install", "acme/slack@^1", "-vv")
    chosen = cold.one("resolve.chosen", plugin="acme/slack")
    assert (chosen["version"], chosen["by"]) == ("1.1.0", ["^1"])
    assert cold.one("resolve.chosen", plugin="acme/base")["by"] == ["acme/slack 1.1.0 (^1)"]
    passed = {each["version"]: each for each in cold.of_event("resolve.passed_over", plugin="acme/slack")}
    assert {version: (each["kinds"], each["flags"]) for version, each in passed.items()} == {
        "2.0.0": (["range", "channel"], ["--channel beta"]),
        "1.3.0": (["environment"], []),
        "1.2.0": (["yanked"], ["--yanked"]),
    }
    assert "yanked by" in passed["1.2.0"]["reason"]
    url = server.url("/plugins/acme/slack/1.1.0/slack.zip")
    fetched = cold.one("download.fetched", url=url)
    archive = registry.files["plugins/acme/slack/1.1.0/slack.zip"]
    assert (fetched["bytes"], fetched["sha256"]) == (len(archive), hashlib.sha256(archive).hexdigest())
    asked = [each for each in cold.of_event("transport.request") if each["url"] == url]
    assert [(each["status"], each["level"]) for each in asked] == [(200, "debug")]
    unpacked = cold.one("install.unpacked", plugin="acme/slack")
    assert (unpacked["action"], unpacked["version"], unpacked["registry"]) == ("unpack", "1.1.0", "public")
    assert unpacked["bytes"] >= 200_001
    assert unpacked["seconds"] >= 0
    done = cold.one("install.done")
    assert (done["installed"], done["repaired"]) == (["acme/base 1.0.0", "acme/slack 1.1.0"], [])
    assert done["bytes"] == len(archive) + len(registry.files["plugins/acme/base/1.0.0/base.zip"])
    assert done["seconds"] >= 0
    assert cold.one("store.switched", plugin="acme/slack")["version"] == "1.1.0"
    assert set(cold.one("store.change")["plugins"]) == {"acme/base none -> 1.0.0", "acme/slack none -> 1.1.0"}

    warm = logged(ready, "install", "acme/slack@^1", "-vv")
    assert warm.one("install.kept", plugin="acme/slack")["version"] == "1.1.0"
    assert warm.of_event("download.fetched") == warm.of_event("install.done") == []
    documents = {each["path"]: each["source"] for each in warm.of_event("trust.document")}
    assert documents["index/acme/slack.json"] == "cache"
    assert warm.one("trust.role", role="snapshot")["source"] == "cache"
    assert warm.one("trust.role", role="timestamp")["source"] == "registry"

    ready("uninstall", "acme/slack")
    again = logged(ready, "install", "acme/slack@^1", "--offline", "-v")
    assert again.one("trust.refreshed")["offline"] is True
    assert again.one("download.found", plugin="acme/slack", file="slack.zip")["source"] == "cache"
    assert {each["level"] for each in again} == {"info"}  # -v: decisions alone


def test_a_retry_and_a_redirect_are_told(ready: Run, server: FaultServer, registry: PluginRegistry) -> None:
    path = "/plugins/acme/base/1.0.0/base.zip"
    server.put("/elsewhere/base.zip", registry.files[path[1:]])
    server.script(path, Status(503), Redirect(server.url("/elsewhere/base.zip?X-Amz-Signature=abcdef0123456789")))
    log = logged(ready, "install", "acme/base", "-vv")
    retry = log.one("transport.retry", url=server.url(path))
    assert (retry["status"], retry["attempt"], retry["level"]) == (503, 2, "info")
    assert retry["delay"] >= 0
    assert log.one("transport.redirect")["target"] == server.url("/elsewhere/base.zip")
    assert "abcdef0123456789" not in str(log)


def test_an_update_by_the_files_that_differ(ready: Run) -> None:
    assert ready("install", "acme/slack@1.0.0").code == 0
    log = logged(ready, "install", "acme/slack@1.1.0", "-v")
    delta = log.one("download.delta", plugin="acme/slack")
    assert delta["reused"] == 200_000
    assert 0 < delta["fetched"] < 100_000
    assert log.of_event("download.whole", plugin="acme/slack") == []


def test_a_registry_that_cannot_be_asked_is_named_with_the_fallback(ready: Run, server: FaultServer) -> None:
    assert ready("install", "acme/base").code == 0
    server.always("/metadata/timestamp.json", Status(503))
    log = logged(ready, "install", "acme/base@^1", "-v", "--set", "download.no_progress_window=0.1")
    assert log.one("install.fallback", plugin="acme/base")["version"] == "1.0.0"
    assert log.one("config.setting", key="download.no_progress_window")["origin"] == "--set"
    assert log.of_event("transport.gave_up")


def test_what_leaves_the_cache_is_told(ready: Run) -> None:
    assert ready("install", "acme/base").code == 0
    log = logged(ready, "cache", "gc", "--max-bytes", "0", "-v")
    assert {each["reason"] for each in log.of_event("store.evicted") if each["bytes"]} == {"over-size"}


# --- where and how ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "count"),
    [
        ([], 0),
        (["-v"], 1),
        (["install", "-vv", "x"], 2),
        (["-v", "list", "--verbose"], 2),
        (["-qv"], 1),
        (["run", "--", "-v"], 0),
        (["-q"], 0),
        (["--version"], 0),
    ],
)
def test_how_often_v_was_given(args: list[str], count: int) -> None:
    assert verbosity(args) == count


def test_nothing_is_logged_unasked_and_v_may_stand_before_the_command(ready: Run) -> None:
    assert "trust:" not in ready("info", "acme/base").err
    before, after = ready("-v", "info", "acme/base"), ready("info", "acme/base", "-v")
    assert before.code == after.code == 0
    for ran in (before, after):
        assert "info  trust: public at " in ran.err
    assert before.out == after.out == ready("info", "acme/base").out
    quiet = ready("info", "acme/base", "-q", "-v")
    assert "info  trust: public at " in quiet.err


def test_the_variable_asks_for_levels_of_single_rooms(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALDEX_LOG", "info,transport=debug")
    log = LogLines.of(ready("info", "acme/base", "--log-format", "json").err)
    assert {each["logger"] for each in log if each["level"] == "debug"} == {"sealdex.transport"}
    assert log.of_event("trust.pinned")
    monkeypatch.setenv("SEALDEX_LOG", "louder")
    told = ready("info", "acme/base")
    assert (told.code, "SEALDEX_LOG: 'louder' is not a level" in told.err) == (0, True)


def test_levels_as_they_are_read() -> None:
    assert read_levels("debug") == (Levels(logging.DEBUG), [])
    assert read_levels("off, trust=DEBUG,=x") == (Levels(logging.CRITICAL + 10, {"trust": logging.DEBUG}), ["=x"])
    record = logging.LogRecord("registry_builder.trust.x", logging.DEBUG, "f", 1, "m", None, None)
    assert read_levels("trust=debug")[0].shows(record)
    assert not read_levels("store=debug")[0].shows(record)


def test_a_file_takes_the_log_in_place_of_stderr(ready: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALDEX_LOG_FILE", "sealdex.log")
    ran = ready("info", "acme/base")
    assert "trust" not in ran.err
    file = tmp_path / "sealdex.log"
    assert file.stat().st_mode & 0o077 == 0
    assert " info    sealdex.trust: public at " in file.read_text()
    monkeypatch.setenv("SEALDEX_LOG_FORMAT", "json")
    file.unlink()
    ready("info", "acme/base")
    assert LogLines.of(file.read_text()).one("trust.pinned")["registry"] == "public"
    monkeypatch.setenv("SEALDEX_LOG_FILE", str(tmp_path))
    unwritable = ready("info", "acme/base", "--log-format", "text")
    assert (unwritable.code, "can't be opened" in unwritable.err) == (0, True)


def test_the_fast_commands_are_the_same_when_logged(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ready("install", "acme/base")
    quick = ready("path", "acme/base")
    monkeypatch.setenv("SEALDEX_LOG", "debug")
    assert ready("path", "acme/base").out == quick.out


def test_a_reader_of_stderr_who_leaves_does_not_end_the_command(ready: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sealdex", "install", "acme/slack", "-vv"]
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=write, check=False, cwd=tmp_path)
    os.close(write)
    assert ran.returncode in {0, 141}
    assert ready("path", "acme/slack").code == 0  # it was installed all the same


# --- for programs ----------------------------------------------------------------------------------------------------


def test_a_program_listens_by_the_standard_library(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sealdex.test")
    room = Log("sealdex.test")
    room.info("test.done", "{what} took {seconds} s", what=["a\nb", "c"], seconds=1.5)
    room.debug("test.step", "not heard")
    [record] = caplog.records
    assert record.getMessage() == "a b, c took 1.5 s"
    assert (vars(record)["event"], vars(record)["what"], vars(record)["seconds"]) == ("test.done", ["a b", "c"], 1.5)
    assert record.filename == Path(__file__).name


def test_nothing_is_imported_until_somebody_listens() -> None:
    code = (
        "import sys; from sealdex.log import Log; log = Log('sealdex.test'); log.info('a.b', '{x}', x=1)\n"
        "print(sorted({'logging', 're', 'typing', 'sealdex._redaction'} & set(sys.modules)))\n"
        "import logging; logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "log.info('a.b', 'heard {x}', x=1)"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["[]", "INFO:sealdex.test:heard 1"]


def test_a_line_of_the_log_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output().trace("a\x1b[31m\nb\u202e")
    assert capsys.readouterr().err == "a b\n"
