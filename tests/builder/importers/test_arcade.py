"""`import arcade`: packages, the exported plugin table, and the engine's storage."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.import_scene import ELF_AMD64, ImportScene, sha256, zip_with
from support.tree_server import TreeServer

MANIFEST: dict[str, Any] = {
    "name": "slack-notify",
    "version": "1.0.0",
    "description": "Slack notification plugin",
    "author": "Arcade Team",
    "homepage": "https://example.com",
    "repository": "https://github.com/example/slack-plugin",
    "pluginType": "notify",
    "entryPoint": "slack.so",
    "dependencies": [],
    "configSchema": {
        "type": "object",
        "properties": {"webhook_url": {"type": "string"}, "channel": {"type": "string"}},
        "required": ["webhook_url"],
    },
    "defaultConfig": {"channel": "#general"},
    "icon": "https://example.com/icon.png",
    "tags": ["notify", "slack", "通知"],
    "minVersion": "1.0.0",
    "resources": {"cpu": "100m", "memory": "128Mi", "disk": "50Mi"},
}


def package(path: Path, files: dict[str, bytes | str] | None = None, **fields: Any) -> Path:
    manifest = {k: v for k, v in {**MANIFEST, **fields}.items() if v is not None}
    path.write_bytes(zip_with({"manifest.json": json.dumps(manifest), "slack.so": ELF_AMD64, **(files or {})}))
    return path


def row(**fields: Any) -> dict[str, Any]:
    return {
        "plugin_id": "plugin_slack_abc123",
        "name": "slack-notify",
        "version": "1.0.0",
        "plugin_type": "notify",
        "entry_point": "slack.so",
        "is_enabled": 1,
        "is_builtin": 0,
        "checksum": sha256(ELF_AMD64),
        "source": "local",
        "s3_path": "plugins/plugin_slack_abc123/1.0.0/plugin_slack_abc123_1.0.0.so",
        "manifest": json.dumps({k: MANIFEST[k] for k in ("tags", "minVersion", "resources", "configSchema")}),
        "default_config": '{"channel": "#general"}',
        "install_time": "2025-01-16 08:00:00",
        "update_time": None,
        **fields,
    }


def as_csv(path: Path, *rows: dict[str, Any], mark: str = ",") -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=mark)
    writer.writeheader()
    writer.writerows({k: "NULL" if v is None else v for k, v in each.items()} for each in rows)
    path.write_bytes(b"\xef\xbb\xbf" + text.getvalue().encode())  # as Excel writes it
    return path


def stored(folder: Path, plugin: str = "plugin_slack_abc123", version: str = "1.0.0", data: bytes = ELF_AMD64) -> Path:
    path = folder / "plugins" / plugin / version / f"{plugin}_{version}.so"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return folder


def test_a_package_is_imported_published_and_installed(scene: ImportScene, tmp_path: Path) -> None:
    args = ("arcade", package(tmp_path / "slack-notify.zip"))
    ran = scene.run(*args)
    assert (ran.code, ran.releases) == (0, ["arcade/slack-notify@1.0.0"])
    release = scene.release("arcade/slack-notify", "1.0.0")
    assert release.entry_point == "slack.so"
    assert release.runtime is not None
    assert release.runtime.kind == "native"
    assert release.config_schema == MANIFEST["configSchema"]
    assert release.default_config == {"channel": "#general"}
    assert (release.min_host_version, release.authors) == ("1.0.0", ("Arcade Team",))
    assert release.resources is not None
    assert (release.resources.cpu, release.resources.memory, release.resources.disk) == ("100m", "128Mi", "50Mi")
    assert release.artifacts[0].selector.match_labels == {"os": "linux", "arch": "amd64"}
    plugin = scene.plugin("arcade/slack-notify").plugin
    assert (plugin.type, plugin.summary, plugin.keywords) == (
        "notify",
        "Slack notification plugin",
        ("notify", "slack", "通知"),
    )
    assert (plugin.repository, plugin.owners[0].name) == ("https://github.com/example/slack-plugin", "Arcade Team")
    scene.assert_again_changes_nothing(*args)
    with scene.installed("arcade/slack-notify") as folder:
        assert (folder / "slack.so").read_bytes() == ELF_AMD64


def test_the_table_and_the_storage_agree_and_older_versions_come_along(scene: ImportScene, tmp_path: Path) -> None:
    storage = stored(tmp_path / "s3")
    stored(storage, version="0.9.0", data=ELF_AMD64 + b"old")
    other = row(
        plugin_id="plugin_b", name="b", s3_path="", checksum="", manifest=None, dependencies='["slack-notify@^1"]'
    )
    stored(storage, "plugin_b", data=ELF_AMD64 + b"b")
    table = as_csv(tmp_path / "t_plugin.csv", row(dependencies=None), other, mark=";")
    args = ("arcade", table, "--files", storage)
    ran = scene.run(*args)
    assert ran.code == 0
    assert ran.releases == ["arcade/b@1.0.0", "arcade/slack-notify@0.9.0", "arcade/slack-notify@1.0.0"]
    release = scene.release("arcade/slack-notify", "1.0.0")
    assert release.released_at == "2025-01-16T08:00:00Z"
    assert release.artifacts[0].source == "plugins/arcade/slack-notify/dist/1.0.0/slack.so"
    assert (release.min_host_version, release.default_config) == ("1.0.0", {"channel": "#general"})
    assert scene.release("arcade/b", "1.0.0").dependencies == {"arcade/slack-notify": "^1"}
    assert scene.record("arcade/slack-notify", "1.0.0")["fields"]["source"] == "local"
    assert 'slack-notify = "arcade/slack-notify"' in (scene.tree / "imports/arcade.toml").read_text()
    assert scene.record("arcade/slack-notify", "1.0.0")["fields"]["pluginId"] == "plugin_slack_abc123"
    assert any("0.9.0: is in the storage and not in the table" in note for note in ran.document["notes"])
    scene.assert_again_changes_nothing(*args)
    # the same plugin as JSON, as another tool exports it: its name and version are known already
    exported = {"PluginId": "plugin_slack_abc123", "Name": "slack-notify", "Version": "1.0.0", "PluginType": "notify"}
    exported |= {"EntryPoint": "slack.so", "Checksum": sha256(ELF_AMD64)}
    (tmp_path / "t.json").write_text(json.dumps({"RECORDS": [exported]}))
    again = scene.run("arcade", tmp_path / "t.json", "--files", storage)
    assert (again.releases, again.document["unchanged"]) == ([], 2)


def test_files_at_an_address_stay_there_and_are_checked(scene: ImportScene, tmp_path: Path, server: TreeServer) -> None:
    name = "plugins/plugin_slack_abc123/1.0.0/plugin_slack_abc123_1.0.0.so"
    server.files = {f"bucket/{name}": ELF_AMD64}
    table = as_csv(tmp_path / "t.csv", row())
    ran = scene.run("arcade", table, "--files", f"{server.url}/bucket")
    assert ran.code == 0
    (artifact,) = scene.release("arcade/slack-notify", "1.0.0").artifacts
    assert (artifact.source, artifact.file) == (f"{server.url}/bucket/{name}", "slack.so")
    assert artifact.selector.match_labels == {"os": "linux", "arch": "amd64"}
    server.files[f"bucket/{name}"] = ELF_AMD64 + b"evil"
    as_csv(tmp_path / "t.csv", row(), row(plugin_id="other", name="other", s3_path=name))
    ran = scene.run("arcade", table, "--files", f"{server.url}/bucket")
    assert (ran.code, ran.releases) == (1, [])
    assert "sha256 is stated as" in ran.reasons["1.0.0"]


def test_a_folder_with_packages_and_an_unpacked_one(scene: ImportScene, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    (packages / "unpacked").mkdir(parents=True)
    package(packages / "a.zip")
    (packages / "unpacked" / "manifest.json").write_text(json.dumps({**MANIFEST, "name": "other", "version": "2.0.0"}))
    (packages / "unpacked" / "slack.so").write_bytes(ELF_AMD64)
    (packages / "unpacked" / ".gitignore").write_text("*.so\n")
    args = ("arcade", packages)
    ran = scene.run(*args)
    assert (ran.code, ran.releases) == (0, ["arcade/other@2.0.0", "arcade/slack-notify@1.0.0"])
    assert set(scene.record("arcade/other", "2.0.0")["files"]) == {".gitignore", "manifest.json", "slack.so"}
    scene.assert_again_changes_nothing(*args)
    (packages / "unpacked" / "slack.so").write_bytes(ELF_AMD64 + b"evil")
    assert scene.run(*args).code == 4
    scene.assert_valid()


def test_every_problem_of_packages_and_rows_is_named(scene: ImportScene, tmp_path: Path) -> None:
    good = package(tmp_path / "good.zip")
    package(tmp_path / "slip.zip", {"../evil.so": "x"}, name="slip")
    package(tmp_path / "text.zip", {"slack.so": "no library"}, name="text")
    package(tmp_path / "gone.zip", name="gone", entryPoint="other.so")
    package(
        tmp_path / "wrong.zip",
        name="wrong",
        version="1.0",
        tags="slack",
        configSchema=[],
        pluginType="通知",
        minVersion="1",
    )
    (tmp_path / "bare.zip").write_bytes(zip_with({"slack.so": ELF_AMD64}))
    (tmp_path / "gbk.zip").write_bytes(zip_with({"manifest.json": '{"name": "消息通知插件"}'.encode("gbk")}))
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 no zip")
    storage = stored(tmp_path / "s3")
    rows = [
        row(version="2.0.0", checksum="abc", install_time="2025-02-30", default_config="{", manifest=None),
        row(version="2.1.0", s3_path="../../etc/passwd"),
        row(version="2.2.0", manifest='{"version": "9.9.9"}'),
        row(version="2.3.0"),
        row(version="2.3.0"),
        row(version="2.4.0", s3_path="", dependencies="[5]"),
    ]
    table = as_csv(tmp_path / "t.csv", *({"dependencies": None, **each} for each in rows))
    names = ("slip", "text", "gone", "wrong", "bare", "gbk", "broken")
    ran = scene.run("arcade", good, *(tmp_path / f"{name}.zip" for name in names), table, "--files", storage)
    assert ran.code == 1
    assert "arcade/slack-notify@1.0.0" in ran.releases
    said: dict[str, str] = {}
    for entry in ran.document["not_imported"]:
        said[entry["place"]] = said.get(entry["place"], "") + entry["reason"] + "\n"
    assert "evil" in said["slip.zip"]
    assert "is not a library of a known platform" in said["text.zip"]
    assert "entryPoint: 'other.so' is not in the package; there is slack.so" in said["gone.zip"]
    assert all(
        each in said["wrong.zip"] for each in ("tags: is not a list", "configSchema: is", "pluginType: '通知'")
    ) or (all(each in said["wrong.zip"] for each in ("configSchema: is", "pluginType: '通知'")))
    assert "manifest.json: is missing" in said["bare.zip"]
    assert "GB" in said["gbk.zip"]
    assert "iconv" in said["gbk.zip"]
    assert said["broken.zip"]
    assert "defaultConfig" in said["t.csv:2"]
    assert "not a path in the storage" in said["t.csv:3"]
    assert "manifest.version: is '9.9.9'" in said["t.csv:4"]
    assert "given twice" in said["t.csv:6"]
    assert "dependencies[0]" in said["t.csv:7"]
    scene.assert_valid()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("t.csv", "插件,版本\n消息,1.0.0\n".encode("gbk"), "iconv"),
        ("t.csv", b"name,other\na,b\n", "no column 'version'"),
        ("t.csv", b'plugin_id,version\n"a"b,1\n', "not valid CSV in line 2"),
        ("t.json", b'{"RECORDS": [5]}', "is not a list of rows"),
        ("t.json", b'[{"name": "a", "name": "b"}]', "twice in one object"),
        ("t.json", b"[" * 100_000, "deep"),
    ],
)
def test_tables_that_are_none(scene: ImportScene, tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    ran = scene.run("arcade", tmp_path / name)
    assert ran.code == 2
    assert said in ran.said


def test_sources_that_are_not_there(scene: ImportScene, tmp_path: Path) -> None:
    assert scene.run("arcade", tmp_path / "gone.zip").code == 3
    (tmp_path / "empty").mkdir()
    assert scene.run("arcade", tmp_path / "empty").code == 2


def test_a_row_that_cant_be_read_lets_nothing_of_its_plugin_in(scene: ImportScene, tmp_path: Path) -> None:
    """The file is in the storage, but the row has its name, manifest and checksum: without it neither is checked."""
    storage = stored(tmp_path / "s3", data=ELF_AMD64 + b"exchanged")
    stored(storage, version="0.9.0")
    table = as_csv(tmp_path / "t.csv", row(install_time="gestern"))
    ran = scene.run("arcade", table, "--files", storage, "--type", "notify")
    assert (ran.code, ran.releases) == (1, [])
    assert "install" in ran.reasons["1.0.0"]
    assert "its row of the table (t.csv:2) can't be read" in ran.reasons["0.9.0"]
    assert not (scene.tree / "plugins/arcade").exists()


def test_a_table_as_excel_saves_it(scene: ImportScene, tmp_path: Path) -> None:
    storage = stored(tmp_path / "s3")
    saved = as_csv(tmp_path / "t.csv", row(install_time="2025/1/16 8:00", name="消息"), mark=";").read_bytes()
    mark, lines = saved[:3], saved[3:]
    (tmp_path / "t.csv").write_bytes(mark + b"sep=;\r\n" + lines + b";;;;\r\n")
    ran = scene.run("arcade", tmp_path / "t.csv", "--files", storage)
    assert (ran.code, ran.releases) == (0, ["arcade/plugin_slack_abc123@1.0.0"])
    assert scene.release("arcade/plugin_slack_abc123", "1.0.0").released_at == "2025-01-16T08:00:00Z"
    assert scene.plugin("arcade/plugin_slack_abc123").plugin.title == "消息"


def test_rows_that_could_be_read_in_two_ways(scene: ImportScene, tmp_path: Path) -> None:
    storage = stored(tmp_path / "s3")
    text = "plugin_id,name,version,plugin_type,entry_point\n"
    (tmp_path / "a.csv").write_text(f"{text}plugin_slack_abc123,Slack, the plugin,1.0.0,notify,slack.so\n")
    ran = scene.run("arcade", tmp_path / "a.csv", "--files", storage)
    assert (ran.code, ran.releases) == (1, [])
    assert "has 6 cells, and the table 5 columns" in ran.said
    twice = json.dumps([{**row(), "pluginId": "another"}])
    (tmp_path / "b.json").write_text(twice)
    ran = scene.run("arcade", tmp_path / "b.json", "--files", storage)
    assert (ran.code, ran.releases) == (1, [])
    assert "pluginId: is there twice, as 'plugin_slack_abc123' and as 'another'" in ran.said


def test_a_table_as_phpmyadmin_exports_it(scene: ImportScene, tmp_path: Path) -> None:
    exported = [{"type": "header"}, {"type": "database"}, {"type": "table", "name": "t_plugin", "data": [row()]}]
    (tmp_path / "t.json").write_text(json.dumps(exported))
    ran = scene.run("arcade", tmp_path / "t.json", "--files", stored(tmp_path / "s3"))
    assert (ran.code, ran.releases) == (0, ["arcade/slack-notify@1.0.0"])


def test_what_of_a_folder_is_no_package_is_told(scene: ImportScene, tmp_path: Path) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    package(folder / "slack.zip")
    (folder / "other.tar.gz").write_bytes(b"x")
    (folder / "empty").mkdir()
    ran = scene.run("arcade", folder)
    assert (ran.code, ran.releases) == (0, ["arcade/slack-notify@1.0.0"])
    assert "not read: empty, other.tar.gz" in ran.said


def test_a_name_that_doesnt_show_as_it_is_has_to_be_written(scene: ImportScene, tmp_path: Path) -> None:
    """A right-to-left override or a blank without width makes one name look like another."""
    long = "x" * 90
    for number, name in enumerate(("sl\u200back", "\u202eevil", long, 'a"b\\消息')):
        package(tmp_path / f"{number}.zip", name=name)
    ran = scene.run("arcade", *sorted(tmp_path.glob("*.zip")))
    assert (ran.code, ran.releases) == (1, [])
    said = [each["reason"] for each in ran.document["not_imported"]]
    keys = [each.partition("below [names]: ")[2] for each in said]
    assert sorted(keys) == sorted(
        f'{key} = "NS/NAME"' for key in ('"sl\\U0000200Back"', '"\\U0000202Eevil"', f'"{long}"', '"a\\"b\\\\消息"')
    )
    (scene.tree / "imports").mkdir(exist_ok=True)
    lines = "\n".join(key.replace("NS/NAME", f"me/p{number}") for number, key in enumerate(keys))
    (scene.tree / "imports/arcade.toml").write_text(f"format = 1\n[names]\n{lines}\n")
    ran = scene.run("arcade", *sorted(tmp_path.glob("*.zip")))
    assert (ran.code, len(ran.releases)) == (0, 4)


@pytest.mark.parametrize("place", ["plugins", "plugins/arcade", "plugins/arcade/slack-notify", "releases", "dist"])
def test_nothing_is_written_through_a_link_that_leaves_the_tree(scene: ImportScene, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = scene.tree / (place if place.startswith("plugins") else f"plugins/arcade/slack-notify/{place}")
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir():
        shutil.rmtree(link)
    link.symlink_to(outside)
    if link.parent.name == "slack-notify" or link.name == "slack-notify":
        (scene.tree / "imports").mkdir()
        (scene.tree / "imports/arcade.toml").write_text('format = 1\n[names]\nslack-notify = "arcade/slack-notify"\n')
    ran = scene.run("arcade", package(tmp_path / "slack.zip"))
    assert ran.code == 1
    assert "is a link that leaves the source tree" in ran.said
    assert list(outside.iterdir()) == []
