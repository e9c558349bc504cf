"""`import list`: lines to releases, and everything that all importers share: names, reasons, reruns, addresses."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.import_scene import ImportScene, sha256, zip_with
from support.tree_server import Endless, TreeServer

from sealdex.model.plugin import fold_status

TOOL = zip_with({"tool.txt": "1.0"})


def line(version: str = "1.0.0", **fields: Any) -> dict[str, Any]:
    return {
        "name": "acme/tool",
        "version": version,
        "address": "https://files.example/tool.zip",
        "digest": f"sha256:{sha256(TOOL)}",
        **fields,
    }


def written(path: Path, *lines: dict[str, Any] | str) -> Path:
    text = "".join((each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)) + "\n" for each in lines)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return tmp_path / "list.jsonl"


def test_a_list_is_imported_published_and_installed(scene: ImportScene, listed: Path, server: TreeServer) -> None:
    server.files = {"linux.zip": TOOL, "mac.zip": zip_with({"tool.txt": "mac"})}
    sha512 = hashlib.sha512(TOOL).hexdigest()
    linux = line(
        address=f"{server.url}/linux.zip",
        digest=f"sha512:{sha512}",
        selector={"os": "linux"},
        license="MIT",
        description="显示消息",
        keywords=["chat", "消息"],
        released_at="2025-01-16",
        type="notify",
    )
    mac = {
        **linux,
        "address": f"{server.url}/mac.zip",
        "digest": sha256(server.files["mac.zip"]),
        "selector": {"os": "macos"},
    }
    local = line("2.0.0", address="files/tool-2.zip", digest=None, type="notify", license="MIT")
    (listed.parent / "files").mkdir()
    (listed.parent / "files" / "tool-2.zip").write_bytes(zip_with({"tool.txt": "2.0"}))
    written(listed, linux, mac, local)
    args = ("list", listed, "--allow-host", "127.0.0.1")
    ran = scene.run(*args)
    assert (ran.code, ran.releases) == (0, ["acme/tool@1.0.0", "acme/tool@2.0.0"])
    release = scene.release("acme/tool", "1.0.0")
    assert [a.selector.match_labels for a in release.artifacts] == [{"os": "linux"}, {"os": "darwin"}]
    assert (release.artifacts[0].sha256, release.artifacts[0].size) == (sha256(TOOL), len(TOOL))
    assert (release.released_at, release.license) == ("2025-01-16T00:00:00Z", "MIT")
    assert scene.record("acme/tool", "1.0.0")["digests"][0]["digests"] == {"sha512": sha512}
    assert scene.release("acme/tool", "2.0.0").artifacts[0].source == "plugins/acme/tool/dist/2.0.0/tool-2.zip"
    plugin = scene.plugin("acme/tool").plugin
    assert (plugin.type, plugin.license, plugin.summary) == ("notify", "MIT", "tool")
    asked = len(server.requests)
    scene.assert_again_changes_nothing(*args)
    assert server.requests[asked:] == []  # its digests are recorded: nothing is fetched to compare
    with scene.installed("acme/tool@2.0.0") as folder:
        assert (folder / "tool.txt").read_text() == "2.0"
    with scene.installed("acme/tool@1.0.0") as folder:
        assert (folder / "tool.txt").read_text() == "1.0"


def test_every_problem_is_named_and_the_others_are_imported(scene: ImportScene, listed: Path) -> None:
    (listed.parent / "evil.zip").write_bytes(zip_with({"../../evil": "x"}))
    (listed.parent / "outside").symlink_to("/etc/hostname")
    written(
        listed,
        line("1.0.0"),
        line("0.9.0", digest="sha256:abc", size=-5, released_at="2025-02-30", dependencies={"acme/x": 5}),
        line("v1.1"),
        line("1.0.0+a"),
        line("1.0.0", digest="b" * 64, caveats="other"),
        line("1.2.0", address="evil.zip", digest=None),
        line("1.3.0", address="outside", digest=None),
        line("1.4.0", address="../list.jsonl", digest=None),
        line("1.5.0", address="ftp://files.example/tool.zip"),
        line("1.6.0", dependencies={"acme/nothing": "^1"}),
        line("1.7.0", selector="linux"),
        line("1.8.0", config_schema={"type": "objec"}),
        line("1.9.0", address="https://github.com/acme/tool/archive/refs/tags/v1.9.0.zip"),
        line("1.10.0", description="a\u202eb"),
        line("1.11.0", address="gone.zip", digest=None),
        line("1.12.0", default_config={"key": "ghp_" + "Ab1" * 12}),
        "{",
        '{"name": "acme/tool", "name": "acme/other", "version": "1.0.0"}',
        '["tool"]',
        line("1.0.0", name="消息通知"),
        line("1.0.0", extra="x", name="acme/more", size=len(TOOL)),
    )
    ran = scene.run("list", listed)
    assert ran.code == 1
    assert ran.releases == ["acme/more@1.0.0", "acme/tool@1.0.0"]
    scene.assert_valid()
    places: dict[str, list[str]] = {}
    for entry in ran.document["not_imported"]:
        places.setdefault(entry["place"].rpartition(":")[2], []).append(entry["reason"])
    said = {place: "\n".join(reasons) for place, reasons in places.items()}
    assert all(each in said["2"] for each in ("digest", "released_at: '2025-02-30'", "dependencies.acme/x: is '5'"))
    assert "version: 'v1.1' is not a semantic version" in said["3"]
    assert "'1.0.0+a' differs from '1.0.0' only in build metadata" in said["4"]
    assert "caveats: differs from list.jsonl:1" in said["5"]
    assert "evil" in said["6"]
    assert "leads out" in said["7"] or "leaves" in said["7"] or "outside" in said["7"]
    assert "not a path below the folder" in said["8"]
    assert "scheme 'ftp'" in said["9"]
    assert "dependencies: 'acme/nothing' is not a plugin of this import" in said["10"]
    assert "selector: is not an object" in said["11"]
    assert "config_schema" in said["12"]
    assert "generates on request" in said["13"]
    assert "description: holds the control character" in said["14"]
    assert "gone.zip" in said["15"]
    assert "contains" in said["16"]
    assert "Ab1Ab1" not in said["16"]
    assert "not valid JSON" in said["17"]
    assert "the key 'name' twice" in said["18"]
    assert "is not an object" in said["19"]
    assert 'imports/list.toml, below [names]: "消息通知" = "NS/NAME"' in said["20"]
    assert said["21"] == "extra: is not a field of a list"
    assert not [path for path in scene.tree.iterdir() if path.name.startswith(".sealdex-import")]
    assert scene.run("list", listed, "--skip-invalid").code == 0


def test_names_are_kept_in_a_file_that_people_edit(scene: ImportScene, listed: Path) -> None:
    written(listed, line(name="My Tool"), line(name="my-tool"), line(name="消息通知"), line(name="other"))
    ran = scene.run("list", listed, "--namespace", "acme")
    assert (ran.code, ran.releases) == (1, ["acme/other@1.0.0"])
    assert "would both be acme/my-tool" in ran.reasons["My Tool"]
    names = scene.tree / "imports" / "list.toml"
    names.write_text(
        names.read_text(encoding="utf-8") + '"My Tool" = "acme/mine"  # ours\n"消息通知" = "cn/message"\n',
        encoding="utf-8",
    )
    ran = scene.run("list", listed, "--namespace", "acme")
    assert (ran.code, ran.releases) == (0, ["acme/mine@1.0.0", "acme/my-tool@1.0.0", "cn/message@1.0.0"])
    assert scene.plugin("cn/message").plugin.title == "消息通知"
    assert "# ours" in names.read_text(encoding="utf-8")
    # another namespace later: what is imported keeps its name
    scene.assert_again_changes_nothing("list", listed, "--namespace", "elsewhere")
    names.write_text('format = 1\n[names]\n"a" = "NO/x"\n"b" = "acme/b"\n"c" = "acme/b"\n', encoding="utf-8")
    wrong = scene.run("list", listed)
    assert wrong.code == 1
    assert all(each in wrong.said for each in ('names.\\"a\\"', "already the name of"))


def test_a_plugin_of_the_tree_is_no_import(scene: ImportScene, listed: Path) -> None:
    own = scene.tree / "plugins/acme/tool"
    own.mkdir(parents=True)
    (own / "plugin.yaml").write_text("type: notify\nsummary: Ours\n")
    ran = scene.run("list", written(listed, line()))
    assert (ran.code, ran.releases) == (1, [])
    assert "is in the source tree already" in ran.reasons["acme/tool"]


def test_other_bytes_under_an_imported_version_are_told_and_ours_stay(
    scene: ImportScene, listed: Path, server: TreeServer
) -> None:
    """Attacker: has the source. Change: other bytes, or another digest, under a version that was imported.

    Refusal: ours stay, a line says SECURITY, and the exit code is 4.
    """
    server.files = {"tool.zip": TOOL}
    stated = line("1.0.0")
    unstated = line("2.0.0", address=f"{server.url}/tool.zip", digest=None)
    args = ("list", written(listed, stated, unstated), "--allow-host", "127.0.0.1")
    assert scene.run(*args).code == 0
    before = scene.state()
    server.files = {"tool.zip": zip_with({"tool.txt": "evil"})}
    written(listed, {**stated, "digest": "b" * 64}, unstated)
    ran = scene.run(*args)
    assert ran.code == 4
    assert [(e["plugin"], e["version"]) for e in ran.document["security"]] == [
        ("acme/tool", "1.0.0"),
        ("acme/tool", "2.0.0"),
    ]
    assert "SECURITY: acme/tool 1.0.0" in ran.err
    assert scene.state() == before


def test_wrong_digests_and_sizes_are_refused_all_at_once(scene: ImportScene, listed: Path, server: TreeServer) -> None:
    """Attacker: between source and importer. Change: other bytes than are stated. Refusal: nothing is written."""
    server.files = {"tool.zip": TOOL}
    wrong = line(address=f"{server.url}/tool.zip", digest="md5:" + "0" * 32, digests=["sha1:" + "1" * 40], size=7)
    ran = scene.run("list", written(listed, wrong), "--allow-host", "127.0.0.1")
    assert (ran.code, ran.releases) == (1, [])
    said = ran.reasons["1.0.0"]
    assert all(each in said for each in ("md5 is stated as", "sha1 is stated as", "its size is stated as 7"))
    assert not (scene.tree / "plugins").exists() or not list((scene.tree / "plugins").rglob("*.json"))


def test_hosts_of_private_networks_are_asked_only_where_the_user_named_them(
    scene: ImportScene, listed: Path, server: TreeServer
) -> None:
    """Attacker: wrote the list. Change: an address in the importer's own network. Refusal: no request is made."""
    server.files = {"secret": b"token"}
    written(
        listed,
        line(address=f"{server.url}/secret", digest=None),
        line("2.0.0", address="http://169.254.169.254/x", digest=None),
    )
    ran = scene.run("list", listed, "--ingest")
    assert (ran.code, server.requests) == (1, [])
    assert all("address of a private network" in reason for reason in ran.reasons.values())


def test_later_yanks_and_deprecations_arrive_once(scene: ImportScene, listed: Path) -> None:
    plain = [line("1.0.0"), line("1.1.0")]
    assert scene.run("list", written(listed, *plain)).code == 0
    marked = [{**plain[0], "yanked": "漏洞"}, {**plain[1], "deprecated": True}]
    assert scene.run("list", written(listed, *marked)).document["events"] == 2
    status = fold_status(scene.plugin("acme/tool").status.events)
    assert status.yanked["1.0.0"].why == "漏洞"
    assert status.deprecated is not None
    scene.assert_again_changes_nothing("list", listed)
    from registry_builder.authoring import unyank  # noqa: PLC0415  # what the operator does here

    unyank(scene.tree, scene.plugin("acme/tool").id, "1.0.0", why="fixed here")
    scene.assert_again_changes_nothing("list", listed)


def test_ingest_copies_and_expiring_addresses_are_copied_by_themselves(
    scene: ImportScene, listed: Path, server: TreeServer
) -> None:
    server.files = {"tool.zip": TOOL, "s.zip?X-Amz-Signature=abc": TOOL}
    expiring = line("2.0.0", address=f"{server.url}/s.zip?X-Amz-Signature=abc", digest=sha256(TOOL))
    lasting = line("1.0.0", address=f"{server.url}/tool.zip")
    written(listed, lasting, expiring)
    args = ("list", listed, "--allow-host", "127.0.0.1")
    assert scene.run(*args).code == 0
    assert scene.release("acme/tool", "1.0.0").artifacts[0].source.startswith("http://")
    assert scene.release("acme/tool", "2.0.0").artifacts[0].source == "plugins/acme/tool/dist/2.0.0/s.zip"
    written(listed, lasting, expiring, line("3.0.0", address=f"{server.url}/tool.zip", digest=None))
    assert scene.run(*args, "--ingest").releases == ["acme/tool@3.0.0"]
    assert (scene.tree / "plugins/acme/tool/dist/3.0.0/tool.zip").read_bytes() == TOOL


def test_what_is_too_large_ends_the_reading(scene: ImportScene, listed: Path, server: TreeServer) -> None:
    """Attacker: has the source. Change: a file without end. Refusal: at the registry's limit, and no copy is left."""
    config = scene.tree / "registry.toml"
    limited = re.sub(r"(?m)^max_artifact_size = .*$", 'max_artifact_size = "64KiB"', config.read_text())
    config.write_text(limited)
    server.instead = {"tool.zip": Endless()}
    (listed.parent / "big.zip").write_bytes(bytes(200_000))
    written(listed, line(address=f"{server.url}/tool.zip", digest=None), line("2.0.0", address="big.zip", digest=None))
    ran = scene.run("list", listed, "--allow-host", "127.0.0.1", "--ingest")
    assert ran.code == 1
    assert "65536" in ran.reasons["1.0.0"]
    assert "65536" in ran.reasons["2.0.0"]
    assert not [path for path in scene.tree.iterdir() if path.name.startswith(".sealdex-import")]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_another_encoding_is_named_with_the_command_that_converts_it(
    scene: ImportScene, listed: Path, encoding: str
) -> None:
    listed.write_bytes((json.dumps(line(description="显示消息的插件"), ensure_ascii=False) + "\n").encode(encoding))
    ran = scene.run("list", listed)
    assert ran.code == 2
    assert "iconv" in ran.said


def test_a_byte_order_mark_is_no_problem(scene: ImportScene, listed: Path) -> None:
    listed.write_bytes(b"\xef\xbb\xbf" + json.dumps(line(size=len(TOOL))).encode())
    assert scene.run("list", listed).code == 0


def test_a_dry_run_reads_and_writes_nothing(scene: ImportScene, listed: Path, server: TreeServer) -> None:
    written(listed, line(address=f"{server.url}/tool.zip", digest=None), line("x"))
    before = scene.state()
    ran = scene.run("list", listed, "--dry-run")
    assert (ran.code, ran.releases, server.requests) == (1, ["acme/tool@1.0.0"], [])
    assert scene.state() == before


def test_dependencies_come_first_whatever_their_order(scene: ImportScene, listed: Path) -> None:
    suite = {"name": "acme/suite", "version": "1.0.0", "type": "application-suite", "dependencies": {"acme/tool": "^1"}}
    ran = scene.run("list", written(listed, suite, line("1.2.0")))
    assert (ran.code, ran.releases) == (0, ["acme/suite@1.0.0", "acme/tool@1.2.0"])
    assert scene.release("acme/suite", "1.0.0").dependencies == {"acme/tool": "^1"}
    scene.assert_valid()


def test_a_line_that_is_too_long_is_one_problem_among_others(
    scene: ImportScene, listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never held: a line of 10 GB is a file that isn't a list, or a mistake of the script that printed it."""
    monkeypatch.setattr("registry_builder.importers._reading.MAX_LINE_BYTES", 2000)
    (listed.parent / "tool.zip").write_bytes(zip_with({"tool.txt": "1"}))
    local = {"address": "tool.zip", "digest": None}
    long = line("1.1.0", **local, changelog="x" * 9000)
    written(listed, line("1.0.0", **local), long, line("nonsense", **local), line("1.2.0", **local))
    with listed.open("ab") as stream:
        stream.write(b"[" * 9000)  # without an end
    ran = scene.run("list", listed)
    assert (ran.code, ran.releases) == (1, ["acme/tool@1.0.0", "acme/tool@1.2.0"])
    said = {each["place"]: each["reason"] for each in ran.document["not_imported"]}
    assert [place.rpartition(":")[2] for place in said] == ["2", "3", "5"]
    assert ["more than 2000 bytes" in reason for reason in said.values()] == [True, False, True]
