"""The write-once policy, enforced by a proxy in front of the real S3 server: who publishes isn't kept from anything.

SeaweedFS evaluates no ``s3:if-none-match``; see `support.bucket_policy` for what stands in for AWS, and
tests/builder/maintenance/test_access_policy.py for the documents themselves.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from support.bucket_policy import enforce
from support.builder_cli import call, document
from support.s3_registry import S3Registry

from registry_builder.storage import s3 as s3_module
from registry_builder.storage.access_policy import Place, bucket_statements

ACCOUNT = "arn:aws:iam::123456789012:role"
ROLES = {"publisher": f"{ACCOUNT}/publisher", "breakglass": f"{ACCOUNT}/break-glass", "test": f"{ACCOUNT}/admin"}
ARCHIVE = "plugins/acme/slack/1.0.0/slack-1.0.0.bin"


@pytest.fixture
def guarded(s3_registry: S3Registry, monkeypatch: pytest.MonkeyPatch) -> S3Registry:
    """A registry whose bucket has the policy that `access policy --for bucket` prints; this is its publisher."""
    place = Place(s3_registry.bucket, s3_registry.prefix)
    denied = bucket_statements(place, recovery_role=ROLES["breakglass"])
    s3_registry.proxy.before.append(enforce(denied, s3_registry.bucket, ROLES))
    config = s3_registry.tree.root / "registry.toml"
    text = config.read_text()
    start, end = (
        text.index("storage", text.index("[realms.public]")),
        text.index("\n", text.index("[realms.public]") + 18),
    )
    uri = s3_registry.proxy.uri(s3_registry.bucket, s3_registry.prefix)
    config.write_text(f'{text[:start]}storage = "{uri}"\nrecovery_role = "{ROLES["breakglass"]}"{text[end:]}')
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "publisher")
    return s3_registry


def damage(registry: S3Registry, *keys: str) -> None:
    """Overwrite published files, as who isn't held by the policy can: whoever administers the bucket."""
    for key in keys:
        registry.server.client().put_object(Bucket=registry.bucket, Key=f"{registry.prefix}/{key}", Body=b"evil")


def not_stolen() -> list[str]:
    return [word for role in ("timestamp", "snapshot", "packages", "catalog") for word in ("--not-stolen", role)]


@pytest.mark.slow
def test_every_command_gets_through_and_none_copies(
    guarded: S3Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The policy denies CopyObject, and so nothing of ours may use it: not for large files either."""
    monkeypatch.setattr(s3_module, "MULTIPART_BYTES", 200_000)
    tree = guarded.tree
    tree.release("acme/mail", "0.2.0", data=bytes(300_000))  # in parts
    for command in (
        ["publish"], ["publish"], ["status"], ["validate"], ["diff"], ["doctor"], ["verify-published", "--artifacts"],
        ["gc", "--apply", "--days", "0", "--grace", "0"], ["refresh"], ["recover"],
    ):  # fmt: skip
        assert call(tree.root, *command) == 0, capsys.readouterr().err
    tree.release("acme/slack", "1.1.0")
    assert call(tree.root, "publish", "--only", "acme/slack") == 0
    assert guarded.reader().catalog() == {"acme/slack": "1.1.0", "acme/mail": "0.2.0"}
    asked = guarded.proxy.operations()
    assert asked["CompleteMultipartUpload"] == 2  # the large file, and what doctor tries
    assert (asked["CopyObject"], asked["UploadPartCopy"]) == (0, 0)


def test_attack_a_stolen_publisher_overwrites_what_is_published(guarded: S3Registry) -> None:
    guarded.publish()
    before = guarded.objects()
    client = guarded.through().raw()[0]  # type: ignore[attr-defined]  # S3's
    for key in ("metadata/1.root.json", "metadata/1.snapshot.json", ARCHIVE, "metadata/timestamp.json"):
        name = f"{guarded.prefix}/{key}"
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket=guarded.bucket, Key=name, Body=b"evil")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.copy_object(Bucket=guarded.bucket, Key=name, CopySource=f"{guarded.bucket}/{name}")
        with pytest.raises(ClientError):
            client.put_object(Bucket=guarded.bucket, Key=name, Body=b"evil", IfNoneMatch="*")
    assert guarded.objects() == before


def test_attack_recovery_by_whoever_may_only_publish(guarded: S3Registry, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.publish()
    damage(guarded, ARCHIVE, "metadata/1.root.json")
    before = guarded.objects()
    guarded.proxy.seen.clear()
    assert call(guarded.tree.root, "recover", "--apply", *not_stolen()) == 1
    said = capsys.readouterr().err
    assert f"assume {ROLES['breakglass']}" in said
    assert guarded.objects() == before
    # it found out by the first thing that it tried to write
    assert [key for _, key, _ in guarded.asked()] == ["metadata/1.root.json"]


def test_the_break_glass_role_recovers(
    guarded: S3Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guarded.publish()
    before = guarded.objects()
    damage(guarded, ARCHIVE, "metadata/1.root.json")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "breakglass")
    done = document(guarded.tree.root, capsys, "recover", "--apply", *not_stolen())["realms"][0]
    assert done["committed"]
    assert sorted(done["replaced"]) == ["metadata/1.root.json", ARCHIVE]
    after = guarded.objects()
    assert {key: after[key] for key in (ARCHIVE, "metadata/1.root.json")} == {
        key: before[key] for key in (ARCHIVE, "metadata/1.root.json")
    }
    assert guarded.reader().versions("acme/slack") == ["1.0.0"]


def test_nothing_of_ours_names_an_operation_that_copies() -> None:
    room = Path(s3_module.__file__).parent
    sources = [*room.glob("*.py")]
    assert sources
    assert [path.name for path in sources if "copy_object" in path.read_text() or "_copy(" in path.read_text()] == []
