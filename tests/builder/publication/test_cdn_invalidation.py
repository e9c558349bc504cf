"""CloudFront is told to forget what was replaced in place, and nothing else.

CloudFront can't be had here: its client is botocore's, whose Stubber holds each request to CloudFront's own API model
and to what is expected here, and answers in its stead.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from support.builder_cli import call, document
from support.source_trees import Tree

from registry_builder.publication import _cdn
from registry_builder.publication._cdn import MAX_PATHS, paths_of
from registry_builder.publication.publish import open_publisher, publish_realm
from registry_builder.publication.refresh import refresh_realm
from registry_builder.signing.metadata import utc_now
from sealdex.errors import ConfigError

URL = "https://plugins.example.org/public/"


@pytest.fixture
def cloudfront(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.session.Session().client(
        "cloudfront", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    monkeypatch.setattr(_cdn, "_client", lambda: client)
    with Stubber(client) as stubber:
        yield stubber


@pytest.fixture
def tree(tree: Tree) -> Tree:
    config = tree.root / "registry.toml"
    line = f'url = "{URL}"\ncloudfront = "E2EXAMPLE"\n'
    config.write_text(config.read_text().replace("[realms.public]\n", f"[realms.public]\n{line}"))
    return tree


def accept(cloudfront: Stubber, paths: Any = ANY, reference: Any = ANY) -> None:
    batch = (
        {"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": reference} if paths is not ANY else ANY
    )
    answer = {"Location": "there", "Invalidation": {
        "Id": "I1", "Status": "InProgress", "CreateTime": utc_now(),
        "InvalidationBatch": {"Paths": {"Quantity": 0, "Items": []}, "CallerReference": "x"},
    }}  # fmt: skip
    cloudfront.add_response("create_invalidation", answer, {"DistributionId": "E2EXAMPLE", "InvalidationBatch": batch})


def test_just_the_replaced_files_by_the_addresses_that_readers_ask(tree: Tree, cloudfront: Stubber) -> None:
    accept(cloudfront)
    publish_realm(open_publisher(tree.load(), "public"))
    tree.release("acme/slack", "1.1.0")
    paths = [
        "/public/acme/slack/",
        "/public/acme/slack/1.1.0/",
        "/public/acme/slack/1.1.0/index.html",
        "/public/acme/slack/index.html",
        "/public/acme/slack/version.svg",
        "/public/metadata/recent.bundle",
        "/public/metadata/timestamp.json",
    ]
    accept(cloudfront, paths)
    result = publish_realm(open_publisher(tree.load("acme/slack"), "public"))
    assert result.invalidated == paths
    assert result.warnings == []
    cloudfront.assert_no_pending_responses()
    # nothing was written, so nothing is asked for: the stubber would refuse
    assert publish_realm(open_publisher(tree.load("acme/slack"), "public")).invalidated == []
    assert publish_realm(open_publisher(tree.load(), "public"), dry_run=True).invalidated == []


def test_the_same_replaced_files_again_are_the_same_invalidation_and_other_content_is_another(
    tree: Tree, cloudfront: Stubber
) -> None:
    publisher = open_publisher(tree.load(), "public")
    seen: list[str] = []
    client = _cdn._client()
    client.meta.events.register(
        "provide-client-params.cloudfront",
        lambda params, **_: seen.append(params["InvalidationBatch"]["CallerReference"]),
    )
    for content in ("one", "one", "two"):
        accept(cloudfront)
        _cdn.invalidate(publisher, {"index.html": content})
    assert seen[0] == seen[1] != seen[2]
    assert seen[0].startswith("sealdex-public-")


@pytest.mark.parametrize("code", ["AccessDenied", "TooManyInvalidationsInProgress", "NoSuchDistribution"])
def test_a_refusal_is_a_warning_after_a_publish_that_succeeded(
    tree: Tree, cloudfront: Stubber, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    cloudfront.add_client_error("create_invalidation", code, "refused")
    (realm,) = document(tree.root, capsys, "publish")["realms"]
    assert realm["committed"]
    assert realm["invalidated"] == []
    (warning,) = realm["warnings"]
    assert warning.startswith("published, but CloudFront distribution E2EXAMPLE did not invalidate")
    assert code in warning
    cloudfront.add_client_error("create_invalidation", code, "refused")
    tree.release("acme/slack", "1.1.0")
    assert call(tree.root, "publish") == 0
    assert "published, but CloudFront" in capsys.readouterr().err


def test_missing_credentials_are_a_warning_too(tree: Tree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    result = publish_realm(open_publisher(tree.load(), "public"))
    assert result.committed
    assert "did not invalidate" in result.warnings[0]


def test_refresh_tells_of_timestamp_and_bundle(tree: Tree, cloudfront: Stubber) -> None:
    accept(cloudfront)
    publish_realm(open_publisher(tree.load(), "public"))
    accept(cloudfront, ["/public/metadata/recent.bundle", "/public/metadata/timestamp.json"])
    now = utc_now()
    later = open_publisher(tree.load(), "public", clock=lambda: now + timedelta(days=365), allow_expired=True)
    assert refresh_realm(later, online_only=True).warnings == []
    cloudfront.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("keys", "url", "paths"),
    [
        (["index.html"], "https://x.example", ["/", "/index.html"]),
        (["index.html"], "https://x.example/a/b/", ["/a/b/", "/a/b/index.html"]),
        (["acme/s/index.html"], "https://x.example/", ["/acme/s/", "/acme/s/index.html"]),
        (["a b.html", "\u00e9.html"], "https://x.example/", ["/%C3%A9.html", "/a%20b.html"]),
        (["targets/index/a/0.b.json", "plugins/a/b/1/c.zip", "metadata/3.snapshot.json", "assets/a.0123abcd.js"],
         "https://x.example/", []),
        ([f"{n}.html" for n in range(MAX_PATHS)], "https://x.example/p/", None),
        ([f"{n}.html" for n in range(MAX_PATHS + 1)], "https://x.example/p/", ["/p/*"]),
    ],
)  # fmt: skip
def test_paths(keys: list[str], url: str, paths: list[str] | None) -> None:
    found = paths_of(keys, url)
    assert found == paths if paths is not None else len(found) == MAX_PATHS


def test_a_distribution_needs_the_address_before_it(tree: Tree) -> None:
    config = tree.root / "registry.toml"
    config.write_text(config.read_text().replace(f'url = "{URL}"\n', ""))
    with pytest.raises(ConfigError, match=r"realms\.public\.url"):
        open_publisher(tree.load(), "public")
