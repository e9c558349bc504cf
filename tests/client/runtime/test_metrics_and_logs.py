"""Metrics over HTTP and as a textfile whose counters go on, and logs as JSON lines."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from support.plugin_registry import PluginRegistry
from support.plugin_store import PluginStore

from sealdex.cli.main import main
from sealdex.metrics import Metrics
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginError, PluginManager
from sealdex.runtime.services.state import ServiceFolder, ServiceState
from sealdex.store.database import State


def values(text: str) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry, and the environment of a host that knows it; returns the file for metrics."""
    registry = PluginRegistry()
    registry.release("acme/slack", "1.0.0")
    registry.release("acme/slack", "1.1.0")
    registry.release("acme/gone", "1.0.0", artifact={"sha256": "0" * 64})
    registry.publish()
    (tmp_path / "root.json").write_bytes(registry.root)
    config = tmp_path / "config.toml"
    address = registry.write(tmp_path / "published")
    config.write_text(f'[registries.public]\nurl = "{address}"\nroot = "root.json"\n')
    monkeypatch.setenv("SEALDEX_CONFIG", str(config))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    return tmp_path / "textfiles" / "sealdex.prom"


def test_command_lines_add_to_one_textfile(agent: Path) -> None:
    assert main(["install", "acme/slack@1.0.0", "--metrics-file", str(agent)]) == 0
    first = values(agent.read_text())
    assert first['plugin_download_total{plugin_id="acme/slack",status="success",version="1.0.0"}'] == 1
    assert first['plugin_install_total{action="unpack",plugin_id="acme/slack",version="1.0.0"}'] == 1
    assert first['plugin_installed{status="1"}'] == 1
    assert first["sealdex_cache_bytes"] > 0
    assert main(["install", "acme/slack@1.1.0", "--metrics-file", str(agent)]) == 0
    assert main(["install", "acme/slack@1.1.0", "--metrics-file", str(agent)]) == 0
    assert main(["install", "acme/gone", "--metrics-file", str(agent)]) == 4
    told = values(agent.read_text())
    assert told['plugin_download_total{plugin_id="acme/slack",status="success",version="1.0.0"}'] == 1
    assert told['plugin_download_total{plugin_id="acme/slack",status="success",version="1.1.0"}'] == 1
    assert told['plugin_download_total{plugin_id="acme/gone",status="failure",version="1.0.0"}'] == 1
    assert told['plugin_install_total{action="keep",plugin_id="acme/slack",version="1.1.0"}'] == 1
    assert told['plugin_download_duration_seconds_count{plugin_id="acme/slack"}'] == 2
    assert told['plugin_download_duration_seconds_bucket{le="+Inf",plugin_id="acme/slack"}'] == 2
    assert told['plugin_installed{status="1"}'] == 1
    assert not [line for line in agent.read_text().splitlines() if "_created" in line]
    assert [p.name for p in agent.parent.iterdir() if not p.name.startswith(".")] == [agent.name]


def test_bytes_and_seconds_are_those_of_the_log_and_of_json(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["install", "acme/slack@1.0.0", "--metrics-file", str(agent), "--json", "--log-format", "json", "-v"]
    assert main(asked) == 0
    shown = capsys.readouterr()
    told = values(agent.read_text())
    logged = {line["event"]: line for text in shown.err.splitlines() if "event" in (line := json.loads(text))}
    labels = '{plugin_id="acme/slack",version="1.0.0"}'
    fetched = json.loads(shown.out)["installed"][0]["bytes_fetched"]
    assert told[f"plugin_download_bytes_total{labels}"] == fetched == logged["install.done"]["bytes"] > 0
    assert told[f"plugin_install_bytes_total{labels}"] == logged["install.unpacked"]["bytes"] > 0
    sum_of, count_of = (
        f'plugin_install_duration_seconds_{what}{{plugin_id="acme/slack"}}' for what in ("sum", "count")
    )
    assert told[sum_of] == logged["install.unpacked"]["seconds"]
    assert told[count_of] == 1
    assert main(asked) == 0
    assert values(agent.read_text())[count_of] == 1, "what is kept isn't counted"
    assert values(agent.read_text())[f"plugin_download_bytes_total{labels}"] == fetched


@pytest.mark.parametrize("place", ["", "."])
def test_a_folder_in_its_place_is_named_after_the_work_is_done(
    agent: Path, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(agent.parent.parent)
    main(["install", "acme/slack", "--metrics-file", place])
    told = capsys.readouterr().err
    assert "metrics" in told
    assert "unexpected" not in told


def test_the_file_can_be_configured(agent: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[runtime]\nmetrics_file = "here.prom"\n' + config.read_text())
    assert main(["install", "acme/slack"]) == 0
    assert "plugin_download_total" in (tmp_path / "here.prom").read_text()


def test_a_host_process_serves_them(plugins: PluginStore) -> None:
    plugins.python("acme/good", "1.0.0", "class Plugin:\n    def __init__(self, config): pass\n")
    plugins.python("acme/bad", "1.0.0", "1 / 0")
    folder = ServiceFolder(plugins.store, ("acme", "serves"))
    folder.make()
    folder.write(ServiceState("acme/serves", "1.0.0", "stopped", 1, restarts=3))
    metrics = Metrics(plugins.store)
    server, thread = metrics.serve()
    try:
        with PluginManager(plugins.store, observer=metrics.observer()) as manager:
            manager.register("acme/good")
            manager.init()
            with pytest.raises(PluginError):
                manager.register("acme/bad")
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
            told = values(text)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert told['plugin_load_duration_seconds_count{plugin_id="acme/good"}'] == 2
    assert told['plugin_error_total{plugin_id="acme/bad",version="1.0.0"}'] == 1
    assert told['plugin_installed{status="2"}'] == 1
    assert told['plugin_service_up{plugin_id="acme/serves",version="1.0.0"}'] == 0
    assert told['plugin_service_restarts{plugin_id="acme/serves",version="1.0.0"}'] == 3
    assert told["process_resident_memory_bytes"] > 1_000_000
    described = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
    assert described == {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert State(plugins.store).plugin(PluginId("acme", "bad")).status == 2


def test_without_prometheus_client_the_extra_is_named(agent: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None; from sealdex.cli.main import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "install", "acme/slack", "--metrics-file", str(agent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "pip install 'sealdex[metrics]'" in done.stderr
    assert not (tmp_path / "store" / "plugins").exists()


def logged(text: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in text.splitlines()]


def test_logs_are_json_lines_on_stderr(
    agent: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["install", "acme/none", "--log-format", "json"]) == 3
    (error,) = logged(capsys.readouterr().err)
    assert (error["level"], error["time"][-1]) == ("error", "Z")
    assert "acme/none" in error["message"]
    monkeypatch.setenv("SEALDEX_LOG_FORMAT", "json")
    assert main(["install", "acme/gone"]) == 4
    assert logged(capsys.readouterr().err)[-1]["level"] == "critical"
    assert main(["ps", "--log-format", "text"]) == 0
    assert "no service has been started" in capsys.readouterr().err
    assert main(["ps"]) == 0
    assert logged(capsys.readouterr().err)[0]["level"] == "info"


def test_what_plugins_log_is_among_them(
    agent: Path, plugins: PluginStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (
        "class Plugin:\n    def __init__(self, config): pass\n"
        "    def init(self, context): context.logger.warning('a\\x1b[31m%s', 'b')\n"
    )
    plugins.python("acme/logs", "1.0.0", source)
    file = tmp_path / "job.toml"
    file.write_text('job_id = "j"\ncommands = ["echo said"]\n[[plugins]]\nplugin_id = "acme/logs"\nversion = "1.0.0"\n')
    assert main(["job", "run", str(file), "--log-format", "json"]) == 0
    told = logged(capsys.readouterr().err)
    assert {"level": "warning", "message": "a\x1b[31mb", "logger": "sealdex.plugin.acme.logs"}.items() <= told[
        0
    ].items()
    assert {"level": "info", "message": "said", "source": "j"}.items() <= told[-1].items()
    assert main(["job", "run", str(file)]) == 0
    assert "warning: plugin.acme.logs: ab" in capsys.readouterr().err


def test_metrics_that_cannot_be_written_do_not_hide_what_a_command_failed_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise a full disk would turn exit code 4, of what doesn't verify, into any other."""
    command = ["install", "acme/nothing", "--store", str(tmp_path)]
    code = main(command)
    told = capsys.readouterr().err
    assert code not in {0, 1}
    assert main([*command, "--metrics-file", "/dev/full"]) == code
    said = capsys.readouterr().err
    assert "the metrics can't be written to /dev/full" in said
    assert told.splitlines()[0] in said
