"""Importing krew's history: the mapping, what can't be represented, idempotence, and the real 5,051 versions."""

from __future__ import annotations

import json
import lzma
import os
from pathlib import Path
from typing import Any

import pytest
from support.authoring import Bare, builder, errors
from support.places import REPOSITORY

from registry_builder.importers._krew_manifest import NotRepresentableError, map_manifest
from registry_builder.importers.krew import read_history, register_type, write_import
from registry_builder.source.config import read_config
from sealdex.errors import NotFoundError, UsageError
from sealdex.model.ids import PluginId
from sealdex.model.release import FileMapping, Release
from sealdex.model.selectors import matches

SHA = "0123456789abcdef" * 4
PUBLISHED = "2021-02-24T11:30:41-08:00"


def platform(system: str = "linux", **fields: Any) -> dict[str, Any]:
    return {
        "uri": f"https://files.example/v1/tool-{system}.tar.gz",
        "sha256": SHA,
        "selector": {"matchLabels": {"os": system}},
        "bin": "tool",
        **fields,
    }


def manifest(version: object = "v1.2.3", *, name: str = "tool", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": name},
        "spec": {
            "version": version,
            "shortDescription": "A tool",
            "description": "It does things.\n",
            "homepage": "https://tool.example",
            "platforms": [platform()],
            **spec,
        },
    }


def history(path: Path, *manifests: dict[str, Any], published: str = PUBLISHED) -> Path:
    lines = "".join(json.dumps({"published": published, "manifest": m}) + "\n" for m in manifests)
    path.write_bytes(lzma.compress(lines.encode()) if path.suffix == ".xz" else lines.encode())
    return path


def mapped(**spec: Any) -> Release:
    return map_manifest(manifest(**spec), PUBLISHED).release


# --- the mapping -----------------------------------------------------------------------------------------------------


def test_fields_of_a_version() -> None:
    files = [{"from": "tool-*/tool", "to": "."}, {"from": "/*/LICENSE", "to": "./docs"}]
    release = mapped(caveats="Needs a cluster\n", platforms=[platform(bin="./tool", files=files)])
    assert release.version == "1.2.3"
    assert release.released_at == "2021-02-24T19:30:41Z"
    assert release.channel == "stable"
    assert release.description == "It does things."
    assert release.caveats == "Needs a cluster"
    assert release.homepage == "https://tool.example"
    (artifact,) = release.artifacts
    assert artifact.source == "https://files.example/v1/tool-linux.tar.gz"
    assert (artifact.sha256, artifact.size, artifact.bin) == (SHA, None, "tool")
    assert artifact.files == (FileMapping("tool-*/tool", "."), FileMapping("/*/LICENSE", "docs"))


def test_a_number_as_architecture_is_the_text_it_stands_for() -> None:
    release = mapped(platforms=[platform(selector={"matchLabels": {"os": "linux", "arch": 386}})])
    assert release.artifacts[0].selector.match_labels == {"os": "linux", "arch": "386"}


def test_expressions_and_no_selector_at_all() -> None:
    both = {"matchExpressions": [{"key": "os", "operator": "In", "values": ["darwin", "linux"]}]}
    (artifact,) = mapped(platforms=[platform(selector=both)]).artifacts
    assert [matches(artifact.selector, {"os": os}) for os in ("darwin", "linux", "windows")] == [True, True, False]
    assert not mapped(platforms=[platform(selector=None)]).artifacts[0].selector


def test_a_pre_release_goes_to_beta() -> None:
    assert mapped(version="v2.0.0-rc.1").channel == "beta"


def test_addresses_that_end_the_same_get_names_of_their_own() -> None:
    one = platform("linux", uri="https://files.example/linux/tool.zip", sha256="1" * 64)
    two = platform("darwin", uri="https://files.example/darwin/tool.zip", sha256="2" * 64)
    same = platform("windows", uri="https://files.example/darwin/tool.zip", sha256="1" * 64)
    assert [a.file for a in mapped(platforms=[one, two, same]).artifacts] == [None, "222222222222-tool.zip", None]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"version": "master"}, "'master' is not a semantic version"),
        ({"version": "652e113"}, "is not a semantic version"),
        ({"version": "v1.2"}, r"write 1\.2\.0"),
        ({"version": "0.1.0"}, "lacks the leading v"),
        ({"version": 1.2}, "not a string"),
        ({"version": None}, "not a string"),
        ({"platforms": []}, "nothing to install"),
        ({"platforms": [platform(), platform()]}, "overlaps with"),
        ({"platforms": [platform(sha256="abc")]}, r"artifacts\[0\]\.sha256"),
        ({"platforms": [platform(uri="https://files.example/tool.tar")]}, r"neither \.zip nor \.tar\.gz"),
        ({"platforms": [platform(uri="ftp://files.example/tool.zip")]}, "scheme 'ftp'"),
        ({"platforms": [platform(uri="tool.zip")]}, "not an http"),
        ({"platforms": [platform(bin="../tool")]}, r"must not contain '\.\.'"),
        ({"platforms": [platform(files=[{"from": "a", "to": "/etc"}])]}, "must be relative"),
        ({"platforms": [platform(selector={"matchExpressions": [{"key": "os", "operator": "Is"}]})]}, "operator"),
        ({"platforms": "none"}, "not a list of mappings"),
        ({"platforms": [5]}, "not a list of mappings"),
        ({"caveats": "a\x1b[31m"}, "control character"),
        ({"description": 5}, "description: must be text"),
    ],
)
def test_what_no_release_can_stand_for(spec: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotRepresentableError, match=reason):
        map_manifest(manifest(**spec), PUBLISHED)


@pytest.mark.parametrize("published", ["yesterday", "2021-02-24T11:30:41", None, 5])
def test_times_that_are_none(published: object) -> None:
    with pytest.raises(NotRepresentableError, match="published is"):
        map_manifest(manifest(), published)


def test_fields_without_a_place_are_named() -> None:
    given = manifest(platforms=[platform(head="https://files.example/head.zip", sum="x")], extra="x")
    given["metadata"]["version"] = "v1.2.3"
    left = "\n".join(map_manifest(given, PUBLISHED).left_out)
    for name in ("metadata.version", "spec.extra", "spec.platforms[].head", "spec.platforms[].sum"):
        assert name in left


# --- a history -------------------------------------------------------------------------------------------------------


def test_annotations_of_the_newest_version_speak_for_the_plugin(tmp_path: Path) -> None:
    new = manifest("v1.3.0", shortDescription="Newer")
    new["metadata"]["annotations"] = {
        "artifacthub.io/license": "Apache-2.0",
        "artifacthub.io/keywords": "- Problem detection\n- sre\n",
        "artifacthub.io/category": "monitoring-logging",
        "artifacthub.io/links": "- {name: repository, url: 'https://git.example/t'}\n- {name: chat, url: 'https://c.example'}",
        "artifacthub.io/provider": "Acme",
        "artifacthub.io/readme": "# Tool\n\nLong.",
        "artifacthub.io/displayName": "The Tool",
    }
    found = read_history(history(tmp_path / "h.jsonl", new, manifest("v1.2.0"), manifest("v2.0.0-rc.1")))
    tool = found.plugins["tool"]
    assert tool.plugin.summary == "Newer"
    assert tool.plugin.license == "Apache-2.0"
    assert tool.plugin.keywords == ("kubectl", "problem-detection", "sre", "monitoring-logging")
    assert tool.plugin.repository == "https://git.example/t"
    assert tool.plugin.links == {"chat": "https://c.example"}
    assert tool.plugin.owners[0].name == "Acme"
    assert tool.readme == "# Tool\n\nLong.\n"
    assert [entry.reason.split(":")[0] for entry in found.not_imported] == [
        "metadata.annotations.artifacthub.io/displayName"
    ]


def test_lines_that_are_no_entries_and_versions_twice(tmp_path: Path) -> None:
    path = history(tmp_path / "h.jsonl", manifest("v0.1.0"), manifest("0.1.0"), manifest("v0.1.0"), manifest(name="NO"))
    with path.open("a") as file:
        file.write('\n{"manifest": 5}\n{\n' + '{"a":' * 100_000 + "\n")
    found = read_history(path)
    assert list(found.plugins) == ["tool"]
    reasons = {entry.line: entry.reason for entry in found.not_imported}
    assert "lacks the leading v of krew's versions; that version is imported from the entry v0.1.0" in reasons[2]
    assert reasons[3] == "version v0.1.0 appears twice"
    assert "must be lower-case" in reasons[4]
    assert set(reasons) == {2, 3, 4, 6, 7, 8}


def test_files_that_are_no_history(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_history(tmp_path / "gone.jsonl")
    (tmp_path / "h.jsonl.xz").write_bytes(b"no xz")
    with pytest.raises(UsageError, match="not a complete xz file"):
        read_history(tmp_path / "h.jsonl.xz")
    whole = lzma.compress(json.dumps({"published": PUBLISHED, "manifest": manifest()}).encode())
    (tmp_path / "h.jsonl.xz").write_bytes(whole[:-8])
    with pytest.raises(UsageError, match="not a complete xz file"):
        read_history(tmp_path / "h.jsonl.xz")


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacker: made the file. Change: a few bytes of xz that unpack to one endless line. Refusal: at the limit."""
    monkeypatch.setattr("registry_builder.importers.krew.MAX_LINE_BYTES", 1000)
    (tmp_path / "h.jsonl.xz").write_bytes(lzma.compress(b"[" * 1_000_000))
    with pytest.raises(UsageError, match="more than 1000 bytes"):
        read_history(tmp_path / "h.jsonl.xz")


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "registry")


def test_import_validates_and_the_same_again_changes_nothing(tree: Bare, tmp_path: Path) -> None:
    path = history(tmp_path / "h.jsonl.xz", manifest("v1.0.0"), manifest("v1.1.0"), manifest(name="other"))
    assert builder("--tree", tree.root, "import", "krew", path) == 0
    assert errors(tree.lint()) == []
    assert list(tree.load().plugins[PluginId("krew", "tool")].releases) == ["1.1.0", "1.0.0"]
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tree.root.rglob("*") if p.is_file()}
    assert builder("--tree", tree.root, "import", "krew", path) == 0
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tree.root.rglob("*") if p.is_file()} == before


def test_a_later_history_adds_and_leaves_edits_alone(tree: Bare, tmp_path: Path) -> None:
    write_import(tree.root, read_history(history(tmp_path / "1.jsonl", manifest("v1.0.0"))))
    folder = tree.root / "plugins/krew/tool"
    (folder / "plugin.yaml").write_text("type: notify\nsummary: Edited\n")
    (folder / "README.md").write_text("Edited\n")
    written = write_import(
        tree.root, read_history(history(tmp_path / "2.jsonl", manifest("v1.0.0"), manifest("v1.1.0")))
    )
    assert (written.plugins, written.releases, written.unchanged) == (0, 1, 1)
    assert "Edited" in (folder / "plugin.yaml").read_text() + (folder / "README.md").read_text()


def test_a_release_that_differs_is_a_conflict_and_stays(tree: Bare, tmp_path: Path) -> None:
    path = history(tmp_path / "1.jsonl", manifest("v1.0.0"))
    assert builder("--tree", tree.root, "import", "krew", path) == 0
    before = (tree.root / "plugins/krew/tool/releases/1.0.0.json").read_bytes()
    other = history(tmp_path / "2.jsonl", manifest("v1.0.0", caveats="New"), manifest("v1.1.0"))
    assert builder("--tree", tree.root, "import", "krew", other) == 1
    assert (tree.root / "plugins/krew/tool/releases/1.0.0.json").read_bytes() == before
    assert (tree.root / "plugins/krew/tool/releases/1.1.0.json").exists()


def test_what_cannot_be_represented_stops_the_import_unless_skipped(
    tree: Bare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = history(tmp_path / "h.jsonl", manifest("v1.0.0"), manifest("master"))
    assert builder("--tree", tree.root, "import", "krew", path) == 1
    said = capsys.readouterr()
    assert "skipped: h.jsonl:2: tool master: version 'master' is not a semantic version" in said.out
    assert "nothing was written" in said.err
    assert not (tree.root / "plugins/krew").exists()
    assert builder("--tree", tree.root, "--json", "import", "krew", path, "--skip-invalid") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["written"] == {"plugins": 1, "releases": 1, "unchanged": 0}
    (left,) = document["not_imported"]
    assert (left["line"], left["name"], left["version"], left["whole"]) == (2, "tool", "master", True)


def test_the_type_is_registered_and_comments_stay(tree: Bare) -> None:
    before = (tree.root / "registry.toml").read_text()
    assert register_type(tree.root, "kubectl-plugin")
    assert not register_type(tree.root, "KUBECTL_PLUGIN")
    assert not register_type(tree.root, "notify")
    assert read_config(tree.root).registry.types == ("kubectl-plugin",)
    after = (tree.root / "registry.toml").read_text()
    assert [line for line in before.splitlines() if line.startswith("#")] == [
        line for line in after.splitlines() if line.startswith("#")
    ]


def test_a_namespace_of_ones_own(tree: Bare, tmp_path: Path) -> None:
    path = history(tmp_path / "h.jsonl", manifest())
    assert builder("--tree", tree.root, "import", "krew", path, "--namespace", "kube", "--type", "build") == 0
    assert list(tree.load().plugins) == [PluginId("kube", "tool")]
    assert builder("--tree", tree.root, "import", "krew", path, "--namespace", "plugins") == 2


# --- the real thing --------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("SEALDEX_DATA", REPOSITORY.parent / "shared" / "data"))
REAL = DATA / "krew" / "krew-history.jsonl.xz"


@pytest.mark.skipif(not REAL.is_file(), reason=f"{REAL} is not here (SEALDEX_DATA names its folder)")
def test_the_real_history_imports_and_validates(tree: Bare) -> None:
    found = read_history(REAL)
    assert found.entries == 5051
    whole = [entry for entry in found.not_imported if entry.whole]
    assert sorted((entry.name, entry.version) for entry in whole) == [
        ("ca-cert", "master"),
        ("ingress-nginx", "0.24.0"),
        ("krew", "652e113"),
        ("mtail", "master"),
        ("rm-standalone-pods", "master"),
        ("ssh-jump", "0.1.0"),
        ("strace", "v0.0.1"),  # plain tar, which krew doesn't unpack
        ("view-secret", "master"),
    ]
    assert sum(len(plugin.releases) for plugin in found.plugins.values()) + len(whole) == found.entries
    register_type(tree.root, "kubectl-plugin")
    written = write_import(tree.root, found)
    assert (written.plugins, written.releases, written.conflicts) == (411, 5043, ())
    assert errors(tree.lint()) == []
    assert write_import(tree.root, found).unchanged == 5043
