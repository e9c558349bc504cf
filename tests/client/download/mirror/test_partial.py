"""Hosts that read a mirror of a part: told as one, and content with it only where their configuration says so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from support.commands import Ran, Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex import Client
from sealdex.download.mirror.holdings import Shelf, lacking
from sealdex.download.mirror.record import MirrorRecord
from sealdex.model.ids import PluginId
from sealdex.model.index import ArtifactEntry, FilePin, IndexDocument, ReleaseEntry, index_target

LACKS = "is not on this mirror: selection of "


@pytest.fixture
def mirror(run: Run, registry: PluginRegistry, tmp_path: Path) -> Path:
    """A mirror of acme/slack before 1.1.0 with what it needs, and of nothing else."""
    registry.release("acme/slack", "1.2.0", dependencies={"acme/base": "^1"})
    registry.publish()
    folder = tmp_path / "mirror"
    made = run("mirror", "create", "public", folder, "--plugin", "acme/slack@<1.1", "--with-dependencies")
    assert made.code == 0, made.err
    assert run("registry", "remove", "public").code == 0
    return folder


@pytest.fixture
def far(run: Run, mirror: Path, root: Path) -> Callable[..., None]:
    """Adds the mirror to the configuration."""

    def add(*more: str) -> None:
        assert run("registry", "add", "site", mirror.as_uri(), "--root", root, *more).code == 0

    return add


def named(ran: Ran) -> list[tuple[str, str, str]]:
    """The releases that an answer says were passed over."""
    assert all(each["reason"].startswith("not on this mirror: selection of") for each in ran.document["passed_over"])
    return [(each["plugin"], each["version"], each["newer"]) for each in ran.document["passed_over"]]


def test_a_release_that_was_not_selected_is_named_as_such(run: Run, far: Callable[..., None], tmp_path: Path) -> None:
    far()
    for command in (["install", "acme/slack"], ["fetch", "acme/slack", "--cache-only"], ["info", "acme/slack@1.2.0"]):
        ran = run(*command)
        assert ran.code == 3, ran.err
        assert f"acme/slack 1.2.0 {LACKS}" in ran.err
        assert "acme/slack@<1.1, with dependencies" in ran.err
        assert "partial = true" in ran.err
        missing = "manifest.json" if command[0] == "info" else "slack.zip"
        assert re.search(rf"file:///\S*/mirror/plugins/acme/slack/1\.2\.0/{missing} is missing", ran.err), ran.err
    assert json.loads(run("install", "acme/slack", "--json").out)["error"]["code"] == "not-on-mirror"
    assert not list((tmp_path / "store/plugins").rglob("plugin.py"))
    assert run("install", "acme/slack@1.0.0").code == 0


def test_a_plugin_that_was_not_selected_is_named_as_such(run: Run, far: Callable[..., None]) -> None:
    far()
    for command in (["install", "acme/mail"], ["info", "acme/mail"]):
        ran = run(*command)
        assert ran.code == 3, ran.err
        assert f"acme/mail {LACKS}" in ran.err
        assert re.search(r"file:///\S*/mirror/targets/index/acme/\w*\.mail\.json is missing", ran.err), ran.err


def test_what_was_selected_and_is_missing_is_unavailable(run: Run, far: Callable[..., None], mirror: Path) -> None:
    far()
    (mirror / "plugins/acme/slack/1.0.0/slack.zip").unlink()
    ran = run("install", "acme/slack@1.0.0")
    assert ran.code == 5, ran.err
    assert LACKS not in ran.err


def test_a_registry_declared_partial_chooses_among_what_is_there_and_names_the_newer(
    run: Run, far: Callable[..., None], want: Callable[[str], None]
) -> None:
    far("--partial")
    expected = [("acme/slack", "1.0.0", "1.2.0")]
    info = run("info", "acme/slack", "--json")
    assert info.document["fits_here"] == "1.0.0"
    assert set(info.document["not_on_mirror"]) == {"1.2.0", "1.1.0", "2.0.0"}
    assert named(info) == expected
    assert "1.2.0 NOT ON THIS MIRROR" in run("info", "acme/slack").out
    foretold = run("install", "acme/slack", "--dry-run", "--json")
    assert named(foretold) == expected
    done = run("install", "acme/slack", "--json")
    assert [(e["plugin"], e["version"]) for e in done.document["installed"]][-1] == ("acme/slack", "1.0.0")
    assert named(done) == expected
    told = run("install", "acme/slack")
    assert "acme/slack 1.2.0 is signed and newer than 1.0.0, but passed over: not on this mirror" in told.err
    assert named(run("update", "--json")) == expected
    assert named(run("list", "--outdated", "--json")) == expected
    want('"acme/slack" = "^1"')
    assert named(run("lock", "--json")) == expected
    assert named(run("update", "--dry-run", "--json")) == expected


def test_a_search_names_what_the_mirror_lacks(run: Run, far: Callable[..., None]) -> None:
    far("--partial")
    found = {hit["plugin"]: hit.get("not_on_mirror") for hit in run("search", "--json").document["plugins"]}
    assert found.pop("acme/slack") is None
    assert found.pop("acme/base") is None  # a dependency of it
    assert found
    assert all(why is not None and f"{plugin} {LACKS}" in why for plugin, why in found.items())
    assert run("search").out.count("[not on this mirror]") == len(found)


def test_ensure_names_what_the_mirror_lacks_when_it_installs(
    run: Run, far: Callable[..., None], want: Callable[[str], None], tmp_path: Path
) -> None:
    far("--partial")
    want('"acme/slack" = "^1"')
    assert run("lock").code == 0
    assert named(run("ensure", "--json")) == [("acme/slack", "1.0.0", "1.2.0")]
    again = run("ensure", "--json")
    assert again.code == 0
    assert "passed_over" not in again.document, "everything is in place, and nobody is asked"


def test_what_no_release_of_is_there_is_explained(run: Run, far: Callable[..., None]) -> None:
    far("--partial")
    ran = run("install", "acme/slack@^1.1")
    assert ran.code == 3
    assert "1.2.0, 1.1.0: not on this mirror: selection of" in ran.err
    ran = run("install", "acme/mail", "--json")
    assert ran.code == 3
    assert "acme/mail is not on this mirror" in ran.document["error"]["message"]


def test_a_newer_release_that_is_installed_is_not_replaced_by_what_the_mirror_has(
    run: Run, registry: PluginRegistry, mirror: Path, root: Path, server: TreeServer
) -> None:
    assert run("registry", "add", "public", server.url, "--root", root).code == 0
    assert run("install", "acme/slack").code == 0
    assert run("registry", "remove", "public").code == 0
    assert run("registry", "add", "site", mirror.as_uri(), "--root", root, "--partial").code == 0
    for command in (["install", "acme/slack"], ["update"]):
        assert run(*command).code == 0
        assert run("path", "acme/slack").out.strip().endswith("1.2.0")


def test_another_address_that_has_everything_makes_it_whole(
    run: Run, mirror: Path, root: Path, server: TreeServer
) -> None:
    assert run("registry", "add", "site", mirror.as_uri(), server.url, "--root", root, "--partial").code == 0
    done = run("install", "acme/slack", "--json")
    assert done.code == 0, done.err
    assert done.document["installed"][-1]["version"] == "1.2.0"
    assert "passed_over" not in done.document


def test_offline_the_last_known_selection_counts(run: Run, far: Callable[..., None]) -> None:
    far("--partial")
    assert run("install", "acme/slack").code == 0
    assert run("uninstall", "acme/slack", "acme/base").code == 0
    done = run("install", "acme/slack", "--offline", "--json")
    assert done.code == 0, done.err
    assert named(done) == [("acme/slack", "1.0.0", "1.2.0")]


def test_a_partial_mirror_is_asked_for_its_record_while_the_metadata_comes(
    run: Run, registry: PluginRegistry, mirror: Path, root: Path
) -> None:
    files = {str(p.relative_to(mirror)): p.read_bytes() for p in mirror.rglob("*") if p.is_file()}
    del files["metadata/recent.bundle"]  # so that each round trip is seen
    tuf, slack = registry.tuf, PluginId("acme", "slack")
    with TreeServer(files) as there:
        assert run("registry", "add", "site", there.url, "--root", root, "--partial", "--no-check").code == 0
        there.expect_rounds(
            {"metadata/timestamp.json", "metadata/2.root.json", "metadata/recent.bundle", "mirror.json"},
            {tuf.key("snapshot")},
            {tuf.key("targets")},
            {tuf.key("packages")},
            {tuf.key(tuf.bin_of(slack))},
            {tuf.target_key(index_target(slack))},
        )
        with Client() as client:
            assert client.documents([slack])[slack] is not None
        assert there.out_of_turn == []
        assert there.rounds_left == 0


# --- what a record says, decided purely ------------------------------------------------------------------------------


def artifact(arch: str, file: str, url: str | None = None) -> ArtifactEntry:
    return ArtifactEntry(file, "ab" * 32, "zip", 3, url=url, selector={"match_labels": {"os": "linux", "arch": arch}})


ARM, X86 = artifact("arm64", "arm.zip"), artifact("x86_64", "x86.zip")
OUTSIDE = artifact("arm64", "outside.zip", "https://author.example/outside.zip")


def shelf(**selection: object) -> Shelf:
    record = {
        "format": 1, "source": "s", "made_at": "2026-11-28T12:00:00Z", "timestamp_version": 1, "snapshot_version": 1,
        "root_version": 1, "selection": selection, "needed": {"acme/base": ["^1"]},
    }  # fmt: skip
    return Shelf(msgspec.convert(record, MirrorRecord))


def document(*releases: tuple[str, tuple[ArtifactEntry, ...]], name: str = "a") -> IndexDocument:
    entries = tuple(ReleaseEntry(v, FilePin(1, "cd" * 32), artifacts=a, channels=("stable",)) for v, a in releases)
    return IndexDocument(1, "acme", name, "tool", "A tool", entries)


def test_an_artifact_for_another_platform_is_not_there() -> None:
    mirror = shelf(platforms=["linux/arm64"], latest=3)
    every = document(*((f"1.{n}.0", (ARM, X86)) for n in range(5, 0, -1)))
    newest, oldest = every.releases[0], every.releases[-1]
    assert mirror.has(every, newest, ARM)
    assert mirror.has(every, newest, None)
    assert not mirror.has(every, newest, X86)
    assert not mirror.has(every, oldest, ARM)
    assert mirror.words == "selection of 2026-11-28, linux/arm64, latest 3"


def test_what_stays_at_an_author_is_there_with_its_release() -> None:
    every = document(("1.0.0", (OUTSIDE,)))
    assert shelf(artifacts="store").has(every, every.releases[0], OUTSIDE)
    assert not shelf(artifacts="none").has(document(("1.0.0", (ARM,))), every.releases[0], ARM)


def test_dependencies_of_what_was_selected_are_there() -> None:
    mirror = shelf(plugins=["acme/a"], with_dependencies=True)
    base = document(("2.0.0", (ARM,)), ("1.0.0", (ARM,)), name="base")
    assert mirror.has_plugin(base.id)
    assert mirror.has(base, base.releases[1], ARM)
    assert not mirror.has(base, base.releases[0], ARM)
    assert not mirror.has_plugin(PluginId("acme", "other"))


def test_one_of_several_is_enough_and_one_that_says_nothing_may_have_everything() -> None:
    arm, x86 = shelf(platforms=["linux/arm64"]), shelf(platforms=["linux/x86_64"])
    every = document(("1.0.0", (ARM, X86)))

    def has(each: Shelf) -> bool:
        return each.has(every, every.releases[0], X86)

    assert lacking([arm], has) is arm
    assert lacking([arm, x86], has) is None
    assert lacking([arm, None], has) is None
    assert lacking([], has) is None
