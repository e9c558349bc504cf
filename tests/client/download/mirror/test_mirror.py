"""Mirrors in folders: what is copied, what a selection leaves out, updates, and stock clients that read them."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import Run
from support.mirror_files import keys, published
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer
from support.tuf_repository import BUNDLE
from tuf.ngclient import Updater

from sealdex.disk import sync_filesystem
from sealdex.download.mirror import transfer
from sealdex.download.mirror.transfer import Place
from sealdex.model.ids import parse_plugin_id
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry
from sealdex.trust.metadata_bundle import Bundle

DEST = "mirror"


def plugin_files(folder: Path) -> set[str]:
    return {key for key in keys(folder) if key.startswith("plugins/")}


def test_all_of_a_registry_is_copied_as_it_is(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    registry.files["api/stats.json"] = b"{}"  # download numbers, which nothing signs, are the original's alone
    done = run("mirror", "create", "public", tmp_path / DEST, "--json")
    assert done.code == 0, done.err
    folder = tmp_path / DEST
    published = {name.replace("%2B", "+"): data for name, data in registry.files.items()}
    for key in keys(folder) - {BUNDLE}:  # made here
        assert (folder / key).read_bytes() == published[key], key
    left_out = set(published) - keys(folder)
    assert "api/stats.json" in left_out
    assert {key for key in left_out if key.startswith("plugins/")} == {
        "plugins/acme/mail/0.9.0/mail.zip",  # yanked
        "plugins/acme/mail/0.9.0/manifest.json",
    }
    told = json.loads(done.out)
    assert (told["plugins"], told["releases"]) == (3, 5)
    assert told["files"] == told["total_files"] == 10


def test_clients_use_it_with_the_registry_s_own_root(run: Run, server: TreeServer, root: Path, tmp_path: Path) -> None:
    assert run("mirror", "create", "public", tmp_path / DEST).code == 0
    assert run("registry", "remove", "public").code == 0
    shutil.rmtree(tmp_path / "store", ignore_errors=True)
    asked = len(server.requests)
    assert run("registry", "add", "far", tmp_path / DEST, "--root", root).code == 0
    done = run("install", "acme/slack")
    assert done.code == 0, done.err
    assert "acme/slack 1.1.0" in done.out
    assert run("search", "things").code == 0
    assert len(server.requests) == asked


def test_a_stock_tuf_client_verifies_a_partial_mirror(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    folder = tmp_path / DEST
    assert run("mirror", "create", "public", folder, "--plugin", "acme/base").code == 0
    with TreeServer({key: (folder / key).read_bytes() for key in keys(folder)}) as far:
        updater = Updater(
            str(tmp_path / "stock"),
            f"{far.url}/metadata/",
            str(tmp_path / "targets"),
            f"{far.url}/targets/",
            bootstrap=registry.root,
        )
        info = updater.get_targetinfo("index/acme/base.json")
        assert info is not None
        (tmp_path / "targets").mkdir()
        document = json.loads(Path(updater.download_target(info)).read_bytes())
    assert document["name"] == "base"


def test_a_cold_client_of_a_partial_mirror_needs_as_few_rounds_as_of_the_registry(
    run: Run, registry: PluginRegistry, tmp_path: Path
) -> None:
    base = parse_plugin_id("acme/base")
    lookup = [
        {"metadata/timestamp.json", "metadata/2.root.json", BUNDLE},
        {registry.tuf.key(registry.tuf.bin_of(base))},
        {next(key for key in registry.files if key.endswith(".base.json"))},
    ]
    folder = tmp_path / DEST
    assert run("mirror", "create", "public", folder, "--plugin", "acme/base").code == 0
    mirrored = {key: (folder / key).read_bytes() for key in keys(folder)}
    for files in (registry.files, mirrored):
        with TreeServer(files) as there, Transport() as transport:
            there.expect_rounds(*lookup)
            trusted = TrustedRegistry("far", there.url, registry.root, tmp_path / str(len(files)), transport)
            assert trusted.index(base) is not None
            assert (there.rounds_left, there.out_of_turn) == (0, [])


def test_the_bundle_is_made_again_and_never_copied(
    run: Run, registry: PluginRegistry, root: Path, tmp_path: Path
) -> None:
    registry.files[BUNDLE] = b"planted"
    assert run("mirror", "create", "public", tmp_path / DEST).code == 0
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    assert run("mirror", "import", tmp_path / "out.tar", tmp_path / "far", "--root", root).code == 0
    made = (tmp_path / DEST / BUNDLE).read_bytes()
    assert Bundle(made).member(registry.tuf.key("snapshot").removeprefix("metadata/"), 1 << 20) is not None
    assert (tmp_path / "far" / BUNDLE).read_bytes() == made
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert f"files/{BUNDLE}" not in archive.getnames()
        assert "files/metadata/1.root.json" in archive.getnames()
    proved = run("mirror", "verify", tmp_path / "far", "--root", root, "--json")
    assert (proved.code, proved.document["extra"]) == (0, 0)
    assert run("mirror", "prune", tmp_path / "far", "--yes").code == 0
    assert (tmp_path / "far" / BUNDLE).is_file()


def test_the_second_run_asks_for_the_timestamp_and_the_next_root_alone(
    run: Run, server: TreeServer, tmp_path: Path
) -> None:
    assert run("mirror", "create", "public", tmp_path / DEST).code == 0
    before = {key: (tmp_path / DEST / key).stat().st_mtime_ns for key in keys(tmp_path / DEST)}
    asked = len(server.requests)
    done = run("mirror", "create", "public", tmp_path / DEST, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["changed"] is False
    assert len(server.requests) - asked == 2
    assert {key: (tmp_path / DEST / key).stat().st_mtime_ns for key in keys(tmp_path / DEST)} == before


def test_one_release_more_costs_what_it_consists_of(
    run: Run, registry: PluginRegistry, server: TreeServer, tmp_path: Path
) -> None:
    assert run("mirror", "create", "public", tmp_path / DEST).code == 0
    registry.release("acme/base", "1.1.0")
    registry.publish()
    asked = len(server.requests)
    done = run("mirror", "create", "public", tmp_path / DEST, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["files"] == 2  # the archive and the manifest
    paths = server.requests[asked:]
    assert sorted(path for path in paths if path.startswith("plugins/")) == [
        "plugins/acme/base/1.1.0/base.zip",
        "plugins/acme/base/1.1.0/manifest.json",
    ]
    assert run("mirror", "verify", tmp_path / DEST, "--registry", "public").code == 0


@pytest.mark.parametrize(
    ("options", "releases"),
    [
        (["--plugin", "acme/slack@^1"], {"slack/1.0.0", "slack/1.1.0"}),
        (["--plugin", "acme/slack@^1", "--with-dependencies"], {"slack/1.0.0", "slack/1.1.0", "base/1.0.0"}),
        (["--namespace", "acme", "--latest", "1"], {"slack/1.1.0", "slack/2.0.0", "base/1.0.0", "mail/1.0.0"}),
        (["--namespace", "acme", "--latest", "1", "--channel", "stable"], {"slack/1.1.0", "base/1.0.0", "mail/1.0.0"}),
        (["--channel", "beta"], {"slack/2.0.0"}),
        (["--plugin", "acme/mail", "--plugin", "acme/base"], {"mail/1.0.0", "base/1.0.0"}),
    ],
)
def test_a_selection_has_just_these_releases(run: Run, tmp_path: Path, options: list[str], releases: set[str]) -> None:
    done = run("mirror", "create", "public", tmp_path / DEST, *options)
    assert done.code == 0, done.err
    assert {"/".join(key.split("/")[2:4]) for key in plugin_files(tmp_path / DEST)} == releases


def test_platforms_choose_among_artifacts(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    arm = {"match_expressions": [{"key": "arch", "operator": "In", "values": ["arm64", "arm"]}]}
    registry.release("acme/tool", "1.0.0", artifact={"selector": {"match_labels": {"os": "linux", "arch": "amd64"}}})
    registry.release("acme/tool", "1.1.0", artifact={"selector": arm})
    registry.release("acme/tool", "1.2.0", artifact={"selector": {"match_labels": {"gpu": "nvidia"}}})
    registry.publish()
    done = run("mirror", "create", "public", tmp_path / DEST, "--plugin", "acme/tool", "--platform", "Linux/aarch64")
    assert done.code == 0, done.err
    assert {key.split("/")[3] for key in plugin_files(tmp_path / DEST)} == {"1.1.0", "1.2.0"}


def test_a_lock_names_even_what_was_yanked(
    run: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path
) -> None:
    want('"acme/mail" = "=0.9.0"')
    assert run("lock").code == 0
    lock = tmp_path / "project/sealdex.lock"
    done = run("mirror", "create", "public", tmp_path / DEST, "--lock", lock)
    assert done.code == 0, done.err
    assert "acme/mail 0.9.0 is yanked" in done.err
    assert {key.split("/")[3] for key in plugin_files(tmp_path / DEST)} == {"0.9.0"}
    lock.write_text(lock.read_text().replace(registry.documents[next(iter(registry.documents))].namespace, "acme"))
    tampered = lock.read_text()
    digest = next(r.manifest.sha256 for d in registry.documents.values() for r in d.releases if r.version == "0.9.0")
    lock.write_text(tampered.replace(digest, "0" * 64))
    refused = run("mirror", "create", "public", tmp_path / "other", "--lock", lock)
    assert refused.code == 4
    assert not plugin_files(tmp_path / "other")


def test_what_does_not_exist_is_named_all_at_once(run: Run, tmp_path: Path) -> None:
    done = run(
        "mirror", "create", "public", tmp_path / DEST, "--plugin", "acme/none", "--plugin", "acme/slack@^9",
        "--namespace", "nobody", "--plugin", "acme/base",
    )  # fmt: skip
    assert done.code == 3
    for text in ("acme/none", "acme/slack is in ^9", "namespace nobody"):
        assert text in done.err.replace("no selected release of ", ""), done.err
    assert not (tmp_path / DEST / "metadata/timestamp.json").exists()


def test_the_selection_can_be_a_file(run: Run, tmp_path: Path) -> None:
    said = tmp_path / "selection.toml"
    said.write_text('plugins = ["acme/slack@^1"]\nlatest = 1\nwith_dependencies = true\n')
    assert run("mirror", "create", "public", tmp_path / DEST, "--from", said).code == 0
    assert {"/".join(key.split("/")[2:4]) for key in plugin_files(tmp_path / DEST)} == {"slack/1.1.0", "base/1.0.0"}
    said.write_text('plugin = ["acme/slack"]\nlatest = 0\n')
    refused = run("mirror", "create", "public", tmp_path / DEST, "--from", said)
    assert refused.code == 1
    assert "plugins" in refused.err  # the nearest field


def test_artifacts_elsewhere_are_copied_to_where_the_registry_would_have_them(
    run: Run, registry: PluginRegistry, tmp_path: Path
) -> None:
    files: dict[str, bytes] = {}
    with TreeServer(files) as author:
        data = registry.release("acme/far", "1.0.0", artifact={"url": f"{author.url}/files/far-1.0.0.bin"})
        files["files/far-1.0.0.bin"] = data
        del registry.files["plugins/acme/far/1.0.0/far.zip"]
        registry.publish()
        assert run("mirror", "create", "public", tmp_path / DEST, "--plugin", "acme/far").code == 0
    folder = tmp_path / DEST
    assert (folder / "plugins/acme/far/1.0.0/far.zip").read_bytes() == data
    assert json.loads((folder / "mirror.json").read_bytes())["elsewhere"] == ["plugins/acme/far/1.0.0/far.zip"]
    # a mirror of the mirror finds it there, with the author's server gone
    second = run(
        "mirror", "create", folder, tmp_path / "second", "--root", tmp_path / "given-root.json", "--plugin", "acme/far"
    )
    assert second.code == 0, second.err
    assert (tmp_path / "second/plugins/acme/far/1.0.0/far.zip").read_bytes() == data
    assert run("mirror", "create", "public", tmp_path / "own", "--plugin", "acme/far", "--artifacts", "store").code == 0
    assert plugin_files(tmp_path / "own") == {"plugins/acme/far/1.0.0/manifest.json"}


def test_a_mirror_of_a_partial_mirror_has_what_that_has(run: Run, root: Path, tmp_path: Path) -> None:
    assert run("mirror", "create", "public", tmp_path / DEST, "--plugin", "acme/base").code == 0
    done = run("mirror", "create", tmp_path / DEST, tmp_path / "ring", "--root", root)
    assert done.code == 0, done.err
    assert "the source is itself a mirror of a part: " in done.err
    assert keys(tmp_path / "ring") == keys(tmp_path / DEST)


def test_a_dry_run_counts_and_copies_nothing(run: Run, tmp_path: Path) -> None:
    done = run("mirror", "create", "public", tmp_path / DEST, "--dry-run", "--json")
    assert done.code == 0
    assert json.loads(done.out)["files"] == 10
    assert keys(tmp_path / DEST) == set()


def test_prune_keeps_what_the_present_and_the_previous_state_lead_to(
    run: Run, registry: PluginRegistry, tmp_path: Path
) -> None:
    folder = tmp_path / DEST
    assert run("mirror", "create", "public", folder).code == 0
    assert run("mirror", "create", "public", folder, "--plugin", "acme/base").code == 0
    assert run("mirror", "prune", folder, "--dry-run").code == 0
    assert {key.split("/")[2] for key in plugin_files(folder)} == {"slack", "base", "mail"}
    registry.release("acme/base", "1.0.1")
    registry.publish()
    assert run("mirror", "create", "public", folder, "--plugin", "acme/base").code == 0
    refused = run("mirror", "prune", folder)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert {key.split("/")[2] for key in plugin_files(folder)} == {"slack", "base", "mail"}
    done = run("mirror", "prune", folder, "--yes")
    assert done.code == 0, done.err
    assert {key.split("/")[2] for key in plugin_files(folder)} == {"base"}
    assert run("mirror", "verify", folder, "--registry", "public").code == 0


def test_prune_keeps_what_a_lock_names(
    run: Run, registry: PluginRegistry, want: Callable[[str], None], tmp_path: Path
) -> None:
    want('"acme/mail" = "=0.9.0"')
    assert run("lock").code == 0
    lock = tmp_path / "project/sealdex.lock"
    folder = tmp_path / DEST
    assert run("mirror", "create", "public", folder, "--lock", lock, "--namespace", "acme").code == 0
    for version in ("1.0.1", "1.0.2"):  # two states later nothing but the lock keeps them
        registry.release("acme/base", version)
        registry.publish()
        assert run("mirror", "create", "public", folder, "--plugin", "acme/base").code == 0
    assert run("mirror", "prune", folder, "--yes", "--keep-lock", lock).code == 0
    kept = {"/".join(key.split("/")[2:4]) for key in plugin_files(folder)}
    assert kept == {"mail/0.9.0", "base/1.0.0", "base/1.0.1", "base/1.0.2"}


def test_the_root_can_be_named_by_its_fingerprint(
    run: Run, server: TreeServer, registry: PluginRegistry, tmp_path: Path
) -> None:
    digest = hashlib.sha256(registry.root).hexdigest()
    assert run("mirror", "create", server.url, tmp_path / DEST, "--fingerprint", digest).code == 0
    assert run("mirror", "verify", tmp_path / DEST, "--fingerprint", digest).code == 0
    refused = run("mirror", "create", server.url, tmp_path / "other", "--fingerprint", "0" * 64)
    assert refused.code == 4
    assert not (tmp_path / "other/metadata").exists()


def test_names_that_differ_in_case_alone_are_told_where_they_are_one(
    run: Run, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file system that folds case isn't here: what finds out about it says so instead."""
    registry.release("acme/tool", "1.0.0-RC1")
    registry.release("acme/tool", "1.0.0-rc1")
    registry.publish()
    with monkeypatch.context() as patched:
        patched.setattr(Place, "folds_case", lambda _: True)
        refused = run("mirror", "create", "public", tmp_path / DEST)
    assert refused.code == 1, refused.err
    assert "1.0.0-RC1" in refused.err
    assert not plugin_files(tmp_path / DEST)
    assert run("mirror", "create", "public", tmp_path / DEST).code == 0
    assert run("mirror", "verify", tmp_path / DEST, "--registry", "public").code == 0


def test_all_that_can_not_be_had_is_named(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    gone = []
    for number in range(30):
        registry.release("acme/many", f"1.{number}.0")
        gone.append(f"plugins/acme/many/1.{number}.0/many.zip")
    registry.publish()
    for key in gone:
        del registry.files[key]
    refused = run("mirror", "create", "public", tmp_path / DEST)
    assert refused.code == 5, refused.err
    assert [key for key in gone if key not in refused.err] == []
    assert not (tmp_path / DEST / "metadata/timestamp.json").exists()


def test_images_are_named_with_the_command_that_copies_them(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    reference = f"h.example/x@sha256:{'ab' * 32}"
    registry.release("acme/image", "1.0.0", artifact={"format": "oci", "url": reference, "sha256": "ab" * 32})
    registry.publish()
    command = f"skopeo copy --all --preserve-digests docker://{reference} oci-archive:acme-image-1.0.0.oci.tar"
    for dest in (tmp_path / DEST, tmp_path / "out.tar"):
        done = run("mirror", "create", "public", dest, "--plugin", "acme/image")
        assert done.code == 0, done.err
        assert command in done.err
    told = run("mirror", "create", "public", tmp_path / "json", "--plugin", "acme/image", "--json")
    assert json.loads(told.out)["images"][0]["command"] == command


def test_a_mirror_is_made_from_all_addresses_of_a_registry(
    run: Run, registry: PluginRegistry, server: TreeServer, root: Path, tmp_path: Path
) -> None:
    """The first address lacks a file and has a wrong one; the second has them, and is asked for nothing else."""
    keys = sorted(key for key in registry.files if key.startswith("plugins/") and key.endswith((".zip", ".json")))
    lacking, wrong = keys[0], keys[-1]
    with TreeServer(registry.files) as second:
        server.instead = {lacking: 404, wrong: bytes(len(registry.files[wrong]))}
        added = run(
            "registry", "add", "both", server.url, second.url, "--root", root, "--namespace", "acme", "--no-check"
        )
        assert added.code == 0, added.err
        made = run("mirror", "create", "both", tmp_path / "mirror")
        assert made.code == 0, made.err
        assert set(second.requests) == {lacking, wrong}
    assert "is left for another address" in made.err
    assert run("mirror", "verify", tmp_path / "mirror", "--root", root).code == 0


def test_a_write_that_failed_when_it_was_flushed_keeps_the_old_state(
    run: Run, registry: PluginRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    assert run("mirror", "create", "public", mirror).code == 0
    before = published(mirror)
    registry.release("acme/base", "7.0.0")
    registry.publish()

    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "sync_filesystem", broken)
        refused = run("mirror", "create", "public", mirror)
    assert refused.code == 1, refused.err
    assert "Input/output error" in refused.err
    after = published(mirror)
    assert [after[key] for key in ("metadata/timestamp.json", "mirror.json")] == [
        before[key] for key in ("metadata/timestamp.json", "mirror.json")
    ]
    assert run("mirror", "create", "public", mirror).code == 0
    assert run("mirror", "verify", mirror, "--registry", "public").code == 0


def test_a_file_system_is_flushed_by_any_of_its_folders(tmp_path: Path) -> None:
    sync_filesystem(tmp_path)
    if sys.platform == "linux":
        with pytest.raises(FileNotFoundError):
            sync_filesystem(tmp_path / "none")
