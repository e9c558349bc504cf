"""The policies that `access policy` prints: from registry.toml, the same statements for everybody who needs them."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree

from registry_builder.source.config import read_config
from registry_builder.storage.access_policy import AUDIENCES, WRITE_ONCE, Place, identity_statements
from registry_builder.storage.headers import BUNDLE_KEY, IMMUTABLE, TIMESTAMP_KEY, headers_for
from sealdex.errors import ConfigError

ROLE = "arn:aws:iam::123456789012:role"
TEAM = f"""
[realms.team]
storage = "s3://acme-private/team?region=eu-central-1"
url = "https://team.example.org/"
cloudfront = "E2EXAMPLE"
recovery_role = "{ROLE}/break-glass"

[realms.team.readers]
principals = ["{ROLE}/hosts"]
key_group = "k-1234"
"""


@pytest.fixture
def team(tree: Tree) -> Path:
    path = tree.root / "registry.toml"
    path.write_text(path.read_text() + TEAM)
    return tree.root


def statements(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["Sid"]: each for each in policy["Statement"]}


def printed(root: Path, capsys: pytest.CaptureFixture[str], audience: str) -> dict[str, dict[str, Any]]:
    found = document(root, capsys, "access", "policy", "--realm", "team", "--for", audience)
    assert (found["realm"], found["for"]) == ("team", audience)
    return {each["kind"]: each["policy"] for each in found["documents"]}


@pytest.mark.parametrize("audience", AUDIENCES)
def test_nobody_may_delete_or_leave_the_realm(team: Path, capsys: pytest.CaptureFixture[str], audience: str) -> None:
    policy = printed(team, capsys, audience)["identity"]
    allowed = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    assert not any("Delete" in action or "*" in action for each in allowed for action in each["Action"])
    objects = [name for each in allowed for name in each["Resource"] if ":s3:::" in name and "/" in name]
    assert objects
    assert all(name.startswith("arn:aws:s3:::acme-private/team/") for name in objects)
    writes = {name for each in allowed if "s3:PutObject" in each["Action"] for name in each["Resource"]}
    assert bool(writes) == (audience in {"publisher", "refresher", "recovery"})


def test_only_recovery_may_overwrite_and_only_on_its_role(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for audience in ("publisher", "refresher"):
        denied = statements(printed(team, capsys, audience)["identity"])["PublishedFilesAreNew"]
        assert denied["Effect"] == "Deny"
        assert denied["Condition"]["Null"] == {"s3:if-none-match": "true"}
    assert "PublishedFilesAreNew" not in statements(printed(team, capsys, "recovery")["identity"])
    on_bucket = statements(printed(team, capsys, "bucket")["bucket"])
    assert on_bucket["PublishedFilesAreNew"]["Condition"]["ArnNotLike"] == {"aws:PrincipalArn": f"{ROLE}/break-glass"}
    swapped = on_bucket["TimestampIsSwapped"]
    assert swapped["Resource"] == [f"arn:aws:s3:::acme-private/team/{TIMESTAMP_KEY}"]
    assert swapped["Condition"]["Null"] == {"s3:if-match": "true", "s3:if-none-match": "true"}
    assert "ArnNotLike" not in swapped["Condition"]  # recovery swaps it as everybody does


def test_write_once_is_what_caches_keep_for_ever() -> None:
    keys = {
        "targets/index/acme/12ab.slack.json", "targets/catalog/0.12ab.json", "plugins/acme/slack/1.0.0/slack.zip",
        "metadata/1.root.json", "metadata/12.targets.json", "metadata/3.ns-acme.json", "metadata/3.packages-0a.json",
        TIMESTAMP_KEY, BUNDLE_KEY, "index.html", "acme/slack/index.html", "api/v1/plugins.json", "robots.txt",
    }  # fmt: skip
    once = {key for key in keys if any(fnmatchcase(key, pattern) for pattern in WRITE_ONCE)}
    assert once == {key for key in keys if headers_for(key).cache_control == IMMUTABLE}


def test_the_refresher_writes_metadata_and_nothing_else(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writes = statements(printed(team, capsys, "refresher")["identity"])["WriteRealm"]
    assert writes["Action"] == ["s3:PutObject"]
    start = "arn:aws:s3:::acme-private/team/metadata"
    assert writes["Resource"] == [
        f"{start}/{name}" for name in ("*.*.json", "timestamp.json", "recent.bundle", "publisher.lock")
    ]


def test_readers_come_by_role_or_by_cookie(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(team, capsys, "readers")
    assert list(found) == ["identity", "bucket", "cookie"]
    assert statements(found["bucket"])["ReadersRead"]["Principal"] == {"AWS": [f"{ROLE}/hosts"]}
    (allowed,) = found["cookie"]["Statement"]
    assert allowed["Resource"] == "https://team.example.org/*"
    assert call(team, "access", "policy", "--realm", "team", "--for", "readers", "--kind", "cookie") == 0
    assert '"AWS:EpochTime"' in capsys.readouterr().out


def test_keys_in_kms_are_named_and_no_others(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = team / "registry.toml"
    text = path.read_text()
    before = next(line for line in text.splitlines() if line.startswith("uri") and "online" in line)
    path.write_text(text.replace(before, 'uri = "awskms:alias/acme-online"'))
    found = statements(printed(team, capsys, "publisher")["identity"])
    assert found["SignMetadataByAlias"]["Condition"] == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/acme-online"]}
    }
    assert "SignMetadata" not in found
    assert not any("kms" in str(each) for each in printed(team, capsys, "readers")["identity"]["Statement"])


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('key_group = "k-1234"\n', "key_group = 'k 1'\n", "realms.team.readers.key_group"),
        (f'principals = ["{ROLE}/hosts"]\nkey_group = "k-1234"\n', "", "realms.team.readers"),
        (f"{ROLE}/hosts", "everybody", "realms.team.readers.principals"),
        ('cloudfront = "E2EXAMPLE"\n', "", "realms.team.readers.key_group"),
        ("s3://acme-private/team?region=eu-central-1", "folder:team", "realms.team.readers"),
        (f"{ROLE}/break-glass", "me", "realms.team.recovery_role"),
    ],
)
def test_what_cannot_be_a_reader_is_refused(team: Path, old: str, new: str, field: str) -> None:
    path = team / "registry.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read_config(team)
    assert field in caught.value.message


def test_a_folder_has_no_policy(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(team, "access", "policy", "--for", "publisher") == 2
    assert "only realms in S3" in capsys.readouterr().err


def test_a_policy_is_printed_to_be_read(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(team, "access", "policy", "--realm", "team", "--for", "bucket", "--quiet") == 0
    shown = capsys.readouterr().out
    assert json.dumps(json.loads(shown), indent=2) + "\n" == shown


@pytest.mark.parametrize("prefix", ["team-*", "tea?", "te$am", "a${x}"])
def test_a_prefix_with_wildcards_matches_itself_alone(prefix: str) -> None:
    """Attack: the publisher of a realm with such a prefix writes to its neighbours, and its readers read them."""
    for audience in AUDIENCES:
        for statement in identity_statements(audience, Place("acme", prefix)):
            for name in statement["Resource"]:
                bare = name.replace("${*}", "").replace("${?}", "").replace("${$}", "").removesuffix("/*")
                assert not set(bare.removeprefix("arn:aws:s3:::acme/").partition("/")[0]) & {"*", "?", "$"}


def test_a_key_group_that_the_stack_makes_waits_for_the_url(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree.root / "registry.toml"
    path.write_text(
        path.read_text() + '\n[realms.team]\nstorage = "s3://t-1"\n[realms.team.readers]\nkey_group = "stack"\n'
    )
    assert call(tree.root, "access", "policy", "--realm", "team", "--for", "publisher") == 0
    assert call(tree.root, "cloud", "template", "--realm", "team") == 0
    assert "TeamKeyGroup" in capsys.readouterr().out
    assert call(tree.root, "access", "policy", "--realm", "team", "--for", "readers") == 2
    assert "has no url yet" in capsys.readouterr().err
