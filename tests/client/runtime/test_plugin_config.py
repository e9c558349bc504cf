"""A plugin's configuration that a host keeps: checked, merged, used by hosts and services; secrets by reference."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as Empty
from support.commands import Ran, captured
from support.plugin_store import PluginStore

from sealdex.cli.commands.plugin_config import _path
from sealdex.errors import ConfigError, CredentialsError, UsageError
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginManager
from sealdex.runtime.services._plan import CONFIG_VARIABLE, plan_service
from sealdex.store.manifests import installed_manifest
from sealdex.store.plugin_config import kept_config

NAME = "acme/slack"
SLACK = PluginId("acme", "slack")
SOURCE = "class Plugin:\n    def __init__(self, config): self.config = config\n    def ask(self): return self.config\n"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["channel"],
    "properties": {
        "channel": {"type": "string", "pattern": "^#"},
        "token": {"type": "string", "minLength": 8, "writeOnly": True},
        "key": {"type": "string", "maxLength": 4},
        "retry": {
            "type": "object",
            "properties": {"times": {"type": "integer", "minimum": -9}, "wait": {"type": "number"}},
        },
    },
}
DEFAULTS = {"retry": {"times": 1, "wait": 0.5}}
SECRET = "hunter2-hunter2"


class Host:
    """A store with one plugin, and the command line."""

    def __init__(self, plugins: PluginStore, capsys: pytest.CaptureFixture[str]) -> None:
        self.plugins = plugins
        self._run = captured(capsys)
        self.install("1.0.0")

    def install(self, version: str, schema: dict[str, Any] | None = SCHEMA, **manifest: Any) -> None:
        self.plugins.python(NAME, version, SOURCE, config_schema=schema, **{"default_config": DEFAULTS, **manifest})

    def config(self, *words: str, code: int = 0) -> Ran:
        ran = self._run("config", "plugin", NAME, *words)
        assert ran.code == code, ran
        assert SECRET not in ran.out + ran.err
        return ran

    def run(self, *words: str) -> Ran:
        return self._run(*words)

    @property
    def kept(self) -> dict[str, Any]:
        return kept_config(self.plugins.store, SLACK)

    def loaded(self, given: dict[str, Any] | None = None) -> Any:
        with PluginManager(self.plugins.store, load_timeout=120) as manager:
            manager.register(NAME, config=given)
            manager.init()
            return manager.call(NAME, "ask")


@pytest.fixture
def host(
    plugins: PluginStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Host:
    monkeypatch.setenv("SEALDEX_STORE", plugins.store.root)
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config.toml"))
    return Host(plugins, capsys)


# --- set, get, unset ---------------------------------------------------------------------------------------------


def test_values_are_kept_merged_and_given_to_hosts(host: Host) -> None:
    host.config("set", "channel", "#ops", "retry.times", "-5")
    assert host.kept == {"channel": "#ops", "retry": {"times": -5}}
    assert host.loaded() == {"channel": "#ops", "retry": {"times": -5, "wait": 0.5}}
    assert host.loaded({"channel": "#mine"})["channel"] == "#mine"
    assert host.config("get", "channel", "retry.wait").out == "#ops\n0.5\n"
    shown = host.config("--json").document
    assert shown["config"] == {"channel": "#ops", "retry": {"times": -5, "wait": 0.5}}
    assert shown["set"] == host.kept
    table = host.config().out
    assert "retry.wait" in table
    assert "default" in table
    host.config("unset", "retry.times")
    assert host.kept == {"channel": "#ops"}
    host.config("unset", "--all")
    assert host.kept == {}
    assert not list(Path(host.plugins.store.config_folder).rglob("*.json"))


def test_what_does_not_fit_is_refused_with_its_path_and_nothing_changes(host: Host) -> None:
    host.config("set", "channel", "#ops")
    refused = host.config("set", "channel", "ops", "retry.times", "often", "colour", "red", code=1)
    for path in ("$.channel: 'ops' does not match", "$.retry.times: 'often' is not of type", "'colour' was unexpected"):
        assert path in refused.err
    assert host.kept == {"channel": "#ops"}
    assert "is not an object" in host.config("set", "channel.name", "x", code=1).err
    assert host.config("get", "colour", code=3).err
    assert host.config("unset", "key", code=3).err
    for words in (("set", "channel"), ("set",), ("unset",), ("edit", "x"), ("set", ".", "x"), ("get", "--all")):
        host.config(*words, code=2)
    assert host.kept == {"channel": "#ops"}


def test_what_is_required_may_come_later_and_is_said(host: Host) -> None:
    early = host.config("set", "retry.times", "2")
    assert "can't be loaded like this: $: 'channel' is a required property" in early.err
    with pytest.raises(ConfigError, match="'channel' is a required property"):
        host.loaded()


def test_values_are_read_as_the_schema_has_them(host: Host) -> None:
    host.install("1.1.0", schema=None)
    host.config("set", "n", "5", "o", '{"a": [1, true]}', "t", "plain", "q", '"5"')
    assert host.kept == {"n": 5, "o": {"a": [1, True]}, "t": "plain", "q": "5"}
    host.config("set", "n", "5", "--text")
    assert host.kept["n"] == "5"
    host.install("1.2.0")
    host.config("unset", "--all")
    host.config("set", "channel", "#5", "key", "5")
    assert host.kept["key"] == "5"


@pytest.mark.parametrize(
    ("word", "path"),
    [("a", ("a",)), ("a.b-c", ("a", "b-c")), ('"a.b".c', ("a.b", "c")), ("频道.名", ("频道", "名")), ('""', ("",))],
)
def test_keys_are_read_as_toml_has_them(word: str, path: tuple[str, ...]) -> None:
    assert _path(word) == path


@pytest.mark.parametrize("word", ["", ".", "a.", ".a", "a..b", 'a"b', '"a"b'])
def test_what_is_not_a_key_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="is not a key"):
        _path(word)


def test_a_plugin_that_is_not_installed_has_no_schema_to_check_by(host: Host) -> None:
    ran = host.run("config", "plugin", "acme/nobody", "set", "a", "b")
    assert (ran.code, "sealdex install acme/nobody" in ran.err) == (3, True)
    assert host.run("config", "plugin", "acme/nobody").code == 0


def test_files_of_others_are_refused_and_named(host: Host) -> None:
    host.config("set", "channel", "#ops")
    file = Path(host.plugins.store.config_file(SLACK))
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for text, said in (
        ("{", "can't be read"),
        ('{"format": 1, "config": []}', "not an object"),
        ('{"format": 2}', "format 2"),
    ):
        file.write_text(text)
        ran = host.run("config", "plugin", NAME, "set", "channel", "#x")
        assert ran.code == 1
        assert said in ran.err
        assert file.read_text() == text


# --- edit --------------------------------------------------------------------------------------------------------


def test_edit_keeps_what_fits_and_loses_nothing_that_does_not(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    monkeypatch.setenv("VISUAL", str(editor))

    def edit(text: str) -> None:
        (tmp_path / "text").write_text(text)
        editor.write_text(f'#!/bin/sh\nsleep 0.01\ncat \'{tmp_path}/text\' > "$1"\ntouch -d 2040-01-01 "$1"\n')
        editor.chmod(0o755)

    edit('{"channel": "#edited"}\n')
    host.config("edit")
    assert host.kept == {"channel": "#edited"}
    edit('{"channel": "none"}')
    refused = host.config("edit", code=1)
    assert "$.channel" in refused.err
    assert Path(f"{host.plugins.store.config_file(SLACK)}.rejected").read_text() == '{"channel": "none"}'
    edit('{"channel": ')
    assert "is not JSON" in host.config("edit", code=1).err
    edit("[]")
    assert "is not an object" in host.config("edit", code=1).err
    editor.write_text("#!/bin/sh\n")
    assert "unchanged" in host.config("edit").out
    assert host.kept == {"channel": "#edited"}


def test_what_somebody_else_set_meanwhile_is_not_lost_by_an_edit(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    program = f"{sys.executable} -m sealdex config plugin {NAME} set channel '#other' --store {host.plugins.store.root}"
    editor.write_text(f'#!/bin/sh\n{program} || exit 1\necho \'{{}}\' > "$1"\ntouch -d 2040-01-01 "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    host.config("set", "channel", "#mine")
    assert "was changed meanwhile" in host.config("edit", code=1).err
    assert host.kept == {"channel": "#other"}


def test_what_cannot_be_kept_is_shown_instead(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the work of whoever wrote it must not be lost with the file that was to keep it."""
    monkeypatch.setattr("click.edit", lambda *_, **__: '{"channel": "none"}')

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sealdex.cli.commands.plugin_config.reject", full)
    said = host.config("edit", code=1).err
    assert '{"channel": "none"}' in said
    assert "No space left on device; it is above" in said


def test_numbers_and_depths_that_json_does_not_have_are_not_kept(host: Host) -> None:
    host.install("1.0.1", {"properties": {"wait": {"type": "number"}}})
    for number in ("NaN", "1e999"):
        assert "$.wait" in host.config("set", "wait", number, code=1).err
    host.config("set", "word", "NaN")
    assert host.kept == {"word": "NaN"}
    assert "nested too deeply" in host.config("set", "deep", "[" * 900 + "]" * 900, code=1).err
    Path(host.plugins.store.config_file(SLACK)).write_text(
        f'{{"format": 1, "config": {{"a": {"[" * 900 + "]" * 900}}}}}'
    )
    assert "nested too deeply" in host.config("get", code=1).err


# --- secrets -----------------------------------------------------------------------------------------------------


class Memory(KeyringBackend):
    """A keyring with one entry."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return SECRET if (service, username) == ("https://slack.example/", "bot") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("kind", ["env", "file", "keyring"])
def test_secrets_are_read_when_a_plugin_is_loaded_and_never_kept(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("token.txt").write_text(f"{SECRET}\n")
    before = keyring.get_keyring()
    keyring.set_keyring(Memory())  # type: ignore[no-untyped-call]
    try:
        monkeypatch.setenv("SLACK", SECRET)
        spelt = {"env": "env:SLACK", "file": "file:token.txt", "keyring": "keyring:https://slack.example//bot"}[kind]
        host.config("set", "channel", "#ops", "token", spelt)
        assert host.loaded()["token"] == SECRET
        assert type(host.loaded()["token"]) is str
        assert spelt.partition(":")[2] in host.config("get", "token").out
        for file in Path(host.plugins.store.root).rglob("*"):
            assert not file.is_file() or SECRET not in file.read_text(errors="replace")
        monkeypatch.delenv("SLACK")
        Path("token.txt").unlink()
        keyring.set_keyring(Empty())  # type: ignore[no-untyped-call]
        with pytest.raises(CredentialsError, match=r"\$\.token of its configuration"):
            host.loaded()
    finally:
        keyring.set_keyring(before)


def test_a_literal_secret_is_not_taken_from_the_command_line_and_not_shown(host: Host) -> None:
    refused = host.run("config", "plugin", NAME, "set", "token", "abcdefghij")
    assert (refused.code, "give a reference" in refused.err) == (2, True)
    file = Path(host.plugins.store.config_file(SLACK))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"format": 1, "config": {"channel": "#a", "token": SECRET}}))  # by hand, or by `edit`
    for words in ((), ("--json",), ("get", "token"), ("set", "key", "k")):
        host.config(*words)


def test_a_literal_secret_is_not_kept_either_within_an_object_or_by_an_editor(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {"properties": {"auth": {"type": "object", "properties": {"token": SCHEMA["properties"]["token"]}}}}
    host.install("1.0.1", schema)
    typed = json.dumps({"token": SECRET})
    assert "auth.token: this is a secret" in host.config("set", "auth", typed, code=1).err
    monkeypatch.setattr("click.edit", lambda *_, **__: f'{{"auth": {typed}}}')
    assert "is not kept: there is a secret in it" in host.config("edit", code=1).err
    folder = Path(host.plugins.store.config_folder)
    assert not any(SECRET in path.read_text() for path in folder.rglob("*") if path.is_file())
    host.config("set", "auth", json.dumps({"token": {"$secret": "env:TOKEN"}}))
    assert host.kept == {"auth": {"token": {"$secret": "env:TOKEN"}}}


def test_attack_an_error_about_a_secret_does_not_show_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads errors and logs; the author of a schema may have them quote any value."""
    monkeypatch.setenv("SLACK", SECRET)
    tricks: dict[str, Any] = {
        "key": {"properties": {"key": {"maxLength": 4}}},
        "whole": {"not": {"required": ["key"]}},
        "const": {"const": {}},
        "names": {"properties": {"key": {"enum": ["a"]}}},
    }
    for number, schema in enumerate(tricks.values()):
        host.install(f"2.{number}.0", schema=schema, default_config=None)
        host.run("config", "plugin", NAME, "unset", "--all")
        host.config("set", "key", "env:SLACK")
        with pytest.raises(ConfigError, match="does not match") as refused:
            host.loaded()
        assert SECRET not in str(refused.value)
        assert "which is not shown" in str(refused.value)


def test_attack_defaults_of_a_plugin_name_no_secret_of_the_host(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The author of a plugin, who would have a host read one of its secrets into what the plugin shows or sends."""
    monkeypatch.setenv("SLACK", SECRET)
    default = {"token": {"$secret": "env:SLACK"}}
    host.install("2.0.0", schema=None, default_config=default)
    assert host.loaded({"channel": "#a"}) == {"channel": "#a", **default}


def test_a_reference_is_replaced_as_a_whole(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK", "abcd")
    host.install("2.0.0", schema=None, default_config={"key": {"a": 1}})
    host.config("set", "key", "env:SLACK")
    assert host.loaded() == {"key": "abcd"}
    assert host.loaded({"key": {"b": 2}}) == {"key": {"a": 1, "b": 2}}
    with pytest.raises(CredentialsError, match="not a reference"):
        host.loaded({"key": {"$secret": "gopher:x"}})


# --- updates, services -------------------------------------------------------------------------------------------


def test_it_survives_an_update_and_a_schema_that_refuses_it_is_named(host: Host) -> None:
    host.config("set", "channel", "#ops", "key", "abcd")
    host.install("2.0.0", schema={"properties": {"channel": {"type": "array"}}})
    host.run("use", NAME, "1.0.0")
    switched = host.run("use", NAME, "2.0.0")
    assert switched.code == 0
    assert "acme/slack 2.0.0 does not take its configuration on this host" in switched.err
    assert "$.channel: '#ops' is not of type 'array'" in switched.err
    assert host.kept == {"channel": "#ops", "key": "abcd"}
    examined = host.run("doctor", "--json")
    findings = json.loads(examined.out)["error"]["details"]["findings"]
    assert [f["subject"] for f in findings if f["check"] == "settings"] == [NAME]
    host.run("use", NAME, "1.0.0")
    assert host.loaded()["channel"] == "#ops"
    host.run("uninstall", NAME, "--force")
    assert host.kept == {"channel": "#ops", "key": "abcd"}


def test_a_service_gets_it_in_a_variable_and_not_that_of_its_caller(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK", SECRET)
    service = {"command": ["run"]}
    installed = host.plugins.install("acme/slack", "3.0.0", {"run": ""}, config_schema=SCHEMA, service=service)
    host.config("set", "channel", "#ops", "token", "env:SLACK")
    environ = {CONFIG_VARIABLE: "another's"}
    plan = plan_service(installed, installed_manifest(installed), environ, kept=host.kept)
    assert json.loads(plan.env[CONFIG_VARIABLE]) == {"channel": "#ops", "token": SECRET}
    assert CONFIG_VARIABLE not in plan_service(installed, installed_manifest(installed), environ).env
    with pytest.raises(ConfigError, match="required property"):
        plan_service(installed, installed_manifest(installed), environ, kept={"key": "k"})
