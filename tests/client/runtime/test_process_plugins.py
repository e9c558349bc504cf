"""Plugins that are programs: the examples, and all the ways in which a program may not keep to the protocol."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.places import REPOSITORY
from support.plugin_store import PluginStore

from sealdex.runtime import MethodNotFoundError, PluginError, PluginManager, PluginStatus, PluginTimeoutError
from sealdex.runtime._protocol import MAX_MESSAGE_BYTES, Notice, ProtocolError, Response, read, request

EXAMPLES = REPOSITORY / "examples" / "plugins" / "acme"

LOOP = """
import json, os, signal, subprocess, sys, time
def say(number, result):
    print(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    number, method, params = asked["id"], asked["method"], asked.get("params")
    if method == "initialize":
        say(number, {"protocol": 1})
"""


def program(plugins: PluginStore, body: str, version: str = "1.0.0", **manifest: Any) -> None:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    plugins.install(
        "acme/prog",
        version,
        {"prog.py": LOOP + lines},
        entry_point=f"{sys.executable} prog.py",
        runtime={"kind": "process"},
        **manifest,
    )


def started(plugins: PluginStore, manager: PluginManager, body: str) -> Any:
    program(plugins, body)
    manager.register("acme/prog")
    manager.init()
    return manager.get("acme/prog")


def example(plugins: PluginStore, name: str, entry_point: str, **manifest: Any) -> None:
    files = {path.name: path.read_text() for path in (EXAMPLES / name / "src").iterdir()}
    plugins.install(f"acme/{name}", "1.0.0", files, entry_point=entry_point, runtime={"kind": "process"}, **manifest)


def test_the_example_in_python(
    plugins: PluginStore, manager: PluginManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    example(plugins, "journal-notify", f"{sys.executable} journal_notify.py")
    manager.register("acme/journal-notify", config={"path": str(tmp_path / "journal")})
    manager.init()
    assert manager.call("acme/journal-notify", "send", "one") == {"sent": 1}
    assert manager.get("acme/journal-notify").send(message="two") == {"sent": 2}
    with pytest.raises(MethodNotFoundError, match="only send"):
        manager.call("acme/journal-notify", "nothing")
    manager.unregister("acme/journal-notify")
    assert [line.split(" ", 1)[1] for line in (tmp_path / "journal").read_text().splitlines()] == ["one", "two"]
    assert f"writing to {tmp_path}" in caplog.text


def test_the_example_in_shell(plugins: PluginStore, manager: PluginManager) -> None:
    example(plugins, "host-report", "sh host_report.sh")
    manager.register("acme/host-report")
    manager.init()
    assert manager.call("acme/host-report", "disk")["free_kib"] > 0
    assert manager.call("acme/host-report", "kernel") == os.uname().sysname
    with pytest.raises(PluginError, match="there are disk"):
        manager.call("acme/host-report", "nothing", "with", ["params"])
    assert manager.state("acme/host-report").kind == "process"


def test_calls_from_several_threads_get_their_own_answers(plugins: PluginStore, manager: PluginManager) -> None:
    plugin = started(plugins, manager, "else:\n    say(number, params)")
    results: dict[int, Any] = {}

    def ask(each: int) -> None:
        results[each] = plugin.echo(each)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [n] for n in range(20)}


def test_a_reload_switches_from_one_program_to_another(plugins: PluginStore, manager: PluginManager) -> None:
    old = started(plugins, manager, "else:\n    say(number, 'one')")
    program(plugins, "else:\n    say(number, 'two')", "2.0.0")
    assert manager.reload("acme/prog").version == "2.0.0"
    assert manager.call("acme/prog", "which") == "two"
    with pytest.raises(PluginError, match="not running"):
        old.which()


# --- programs that misbehave ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("else:\n    sys.exit('the bus is gone')", "ended with exit code 1: the bus is gone"),
        ("else:\n    os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("else:\n    print('hello', flush=True)", "not JSON"),
        ("else:\n    print('[1]', flush=True)", "not a JSON-RPC 2.0"),
        ("else:\n    print('[' * 100_000, flush=True)", "not JSON"),
        (f"else:\n    os.write(1, b'x' * {MAX_MESSAGE_BYTES + 9})", "longer than"),
        ("else:\n    os.close(1); time.sleep(1000)", "closed its output"),
        # a request of its own with an id that the refusal can't repeat: the reader must not die of it
        ('else:\n    print(\'{"jsonrpc":"2.0","method":"x","id":NaN}\', flush=True)', "JSON doesn't have"),
    ],
)
def test_what_breaks_the_protocol_or_dies_fails_the_call_and_has_status_error(
    plugins: PluginStore, manager: PluginManager, body: str, why: str
) -> None:
    plugin = started(plugins, manager, body)
    with pytest.raises(PluginError, match=why):
        plugin.anything()
    assert manager.state("acme/prog").status == PluginStatus.ERROR
    with pytest.raises(PluginError, match="not running"):
        plugin.again()
    program(plugins, "else:\n    say(number, 'well')", "1.0.1")
    assert manager.reload("acme/prog").status == PluginStatus.ENABLED
    assert manager.call("acme/prog", "anything") == "well"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise SystemExit('no licence')", "no licence"),
        # reads the request before it answers: an answer to what wasn't asked yet is nobody's
        ('input(); print(\'{"jsonrpc":"2.0","id":1,"result":{"protocol":9}}\', flush=True); input()', "protocol"),
        ("import time; time.sleep(1000)", r"did not answer initialize within 0\.5 s"),
    ],
)
def test_a_program_that_does_not_initialise_leaves_the_old_one(plugins: PluginStore, source: str, why: str) -> None:
    with PluginManager(plugins.store, load_timeout=120) as manager:
        started(plugins, manager, "else:\n    say(number, 'one')")
        manager._loader = replace(manager._loader, load_timeout=0.5 if "within" in why else 120)
        plugins.install(
            "acme/prog", "2.0.0", {"p.py": source}, entry_point=f"{sys.executable} p.py", runtime={"kind": "process"}
        )
        with pytest.raises(PluginError, match=why):
            manager.reload("acme/prog")
        assert manager.call("acme/prog", "which") == "one"
        assert manager.state("acme/prog").version == "1.0.0"


def test_a_call_that_takes_too_long_fails_and_the_program_goes_on(plugins: PluginStore) -> None:
    body = "elif method == 'never':\n    pass\nelse:\n    say(number, 'well')"
    with PluginManager(plugins.store, call_timeout=120) as manager:
        plugin = started(plugins, manager, body)
        plugin._call_timeout_s = 0.05
        with pytest.raises(PluginTimeoutError):
            plugin.never()
        plugin._call_timeout_s = 120
        assert plugin.other() == "well"


def test_a_program_that_does_not_read_is_ended(plugins: PluginStore, manager: PluginManager) -> None:
    plugin = started(plugins, manager, "elif method == 'stop':\n    time.sleep(1000)")
    plugin._call_timeout_s = 0.2
    with pytest.raises(PluginTimeoutError):
        plugin.stop()
    with pytest.raises(PluginError):
        plugin.fill("x" * (MAX_MESSAGE_BYTES - 1000))
    with pytest.raises(PluginError, match="does not read"):
        plugin.more()


def test_messages_of_the_host_are_bounded_too(plugins: PluginStore, manager: PluginManager) -> None:
    plugin = started(plugins, manager, "else:\n    say(number, len(params[0]))")
    with pytest.raises(PluginError, match="longer than"):
        plugin.size("x" * MAX_MESSAGE_BYTES)
    with pytest.raises(PluginError, match="can't be sent to"):
        plugin.size({1, 2})
    assert plugin.size("x" * 500_000) == 500_000


def test_what_it_started_ends_with_it(plugins: PluginStore, manager: PluginManager) -> None:
    """Also a child that ignores SIGTERM and SIGHUP, in the program's group, and has its output."""
    child = (
        "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (1, 15)]; print(1, flush=True); "
        "time.sleep(1e4)"
    )
    body = (
        "elif method == 'spawn':\n"
        f"    c = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "    c.stdout.readline(); say(number, c.pid)\nelif method == 'shutdown':\n    say(number, None); sys.exit()"
    )
    pid = started(plugins, manager, body).spawn()
    os.kill(pid, 0)
    manager.unregister("acme/prog")
    # SIGKILL was sent and can't be ignored, but the kernel may take a moment over it
    deadline = time.monotonic() + 60
    while not (ended := has_ended(pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended


def has_ended(pid: int) -> bool:
    """Whether process `pid` runs no more; as nobody's child it may stay a zombie until init reaps it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(
    ("entry_point", "why"),
    [("bin/none", "not in the package"), ("no-such-program x", "not on this host"), ("'open", "can't be read")],
)
def test_entry_points_that_name_nothing(
    plugins: PluginStore, manager: PluginManager, entry_point: str, why: str
) -> None:
    plugins.install("acme/prog", "1.0.0", {"a": ""}, entry_point=entry_point, runtime={"kind": "process"})
    with pytest.raises(PluginError, match=why):
        manager.register("acme/prog")


# --- messages -------------------------------------------------------------------------------------------------------


def test_requests_are_compact_and_in_order() -> None:
    assert request(1, "send", ["hé"]) == b'{"jsonrpc":"2.0","id":1,"method":"send","params":["h\\u00e9"]}\n'
    assert request(2, "shutdown", None) == b'{"jsonrpc":"2.0","id":2,"method":"shutdown"}\n'
    with pytest.raises(ValueError, match="JSON"):
        request(3, "send", [float("nan")])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":null}', Response(1)),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}', Response(1, error="no", code=1)),
        (b'{"jsonrpc":"2.0","method":"log","params":{}}', Notice("log", {})),
        (b'{"jsonrpc":"2.0","id":"a","method":"ask"}', Notice("ask", None, "a")),
    ],
)
def test_messages_that_are_read(line: bytes, message: object) -> None:
    assert read(line) == message


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b'{"jsonrpc":"2.0","id":true,"result":1}', b'{"jsonrpc":"2.0","id":1}',
     b'{"jsonrpc":"2.0","id":"1","result":1}', b'{"jsonrpc":"2.0","id":1,"result":1,"error":{}}', b"\xff"],
)  # fmt: skip
def test_messages_that_are_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(line)
