"""What a source can write to hurt whoever imports it: names that are paths, text that no document can hold."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.import_scene import ImportScene, sha256, zip_with
from support.tree_server import TreeServer

from registry_builder.importers import contents
from registry_builder.importers._checksums import sums_in
from registry_builder.importers._reading import strict_json
from registry_builder.importers.foreign import SourceError, web_address
from registry_builder.source.yaml12 import YamlError, read_yaml
from sealdex.model.foreign_fields import utc

DATA = zip_with({"a.py": "x = 1"})
DIGEST = sha256(DATA)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n"


def listed(folder: Path, *rows: dict[str, Any] | str) -> Path:
    """Write a list beside its file ``a.zip``."""
    (folder / "a.zip").write_bytes(DATA)
    path = folder / "list.jsonl"
    whole = {"name": "acme/a", "version": "1.0.0", "address": "a.zip", "license": "MIT"}
    path.write_text("".join(f"{r if isinstance(r, str) else json.dumps({**whole, **r})}\n" for r in rows))
    return path


def test_attack_an_attachments_name_is_not_a_path(scene: ImportScene, tmp_path: Path, server: TreeServer) -> None:
    """Attacker: whoever writes a list or a chart index. Change: an attachment called like a file of this machine.

    Refusal: the file keeps its bytes and its place, and nothing is written beside the tree.
    """
    mine, beside = tmp_path / "mine.txt", scene.tree / "mine.txt"
    mine.write_text("mine")
    beside.write_text("mine")
    names = [str(mine), "../../mine.txt", "x\0y", "CON", "a/b"]
    (tmp_path / "theirs.txt").write_text("theirs")
    attachments = [{"address": "theirs.txt", "name": name, "kind": "note"} for name in names]
    ran = scene.run("list", listed(tmp_path, {"attachments": attachments}))
    assert (ran.code, ran.releases) == (0, ["acme/a@1.0.0"])
    assert ran.reasons["1.0.0"].count("can't be attached: its name") == len(names)
    chart = {
        "name": "../../../evil", "version": "1.0.0", "urls": ["web.tgz"], "digest": DIGEST,
        "annotations": {"artifacthub.io/signKey": {"fingerprint": "x"}},
    }  # fmt: skip
    server.files = {"index.yaml": json.dumps({"entries": {chart["name"]: [chart]}}).encode(), "web.tgz.prov": b"x"}
    prov = scene.tree.parent / "evil-1.0.0.tgz.prov"
    prov.write_text("mine")
    assert scene.run("helm", server.url).code == 0
    assert [path.read_text() for path in (mine, beside, prov)] == ["mine"] * 3
    scene.assert_valid()


def test_attack_the_file_of_names_is_not_written_through_a_link(scene: ImportScene, tmp_path: Path) -> None:
    """Attacker: author of a pull request. Change: ``imports`` is a link. Refusal: nothing is written there."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (scene.tree / "imports").symlink_to(elsewhere)
    ran = scene.run("list", listed(tmp_path, {}))
    assert (ran.code, list(elsewhere.iterdir())) == (1, [])
    assert "nothing was imported" in ran.said


def test_a_reason_of_the_source_is_one_that_an_event_can_have(scene: ImportScene, tmp_path: Path) -> None:
    rows = [{"yanked": "broken\0\u202e badly", "deprecated": "\u202e"}]
    assert scene.run("list", listed(tmp_path, *rows)).code == 0
    status = scene.plugin("acme/a").status.events
    assert {e.action: e.why for e in status} == {"yank": "broken badly", "deprecate": "deprecated at the source (list)"}
    scene.assert_valid()


def test_a_git_lfs_pointer_is_not_what_it_points_to(scene: ImportScene, tmp_path: Path, server: TreeServer) -> None:
    (tmp_path / "model.bin").write_bytes(POINTER)
    server.files = {"model.bin": POINTER}
    rows = [{"version": f"1.{n}.0", "address": a} for n, a in enumerate(["model.bin", f"{server.url}/model.bin"])]
    ran = scene.run("list", listed(tmp_path, *rows), "--allow-host", "127.0.0.1")
    assert (ran.code, ran.releases) == (1, [])
    assert all("is a Git LFS pointer" in ran.reasons[version] for version in ("1.0.0", "1.1.0"))


def test_what_has_no_checksum_at_the_source_is_told(scene: ImportScene, tmp_path: Path, server: TreeServer) -> None:
    server.files = {"a.zip": DATA}
    address = f"{server.url}/a.zip"
    rows: list[dict[str, Any]] = [
        {"address": address},
        {"version": "1.1.0", "address": address, "digest": f"sha256:{DIGEST}"},
        {"version": "1.2.0"},
    ]
    args = ("list", listed(tmp_path, *rows), "--allow-host", "127.0.0.1")
    ran = scene.run(*args)
    (note,) = [each for each in ran.document["notes"] if "checksum" in each]
    assert "no checksum of 1 file," in note
    assert f"acme/a 1.0.0 ({address})" in note
    assert scene.run(*args).document["notes"] == []  # by now it is compared


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (r'{"a": "\ud800"}', "half of a surrogate pair"),
        (r'{"\udfff": 1}', "half of a surrogate pair"),
        ('{"a": 1e999}', "out of range"),
        ('{"a": -1e999}', "out of range"),
        ("[" * 70 + "]" * 70, "levels deep"),
    ],
)
def test_json_that_no_document_can_hold(text: str, why: str) -> None:
    for data in (text, text.encode()):
        with pytest.raises(SourceError, match=why):
            strict_json(data)
    assert strict_json(r'{"a": "\ud83d\ude00", "b": 1e30}') == {"a": "\U0001f600", "b": 1e30}


def test_times_at_the_ends_of_the_calendar() -> None:
    for value in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"):
        with pytest.raises(ValueError, match="before the year 1 or after 9999"):
            utc(value, "released_at")


def test_numbers_of_a_chart_index_stay_as_they_are_written(scene: ImportScene, server: TreeServer) -> None:
    digits = "1" * 64  # a digest that reads as a number, where the text isn't kept
    index = f"""
entries:
  web:
  - {{name: web, version: 1.10, appVersion: 1.10, digest: {digits}, urls: [web.tgz], created: 2025-01-16}}
  - {{name: web, version: 1.0.0, appVersion: .nan, digest: {digits}, urls: ['//[x']}}
  - {{name: web, version: 1.1.0, urls: ['oci://[x/y']}}
"""
    server.files = {"index.yaml": index.encode()}
    ran = scene.run("helm", server.url, "--version-map", "numbers")
    assert ran.releases == ["helm/web@1.10.0"]
    assert scene.record("helm/web", "1.10.0")["fields"] == {"appVersion": "1.10"}
    assert scene.release("helm/web", "1.10.0").artifacts[0].sha256 == digits
    assert "is not an address" in ran.reasons["1.0.0"]
    assert "is not an address" in ran.reasons["1.1.0"]


def test_an_index_may_have_more_values_than_a_file_that_people_write() -> None:
    many = ("a:\n" + "- b\n" * 200).encode()
    with pytest.raises(YamlError, match="more than 100 values"):
        read_yaml(many, max_nodes=100)
    assert len(read_yaml(many, max_nodes=300)["a"]) == 200


@pytest.mark.parametrize("address", ["https://[::1/a.zip", "https://files.example:99999/a.zip"])
def test_addresses_that_cannot_be(scene: ImportScene, tmp_path: Path, address: str) -> None:
    ran = scene.run("list", listed(tmp_path, {"address": address, "digest": DIGEST, "size": 5}))
    assert (ran.code, ran.releases) == (1, [])
    assert "has no valid host and port" in ran.reasons["1.0.0"]
    assert web_address("https://user:password@files.example/") is None


def test_one_file_of_two_digests() -> None:
    with pytest.raises(SourceError, match="line 2 states another digest of 'a'"):
        list(sums_in(f"{'a' * 64}  a\n{'b' * 64}  ./a\n".encode()))


def test_a_table_of_the_version_map_that_is_of_no_plugin(scene: ImportScene, tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('1.2 = "1.2.0"\n')  # TOML reads a table "1" with a key "2"
    ran = scene.run("list", listed(tmp_path, {"version": "1.2"}), "--version-map", tmp_path / "map.toml")
    assert any("versions need quotes" in note for note in ran.document["notes"])
    twice = scene.run("list", tmp_path / "list.jsonl", "--version-map", "1.2=1.2.0,1.2=1.3.0")
    assert (twice.code, "twice" in twice.said) == (2, True)


def test_a_list_comes_through_a_pipe(scene: ImportScene, tmp_path: Path) -> None:
    path = listed(tmp_path, {"address": "https://files.example/a.zip", "digest": DIGEST})
    end, start = os.pipe()
    os.write(start, path.read_bytes())
    os.close(start)
    try:
        assert scene.run("list", f"/dev/fd/{end}").releases == ["acme/a@1.0.0"]
    finally:
        os.close(end)


def test_a_full_disk_is_not_a_fault_of_the_source(
    scene: ImportScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be an exit code of 0 with --skip-invalid, and nothing imported."""

    def full(self: object, chunk: bytes) -> None:
        with contents._writing():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(contents._Copy, "write", full)
    ran = scene.run("list", listed(tmp_path, {}), "--skip-invalid")
    assert (ran.code != 0, "not_imported" in ran.document) == (True, False)
    assert os.strerror(errno.ENOSPC) in ran.said


# --- marketplace ------------------------------------------------------------------------------------------------------


def marketplace(scene: ImportScene, path: Path, *messages: dict[str, Any]) -> Any:
    path.write_text(json.dumps([{"name": "robotics/a", "type": "HAL_DRIVER", **message} for message in messages]))
    return scene.run("marketplace", path)


def test_a_file_of_one_version_is_not_that_of_another(scene: ImportScene, tmp_path: Path) -> None:
    one, two = ({"download_url": f"https://files.example/{n}.zip", "sha256": f"{n}" * 64} for n in "12")
    path = tmp_path / "m.json"
    ran = marketplace(scene, path, {"version": "1.0.0", **one}, {"version": "2.0.0"})
    assert ran.releases == ["robotics/a@1.0.0"]
    assert "download_url: is missing" in ran.reasons["2.0.0"]
    ran = marketplace(scene, path, {"version": "3.0.0", **one}, {"version": "3.0.0", **two})
    assert (ran.releases, "differs from another message" in ran.reasons["3.0.0"]) == ([], True)
    ran = marketplace(scene, path, {"versions": ["4.0.0", "5.0.0"], **one})
    assert (ran.releases, "one address for 2 versions" in ran.said) == ([], True)
    ran = marketplace(scene, path, {"version": "6.0.0", **one, "checksum": "c" * 64})
    assert (ran.releases, "are different digests" in ran.said) == ([], True)


# --- Hugging Face -----------------------------------------------------------------------------------------------------

COMMIT = "e37978b90ca9030d5170a5c07aadb050351a65bb"
MAPPED = ("--version-map", f"{COMMIT}=1.0.0", "--license", "MIT")


def test_a_gated_file_is_copied_or_not_imported(scene: ImportScene, tmp_path: Path, server: TreeServer) -> None:
    """Hosts have no login at the Hub: at its address they couldn't get it."""
    sibling = {"rfilename": "a.bin", "lfs": {"sha256": DIGEST, "size": len(DATA)}}
    saved = {"id": "acme/gated", "sha": COMMIT, "gated": "manual", "siblings": [sibling]}
    (tmp_path / "m.json").write_text(json.dumps(saved))
    args = ("huggingface", tmp_path / "m.json", "--endpoint", server.url, *MAPPED)
    server.instead = {f"acme/gated/resolve/{COMMIT}/a.bin": 401}
    server.files = {f"acme/gated/resolve/{COMMIT}/a.bin": DATA}
    ran = scene.run(*args)
    assert (ran.code, ran.releases, "401" in ran.reasons[COMMIT]) == (1, [], True)
    server.instead = {}
    ran = scene.run(*args)
    assert ran.releases == ["acme/gated@1.0.0"], ran.reasons
    assert scene.release("acme/gated", "1.0.0").artifacts[0].source.startswith("plugins/acme/gated/dist/")


def test_a_sibling_is_below_its_commit(scene: ImportScene, tmp_path: Path) -> None:
    sibling = {"rfilename": "../main/a.zip", "lfs": {"sha256": DIGEST, "size": len(DATA)}}
    (tmp_path / "m.json").write_text(json.dumps({"id": "acme/a", "sha": COMMIT, "siblings": [sibling]}))
    ran = scene.run("huggingface", tmp_path / "m.json", *MAPPED)
    assert (ran.code, "rfilename" in ran.said) == (1, True)


def test_a_cache_folder_says_what_it_has(scene: ImportScene, tmp_path: Path) -> None:
    folder = tmp_path / "models--acme--a"
    snapshot = folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "a.bin").write_bytes(b"weights")
    (snapshot / "README.md").write_bytes("# 模型说明 一个语音识别的模型".encode("gbk"))
    ran = scene.run("huggingface", folder, *MAPPED)
    assert ran.releases == ["acme/a@1.0.0"]
    assert any("2 files of e37978b90ca9 are there" in note for note in ran.document["notes"])
    assert "README.md: is not in UTF-8" in ran.reasons[COMMIT]
    assert "\ufffd" not in (scene.tree / "plugins/acme/a/README.md").read_text()
    snapshot.rename(snapshot.with_name("main"))
    ran = scene.run("huggingface", folder, "--version-map", "main=2.0.0")
    assert (ran.code, "'main' is not a commit" in ran.said) == (1, True)


# --- Model Hub --------------------------------------------------------------------------------------------------------


def test_attack_a_digest_that_is_known_vouches_for_its_own_version_alone(
    scene: ImportScene, server: TreeServer
) -> None:
    """Attacker: the hub. Change: a new version stated with the digest of an imported one. Refusal: it is read."""
    package = zip_with({
        "service.json": json.dumps({"service_id": "a", "version": "1.0.0", "startup_command": "python a.py"}),
        "a.py": "1",
    })  # fmt: skip
    versions = [{"version": "1.0.0", "sha256": sha256(package)}]
    hub = {"services": [{"service_id": "a", "versions": versions}]}
    server.files = {"api/services": json.dumps(hub).encode(), "storage/services/a/1.0.0.zip": package}
    assert scene.run("model-hub", server.url).releases == ["model-hub/a@1.0.0"]
    versions.append({"version": "2.0.0", "sha256": sha256(package)})
    server.files["api/services"] = json.dumps(hub).encode()
    server.files["storage/services/a/2.0.0.zip"] = package
    ran = scene.run("model-hub", server.url)
    assert (ran.code, ran.releases) == (1, [])
    assert "version: is '1.0.0', but the file is that of '2.0.0'" in ran.reasons["2.0.0"]
