"""Secrets in archives in archives: found whatever those are called, within bounds, and let pass by name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shlex
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.authoring import builder
from support.inner_archives import COMPRESSED, CONTAINERS, ar, tarred, zipped
from support.source_trees import Tree

from registry_builder.authoring.release import Archive, write_release
from registry_builder.publication.context import open_publisher
from registry_builder.publication.publish import publish_realm
from registry_builder.source.lint.tree import lint_tree
from registry_builder.source.load import load_tree
from registry_builder.source.secrets import _bounds, scan
from registry_builder.source.secrets.scan import FoundSecret, SecretSearch, Unsearched
from sealdex.archive.limits import UnpackLimits
from sealdex.archive.reader import ArchiveFile
from sealdex.archive.zip import list_zip
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId

SLACK = PluginId("acme", "slack")
KEY = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
FILLER = bytes(range(256)) * 8  # so that no head of an archive is all of it
ENDED = "is where the search ended, after {} archives in archives"


def of(files: Mapping[str, bytes]) -> tuple[list[str], dict[str, str]]:
    """Return the members of a zip in which a secret was found, and those that weren't searched, with the reason."""
    with tempfile.TemporaryFile() as file:
        file.write(zipped(files))
        file.flush()
        archive = ArchiveFile(Path("slack.zip"), file=file)
        found = list(SecretSearch().of_archive(archive, "zip", list_zip(archive, UnpackLimits()).entries))
    return (
        [each.member for each in found if isinstance(each, FoundSecret)],
        {each.member: each.reason for each in found if isinstance(each, Unsearched)},
    )


@pytest.mark.parametrize("kind", CONTAINERS)
def test_attack_a_key_in_an_archive_of_any_kind_under_any_name(kind: str) -> None:
    """Attacker: whoever reads what is published. What is wrong: an archive that was packed has a key in it, and its
    name doesn't say that it is one. Refusal: the key is found, plain or under each compression.
    """
    inner = CONTAINERS[kind]({"a.bin": FILLER, "tls/server.pem": KEY, "z.txt": b"1"})
    wrapped = {f"{number}.dat": make(inner) for number, make in enumerate(COMPRESSED.values())}
    found, unsearched = of({"plain.dat": inner, **wrapped})
    assert [re.sub("(long/)+", "", each) for each in found] == [
        f"{name}:tls/server.pem" for name in ("plain.dat", *wrapped)
    ]
    assert unsearched == {}


def test_attack_a_key_that_is_compressed_by_itself() -> None:
    """By its content, and by what its name would be."""
    for make in COMPRESSED.values():
        assert of({"1": make(KEY), "server.p12.xz": make(b"\0\1" * 100)}) == (["1", "server.p12.xz"], {})


def test_a_debian_package_and_a_crate_and_a_layer_are_looked_into() -> None:
    deb = ar({"debian-binary": b"2.0\n", "data.tar.xz": lzma.compress(tarred({"./etc/server.key": KEY}))})
    crate = gzip.compress(tarred({"tool-1.0.0/tests/server.key": KEY}))
    image = tarred({"blobs/sha256/ab": gzip.compress(tarred({"root/.env": b"A=1\n"}))})
    found, unsearched = of({"tool.deb": deb, "tool.crate": crate, "image": image})
    assert found == [
        "tool.deb:data.tar.xz:etc/server.key",
        "tool.crate:tool-1.0.0/tests/server.key",
        "image:blobs/sha256/ab:root/.env",
    ]
    assert unsearched == {}


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MAX_ARCHIVE_BYTES", 4 << 20)
    monkeypatch.setattr(scan, "MAX_INNER_BYTES", 1 << 20)
    monkeypatch.setattr(scan, "MAX_INNER_ENTRIES", 100)


def looked_into(bomb: bytes) -> dict[str, str]:
    """Search an archive with a bomb between two keys, which have to be found; return what wasn't searched, and why."""
    found, unsearched = of({"a.pem": KEY, "bomb": bomb, "z.pem": KEY})
    assert found == ["a.pem", "z.pem"]
    return unsearched


@pytest.mark.parametrize("make", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.usefixtures("small")
def test_attack_a_bomb_ends_at_the_bound(make: Callable[[bytes], bytes]) -> None:
    """Attacker: author of a pull request. The change: a file that unpacks to a thousand times its size. It is read up
    to the bound, in pieces, and told; what lies beside it is searched.
    """
    assert looked_into(make(tarred({"1": bytes(6 << 20)}))) == {"bomb": ENDED.format("4 MiB of")}
    many = tarred({f"{number}": make(bytes(1 << 20)) for number in range(6)})
    told = looked_into(many)
    assert set(told.values()) == {ENDED.format("4 MiB of")}
    assert len(told) == 1


@pytest.mark.usefixtures("small")
def test_attack_archives_in_one_another_without_end() -> None:
    deep = KEY
    for number in range(scan.MAX_DEPTH + 1):
        deep = zipped({f"{number}": deep})
    place = "bomb:" + ":".join(f"{number}" for number in range(scan.MAX_DEPTH, 0, -1))
    assert looked_into(deep) == {place: f"lies in more than {scan.MAX_DEPTH} archives that lie in one another"}
    squeezed = bytes(1 << 20)
    for _ in range(50):
        squeezed = gzip.compress(squeezed)
    assert looked_into(squeezed) == {"bomb": f"lies in more than {scan.MAX_DEPTH} archives that lie in one another"}


@pytest.mark.usefixtures("small")
def test_attack_entries_without_end() -> None:
    empty = {f"{number}": b"" for number in range(60)}
    for one in (tarred(empty), zipped(empty), ar(empty)):
        assert looked_into(one) == {}
        two = tarred({"1": one, "2": one})
        assert looked_into(two) == {"bomb:2": ENDED.format("100 entries of")}
    assert looked_into(tarred({f"{number}": b"" for number in range(101)})) == {"bomb": ENDED.format("100 entries of")}


def test_attack_an_archive_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's clock is a fake: whenever somebody asks, a second has passed."""
    seconds = iter(range(10_000_000))
    monkeypatch.setattr(_bounds, "thread_time", lambda: float(next(seconds)))
    slow = tarred({f"{number}": b"1" for number in range(2 * scan.MAX_INNER_SECONDS)})
    assert looked_into(slow) == {"bomb": ENDED.format(f"{scan.MAX_INNER_SECONDS} s in")}


def test_attack_a_dictionary_that_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    window = (28 - 10) << 3  # 256 MiB, as a frame of zstd states it; then one raw block
    huge = b"\x28\xb5\x2f\xfd\0" + bytes([window]) + (1 | 9 << 3).to_bytes(3, "little") + b"words yes"
    told = looked_into(huge)
    assert list(told) == ["bomb"]
    assert "can't be read" in told["bomb"]
    monkeypatch.setattr(scan, "MAX_INNER_BYTES", 1 << 16)
    big = zipped({"1": FILLER * 50, "key.pem": KEY}, zipfile.ZIP_STORED)
    assert looked_into(big) == {"bomb": "is larger than 0 MiB"}


def encrypted(data: bytes) -> bytes:
    """Set the flag in both headers of a zip's only entry."""
    made = bytearray(data)
    made[6] |= 1
    made[made.rindex(b"PK\1\2") + 8] |= 1
    return bytes(made)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"7z\xbc\xaf\x27\x1c" + FILLER, "is 7-Zip, which can't be read here"),
        (lzma.compress(b"words, words\n" * 9)[:-20], "can't be read: it is truncated"),
        (gzip.compress(tarred({"1": FILLER}))[:-300], "can't be read: it is truncated"),
        (ar({"1": b"12"})[:-30] + FILLER, "can't be read: a header in it is damaged"),
    ],
    ids=["7-Zip", "xz", "tar.gz", "ar"],
)
def test_what_could_not_be_looked_into_is_told(data: bytes, reason: str) -> None:
    assert looked_into(data) == {"bomb": reason}


def test_an_encrypted_file_is_told_and_others_beside_it_are_searched() -> None:
    secret = encrypted(zipped({"secret.bin": FILLER}, zipfile.ZIP_STORED))
    found, unsearched = of({"one.zip": secret, "two.zip": zipped({"key.pem": KEY})})
    assert found == ["two.zip:key.pem"]
    assert unsearched == {"one.zip:secret.bin": "is encrypted"}


def test_what_only_begins_like_an_archive_is_not_told() -> None:
    likely = [b"\x5d\0\0\x80\0" + b"\xff" * 8 + FILLER, b"#!/bin/sh\n\0" + FILLER, b"BZhello" + FILLER, b"\x1f\x8b\0"]
    assert of({f"{number}": data for number, data in enumerate(likely)}) == ([], {})


# --- to the end: release, validate, publish ---------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Tree.make(tmp_path / "source")
    made.plugin("acme/slack", readme="# Slack\n")
    return made


def place(tree: Tree, version: str, data: bytes) -> Archive:
    path = tree.root / f"plugins/acme/slack/dist/{version}/slack-{version}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Archive(path)


def advised(message: str) -> Iterator[str]:
    """Yield the pattern of --allow-file, and the line of registry.toml, that an error says."""
    (option,) = re.findall(r"--allow-file (.+?), or for good", message)
    yield shlex.split(option)[0]
    (line,) = re.findall(r"below \[policy\] in registry.toml: (allow_files = \[.*?\"\])", message)
    yield line


@pytest.mark.parametrize("inner", ["tests/server.pem", "tests/[a] *? d'e\"é.pem"])
def test_attack_somebodys_wheel_with_a_test_key(tree: Tree, inner: str) -> None:
    """Attacker: whoever reads what is published. What is wrong: a wheel of somebody else has a key in it. Refusal: it
    names the file in the wheel, and what to write if it is meant to be there; that holds for the next releases too, and
    for nothing else.
    """
    wheel = zipped({inner: KEY})
    first = place(tree, "1.0.0", zipped({"lib/tool-1.whl": wheel}))
    with pytest.raises(ConfigError) as caught:
        write_release(tree.root, [first], plugin=SLACK, version="1.0.0")
    message = str(caught.value)
    assert f"'plugins/acme/slack/dist/1.0.0/slack-1.0.0.zip:lib/tool-1.whl:{inner}', line 1" in message
    once, lasting = advised(message)
    write_release(tree.root, [first], plugin=SLACK, version="1.0.0", allow_files=[once])

    second = place(tree, "1.1.0", zipped({"lib/tool-1.whl": wheel, "new.py": b"1"}))
    with pytest.raises(ConfigError, match=r"slack-1\.1\.0\.zip:lib/tool-1\.whl:"):
        write_release(tree.root, [second], plugin=SLACK, version="1.1.0", allow_files=[once])
    config = tree.root / "registry.toml"
    config.write_text(f"{config.read_text()}\n[policy]\n{lasting}\n")
    write_release(tree.root, [second], plugin=SLACK, version="1.1.0")
    assert [problem for problem in lint_tree(tree.load()) if problem.severity == "error"] == []
    third = place(tree, "1.3.0", zipped({"lib/tool-1.whl": wheel, "server.pem": KEY}))
    with pytest.raises(ConfigError, match=r"slack-1\.3\.0\.zip:server\.pem"):
        write_release(tree.root, [third], plugin=SLACK, version="1.3.0")


def test_what_is_published_already_is_left_alone(tree: Tree) -> None:
    """A release that an earlier builder let pass, in which today's finds a key."""
    data = zipped({"lib/tool.txz": lzma.compress(tarred({"key.pem": KEY}))})
    write_release(tree.root, [place(tree, "1.0.0", data)], plugin=SLACK, version="1.0.0", allow_files=["*"])
    assert builder("--tree", tree.root, "validate") == 1
    assert publish_realm(open_publisher(load_tree(tree.root, allow_files=["*"]), "public")).committed
    assert builder("--tree", tree.root, "validate") == 0


def test_what_is_allowed_for_good_is_allowed_when_it_is_packed(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    """One line of registry.toml serves `pack`, `release` and `publish`, as docs/publishing.md has it."""
    home = tree.root / "plugins/acme/slack"
    (home / "src").mkdir()
    (home / "src/tool.whl").write_bytes(zipped({"key.pem": KEY}))
    (home / "release.yaml").write_text("version: 1.0.0\n")
    at = ("--tree", tree.root)
    assert builder(*at, "pack", home) == 1
    _, lasting = advised(capsys.readouterr().err)
    assert lasting == 'allow_files = ["plugins/acme/slack/*:tool.whl:key.pem"]'
    config = tree.root / "registry.toml"
    before = config.read_text()
    for line in (lasting, 'allow_files = ["plugins/acme/slack/dist/*/*.zip:tool.whl"]'):
        config.write_text(f"{before}\n[policy]\n{line}\n")
        assert builder(*at, "pack", home) == 0
        assert "it will be public" in "".join(capsys.readouterr())
    assert builder(*at, "release", home / "dist/1.0.0/slack-1.0.0.zip") == 0
    assert [problem for problem in lint_tree(tree.load()) if problem.severity == "error"] == []


def test_what_was_not_searched_is_a_warning_of_each_command(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    opaque = b"7z\xbc\xaf\x27\x1c" + FILLER
    write_release(tree.root, [place(tree, "1.0.0", zipped({"a.7z": opaque}))], plugin=SLACK, version="1.0.0")
    (said,) = [str(problem) for problem in lint_tree(tree.load()) if "searched" in str(problem)]
    assert "slack-1.0.0.zip:a.7z' is 7-Zip, which can't be read here: not all of it was searched" in said
    payload = tree.root.parent / "payload"
    payload.mkdir()
    (payload / "a.7z").write_bytes(opaque)
    assert builder("pack", payload, "-o", tree.root.parent / "out.zip") == 0
    assert "'a.7z' is 7-Zip, which" in "".join(capsys.readouterr())


def test_a_damaged_archive_is_not_told_as_one_that_is_in_it(tree: Tree) -> None:
    """What can't be read of the outer archive is an error, since no host could install it."""
    inner = lzma.compress(tarred({"key.txt": FILLER * 3}))
    data = bytearray(zipped({"a.txz": inner}, zipfile.ZIP_STORED))
    at = data.index(inner) + len(inner) - 1
    data[at] ^= 1
    with pytest.raises(ConfigError, match="is not a readable zip"):
        write_release(tree.root, [place(tree, "1.0.0", bytes(data))], plugin=SLACK, version="1.0.0")
