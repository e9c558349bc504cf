"""Mirrors in a bucket of a real S3 server: requests counted, two runs at once, stores without conditions, imports."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.mirror_files import keys
from support.plugin_registry import PluginRegistry
from support.private_sigstore import PrivateSigstore
from support.s3_proxy import S3Proxy
from support.s3_server import S3Server
from support.tree_server import TreeServer

from sealdex.download.mirror import bucket_place
from sealdex.download.mirror.bucket import Bucket
from sealdex.transport import Transport

ENDINGS = (".json", ".zip", ".bin", ".txt")


class Place:
    """A prefix of its own, seen from outside."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.prefix = secrets.token_hex(4)
        self.bucket = bucket
        self.url = f"{server.endpoint}/{bucket}/{self.prefix}/"
        self.address = f"s3://{bucket}/{self.prefix}?endpoint_url={server.endpoint}&region=us-east-1"
        self.client = server.client()

    def objects(self) -> dict[str, bytes]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.prefix}/").get("Contents", [])
        names = [each["Key"] for each in found if not each["Key"].endswith("/")]
        return {
            name.removeprefix(f"{self.prefix}/"): self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read()
            for name in names
        }

    def tree(self) -> dict[str, bytes]:
        return {k: v for k, v in self.objects().items() if k.split("/")[0] in {"metadata", "targets", "plugins"}}

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=data)


@pytest.fixture
def place(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return Place(s3_server, s3_bucket)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts the requests to the bucket by method, and what is asked by a query as ``LIST``."""
    counts: Counter[str] = Counter()
    send = Transport.send

    def counted(self: Transport, method: str, url: str, **more: Any) -> Any:
        counts["LIST" if "?" in url else method] += 1
        return send(self, method, url, **more)

    monkeypatch.setattr(Transport, "send", counted)
    yield counts
    assert set(counts) <= {"GET", "PUT", "LIST", "DELETE"}


def test_a_mirror_in_a_bucket_is_the_one_in_a_folder(
    run: Run, place: Place, sent: Counter[str], registry: PluginRegistry, server: TreeServer, tmp_path: Path
) -> None:
    assert run("mirror", "create", "public", tmp_path / "folder").code == 0
    done = run("mirror", "create", "public", place.address, "--json")
    assert done.code == 0, done.err
    tree = {key: (tmp_path / "folder" / key).read_bytes() for key in keys(tmp_path / "folder")}
    assert place.tree() == tree
    # each file once, the bundle of metadata too; a list of keys, the record, the probe that finds out about
    # conditions, twice
    assert sent == {"GET": 3, "PUT": len(tree) + 4}
    sent.clear()
    asked = len(server.requests)
    again = run("mirror", "create", "public", place.address, "--json")
    assert json.loads(again.out)["changed"] is False
    assert (sent, len(server.requests) - asked) == ({"GET": 2}, 2)

    sent.clear()
    registry.release("acme/base", "1.1.0")
    registry.publish()
    more = run("mirror", "create", "public", place.address, "--json")
    assert more.code == 0, more.err
    assert json.loads(more.out)["files"] == 2
    new = set(place.tree()) - set(tree)
    # a list of keys, the record and the one before it, and the bundle and the timestamp in their places
    assert sent == {"GET": 3, "PUT": len(new) + 5}
    proved = run("mirror", "verify", place.address, "--registry", "public", "--json")
    assert proved.code == 0, proved.err
    assert json.loads(proved.out)["files"] == 12


def test_clients_read_it(run: Run, place: Place, root: Path, tmp_path: Path) -> None:
    assert run("mirror", "create", "public", place.address).code == 0
    assert run("registry", "remove", "public").code == 0
    config = tmp_path / "config/config.toml"
    assert run("registry", "add", "far", place.url, "--root", root).code == 0  # anonymous readers may
    done = run("install", "acme/slack")
    assert done.code == 0, done.err
    assert "acme/slack 1.1.0" in done.out
    assert "AWS" not in config.read_text()


def test_a_run_on_another_host_finds_what_is_there(
    run: Run, place: Place, sent: Counter[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run("mirror", "create", "public", place.address).code == 0
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "other-store"))
    sent.clear()
    again = run("mirror", "create", "public", place.address, "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["changed"] is False
    assert sent == {"GET": 3}  # the record, the timestamp, the list of keys


def test_attack_a_rolled_back_source_is_refused_on_another_host_too(
    run: Run,
    place: Place,
    registry: PluginRegistry,
    server: TreeServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Holds the source: yesterday's tree, validly signed; the mirror was last updated from elsewhere."""
    yesterday = dict(registry.files)
    registry.release("acme/slack", "1.2.0")
    registry.publish()
    assert run("mirror", "create", "public", place.address).code == 0
    before = place.objects()
    server.files = yesterday
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "other-store"))
    refused = run("mirror", "create", "public", place.address)
    assert refused.code == 4, refused.err
    assert place.objects() == before


def test_of_two_runs_at_once_one_is_overtaken_and_starts_over(
    run: Run, place: Place, registry: PluginRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run("mirror", "create", "public", place.address).code == 0
    registry.release("acme/base", "1.1.0")
    registry.publish()
    commit = bucket_place.BucketPlace.commit
    others: list[int] = []

    def overtaken(self: bucket_place.BucketPlace, *arguments: Any) -> None:
        if not others:
            others.append(1)
            monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "other-store"))
            registry.release("acme/base", "1.2.0")
            registry.publish()
            assert run("mirror", "create", "public", place.address, "--plugin", "acme/base").code == 0
            monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
        commit(self, *arguments)

    monkeypatch.setattr(bucket_place.BucketPlace, "commit", overtaken)
    done = run("mirror", "create", "public", place.address)
    assert done.code == 0, done.err
    assert "starting over" in done.err
    assert place.tree()["metadata/timestamp.json"] == registry.files["metadata/timestamp.json"]
    assert "plugins/acme/base/1.2.0/base.zip" in place.tree()
    assert run("mirror", "verify", place.address, "--registry", "public").code == 0
    assert json.loads(place.objects()["mirror.json"])["files"] == 14  # of everything, as the later run wanted


def test_a_run_that_dies_before_its_end_changes_nothing_for_readers(
    run: Run, place: Place, registry: PluginRegistry, sent: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("mirror", "create", "public", place.address).code == 0
    old = place.tree()["metadata/timestamp.json"]
    registry.release("acme/base", "1.1.0")
    registry.publish()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("_swap_record", "_swap_timestamp"):
        with monkeypatch.context() as patched:
            patched.setattr(bucket_place.BucketPlace, step, dies)
            assert run("mirror", "create", "public", place.address).code != 0
        assert place.tree()["metadata/timestamp.json"] == old
        assert run("mirror", "verify", place.address, "--registry", "public").code == 0
    sent.clear()
    done = run("mirror", "create", "public", place.address)
    assert done.code == 0, done.err
    assert sent["PUT"] <= 4  # nothing of what was put is put again
    assert run("mirror", "verify", place.address, "--registry", "public").code == 0


def test_a_store_that_ignores_conditions_is_refused(run: Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such store is here: the conditions are left out before they are sent, which is what it would see."""
    send = Bucket._send

    def ignoring(self: Bucket, method: str, url: str, headers: Mapping[str, str], *rest: Any, **more: Any) -> Any:
        kept = {name: value for name, value in headers.items() if not name.startswith("If-")}
        return send(self, method, url, kept, *rest, **more)

    monkeypatch.setattr(Bucket, "_send", ignoring)
    refused = run("mirror", "create", "public", place.address)
    assert refused.code == 1, refused.err
    assert "ignores conditions" in refused.err
    assert "metadata/timestamp.json" not in place.tree()


def test_attack_a_changed_object_is_found_and_mended(run: Run, place: Place) -> None:
    """Writes to the bucket: other bytes of the same size under a signed name, and removes another."""
    assert run("mirror", "create", "public", place.address).code == 0
    changed, gone = "plugins/acme/slack/1.1.0/slack.zip", "plugins/acme/base/1.0.0/manifest.json"
    was = place.tree()
    place.put(changed, bytes(len(was[changed])))
    place.client.delete_object(Bucket=place.bucket, Key=f"{place.prefix}/{gone}")
    found = run("mirror", "verify", place.address, "--registry", "public")
    assert found.code == 4, found.err
    assert f"{changed}: not what was signed" in found.err
    assert f"{gone}: missing" in found.err
    mended = run("mirror", "create", "public", place.address, "--verify")
    assert mended.code == 0, mended.err
    assert place.tree() == was


def test_prune_obeys_the_same_rules(run: Run, place: Place, registry: PluginRegistry) -> None:
    assert run("mirror", "create", "public", place.address).code == 0
    for version in ("1.0.1", "1.0.2"):
        registry.release("acme/base", version)
        registry.publish()
        assert run("mirror", "create", "public", place.address, "--plugin", "acme/base").code == 0
    before = place.tree()
    refused = run("mirror", "prune", place.address)
    assert refused.code == 2, refused.err
    dry = run("mirror", "prune", place.address, "--dry-run", "--json")
    assert json.loads(dry.out)["files"] > 4
    assert place.tree() == before
    with pytest.MonkeyPatch.context() as patched:  # it dies amid: others are kept off until it is ended
        patched.setattr(Bucket, "delete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert run("mirror", "prune", place.address, "--yes").code != 0
    kept_off = run("mirror", "create", "public", place.address, "--plugin", "acme/base")
    assert kept_off.code == 2, kept_off.err
    assert "prune" in kept_off.err
    done = run("mirror", "prune", place.address, "--yes")
    assert done.code == 0, done.err
    assert {key.split("/")[2] for key in place.tree() if key.startswith("plugins/")} == {"base"}
    assert run("mirror", "create", "public", place.address, "--plugin", "acme/base").code == 0
    assert run("mirror", "verify", place.address, "--registry", "public").code == 0


def test_archives_are_imported_into_a_bucket(
    run: Run, place: Place, registry: PluginRegistry, root: Path, tmp_path: Path
) -> None:
    assert run("mirror", "create", "public", tmp_path / "1.tar").code == 0
    done = run("mirror", "import", tmp_path / "1.tar", place.address, "--root", root)
    assert done.code == 0, done.err
    state = tmp_path / "far.state.jsonl.gz"
    registry.release("acme/base", "1.1.0")
    registry.publish()
    assert run("mirror", "state", place.address, "-o", state).code == 0
    assert run("mirror", "create", "public", tmp_path / "2.tar", "--base", state).code == 0
    done = run("mirror", "import", tmp_path / "2.tar", place.address, "--root", root, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["number"] == 2
    again = run("mirror", "import", tmp_path / "2.tar", place.address, "--root", root, "--json")
    assert json.loads(again.out)["changed"] is False
    assert run("mirror", "verify", place.address, "--root", root).code == 0
    assert run("mirror", "import", tmp_path / "1.tar", place.address, "--root", root).code == 4


def test_nothing_is_copied_within_the_bucket(
    run: Run, place: Place, s3_server: S3Server, registry: PluginRegistry, root: Path, tmp_path: Path
) -> None:
    """The write-once policy of a bucket denies CopyObject, and so mirrors may not use it."""
    with S3Proxy(s3_server) as proxy:
        address = proxy.uri(place.bucket, place.prefix)
        imported = proxy.uri(place.bucket, f"{place.prefix}-imported")
        assert run("mirror", "create", "public", address).code == 0
        assert run("mirror", "create", "public", tmp_path / "1.tar").code == 0
        assert run("mirror", "import", tmp_path / "1.tar", imported, "--root", root).code == 0
        for version in ("1.0.1", "1.0.2"):
            registry.release("acme/base", version)
            registry.publish()
            assert run("mirror", "create", "public", address, "--plugin", "acme/base").code == 0
        assert run("mirror", "prune", address, "--yes").code == 0
        asked = proxy.operations()
    assert {key.split("/")[2] for key in place.tree() if key.startswith("plugins/")} == {"base"}
    assert (asked["CopyObject"], asked["UploadPartCopy"]) == (0, 0)
    assert set(asked) == {"GetObject", "GET bucket", "PutObject", "DeleteObject"}


@pytest.mark.parametrize("address", ["s3://", "s3://user:secret@bucket/x", "s3://bucket/x?colour=red", "s3://b:80/x"])
def test_addresses_that_are_not_valid(run: Run, address: str) -> None:
    refused = run("mirror", "create", "public", address)
    assert refused.code == 2
    assert "secret" not in refused.err


def test_keys_that_the_store_refuses_are_told(run: Run, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    refused = run("mirror", "create", "public", place.address)
    assert refused.code == 5, refused.err
    assert "AWS_ACCESS_KEY_ID" in refused.err


def test_a_trust_root_of_sigstore_comes_along(run: Run, place: Place, root: Path, tmp_path: Path) -> None:
    given = PrivateSigstore().trusted_root(tmp_path / "trusted_root.json")
    made = run("mirror", "create", "public", place.address, "--sigstore-root", given, "--json")
    assert made.code == 0, made.err
    key = made.document["sigstore_root"]
    assert place.objects()[key] == given.read_bytes()
    again = run("mirror", "create", "public", place.address, "--sigstore-root", given, "--json")
    assert again.document["changed"] is False
    assert run("mirror", "prune", place.address, "--yes").code == 0
    proved = run("mirror", "verify", place.address, "--root", root, "--json")
    assert (proved.code, proved.document["extra"]) == (0, 0)
    place.put(key, b"{}")
    assert run("mirror", "verify", place.address, "--root", root).code == 4
