"""Attacks on mirrors: a source that lies, a stick that was in other hands, files changed where they are."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from support.commands import Run
from support.mirror_files import published
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.download.mirror.contents import MirrorFile
from sealdex.download.mirror.transfer import Place


@pytest.fixture
def mirror(run: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    assert run("mirror", "create", "public", folder).code == 0
    return folder


def test_attack_nothing_that_is_carried_sets_trust(run: Run, mirror: Path, tmp_path: Path) -> None:
    """Holds the medium, root and mirror.json on it too; the user gives no root."""
    for command in (["create", mirror, tmp_path / "second"], ["verify", mirror]):
        refused = run("mirror", *command)
        assert refused.code == 2, refused.err
        assert "--root" in refused.err
    assert not (tmp_path / "second").exists()


def test_attack_another_registry_s_tree_is_refused(run: Run, mirror: Path, tmp_path: Path) -> None:
    """Puts a tree of their own, signed all through, in the place of the mirror."""
    theirs = PluginRegistry()
    theirs.release("acme/slack", "9.0.0")
    theirs.publish()
    theirs.write(tmp_path / "theirs")
    before = published(mirror)
    root = tmp_path / "given-root.json"
    refused = run("mirror", "create", tmp_path / "theirs", mirror, "--root", root)
    assert refused.code == 4, refused.err
    assert published(mirror) == before


def test_attack_a_swapped_artifact_is_refused_and_not_kept(
    run: Run, registry: PluginRegistry, server: TreeServer, mirror: Path
) -> None:
    """Holds the source's store: another archive of the same size under a signed name."""
    data = registry.release("acme/slack", "1.2.0")
    registry.publish()
    registry.files["plugins/acme/slack/1.2.0/slack.zip"] = bytes(len(data))
    before = published(mirror)
    refused = run("mirror", "create", "public", mirror)
    assert refused.code == 4, refused.err
    assert "plugins/acme/slack/1.2.0/slack.zip" not in published(mirror)
    assert published(mirror)["metadata/timestamp.json"] == before["metadata/timestamp.json"]
    assert published(mirror)["mirror.json"] == before["mirror.json"]
    assert server.requests


def test_attack_a_source_that_is_rolled_back_changes_nothing(
    run: Run, registry: PluginRegistry, server: TreeServer, tmp_path: Path
) -> None:
    """Holds the source: yesterday's tree, validly signed, in the place of today's."""
    yesterday = dict(registry.files)
    registry.release("acme/slack", "1.2.0")
    registry.publish()
    folder = tmp_path / "mirror"
    assert run("mirror", "create", "public", folder).code == 0
    before = published(folder)
    server.files = yesterday
    refused = run("mirror", "create", "public", folder)
    assert refused.code == 4, refused.err
    assert published(folder) == before


@pytest.mark.parametrize("which", ["plugins/acme/slack/1.1.0/slack.zip", "plugins/acme/base/1.0.0/manifest.json"])
def test_attack_a_changed_file_is_found_and_mended(run: Run, mirror: Path, which: str) -> None:
    """Writes to the mirror's folder: other bytes of the same size."""
    was = (mirror / which).read_bytes()
    (mirror / which).write_bytes(bytes(len(was)))
    found = run("mirror", "verify", mirror, "--registry", "public")
    assert found.code == 4
    assert which in found.err
    assert run("mirror", "create", "public", mirror, "--verify").code == 0
    assert (mirror / which).read_bytes() == was
    (mirror / which).unlink()
    assert f"{which}: missing" in run("mirror", "verify", mirror, "--registry", "public").err


def test_attack_a_link_in_the_place_of_a_file_is_found(run: Run, mirror: Path, tmp_path: Path) -> None:
    """Writes to the mirror's folder: a link to a file of theirs, which has the signed bytes for now."""
    which = "plugins/acme/slack/1.1.0/slack.zip"
    theirs = (mirror / which).rename(tmp_path / "theirs.zip")
    (mirror / which).symlink_to(theirs)
    found = run("mirror", "verify", mirror, "--registry", "public")
    assert found.code == 4, found.out
    assert f"{which}: a link, not a file" in found.err
    assert run("mirror", "create", "public", mirror, "--verify").code == 0
    assert not (mirror / which).is_symlink()
    assert run("mirror", "verify", mirror, "--registry", "public").code == 0


def test_attack_prune_removes_nothing_behind_a_link(run: Run, mirror: Path, tmp_path: Path) -> None:
    """Writes to the mirror's folder: a link to another folder of the user's in the place of a tree."""
    other = (mirror / "plugins").rename(tmp_path / "other")
    (other / "mine.txt").write_text("mine")
    (mirror / "plugins").symlink_to(other)
    before = published(other)
    refused = run("mirror", "prune", mirror, "--yes")
    assert refused.code == 1, refused.err
    assert published(other) == before


def test_attack_prune_follows_no_link_within_a_tree(run: Run, mirror: Path, tmp_path: Path) -> None:
    """Writes to the mirror's folder: a link to another folder of the user's beside the plugins."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    (mirror / "plugins/link").symlink_to(other)
    assert run("mirror", "prune", mirror, "--yes").code == 0
    assert not (mirror / "plugins/link").is_symlink()
    assert (other / "mine.txt").read_text() == "mine"


def test_attack_what_is_there_counts_only_if_it_is_a_file_of_the_signed_size(tmp_path: Path) -> None:
    """Writes to the mirror's folder: a link as long as the file, a folder, a shorter file, other bytes."""
    place, data = Place(tmp_path, tmp_path / "staging"), b"d" * 40
    file = MirrorFile("plugins/a/b", hashlib.sha256(data).hexdigest(), len(data), None, "b")
    path = tmp_path / file.key
    path.parent.mkdir(parents=True)
    assert not place.has(file, hashed=False)
    path.write_bytes(data)
    assert place.has(file, hashed=False)
    assert place.has(file, hashed=True)
    path.write_bytes(b"e" * 40)
    assert not place.has(file, hashed=True)
    path.write_bytes(data[1:])
    assert not place.has(file, hashed=False)
    path.unlink()
    path.symlink_to("./" * 17 + "theirs")
    assert path.lstat().st_size == len(data)
    (path.parent / "theirs").write_bytes(data)
    assert not place.has(file, hashed=False)
    assert not place.has(file, hashed=True)
    path.unlink()
    path.mkdir()
    assert not place.has(MirrorFile(file.key, file.sha256, path.lstat().st_size, None, "b"), hashed=False)


def test_attack_what_was_there_before_the_mirror_is_hashed(run: Run, mirror: Path, tmp_path: Path) -> None:
    """Writes to the folder before the first run: other bytes of the right size."""
    which = "plugins/acme/slack/1.1.0/slack.zip"
    good = (mirror / which).read_bytes()
    planted = tmp_path / "second" / which
    planted.parent.mkdir(parents=True)
    planted.write_bytes(bytes(len(good)))
    assert run("mirror", "create", "public", tmp_path / "second").code == 0
    assert planted.read_bytes() == good


@pytest.mark.parametrize("options", [(), ("--verify",)])
def test_attack_metadata_behind_a_link_is_named_and_written_again(
    run: Run, mirror: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Writes to the mirror's folder: a link to a file of theirs, which has the right bytes until they change it."""
    document = next((mirror / "targets/index/acme").iterdir()).relative_to(mirror).as_posix()
    keys = ["metadata/timestamp.json", "metadata/1.targets.json", "metadata/recent.bundle", "mirror.json", document]
    for number, key in enumerate(keys):
        (mirror / key).symlink_to((mirror / key).rename(tmp_path / f"theirs-{number}"))
    named = run("mirror", "verify", mirror, "--registry", "public")
    assert named.code == 4, named.err
    assert [key for key in keys if f"{key}: a link, not a file" not in named.err] == []
    assert named.err.count("a link, not a file") == len(keys)
    again = run("mirror", "create", "public", mirror, *options)
    assert again.code == 0, again.err
    assert "links lay in place of metadata" in again.err
    assert not [key for key in keys if (mirror / key).is_symlink()]
    assert run("mirror", "verify", mirror, "--registry", "public").code == 0


def test_attack_a_record_of_less_is_noticed_where_a_selection_is_demanded(
    run: Run, mirror: Path, tmp_path: Path
) -> None:
    """Writes to the mirror's folder: a file is gone, and mirror.json says that it was never asked for."""
    gone = "plugins/acme/slack/1.1.0/slack.zip"
    (mirror / gone).unlink()
    record = json.loads((mirror / "mirror.json").read_bytes())
    record["selection"] = {"plugins": ["acme/base"]}
    (mirror / "mirror.json").write_text(json.dumps(record))
    (tmp_path / "wanted.toml").write_text('namespaces = ["acme"]\n')
    trusting = ("mirror", "verify", mirror, "--registry", "public")
    assert run(*trusting).code == 0  # which is why it says what it looked for
    for demanded in (("--everything",), ("--plugin", "acme/slack"), ("--from", tmp_path / "wanted.toml")):
        found = run(*trusting, *demanded)
        assert found.code == 4, found.out
        assert f"{gone}: missing" in found.err
    held = run(*trusting, "--plugin", "acme/slack@<1.1", "--json")
    assert (held.code, held.document["missing"], held.document["extra"]) == (0, [], None)
    assert held.document["demanded"] == {"plugins": ["acme/slack@<1.1"]}
    same = run(*trusting, "--plugin", "acme/base", "--json")
    assert (same.code, same.document["selection"]) == (0, same.document["demanded"])
    assert same.document["extra"] > 0
    assert run(*trusting, "--everything", "--plugin", "acme/base").code == 2
    assert run(*trusting, "--plugin", "acme/none").code == 3


def test_what_a_run_that_did_not_end_left_is_hashed(run: Run, registry: PluginRegistry, mirror: Path) -> None:
    """A power failure may leave a file with its name and size and other bytes: nothing has flushed it."""
    kept = mirror / "plugins/acme/slack/1.1.0/slack.zip"
    data = registry.release("acme/slack", "1.2.0")
    registry.release("acme/base", "1.3.0")
    registry.publish()
    gone = registry.files.pop("plugins/acme/base/1.3.0/manifest.json")
    assert run("mirror", "create", "public", mirror).code == 5
    left = mirror / "plugins/acme/slack/1.2.0/slack.zip"
    assert left.read_bytes() == data
    left.write_bytes(bytes(len(data)))
    kept.write_bytes(bytes(kept.stat().st_size))  # a finished run flushed and hashed this one: it isn't read again
    registry.files["plugins/acme/base/1.3.0/manifest.json"] = gone
    assert run("mirror", "create", "public", mirror).code == 0
    assert left.read_bytes() == data
    assert not any(kept.read_bytes())
    assert not (mirror / ".sealdex-mirror/unflushed").exists()


def test_all_signed_documents_that_are_missing_or_wrong_are_named(run: Run, mirror: Path) -> None:
    documents = sorted(path.relative_to(mirror).as_posix() for path in (mirror / "targets").rglob("*.json"))
    first, second, third = documents[:3]
    (mirror / first).unlink()
    (mirror / second).write_bytes(b"{}")
    (mirror / third).unlink()
    found = run("mirror", "verify", mirror, "--registry", "public")
    assert found.code == 4, found.out
    assert f"{first}: missing" in found.err
    assert f"{second}: not what was signed" in found.err
    assert f"{third}: missing" in found.err


def test_attack_changed_metadata_of_a_mirror_is_found(run: Run, mirror: Path) -> None:
    """Writes to the mirror's folder: metadata of theirs, unsigned."""
    path = next((mirror / "metadata").glob("*.targets.json"))
    document = json.loads(path.read_bytes())
    document["signed"]["expires"] = "2099-01-01T00:00:00Z"
    path.write_text(json.dumps(document))
    assert run("mirror", "verify", mirror, "--registry", "public").code == 4


def test_attack_a_record_that_lies_hides_nothing_from_a_client(run: Run, mirror: Path, tmp_path: Path) -> None:
    """Writes mirror.json alone: it says that the mirror is of nothing."""
    record = json.loads((mirror / "mirror.json").read_bytes())
    record["selection"] = {"plugins": ["acme/base"]}
    (mirror / "mirror.json").write_text(json.dumps(record))
    assert run("registry", "remove", "public").code == 0
    assert run("registry", "add", "far", mirror, "--root", tmp_path / "given-root.json").code == 0
    done = run("install", "acme/slack")
    assert done.code == 0, done.err
    assert "acme/slack 1.1.0" in done.out


def test_what_can_not_be_had_is_named_and_the_mirror_stays(run: Run, registry: PluginRegistry, mirror: Path) -> None:
    registry.release("acme/slack", "1.2.0")
    registry.release("acme/base", "1.3.0")
    registry.publish()
    del registry.files["plugins/acme/slack/1.2.0/slack.zip"]
    before = published(mirror)
    refused = run("mirror", "create", "public", mirror)
    assert refused.code == 5, refused.err
    assert "plugins/acme/slack/1.2.0/slack.zip" in refused.err
    for key in ("metadata/timestamp.json", "mirror.json"):
        assert published(mirror)[key] == before[key]
    assert run("mirror", "verify", mirror, "--registry", "public").code == 0


def tampered(path: Path, name: str, data: bytes, *, kind: bytes = tarfile.REGTYPE) -> Path:
    """Add a member before the last one of an archive, and count it in."""
    out = path.with_name("tampered.tar")
    with tarfile.open(path) as source, tarfile.open(out, "w") as target:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            body = content.read()
            if member.name == "sealdex-mirror-end.json":
                info = tarfile.TarInfo(name)
                info.size, info.type, info.linkname = len(data), kind, "/etc/passwd"
                target.addfile(info, io.BytesIO(data))
                end = json.loads(body)
                body = json.dumps({**end, "members": end["members"] + 1}).encode()
            member.size = len(body)
            target.addfile(member, io.BytesIO(body))
    return out


@pytest.mark.parametrize(
    "name",
    [
        "files/plugins/../../../escaped", "files//etc/escaped", "files/.sealdex-mirror/number", "escaped",
        "files/plugins/a\\..\\escaped", "parts/-1/plugins/acme/x", "parts/99999999999999999999/plugins/acme/x",
        "files/mirror.json", "parts/\u0660/plugins/acme/x", "parts/1e3/plugins/acme/x",
        "parts/0000000000000000000/plugins/acme/x",
    ],
)  # fmt: skip
def test_attack_a_member_that_leads_elsewhere_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    """Holds the stick: adds a member to the archive."""
    root = tmp_path / "given-root.json"
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    before = {path for path in tmp_path.rglob("*") if "far" not in path.parts}
    bad = tampered(tmp_path / "out.tar", name, b"theirs")
    refused = run("mirror", "import", bad, tmp_path / "far", "--root", root)
    assert refused.code == 4, refused.err
    assert not (tmp_path / "far/metadata").exists()
    assert {path for path in tmp_path.rglob("*") if "far" not in path.parts} == before | {bad}


def test_attack_a_link_in_an_archive_is_refused(run: Run, tmp_path: Path) -> None:
    """Holds the stick: adds a symbolic link to the archive."""
    root = tmp_path / "given-root.json"
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    bad = tampered(tmp_path / "out.tar", "files/plugins/acme/x", b"", kind=tarfile.SYMTYPE)
    assert run("mirror", "import", bad, tmp_path / "far", "--root", root).code == 4
    assert not (tmp_path / "far/plugins").exists()


def test_attack_files_that_nobody_signed_do_not_become_part_of_the_mirror(run: Run, tmp_path: Path) -> None:
    """Holds the stick: adds a file under a good name that no signed document names."""
    root = tmp_path / "given-root.json"
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    bad = tampered(tmp_path / "out.tar", "files/plugins/acme/slack/9.9.9/slack.zip", b"theirs")
    done = run("mirror", "import", bad, tmp_path / "far", "--root", root)
    assert done.code == 0, done.err
    assert not (tmp_path / "far/plugins/acme/slack/9.9.9").exists()


def test_attack_a_file_that_comes_twice_is_refused(run: Run, tmp_path: Path) -> None:
    """Holds the stick: adds other bytes under the name of a file that was read already."""
    root = tmp_path / "given-root.json"
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    bad = tampered(tmp_path / "out.tar", "files/plugins/acme/slack/1.1.0/slack.zip", b"theirs")
    refused = run("mirror", "import", bad, tmp_path / "far", "--root", root)
    assert refused.code == 1, refused.err
    assert published(tmp_path / "far") == {}
    # and a volume that is given twice
    refused = run("mirror", "import", tmp_path / "out.tar", tmp_path / "out.tar", tmp_path / "far", "--root", root)
    assert refused.code == 2, refused.err
    assert published(tmp_path / "far") == {}


def test_attack_an_import_asks_nobody_for_what_the_archive_lacks(
    run: Run, registry: PluginRegistry, server: TreeServer, tmp_path: Path
) -> None:
    """Holds the stick: takes a file out that has an address elsewhere, to see who asks for it."""
    url = f"{server.url}/elsewhere.zip"
    registry.files["elsewhere.zip"] = registry.release("acme/away", "1.0.0", artifact={"url": url})
    registry.publish()
    assert run("mirror", "create", "public", tmp_path / "out.tar").code == 0
    bad, taken = tmp_path / "bad.tar", 0
    with tarfile.open(tmp_path / "out.tar") as source, tarfile.open(bad, "w") as target:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            body = content.read()
            if "/acme/away/" in member.name and member.name.endswith(".zip"):
                taken += 1
                continue
            if member.name == "sealdex-mirror-end.json":
                end = json.loads(body)
                body = json.dumps({**end, "members": end["members"] - taken}).encode()
                member.size = len(body)
            target.addfile(member, io.BytesIO(body))
    assert taken == 1
    asked = len(server.requests)
    refused = run("mirror", "import", bad, tmp_path / "far", "--root", tmp_path / "given-root.json")
    assert refused.code == 5, refused.err
    assert server.requests[asked:] == []
    assert not (tmp_path / "far/metadata/timestamp.json").exists()


def test_attack_an_archive_signed_by_somebody_else_is_refused(run: Run, mirror: Path, tmp_path: Path) -> None:
    """Holds the stick: a whole archive of their own, signed all through by their keys."""
    theirs = PluginRegistry()
    theirs.release("acme/slack", "9.0.0")
    theirs.publish()
    theirs.write(tmp_path / "theirs")
    their_root = tmp_path / "their-root.json"
    their_root.write_bytes(theirs.root)
    assert run("mirror", "create", tmp_path / "theirs", tmp_path / "bad.tar", "--root", their_root).code == 0
    before = published(mirror)
    refused = run("mirror", "import", tmp_path / "bad.tar", mirror, "--root", tmp_path / "given-root.json")
    assert refused.code == 4, refused.err
    assert published(mirror) == before
