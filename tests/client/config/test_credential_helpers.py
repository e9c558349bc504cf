"""Credential helpers: real programs that give, refuse, hang, lie and talk too much; and what of it is ever shown."""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec import convert
from support.commands import captured
from support.fault_server import Fault, FaultServer, Redirect, Request, Status
from support.plugin_registry import PluginRegistry

from sealdex import disk
from sealdex.cli.commands.registry_auth import words_of
from sealdex.config._helper import is_path, would_be_commands
from sealdex.config.config import load_config, parse_config
from sealdex.config.credentials import credentials_for
from sealdex.config.document import AuthSection, RegistrySection
from sealdex.errors import ConfigError, CredentialsError
from sealdex.transport import Credentials, CredentialsRefusedError, Transport

SECRET = "hush-4711-helper"  # test data
OTHER = "hush-4712-helper"
URL = "https://h.example/team/"


def helper(folder: Path, body: str) -> str:
    """Write a program that runs with what it was asked as ``asked``, and counts its runs."""
    path = folder / "helper"
    head = f"""\
        #!{sys.executable} -IS
        import json, os, sys, time
        asked = json.load(sys.stdin)
        with open({str(folder / "runs")!r}, "a") as runs: runs.write(json.dumps(asked) + "\\n")
        """
    path.write_text(textwrap.dedent(head) + textwrap.dedent(body))
    path.chmod(0o755)
    return str(path)


def runs(folder: Path) -> list[dict[str, object]]:
    path = folder / "runs"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def credentials(
    folder: Path, command: str | list[str], url: str = URL, said: list[str] | None = None, **more: object
) -> Credentials:
    words = [command] if isinstance(command, str) else command
    auth = convert({"type": "command", "command": words, **more}, AuthSection)
    section = RegistrySection(url=url, root="r", auth=auth)
    return credentials_for({"team": section}, folder, None, said.append if said is not None else None)


@pytest.fixture(params=[False, True], ids=["here", "as on Windows"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers are listened to by threads where several pipes can't be waited for."""
    monkeypatch.setattr(disk, "ON_WINDOWS", request.param)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (SECRET, {"Authorization": f"Bearer {SECRET}"}),
        (f'{{"token": "{SECRET}", "expires": "2999-01-01T00:00:00Z"}}', {"Authorization": f"Bearer {SECRET}"}),
        ('{"user": "kai", "password": "pw"}', {"Authorization": "Basic a2FpOnB3"}),
        ('{"cookies": {"CloudFront-Signature": "s1", "CloudFront-Key-Pair-Id": "K"}}',
         {"Cookie": "CloudFront-Signature=s1; CloudFront-Key-Pair-Id=K"}),
    ],
)  # fmt: skip
def test_what_a_helper_may_print(tmp_path: Path, answer: str, sent: dict[str, str]) -> None:
    given = credentials(tmp_path, helper(tmp_path, f"print({answer!r})"))
    assert given.grant(f"{URL}x").headers == sent
    assert given.grant(f"{URL}y").headers == sent
    assert runs(tmp_path) == [{"version": 1, "registry": "team", "address": URL, "refused": False}]


def test_a_signed_query_of_a_helper_is_added_to_addresses(tmp_path: Path) -> None:
    answer = json.dumps({"query": f"https://d.example/*?Policy=x&Signature={SECRET}"})
    given = credentials(tmp_path, helper(tmp_path, f"print({answer!r})"))
    assert given.grant(f"{URL}x").query == f"Policy=x&Signature={SECRET}"


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "printed nothing"),
        (f"print('two words {SECRET}')", "printed neither a token"),
        (f"print('{SECRET}\\n{SECRET}')", "printed neither a token"),
        (f'print(\'{{"token": "{SECRET}", \')', "printed neither a token"),
        (f'print(\'{{"secret": "{SECRET}"}}\')', "printed neither a token"),
        (f'print(\'{{"token": "{SECRET}", "query": "a=b"}}\')', "printed neither a token"),
        (f'print(\'{{"token": "{SECRET}\\\\\\\\nX-Evil: 1"}}\')', "does not hold a valid token"),
        ("sys.stdout.buffer.write(b'\\xff' * 20)", "printed neither a token"),
        ("while True: print('x' * 1000)", "printed more than 65536 bytes"),
        (f"print('{SECRET}'); sys.exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), 15)", "ended with SIGTERM"),
        (f'print(\'{{"token": "{SECRET}", "expires": "2020-01-01T00:00:00Z"}}\')', "expired at 2020-01-01 00:00"),
        (f'print(\'{{"token": "{SECRET}", "expires": "2020-01-01T00:00:00"}}\')', "without a time zone"),
        ('print(\'{"error": "run team-login first"}\')', "says: run team-login first"),
        (f'print(\'{{"cookies": {{"a": "{SECRET};"}}}}\')', "does not hold valid cookies"),
        (f'print(\'{{"query": "{SECRET} x"}}\')', "does not hold a valid query"),
    ],
)
def test_what_is_not_an_answer_is_said_without_showing_it(tmp_path: Path, body: str, why: str) -> None:
    given = credentials(tmp_path, helper(tmp_path, body))
    with pytest.raises(CredentialsError, match=why) as caught:
        given.grant(f"{URL}x")
    error = caught.value
    assert "registry 'team'" in str(error)
    assert "[registries.team]" in (error.hint or "")
    assert error.untouched == "no request was made"
    problem = "expired" if "expired at" in why else "missing"
    assert error.details == {"credentials": {"problem": problem, "registry": "team"}}
    for each in (str(error), error.hint, error.__cause__, error.__context__, error.details):
        assert SECRET not in str(each)
    with pytest.raises(CredentialsError, match=why):  # the same, and nobody was asked again
        given.grant(f"{URL}y")
    assert len(runs(tmp_path)) == 1


def test_a_helper_that_is_not_there_or_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CredentialsError, match="no folder of PATH has it"):
        credentials(tmp_path, "no-such-helper").grant(f"{URL}x")
    with pytest.raises(CredentialsError, match="can't be run: No such file"):
        credentials(tmp_path, "./helper").grant(f"{URL}x")
    (tmp_path / "helper").write_text("print('x')")
    (tmp_path / "helper").chmod(0o644)
    with pytest.raises(CredentialsError, match="can't be run: Permission denied"):
        credentials(tmp_path, "./helper").grant(f"{URL}x")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CredentialsError, match="not executable"):
        credentials(tmp_path, "helper").grant(f"{URL}x")
    (tmp_path / "helper").chmod(0o755)
    with pytest.raises(CredentialsError, match="can't be run: Exec format error"):
        credentials(tmp_path, "helper").grant(f"{URL}x")


@pytest.mark.usefixtures("either_way")
def test_a_helper_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is over as soon as it has started what it starts, however long that takes on a busy host."""
    pids = tmp_path / "pids"
    body = f"""
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        with open({f"{pids}.new"!r}, "w") as file: file.write(f"{{os.getpid()}} {{child.pid}}")
        os.rename({f"{pids}.new"!r}, {str(pids)!r})
        time.sleep(600)
        """
    clock = SimpleNamespace(time=time.time, monotonic=lambda: 10.0 if pids.exists() else 0.0)
    monkeypatch.setattr("sealdex.config._helper.time", clock)
    with pytest.raises(CredentialsError, match=r"didn't answer within 1.5 s \(timeout of auth\)"):
        credentials(tmp_path, helper(tmp_path, body), timeout=1.5).grant(f"{URL}x")
    for pid in pids.read_text().split():
        assert is_gone(int(pid))


def is_gone(pid: int) -> bool:
    for _ in range(6000):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.usefixtures("either_way")
def test_what_keeps_running_behind_a_helper_is_not_waited_for(tmp_path: Path) -> None:
    body = f"""
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        open({str(tmp_path / "pids")!r}, "w").write(str(child.pid))
        print({SECRET!r})
        """
    try:
        assert credentials(tmp_path, helper(tmp_path, body)).grant(f"{URL}x").headers
    finally:
        os.kill(int((tmp_path / "pids").read_text()), 9)


def test_it_runs_in_the_folder_of_the_configuration_without_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: a repository that a command is run in has a program or a file of the name that the helper uses."""
    (tmp_path / "config").mkdir()
    (tmp_path / "cloned").mkdir()
    helper(tmp_path / "config", "print(os.getcwd().replace('/', '_') + sys.argv[1].replace(' ', '+'))")
    helper(tmp_path / "cloned", "print('stolen')")
    monkeypatch.chdir(tmp_path / "cloned")
    given = credentials(tmp_path / "config", ["./helper", "$(touch pwned) ; x"])
    assert given.grant(f"{URL}x").headers["Authorization"].endswith("_config$(touch+pwned)+;+x")
    assert [path.name for path in (tmp_path / "cloned").iterdir()] == ["helper"]


def test_many_at_once_ask_it_once(tmp_path: Path) -> None:
    given = credentials(tmp_path, helper(tmp_path, f"time.sleep(0.2); print({SECRET!r})"))
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda number: given.grant(f"{URL}{number}").headers["Authorization"], range(8)))
    assert set(sent) == {f"Bearer {SECRET}"}
    assert len(runs(tmp_path)) == 1


def test_it_is_asked_again_before_what_it_gave_expires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "print(json.dumps({'token': 't', 'expires': '2999-01-01T00:00:00Z'}))"
    given = credentials(tmp_path, helper(tmp_path, body))
    given.grant(f"{URL}x")
    end = 32472144000.0  # 2999-01-01
    clock = SimpleNamespace(time=lambda: end - 10.5, monotonic=time.monotonic)
    for module in ("_helper", "_sources"):
        monkeypatch.setattr(f"sealdex.config.{module}.time", clock)
    given.grant(f"{URL}x")
    assert len(runs(tmp_path)) == 1
    clock.time = lambda: end - 9.5
    given.grant(f"{URL}x")
    assert len(runs(tmp_path)) == 2


# --- with a server --------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


class Accepts(FaultServer):
    """A server that answers 401 to all but one token."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def _next(self, request: Request) -> tuple[bytes | None, Fault | None]:
        data, fault = super()._next(request)
        return data, fault if request.headers.get("authorization") == f"Bearer {self.token}" else Status(401)


def test_after_a_401_it_is_asked_once_more_and_told_so(tmp_path: Path) -> None:
    body = f"print({OTHER!r} if asked['refused'] else {SECRET!r})"
    server = Accepts(OTHER)
    with server:
        server.put("/team/f", b"data")
        given = credentials(tmp_path, helper(tmp_path, body), server.url("/team/"))
        with Transport(credentials=given) as transport:
            assert transport.read(server.url("/team/f"), max_bytes=10).data == b"data"
            assert transport.read(server.url("/team/f"), max_bytes=10).data == b"data"
            assert [run["refused"] for run in runs(tmp_path)] == [False, True]
            server.token = "another"
            with pytest.raises(CredentialsRefusedError, match="refuses what the helper helper gave") as caught:
                transport.read(server.url("/team/f"), max_bytes=10)
    assert caught.value.problem == "wrong"
    assert len(runs(tmp_path)) == 2  # within half a minute it isn't asked again
    assert len(server.requests) == 4


def test_a_redirect_to_elsewhere_brings_neither_cookie_nor_query(tmp_path: Path, server: FaultServer) -> None:
    """Attack: an open redirect, by a server that repeats the query it was asked with."""
    signed = f"Policy=abcdefgh&Signature={SECRET}"
    with FaultServer() as thief:
        thief.put("/stolen", b"data")
        given = credentials(
            tmp_path, helper(tmp_path, f"print(json.dumps({{'query': {signed!r}}}))"), server.url("/team/")
        )
        server.always("/team/f", Redirect(f"{thief.url('/stolen')}?keep=1&{signed}&next=%2Ff%3FSignature%3D{SECRET}"))
        server.always("/team/g", Redirect(f"{thief.url('/stolen')}/{SECRET}"))
        server.always("/team/h", Redirect("/team/i?" + signed))
        server.put("/team/i", b"data")
        with Transport(credentials=given) as transport:
            assert transport.read(server.url("/team/f"), max_bytes=10).data == b"data"
            with pytest.raises(Exception, match="with the signature of the request in it: refused"):
                transport.read(server.url("/team/g"), max_bytes=10)
            assert transport.read(server.url("/team/h"), max_bytes=10).data == b"data"
    assert [request.path for request in thief.requests] == ["/stolen?keep=1"]
    assert [request.path for request in server.requests if "/team/i" in request.path] == [f"/team/i?{signed}"]


KINDS = {
    "helper": ["--auth", "command", "--command", "{helper}"],
    "cookies": ["--auth", "cookies", "--cookies-file", "{folder}/cookies"],
    "query": ["--auth", "query", "--query-env", "TEAM_QUERY"],
    "keyring": ["--auth", "keyring", "--service", "acme"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_attack_nothing_that_is_written_or_shown_has_the_secret(
    kind: str,
    server: FaultServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The attacker reads all outputs, logs, states and locks of a host whose helper even tells its token on stderr."""
    body = f"""
        sys.stderr.write("\\033[31mgot {SECRET} for you\\n")
        print({SECRET!r})
        """
    program = shlex.quote(helper(tmp_path, body))
    (tmp_path / "cookies").write_text(f"CloudFront-Policy=eyJ9\nCloudFront-Signature={SECRET}\n")
    monkeypatch.setenv("TEAM_QUERY", f"https://d.example/?Expires=4102444800&Signature={SECRET}")
    keyring_with(monkeypatch, {("acme", "token"): SECRET})
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SEALDEX_LOG_FILE", str(tmp_path / "log.txt"))
    registry = PluginRegistry()
    registry.release("acme/slack", "1.0.0")
    registry.publish()
    for name, data in registry.files.items():
        server.put(f"/{name}", data)
    (tmp_path / "root.json").write_bytes(registry.root)
    options = [each.format(helper=program, folder=tmp_path) for each in KINDS[kind]]
    run = captured(capsys)
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    (project / "sealdex.toml").write_text('[plugins]\n"acme/slack" = "*"\n')
    outputs: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for words in (
            ("registry", "add", "team", server.url("/"), "--root", str(tmp_path / "root.json"), *options, "--json"),
            ("registry", "list", "--json"),
            ("config", "show", "--json"),
            ("lock", "-vv"),
            ("install", "acme/slack", "-vv", "--json"),
            ("doctor", "--json"),
        ):
            ran = run(*words)
            assert ran.code == 0, ran.err
            outputs += [ran.out, ran.err]
        for path in list(registry.files):
            server.always(f"/{path}", Status(401))
        ran = run("search", "slack", "-vv", "--json")
        assert ran.code == 5
        outputs += [ran.out, ran.err]
    shown = [request for request in server.requests if SECRET in f"{request.path} {dict(request.headers)}"]
    assert len(shown) == len(server.requests)  # the secret was used
    if kind == "helper":
        assert "says: got *** for you" in "".join(outputs)
    files = [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file() and "log" in path.name]
    kept = [
        path
        for folder in ("config", "store", "project")
        for path in (tmp_path / folder).rglob("*")
        if path.is_file() and SECRET in path.read_text(errors="replace")
    ]
    assert kept == []
    assert SECRET not in "".join((*outputs, *files, caplog.text))


def keyring_with(monkeypatch: pytest.MonkeyPatch, entries: dict[tuple[str, str], str]) -> None:
    import keyring  # noqa: PLC0415  # an extra
    from keyring.backend import KeyringBackend  # noqa: PLC0415  # an extra

    class Made(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return entries.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            entries[service, username] = password

    before = keyring.get_keyring()
    monkeypatch.setattr(keyring.core, "_keyring_backend", before)
    keyring.set_keyring(Made())  # type: ignore[no-untyped-call]  # theirs


def from_keyring(folder: Path, **auth: str) -> Credentials:
    section = RegistrySection(url=URL, root="r", auth=convert({"type": "keyring", **auth}, AuthSection))
    return credentials_for({"team": section}, folder)


def test_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {(URL, "token"): SECRET, (URL, "kai"): "pw", ("acme", "token"): OTHER}
    keyring_with(monkeypatch, entries)
    given = from_keyring(tmp_path)
    grant = given.grant(f"{URL}x")
    assert grant.headers == {"Authorization": f"Bearer {SECRET}"}
    assert from_keyring(tmp_path, user="kai").grant(f"{URL}x").headers == {"Authorization": "Basic a2FpOnB3"}
    assert from_keyring(tmp_path, service="acme").grant(f"{URL}x").headers == {"Authorization": f"Bearer {OTHER}"}
    assert given.renewed(f"{URL}x", grant) is None
    entries.clear()
    with pytest.raises(CredentialsError, match=r"nothing for https://h\.example/team/, token") as caught:
        from_keyring(tmp_path).grant(f"{URL}x")
    assert f"keyring set {URL} token" in (caught.value.hint or "")


def test_a_host_without_a_keyring_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring  # noqa: PLC0415  # an extra
    from keyring.backends.fail import Keyring  # noqa: PLC0415  # an extra

    monkeypatch.setattr(keyring.core, "_keyring_backend", Keyring())  # type: ignore[no-untyped-call]  # theirs
    with pytest.raises(CredentialsError, match="there is no keyring on this host"):
        from_keyring(tmp_path).grant(f"{URL}x")
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(CredentialsError, match=r"pip install 'sealdex\[keyring\]'"):
        from_keyring(tmp_path).grant(f"{URL}x")


# --- who may name a program -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        ('type = "command"', "needs command"),
        ('type = "command"\ncommand = []', "command"),
        ('type = "command"\ncommand = "helper"', "command"),
        ('type = "command"\ncommand = ["h"]\ntoken_env = "T"', "has no token_env"),
        ('type = "command"\ncommand = ["h"]\ntimeout = 0', "timeout"),
        ('type = "cookies"', "needs cookies_env or cookies_file"),
        ('type = "query"\nquery_env = "Q"\nquery_file = "q"', "one of both"),
        ('type = "keyring"\ntoken = "hush"', "token"),
    ],
)
def test_what_a_configuration_may_not_say(auth: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_config(f'[auth."{URL}"]\n{auth}\n')


def test_attack_no_project_lock_or_variable_names_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The attacker writes a repository with a project and a lock, and whoever clones it runs sealdex in it."""
    mark = tmp_path / "mark"
    evil = helper(tmp_path, f"open({str(mark)!r}, 'w')")
    project = tmp_path / "cloned"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    table = f'[auth."https://h.example/"]\ntype = "command"\ncommand = ["{evil}"]\n'
    (project / "config.toml").write_text(table)
    (project / "sealdex.toml").write_text(f'[plugins]\n"acme/slack" = "*"\n\n{table}')
    run = captured(capsys)
    assert run("lock").code != 0
    assert run("ensure").code != 0
    (project / "sealdex.toml").write_text('[plugins]\n"acme/slack" = "*"\n')
    (project / "sealdex.lock").write_text(f"version = 1\n\n{table}")
    assert run("ensure").code != 0
    monkeypatch.setenv("SEALDEX_AUTH_COMMAND", evil)
    assert load_config().document.auth == {}
    assert run("search", "x", "--set", f"auth.command={evil}").code == 2
    assert not mark.exists()


@pytest.mark.parametrize(
    ("command", "here", "on_windows"),
    [
        ("vault-login --team 'a b'", ["vault-login", "--team", "a b"], ["vault-login", "--team", "'a", "b'"]),
        (r'"C:\Program Files\x.exe" -t "a b"', [r"C:\Program Files\x.exe", "-t", "a b"], None),
        (r"C:\tools\login.exe", ["C:toolslogin.exe"], [r"C:\tools\login.exe"]),
        (r'\\server\share\login.exe "" #x', [r"\servershare" + "login.exe", "", "#x"], None),
    ],
)
def test_a_command_is_taken_apart_as_its_users_shell_does(
    command: str, here: list[str], on_windows: list[str] | None
) -> None:
    assert words_of(command, on_windows=False) == here
    assert words_of(command, on_windows=True) == (on_windows or shlex.split(command.replace("\\", "\\\\")))


@pytest.mark.parametrize("on_windows", [False, True])
def test_a_quotation_that_does_not_end_is_not_a_command(on_windows: bool) -> None:
    with pytest.raises(ValueError, match="No closing quotation"):
        words_of('login "a b', on_windows=on_windows)


def test_a_program_is_searched_for_unless_its_path_is_given() -> None:
    named = ["login", "./login", r".\login.exe", "C:login", "bin/login"]
    assert [is_path(each, on_windows=False) for each in named] == [False, True, False, False, True]
    assert [is_path(each, on_windows=True) for each in named] == [False, True, True, True, True]


def test_attack_arguments_are_never_commands_to_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``gcloud`` is a script of cmd.exe there, which no quotation keeps from reading ``&`` and ``%``."""
    assert not would_be_commands(r"C:\gcloud.CMD", ["auth", "print-access-token", "--account=kai@example.org", "a b"])
    assert not would_be_commands(r"C:\login.exe", ["a&b"])
    for argument in ("a&calc", "%PATH%", 'a"b', "a|b", "a\nb", "a^b", "!x!"):
        for program in (r"C:\gcloud.cmd", r"C:\login.BAT", r"C:\login.bat. ."):
            assert would_be_commands(program, ["x", argument]), (program, argument)
    script = tmp_path / "login.cmd"
    script.write_text(f"#!/bin/sh\necho {SECRET}\n")
    script.chmod(0o755)
    monkeypatch.setattr(disk, "ON_WINDOWS", True)
    assert credentials(tmp_path, [str(script), "a"]).grant(f"{URL}x").headers
    with pytest.raises(CredentialsError, match=r"login\.cmd is a script of cmd\.exe"):
        credentials(tmp_path, [str(script), "a&b"]).grant(f"{URL}x")
