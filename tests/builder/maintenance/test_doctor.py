"""doctor: what is wrong with a bucket or with what readers get is said with its remedy, by S3 server and nginx."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from support.builder_cli import document
from support.caching_cdn import caching_cdn
from support.s3_proxy import Passing, ignore, refuse
from support.s3_registry import S3Registry
from support.s3_server import S3Server
from support.source_trees import Tree

from registry_builder.maintenance._store_conditions import MISSING_KEY
from registry_builder.maintenance.doctor import Finding, _bucket, look_over, policy_problems
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.signing.metadata import utc_now
from registry_builder.storage import Body, headers_for, open_storage
from registry_builder.storage.headers import TIMESTAMP_KEY


def findings(tree: Tree, uri: str, seconds: int = 0) -> dict[str, Finding]:
    storage = open_storage(uri, base=tree.root)
    publisher = open_publisher(
        tree.load(), "public", storage=storage, clock=lambda: utc_now() + timedelta(seconds=seconds)
    )
    return {finding.check: finding for finding in look_over(publisher)}


def test_a_bucket_is_looked_over(tree: Tree, s3_server: S3Server, s3_uri: str) -> None:
    publish_realm(open_publisher(tree.load(), "public", storage=open_storage(s3_uri, base=tree.root)))
    client = s3_server.client()
    bucket, _, prefix = s3_uri.removeprefix("s3://").partition("?")[0].partition("/")
    found = findings(tree, s3_uri)
    assert {found[check].level for check in ("reading", "clock", "headers", "conditions")} == {"ok"}
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
    none = findings(tree, s3_uri)["policy"]
    assert none.level == "warning"
    assert "no policy" in none.message
    assert "docs/publishing.md" in none.remedy


def test_conditions_are_tried_in_each_way(s3_registry: S3Registry) -> None:
    """A store that ignores them on parts alone, as Ceph, or altogether; what is there stays as it was."""

    def found() -> list[tuple[str, str]]:
        storage = s3_registry.through()
        publisher = s3_registry.publisher(storage)
        return [(each.level, each.message) for each in look_over(publisher) if each.check == "conditions"]

    assert found() == [("unknown", "nothing is published yet")]
    s3_registry.publish(direct=True)
    before = s3_registry.objects()

    def ignore_on_parts(passing: Passing) -> None:
        if passing.operation == "CompleteMultipartUpload" or passing.key.endswith(MISSING_KEY):
            passing.headers.pop("if-none-match", None)
            passing.headers.pop("if-match", None)

    s3_registry.proxy.before.append(ignore_on_parts)
    (parts, missing) = found()
    assert parts[0] == missing[0] == "warning"
    assert "CompleteMultipartUpload" in parts[1]
    assert "missing" in missing[1]
    assert set(s3_registry.objects()) == set(before)  # what it created is removed
    s3_registry.proxy.before[:] = [ignore("if-match")]
    assert found() == [("error", "the store ignores If-Match: nothing can be published")]
    s3_registry.proxy.before[:] = [refuse("*", 403, "AccessDenied")]
    assert [level for level, _ in found()] == ["unknown"]
    s3_registry.exclusive = True
    assert [level for level, _ in found()] == ["warning"]


def stubbed(call: str, answer: dict[str, Any] | str) -> Finding:
    """Let botocore's Stubber answer in the place of AWS, whose public access blocks and lists no server here has."""
    client = boto3.session.Session().client(
        "s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    with Stubber(client) as stubber:
        for method in ("head_bucket", "get_bucket_versioning", "get_public_access_block", "get_bucket_policy",
                       "get_bucket_acl", "head_object"):  # fmt: skip
            if method != call:
                stubber.add_client_error(method, "Unasked")
            elif isinstance(answer, str):
                stubber.add_client_error(method, answer)
            else:
                stubber.add_response(method, answer)
        checks = {
            "get_public_access_block": "public access",
            "get_bucket_acl": "access list",
            "head_bucket": "clock",
            "get_bucket_policy": "policy",
        }
        return next(f for f in _bucket(client, "bucket", "timestamp.json", utc_now()) if f.check == checks[call])


BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@pytest.mark.parametrize(
    ("answer", "level", "said"),
    [
        ({"PublicAccessBlockConfiguration": dict.fromkeys(BLOCKS, True)}, "ok", "can't be made public"),
        ({"PublicAccessBlockConfiguration": {**dict.fromkeys(BLOCKS, True), "BlockPublicPolicy": False}}, "warning",
         "BlockPublicPolicy"),
        ("NoSuchPublicAccessBlockConfiguration", "warning", "nothing prevents"),
        ("AccessDenied", "unknown", "AccessDenied"),
        ("NotImplemented", "unknown", "NotImplemented"),
    ],
)  # fmt: skip
def test_public_access_blocks(answer: dict[str, Any] | str, level: str, said: str) -> None:
    found = stubbed("get_public_access_block", answer)
    assert found.level == level
    assert said in found.message
    assert (level == "warning") == ("put-public-access-block" in found.remedy)


def dated(date: str | None) -> dict[str, Any]:
    return {"ResponseMetadata": {"HTTPHeaders": {} if date is None else {"date": date}}}


@pytest.mark.parametrize(
    ("date", "level", "said"),
    [
        ("NOW GMT", "ok", "agree"),
        ("NOW -0000", "ok", "agree"),  # read as a time without zone
        ("NOW", "ok", "agree"),
        ("Sat, 28 Nov 2020 09:00:00", "unknown", "without a time zone"),
        ("Sat, 28 Nov 2020 09:00:00 GMT", "error", "ahead of"),
        ("Fri, 31 Dec 9999 23:59:59 -2300", "error", "behind"),
        ("Sat, 99 Nov 2026 99:00:00 GMT", "unknown", "is not valid"),
        ("Sat, 28 Nov 99999999999999999999 09:00:00 GMT", "unknown", "is not valid"),
        ("yesterday", "unknown", "is not valid"),
        ("", "unknown", "doesn't report"),
        (None, "unknown", "doesn't report"),
    ],
)
def test_whatever_the_store_says_of_its_time_is_judged(date: str | None, level: str, said: str) -> None:
    now = format_datetime(utc_now()).removesuffix(" +0000")
    found = stubbed("head_bucket", dated(date and date.replace("NOW", now)))
    assert (found.level, said in found.message) == (level, True), found


@pytest.mark.parametrize("policy", ["", "[]", "nonsense", "[" * 100_000, '{"Statement": ["x"]}', '{"Statement": 7}'])
def test_a_policy_that_is_none_is_never_ok(policy: str) -> None:
    found = stubbed("get_bucket_policy", {"Policy": policy})
    assert found.level in {"unknown", "error"}


def test_a_bucket_without_a_policy_is_not_called_well() -> None:
    found = stubbed("get_bucket_policy", "NoSuchBucketPolicy")
    assert (found.level, found.check) == ("warning", "policy")
    assert "can be overwritten" in found.message


def grants(*given: tuple[str, str]) -> dict[str, Any]:
    everybody = "http://acs.amazonaws.com/groups/"
    listed = [{"Grantee": {"Type": "Group", "URI": f"{everybody}{group}"}, "Permission": p} for group, p in given]
    owner = {"Grantee": {"Type": "CanonicalUser", "ID": "owner"}, "Permission": "FULL_CONTROL"}
    return {"Owner": {"ID": "owner"}, "Grants": [owner, *listed]}


@pytest.mark.parametrize(
    ("answer", "level", "said"),
    [
        (grants(), "ok", "no access"),
        (grants(("global/AllUsers", "READ")), "warning", "list"),
        (grants(("global/AllUsers", "READ"), ("global/AllUsers", "WRITE")), "error", "WRITE to AllUsers"),
        (grants(("global/AuthenticatedUsers", "WRITE_ACP")), "error", "WRITE_ACP to AuthenticatedUsers"),
        (grants(("global/AuthenticatedUsers", "FULL_CONTROL")), "error", "FULL_CONTROL"),
        (grants(("s3/LogDelivery", "WRITE")), "ok", "no access"),
    ],
)
def test_access_lists(answer: dict[str, Any], level: str, said: str) -> None:
    found = stubbed("get_bucket_acl", answer)
    assert found.level == level
    assert said in found.message
    assert (level == "ok") == (not found.remedy)


def test_the_access_list_of_a_real_bucket(tree: Tree, s3_server: S3Server, s3_uri: str) -> None:
    assert findings(tree, s3_uri)["access list"].level == "ok"
    bucket = f"open-{secrets.token_hex(4)}"
    s3_server.client().create_bucket(Bucket=bucket, ACL="public-read-write")
    uri = f"s3://{bucket}/x?{s3_uri.partition('?')[2]}"
    found = findings(tree, uri)["access list"]
    assert (found.level, found.remedy) == ("error", f"aws s3api put-bucket-acl --bucket {bucket} --acl private")


@pytest.mark.parametrize(
    ("directives", "check", "level", "said"),
    [
        ("", "readers", "ok", "404"),
        ("proxy_intercept_errors on; error_page 404 @missing;", "readers", "ok", "404"),
        ("proxy_intercept_errors on; error_page 404 =403 @missing;", "readers", "ok", "403"),
        ("proxy_intercept_errors on; error_page 404 =200 /page;", "readers", "error", "a 404 or 403"),
        ("proxy_intercept_errors on; error_page 404 = @page;", "readers", "error", "a 404 or 403"),
        ("", "readers' headers", "ok", "fresh"),
        ("proxy_hide_header Cache-Control; add_header Cache-Control 'public, max-age=3600';", "readers' headers",
         "error", "max-age=3600"),
        ("proxy_hide_header Cache-Control;", "readers' headers", "error", "Cache-Control ''"),
        ("add_header Age 3600;", "readers' headers", "error", "3600 s old"),
    ],
)  # fmt: skip
def test_what_readers_get_behind_a_cdn_that_was_configured_otherwise(
    tree: Tree,
    s3_server: S3Server,
    s3_uri: str,
    tmp_path: Path,
    directives: str,
    check: str,
    level: str,
    said: str,
) -> None:
    timestamp = Body.of_bytes(b"{}", headers_for(TIMESTAMP_KEY))  # nobody looks into it here
    open_storage(s3_uri, base=tree.root).put_mutable(TIMESTAMP_KEY, timestamp)
    with caching_cdn(s3_server.endpoint, tmp_path / "cdn", directives) as address:
        url = f"{address}/{s3_uri.removeprefix('s3://').partition('?')[0]}/"
        config = tree.root / "registry.toml"
        config.write_text(config.read_text().replace("[realms.public]\n", f'[realms.public]\nurl = "{url}"\n'))
        found = findings(tree, s3_uri)[check]
    assert found.level == level, found
    assert said in found.message
    assert (level == "ok") == (not found.remedy)


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


@pytest.mark.parametrize(
    "statement",
    [
        {"Principal": "*", "Action": "s3:P*"},
        {"Principal": "*", "Action": "S3:deleteObjectVersion"},
        {"Principal": {"AWS": "*"}, "Action": ["s3:GetObject", "s3:AbortMultipartUpload"]},
        {"NotPrincipal": {"AWS": "arn:aws:iam::1:role/p"}, "Action": "s3:PutObject"},
        {"Principal": "*", "Action": "s3:PutObject", "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}},
    ],
)
def test_writing_is_found_in_whatever_way_it_is_written(statement: dict[str, Any]) -> None:
    assert policy_problems({"Statement": {"Effect": "Allow", **statement}})


def test_everything_beyond_reading_objects_is_told_apart_from_writing() -> None:
    listing = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket", "s3:GetBucketPolicy"]}
    assert policy_problems({"Statement": listing}) == []
    (leak,) = policy_problems({"Statement": listing}, writes=False)
    assert leak == "statement number 1 allows the public s3:ListBucket, s3:GetBucketPolicy"
    reading = {**listing, "Action": "s3:GetObject"}
    assert policy_problems({"Statement": reading}, writes=False) == []


def test_the_command_on_a_folder(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(tree.root, capsys, "doctor")
    assert found["healthy"]
    (finding,) = found["realms"][0]["findings"]
    assert finding["check"] == "reading"
    shared = {"check": "reading", "subject": "public", "state": "ok", "remedy": "", "exit_code": 0}
    assert found["findings"] == [{**shared, "detail": finding["message"]}]
