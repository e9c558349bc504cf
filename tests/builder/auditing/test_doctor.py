"""doctor: what is wrong with a bucket is said with its remedy, against the S3 server."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from support.builder_cli import document
from support.s3_server import S3Server
from support.source_trees import Tree

from registry_builder.posture import Finding, look_over, policy_problems
from registry_builder.publish import open_publisher, publish
from registry_builder.signing.roles import utc_now
from registry_builder.storage import open_storage


def findings(tree: Tree, uri: str, seconds: int = 0) -> dict[str, Finding]:
    storage = open_storage(uri, base=tree.root)
    publisher = open_publisher(
        tree.load(), "public", storage=storage, clock=lambda: utc_now() + timedelta(seconds=seconds)
    )
    return {finding.check: finding for finding in look_over(publisher)}


def test_a_bucket_is_looked_over(tree: Tree, s3_server: S3Server, s3_uri: str) -> None:
    publish(open_publisher(tree.load(), "public", storage=open_storage(s3_uri, base=tree.root)))
    client = s3_server.client()
    bucket, _, prefix = s3_uri.removeprefix("s3://").partition("?")[0].partition("/")
    found = findings(tree, s3_uri)
    assert {found[check].level for check in ("reading", "clock", "headers")} == {"ok"}
    assert found["versions"].level == "warning"
    assert "put-bucket-versioning" in found["versions"].remedy
    assert findings(tree, s3_uri, 3600)["clock"].level == "error"
    key = f"{prefix}/metadata/timestamp.json"
    data = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    client.put_object(Bucket=bucket, Key=key, Body=data, CacheControl="max-age=3600")
    assert findings(tree, s3_uri)["headers"].level == "error"
    open_to_all = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/x/*",
    }
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [open_to_all]}))
    try:
        assert findings(tree, s3_uri)["policy"].level == "error"
    finally:
        client.delete_bucket_policy(Bucket=bucket)
    assert findings(tree, s3_uri)["policy"].level == "ok"


def test_what_the_stores_without_such_a_call_say_of_public_access_is_unknown_and_no_error(
    tree: Tree, s3_uri: str
) -> None:
    assert findings(tree, s3_uri)["public access"].level == "unknown"
    assert findings(tree, s3_uri)["headers"].message == "nothing is published yet"


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}, False),
        ({"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject", "s3:PutObjectAcl"]}, True),
        ({"Effect": "Allow", "Principal": {"AWS": "*"}, "NotAction": "s3:GetObject"}, True),
        ({"Effect": "Allow", "Principal": "*", "Action": "s3:*"}, True),
        ({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}, False),
        ({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:role/p"}, "Action": "s3:PutObject"}, False),
    ],
)
def test_a_policy_that_lets_everybody_write_is_found(statement: dict[str, Any], bad: bool) -> None:
    assert bool(policy_problems({"Statement": statement})) == bad
    assert bool(policy_problems({"Statement": [statement]})) == bad


def test_the_command_on_a_folder(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(tree.root, capsys, "doctor")
    assert found["healthy"]
    assert [each["check"] for each in found["realms"][0]["findings"]] == ["reading"]
