"""Sigstore's trusted_root.json across a gap: carried along, and used where a person names it and nowhere else.

The bundles are signed by a private Sigstore; the real library verifies them, without a network.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.private_sigstore import PrivateSigstore, statement, workflow
from support.tree_server import TreeServer

from sealdex.download.mirror.record import read_record
from sealdex.download.mirror.sigstore_root import brought_by, key_of
from sealdex.errors import VerificationError
from sealdex.model.plugin import Attachment
from sealdex.trust.sigstore_bundles import SIGSTORE_KIND

POLICY = """
[attestations]
required = ["acme"]
{trusted_root}
[[attestations.accept]]
identity = "https://github.com/acme/*"
issuer = "https://token.actions.githubusercontent.com"
"""
BUNDLE = "tool.sigstore.json"
SBOM = b'{"spdxVersion": "SPDX-2.3"}'


@pytest.fixture(scope="module")
def sigstore() -> PrivateSigstore:
    return PrivateSigstore()


@pytest.fixture
def trusted_root(sigstore: PrivateSigstore, tmp_path: Path) -> Path:
    return sigstore.trusted_root(tmp_path / "given_trusted_root.json")


@pytest.fixture
def registry(sigstore: PrivateSigstore) -> PluginRegistry:
    """acme/tool has a bundle of its artifact, and an SBOM."""
    made, files = PluginRegistry(), {"plugin.py": b"VERSION = 1\n"}
    digest = hashlib.sha256(PluginRegistry().release("acme/tool", "1.0.0", files)).hexdigest()
    bundle = sigstore.attest(workflow("acme/tool"), statement(digest))
    attached = {BUNDLE: (SIGSTORE_KIND, bundle), "tool.spdx.json": ("sbom", SBOM)}
    made.release(
        "acme/tool",
        "1.0.0",
        files,
        attachments=tuple(
            Attachment(name, kind, len(data), hashlib.sha256(data).hexdigest())
            for name, (kind, data) in attached.items()
        ),
    )
    made.files.update({f"plugins/acme/tool/1.0.0/{name}": data for name, (_, data) in attached.items()})
    made.release("acme/base", "1.0.0")
    made.publish()
    return made


@pytest.fixture
def far(run: Run, root: Path, tmp_path: Path) -> Run:
    """Commands on a host that reads the folder `far` and requires a bundle of everything of acme."""

    def on_far(*words: str | Path, trusted: Path | None = None) -> object:
        (tmp_path / "far-host").mkdir(exist_ok=True)
        config = tmp_path / "far-host/config.toml"
        (tmp_path / "far-host/root.json").write_bytes(root.read_bytes())
        named = f'trusted_root = "{trusted}"' if trusted is not None else ""
        site = f'[registries.site]\nurl = "{(tmp_path / "far").as_uri()}/"\nroot = "root.json"\n'
        config.write_text(site + POLICY.format(trusted_root=named))
        return run(*words, "--config", config, "--store", tmp_path / "far-store")

    return on_far  # type: ignore[return-value]


def test_it_travels_in_an_archive_and_counts_only_when_it_is_named(
    run: Run, far: Run, root: Path, trusted_root: Path, server: TreeServer, tmp_path: Path
) -> None:
    made = run("mirror", "create", "public", tmp_path / "out.tar", "--sigstore-root", trusted_root)
    assert made.code == 0, made.err
    digest = hashlib.sha256(trusted_root.read_bytes()).hexdigest()
    assert digest in made.err
    asked = len(server.requests)
    done = run("mirror", "import", tmp_path / "out.tar", tmp_path / "far", "--root", root)
    assert done.code == 0, done.err
    carried = tmp_path / "far/sigstore" / f"{digest}.trusted_root.json"
    assert carried.read_bytes() == trusted_root.read_bytes()
    assert str(carried) in done.err
    proved = run("mirror", "verify", tmp_path / "far", "--root", root, "--json")
    assert (proved.code, proved.document["extra"]) == (0, 0)
    refused = far("install", "acme/tool")
    assert refused.code == 4
    assert "doesn't verify" in refused.err
    accepted = far("install", "acme/tool", trusted=carried)
    assert accepted.code == 0, accepted.err
    assert len(server.requests) == asked


def test_an_increment_carries_a_newer_one_and_keeps_the_other(
    run: Run, root: Path, trusted_root: Path, registry: PluginRegistry, tmp_path: Path
) -> None:
    def across(name: str, *options: str | Path) -> None:
        made = run("mirror", "create", "public", tmp_path / name, *options)
        assert made.code == 0, made.err
        done = run("mirror", "import", tmp_path / name, tmp_path / "far", "--root", root)
        assert done.code == 0, done.err

    def known() -> str:
        return read_record(tmp_path / "far").sigstore_root

    across("1.tar", "--sigstore-root", trusted_root)
    first = known()
    registry.release("acme/base", "1.1.0")
    registry.publish()
    across("2.tar", "--base", tmp_path / "1.tar.state.jsonl.gz")
    assert known() == first
    newer = PrivateSigstore().trusted_root(tmp_path / "newer.json")
    across("3.tar", "--base", tmp_path / "2.tar.state.jsonl.gz", "--sigstore-root", newer)
    assert known() != first
    assert (tmp_path / "far" / known()).read_bytes() == newer.read_bytes()
    with tarfile.open(tmp_path / "3.tar") as archive:
        assert f"files/{known()}" in archive.getnames()


def test_the_one_of_config_toml_is_taken_by_default_and_goes_from_mirror_to_mirror(
    run: Run, root: Path, trusted_root: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config/config.toml"
    (config.parent / "sigstore.json").write_bytes(trusted_root.read_bytes())
    config.write_text(config.read_text() + POLICY.format(trusted_root='trusted_root = "sigstore.json"'))
    first = run("mirror", "create", "public", tmp_path / "one", "--json")
    assert first.code == 0, first.err
    key = first.document["sigstore_root"]
    again = run("mirror", "create", "public", tmp_path / "one", "--json")
    assert again.document["changed"] is False
    assert config.write_text(config.read_text().partition("[attestations]")[0])
    second = run("mirror", "create", tmp_path / "one", tmp_path / "two", "--root", root)
    assert second.code == 0, second.err
    assert (tmp_path / "two" / key).read_bytes() == trusted_root.read_bytes()


def test_attack_another_trust_root_under_its_name_is_refused(
    run: Run, root: Path, trusted_root: Path, tmp_path: Path
) -> None:
    """Holds the stick: their own Sigstore, under the name of the one that was sent."""
    assert run("mirror", "create", "public", tmp_path / "one", "--sigstore-root", trusted_root).code == 0
    key = read_record(tmp_path / "one").sigstore_root
    PrivateSigstore().trusted_root(tmp_path / "one" / key)
    proved = run("mirror", "verify", tmp_path / "one", "--root", root)
    assert proved.code == 4
    assert f"{key}: not what was signed" in proved.err
    assert run("mirror", "create", tmp_path / "one", tmp_path / "two", "--root", root).code == 0
    assert not (tmp_path / "two/sigstore").exists()


def test_attack_an_archive_that_brings_another_one_under_its_name_is_refused(
    run: Run, root: Path, trusted_root: Path, tmp_path: Path
) -> None:
    """Holds the stick: their own Sigstore in the archive, under the digest that the administrators were told."""
    assert run("mirror", "create", "public", tmp_path / "out.tar", "--sigstore-root", trusted_root).code == 0
    theirs = PrivateSigstore().trusted_root(tmp_path / "theirs.json").read_bytes()
    with tarfile.open(tmp_path / "out.tar") as archive, tarfile.open(tmp_path / "planted.tar", "w") as planted:
        for member in archive:
            data = archive.extractfile(member)
            assert data is not None
            there = theirs if "/sigstore/" in member.name else data.read()
            member.size = len(there)
            planted.addfile(member, io.BytesIO(there))
    refused = run("mirror", "import", tmp_path / "planted.tar", tmp_path / "far", "--root", root)
    assert refused.code == 4, refused.err
    assert not (tmp_path / "far/sigstore").exists()
    assert not (tmp_path / "far/metadata/timestamp.json").exists()


@pytest.mark.parametrize("said", ["{", '{"mediaType": "text/plain"}', '{"mediaType": 7}', "[]", None])
def test_what_is_not_a_trust_root_is_refused_before_anything_is_copied(
    run: Run, tmp_path: Path, said: str | None
) -> None:
    path = tmp_path / "wrong.json"
    if said is not None:
        path.write_text(said)
    refused = run("mirror", "create", "public", tmp_path / "one", "--sigstore-root", path)
    assert refused.code == 1, refused.err
    assert not (tmp_path / "one").exists()


def test_the_public_one_is_what_the_library_verified(
    run: Run, trusted_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only Sigstore's servers are left out: a private deployment's trust root stands for what they would give."""
    models = pytest.importorskip("sigstore.models")
    held = models.TrustedRoot.from_file(str(trusted_root))
    monkeypatch.setattr(models.ClientTrustConfig, "production", lambda: SimpleNamespace(trusted_root=held))
    made = run("mirror", "create", "public", tmp_path / "one", "--sigstore-root", "public", "--json")
    assert made.code == 0, made.err
    given = json.loads((tmp_path / "one" / made.document["sigstore_root"]).read_bytes())
    assert given["tlogs"][0]["logId"] == json.loads(trusted_root.read_bytes())["tlogs"][0]["logId"]


def test_attack_an_archive_that_brings_two_is_refused(tmp_path: Path) -> None:
    """Holds the stick: a second root beside the one that was sent, whose name comes first."""
    folder = tmp_path / "sigstore"
    folder.mkdir()
    for number in range(2):
        made = tmp_path / f"{number}.json"
        PrivateSigstore().trusted_root(made)
        made.rename(folder / key_of(made.read_bytes()).removeprefix("sigstore/"))
    with pytest.raises(VerificationError, match="brings 2 trust roots"):
        brought_by(tmp_path)
    next(folder.iterdir()).unlink()
    assert brought_by(tmp_path) is not None
