"""Releasing: what is written, that the same again is the same, and that nothing half-done or wrong is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.authoring import Bare, errors, zip_of
from support.builder_cli import document

from registry_builder.authoring.payload import pack_folder
from registry_builder.authoring.release import Archive, carry_out, plan_release, write_release
from registry_builder.authoring.scaffold import new_plugin
from registry_builder.cli.archive_argument import parse_archive, parse_image
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.model.ids import PluginId
from sealdex.model.selectors import Selector, matches

TOOL = PluginId("acme", "tool")
TIME = "2026-11-21T12:00:00Z"


@pytest.fixture
def tree(tmp_path: Path) -> Bare:
    tree = Bare(tmp_path / "registry")
    tree.plugin("acme/tool")
    return tree


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a build outside the tree leaves its archives."""
    folder = tmp_path / "out"
    folder.mkdir()
    for system in ("linux", "darwin"):
        (folder / f"tool-{system}.zip").write_bytes(zip_of("tool", data=system.encode()))
    return folder


def written(tree: Bare, version: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((tree.root / f"plugins/acme/tool/releases/{version}.json").read_text())
    return document


def test_archives_from_outside_are_copied_and_pinned(tree: Bare, out: Path) -> None:
    archives = [
        parse_archive(f"{out}/tool-linux.zip:os=linux,arch=amd64|arm64,+cuda-11.8"),
        parse_archive(f"{out}/tool-darwin.zip:os=darwin"),
    ]
    plan = write_release(tree.root, archives, plugin=TOOL, version="1.2.0", released_at=TIME)
    assert not plan.exists
    document = written(tree, "1.2.0")
    linux, darwin = document["artifacts"]
    assert linux["source"] == "plugins/acme/tool/dist/1.2.0/tool-linux.zip"
    assert (tree.root / linux["source"]).read_bytes() == (out / "tool-linux.zip").read_bytes()
    assert linux["tags"] == ["cuda-11.8"]
    assert linux["selector"] == {
        "match_labels": {"os": "linux"},
        "match_expressions": [{"key": "arch", "operator": "In", "values": ["amd64", "arm64"]}],
    }
    assert darwin["selector"] == {"match_labels": {"os": "darwin"}}
    assert document["released_at"] == TIME
    assert document["version"] == "1.2.0"
    assert tree.lint() == []


def test_an_archive_that_a_build_still_writes_is_not_released(tree: Bare, out: Path) -> None:
    """Its digest is in the manifest by then, which would be that of other bytes."""
    archive = out / "tool-linux.zip"
    plan = plan_release(tree.root, [parse_archive(str(archive))], plugin=TOOL, version="1.2.0", released_at=TIME)
    archive.write_bytes(zip_of("tool", data=b"other"))
    with pytest.raises(ConfigError, match="changed while it was released"):
        carry_out(plan)
    assert [
        path for path in (tree.root / "plugins/acme/tool").rglob("*") if "1.2.0" in path.name and path.is_file()
    ] == []
    assert list((tree.root / "plugins/acme/tool/dist").rglob("*.part")) == []


def test_the_same_again_changes_nothing(tree: Bare, out: Path) -> None:
    archives = [Archive(out / "tool-linux.zip")]
    first = write_release(tree.root, archives, plugin=TOOL, version="1.0.0")
    before = first.file.read_bytes()
    again = write_release(tree.root, archives, plugin=TOOL, version="1.0.0")  # later, so that now is another time
    assert again.exists
    assert again.release == first.release
    assert first.file.read_bytes() == before


@pytest.mark.parametrize("change", ["bytes", "selector", "channel", "released_at"])
def test_another_release_under_the_same_version_is_refused(tree: Bare, out: Path, change: str) -> None:
    path = out / "tool-linux.zip"
    first = write_release(tree.root, [Archive(path)], plugin=TOOL, version="1.0.0", released_at=TIME)
    before = first.file.read_bytes()
    archive = Archive(path)
    options: dict[str, Any] = {"released_at": TIME}
    if change == "bytes":
        path = out / "other"
        path.mkdir()
        archive = Archive(path / "tool-linux.zip")
        archive.path.write_bytes(zip_of("tool", data=b"other"))
    elif change == "selector":
        archive = Archive(path, Selector(match_labels={"os": "linux"}))
    else:
        options[change] = {"channel": "beta", "released_at": "2027-01-01T00:00:00Z"}[change]
    with pytest.raises(ConfigError) as caught:
        write_release(tree.root, [archive], plugin=TOOL, version="1.0.0", **options)
    assert caught.value.untouched == "no release was written"
    assert first.file.read_bytes() == before
    assert errors(tree.lint()) == []


def test_versions_do_not_differ_in_build_metadata_alone(tree: Bare, out: Path) -> None:
    write_release(tree.root, [Archive(out / "tool-linux.zip")], plugin=TOOL, version="1.0.0+a")
    with pytest.raises(ConfigError, match="only in build metadata"):
        write_release(tree.root, [Archive(out / "tool-linux.zip")], plugin=TOOL, version="1.0.0+b")


TEMPLATE = """
version: 1.1.0-rc.1
description: From the template
artifacts:
  - {match: "*-linux.zip", selector: {match_labels: {os: linux}}, bin: tool}
  - {match: "*-darwin.zip", selector: {match_labels: {os: darwin}}}
"""


def test_a_template_says_what_archives_are_for(tree: Bare, out: Path) -> None:
    tree.write("plugins/acme/tool/release.yaml", TEMPLATE)
    archives = [Archive(out / "tool-darwin.zip"), Archive(out / "tool-linux.zip")]
    write_release(tree.root, archives, plugin=TOOL)
    document = written(tree, "1.1.0-rc.1")
    assert [a["selector"]["match_labels"]["os"] for a in document["artifacts"]] == ["darwin", "linux"]
    assert document["artifacts"][1]["bin"] == "tool"
    assert document["description"] == "From the template"
    assert document["channel"] == "beta"  # a pre-release that doesn't say otherwise


def test_a_template_beside_the_archive_wins(tree: Bare, out: Path) -> None:
    tree.write("plugins/acme/tool/release.yaml", TEMPLATE)
    (out / "release.yaml").write_text("version: 3.0.0\nchannel: stable\n")
    assert write_release(tree.root, [Archive(out / "tool-linux.zip")], plugin=TOOL).release.version == "3.0.0"


def test_a_release_is_whole_or_not_at_all(tree: Bare, out: Path) -> None:
    tree.write("plugins/acme/tool/release.yaml", TEMPLATE)
    with pytest.raises(ConfigError, match=r"no archive matches these artifacts of release.yaml: '\*-darwin\.zip'"):
        write_release(tree.root, [Archive(out / "tool-linux.zip")], plugin=TOOL)
    (out / "tool-plan9.zip").write_bytes(zip_of("tool"))
    with pytest.raises(ConfigError, match="matches no artifact"):
        write_release(tree.root, [Archive(out / "tool-plan9.zip")], plugin=TOOL)
    assert not (tree.root / "plugins/acme/tool/releases").exists()
    assert not (tree.root / "plugins/acme/tool/dist").exists()


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("version: 1.0\n", "version: must be a semantic version"),
        ("version: 1.0.0\nartifacts: [{mtch: x}]\ndescripton: x\n", r"descripton: .*artifacts\[0\]\.mtch"),
        ("- version\n", "must be a mapping"),
        ('version: 1.0.0\ndescription: "a\\e[31m"\n', "control character"),
        ("{", "is not valid YAML"),
    ],
)
def test_a_wrong_template_is_named(tree: Bare, out: Path, template: str, message: str) -> None:
    tree.write("plugins/acme/tool/release.yaml", template)
    with pytest.raises(ConfigError, match=message):
        write_release(tree.root, [Archive(out / "tool-linux.zip")], plugin=TOOL)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("bin: tol", "artifacts.0..bin"),
        ("files: [{from: gone}]", "artifacts.0..files"),
        ("bin: ../tool", "must not contain '..'"),
        ("tags: [a]\nconfig_schema: {type: strin}", "config_schema.type"),
    ],
)
def test_what_validate_would_refuse_is_never_written(tree: Bare, out: Path, extra: str, message: str) -> None:
    artifact, _, rest = extra.partition("\n")
    tree.write("plugins/acme/tool/release.yaml", f"version: 1.0.0\nartifacts:\n  - {{{artifact}}}\n{rest}\n")
    with pytest.raises(ConfigError, match=message):
        write_release(tree.root, [Archive(out / "tool-linux.zip")], plugin=TOOL)
    assert not (tree.root / "plugins/acme/tool/releases").exists()
    assert not (tree.root / "plugins/acme/tool/dist").exists()


def test_overlapping_archives_are_refused(tree: Bare, out: Path) -> None:
    archives = [Archive(out / "tool-linux.zip"), Archive(out / "tool-darwin.zip")]
    with pytest.raises(ConfigError, match="overlaps with"):
        write_release(tree.root, archives, plugin=TOOL, version="1.0.0")


def test_an_attack_archive_is_refused_before_it_is_copied(tree: Bare, out: Path) -> None:
    """Attacker: made the archive. Change: an entry that leaves its folder. Refusal: an error that names the entry;
    neither manifest nor copy is left.
    """
    (out / "evil.zip").write_bytes(zip_of("../evil"))
    with pytest.raises(ConfigError, match="would be refused by every client"):
        write_release(tree.root, [Archive(out / "evil.zip")], plugin=TOOL, version="1.0.0")
    assert not (tree.root / "plugins/acme/tool/dist").exists()


def test_who_and_what_must_be_known(tree: Bare, out: Path) -> None:
    archive = Archive(out / "tool-linux.zip")
    with pytest.raises(UsageError, match="plugin is not known"):
        write_release(tree.root, [archive], version="1.0.0")
    with pytest.raises(UsageError, match="version can't be determined"):
        write_release(tree.root, [archive], plugin=TOOL)
    with pytest.raises(UsageError, match=r"write 1\.0\.0"):
        write_release(tree.root, [archive], plugin=TOOL, version="v1.0.0")
    with pytest.raises(NotFoundError, match="no plugin acme/gone"):
        write_release(tree.root, [archive], plugin=PluginId("acme", "gone"), version="1.0.0")
    with pytest.raises(NotFoundError, match="does not exist"):
        write_release(tree.root, [Archive(out / "gone.zip")], plugin=TOOL, version="1.0.0")


def test_a_release_may_have_dependencies_only(tree: Bare) -> None:
    tree.write("plugins/acme/tool/release.yaml", 'version: 1.0.0\ndependencies: {acme/base: "*"}\n')
    assert write_release(tree.root, [], plugin=TOOL).release.artifacts == ()


def test_source_date_epoch_is_the_time(tree: Bare, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    plan = write_release(tree.root, [Archive(out / "tool-linux.zip")], plugin=TOOL, version="1.0.0")
    assert plan.release.released_at == "2001-09-09T01:46:40Z"


def test_a_released_archive_is_not_packed_over(tmp_path: Path) -> None:
    tree = Bare(tmp_path / "registry")
    folder = new_plugin(tree.root, "notify", PluginId("acme", "slack")).folder
    packed = pack_folder(folder)
    write_release(tree.root, [Archive(packed.path)])
    before = packed.path.read_bytes()
    assert pack_folder(folder).sha256 == packed.sha256
    (folder / "src/notify.py").write_text("other")
    with pytest.raises(ConfigError, match="already released with other bytes"):
        pack_folder(folder)
    assert packed.path.read_bytes() == before
    assert errors(tree.lint()) == []


# --- the command line's way to say what an archive is for ------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path", "labels"),
    [
        ("a.zip", "a.zip", {}),
        ("a.zip:os=linux", "a.zip", {"os": "linux"}),
        (r"C:\dist\a.zip", r"C:\dist\a.zip", {}),
        (r"C:\dist\a.zip:os=windows,arch=amd64", r"C:\dist\a.zip", {"os": "windows", "arch": "amd64"}),
        ("/a:b/c.zip", "/a:b/c.zip", {}),
        ("/a:b/c.zip:acme.example/gpu=yes", "/a:b/c.zip", {"acme.example/gpu": "yes"}),
    ],
)
def test_archive_arguments(text: str, path: str, labels: dict[str, str]) -> None:
    archive = parse_archive(text)
    assert archive.path == Path(path)
    assert archive.selector is None if not labels else archive.selector == Selector(match_labels=labels)


def test_one_of_several_values_and_tags() -> None:
    archive = parse_archive("a.zip:os=linux|darwin,+cuda-12,+avx2")
    assert archive.selector is not None
    assert [matches(archive.selector, {"os": os}) for os in ("linux", "darwin", "windows")] == [True, True, False]
    assert archive.tags == ("cuda-12", "avx2")


@pytest.mark.parametrize("text", ["a.zip:os=linux,arch", "a.zip:os=linux,os=darwin", "a.zip:os=li nux"])
def test_wrong_labels_are_named(text: str) -> None:
    with pytest.raises(UsageError):
        parse_archive(text)


def test_archives_at_an_address_are_named_there_and_checked_here(tree: Bare, out: Path) -> None:
    at = "https://github.com/acme/tool/releases/download/v1.2.0/"
    archives = [parse_archive(f"{out}/tool-{system}.zip:os={system}") for system in ("linux", "darwin")]
    plan = write_release(tree.root, archives, plugin=TOOL, version="1.2.0", at=at)
    assert plan.copies == ()
    linux, darwin = written(tree, "1.2.0")["artifacts"]
    assert (linux["source"], darwin["source"]) == (f"{at}tool-linux.zip", f"{at}tool-darwin.zip")
    assert linux["size"] == (out / "tool-linux.zip").stat().st_size
    assert not (tree.root / "plugins/acme/tool/dist").exists()
    assert errors(tree.lint()) == []
    assert write_release(tree.root, archives, plugin=TOOL, version="1.2.0", at=at.rstrip("/")).exists
    (out / "tool-linux.zip").write_bytes(b"no archive")
    with pytest.raises(ConfigError, match="artifacts"):
        write_release(tree.root, archives, plugin=TOOL, version="1.3.0", at=at)
    for wrong in ("http://example.org/", "https://", "v1.2.0", "https://example.org/?x"):
        with pytest.raises(UsageError, match="not an https address"):
            write_release(tree.root, archives, plugin=TOOL, version="1.4.0", at=wrong)


IMAGE = "harbor.example:5000/acme/tool@sha256:" + "ab" * 32


def test_container_images_beside_archives(tree: Bare, out: Path) -> None:
    archive = parse_archive(f"{out}/tool-linux.zip:os=linux")
    write_release(
        tree.root, [archive], plugin=TOOL, version="1.0.0", released_at=TIME, images=[parse_image(f"{IMAGE}:os=darwin")]
    )
    file, image = written(tree, "1.0.0")["artifacts"]
    assert file["source"].endswith("tool-linux.zip")
    assert image == {
        "source": f"oci:{IMAGE}",
        "sha256": "ab" * 32,
        "selector": {"match_labels": {"os": "darwin"}},
    }


def test_a_template_may_name_images_alone_or_beside_archives(tree: Bare, out: Path) -> None:
    template = f"version: 1.1.0\nartifacts:\n  - image: {IMAGE}\n    selector: {{match_labels: {{os: linux}}}}\n"
    (tree.root / "plugins/acme/tool/release.yaml").write_text(template)
    write_release(tree.root, [], plugin=TOOL, released_at=TIME)
    assert [each["source"] for each in written(tree, "1.1.0")["artifacts"]] == [f"oci:{IMAGE}"]
    more = (
        template.replace("1.1.0", "1.2.0") + '  - match: "*-darwin.zip"\n    selector: {match_labels: {os: darwin}}\n'
    )
    (tree.root / "plugins/acme/tool/release.yaml").write_text(more)
    write_release(tree.root, [parse_archive(f"{out}/tool-darwin.zip")], plugin=TOOL, released_at=TIME)
    assert len(written(tree, "1.2.0")["artifacts"]) == 2


def test_an_archive_that_a_template_of_images_alone_does_not_name_is_refused(tree: Bare, out: Path) -> None:
    (tree.root / "plugins/acme/tool/release.yaml").write_text(f"version: 1.0.0\nartifacts:\n  - image: {IMAGE}\n")
    with pytest.raises(ConfigError, match=r"matches no artifact in release\.yaml \(container images alone\)"):
        write_release(tree.root, [parse_archive(f"{out}/tool-linux.zip")], plugin=TOOL)
    assert not (tree.root / "plugins/acme/tool/releases").exists()


def test_the_command_tells_of_images_too(tree: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("release", "--plugin", "acme/tool", "--version", "1.0.0", "--image", IMAGE)
    assert document(tree.root, capsys, *asked)["artifacts"] == [
        {"source": f"oci:{IMAGE}", "size": None, "sha256": "ab" * 32, "archive": None}
    ]


@pytest.mark.parametrize(
    "reference", ["harbor.example/acme/tool:1.2", "acme/tool@sha256:ab", "x; rm -rf ~", IMAGE[:-1]]
)
def test_an_image_without_its_digest_is_refused(tree: Bare, reference: str) -> None:
    with pytest.raises(UsageError, match="not an image with a digest"):
        write_release(tree.root, [], plugin=TOOL, version="1.0.0", images=[parse_image(reference)])
    assert not (tree.root / "plugins/acme/tool/releases").exists()


def test_fields_of_archives_beside_an_image_are_named(tree: Bare) -> None:
    bad = f"version: 1.0.0\nartifacts:\n  - image: {IMAGE}\n    bin: tool\n    match: x\n"
    (tree.root / "plugins/acme/tool/release.yaml").write_text(bad)
    with pytest.raises(ConfigError, match=r"artifacts\[0\]\.match.*artifacts\[0\]\.bin"):
        write_release(tree.root, [], plugin=TOOL)


def test_two_files_at_one_address_are_refused(tree: Bare, tmp_path: Path) -> None:
    """Both would be fetched from there, and at most one has its digest."""
    archives = []
    for system in ("linux", "darwin"):
        (tmp_path / system).mkdir()
        path = tmp_path / system / "tool.zip"
        path.write_bytes(zip_of("tool", data=system.encode()))
        archives.append(Archive(path, Selector(match_labels={"os": system})))
    with pytest.raises(ConfigError, match=r"artifacts\[1\]\.sha256: is not that of artifacts\[0\]"):
        write_release(tree.root, archives, plugin=TOOL, version="1.0.0", at="https://files.example/1.0.0")
