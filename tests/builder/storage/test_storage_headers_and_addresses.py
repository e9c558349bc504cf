"""The headers that follow from a key, and the storage addresses that registry.toml may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_builder.storage import headers_for, open_storage
from registry_builder.storage.headers import disposition_for
from sealdex.errors import ConfigError

IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = "public, max-age=60, must-revalidate"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
BYTES = "application/octet-stream"


@pytest.mark.parametrize(
    ("key", "content_type", "cache_control"),
    [
        ("metadata/timestamp.json", JSON, "no-cache"),
        ("metadata/1.root.json", JSON, IMMUTABLE),
        ("metadata/12.snapshot.json", JSON, IMMUTABLE),
        ("metadata/3.bin-0f.json", JSON, IMMUTABLE),
        ("metadata/recent.bundle", BYTES, SHORT),
        ("metadata/root.json", JSON, SHORT),  # whoever adds one gets a file that can change
        ("targets/index/acme/aa.slack.json", JSON, IMMUTABLE),
        ("targets/catalog/aa.00.json", JSON, IMMUTABLE),
        ("plugins/acme/slack/1.0.0/slack.zip", "application/zip", IMMUTABLE),
        ("plugins/acme/slack/1.0.0/slack.tar.gz", "application/gzip", IMMUTABLE),
        ("plugins/acme/slack/1.0.0/slack.TAR.ZST", "application/zstd", IMMUTABLE),
        ("plugins/acme/slack/1.0.0/manifest.json", JSON, IMMUTABLE),
        ("plugins/acme/slack/1.0.0/README.md", "text/markdown; charset=utf-8", IMMUTABLE),
        ("plugins/acme/slack/1.0.0/LICENSE", BYTES, IMMUTABLE),
        ("index.html", HTML, SHORT),
        ("acme/slack/index.html", HTML, SHORT),
        ("api/v1/plugins.json", JSON, SHORT),
        ("assets/site.css", "text/css; charset=utf-8", SHORT),
        ("assets/site.0123abcd.css", "text/css; charset=utf-8", IMMUTABLE),
        ("assets/0123abcdef.search.js", "text/javascript; charset=utf-8", IMMUTABLE),
        ("assets/feedback.js", "text/javascript; charset=utf-8", SHORT),
    ],
)
def test_headers_follow_from_the_key(key: str, content_type: str, cache_control: str) -> None:
    assert headers_for(key) == (content_type, cache_control)


@pytest.mark.parametrize("name", ["x.html", "x.HTML", "x.svg", "x.xhtml", "x.xml", "x.js", "x.mjs", "x.wasm", "x.htm"])
def test_what_authors_upload_is_never_run_by_a_browser(name: str) -> None:
    """Attack: an author uploads a page among the artifacts, to run scripts on the browse site's origin."""
    assert headers_for(f"plugins/acme/slack/1.0.0/{name}").content_type == BYTES


def test_a_relative_folder_is_relative_to_the_source_tree(tmp_path: Path) -> None:
    assert open_storage("folder:../published", base=tmp_path / "tree").description == str(tmp_path / "published")
    assert open_storage("folder:/srv/registry", base=tmp_path).description == "/srv/registry"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("uri", "description"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://my.bucket-1/a/b/?region=eu-central-1", "s3://my.bucket-1/a/b"),
        ("s3://bucket/a%20b?endpoint_url=http%3A%2F%2F127.0.0.1:8333&region=x", "s3://bucket/a b"),
        ("s3://bucket/p?endpoint_url=http://127.0.0.1:8333", "s3://bucket/p"),
    ],
)
def test_s3_addresses(uri: str, description: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert open_storage(uri, base=Path()).description == description


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "published",
        "../published",
        "folder:",
        "folder://host/share",
        "folder:a\x00b",
        "file:///srv",
        "https://bucket.s3.amazonaws.com/",
        "S3://bucket",
        "s3:bucket",
        "s3://",
        "s3:///prefix",
        "s3://Bucket/prefix",
        "s3://key:secret@bucket/prefix",
        "s3://bucket:9000/prefix",
        "s3://[bucket/prefix",
        "s3://bucket/a/../b",
        "s3://bucket/%2e%2e/b",
        "s3://bucket/a//b",
        "s3://bucket/p#fragment",
        "s3://bucket/p?regoin=x",
        "s3://bucket/p?region=",
        "s3://bucket/p?region=a&region=b",
        "s3://bucket/p?secret_key=x",
    ],
)
def test_other_addresses_are_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't publish to") as caught:
        open_storage(uri, base=tmp_path)
    assert "folder:PATH" in (caught.value.hint or "")
    assert not list(tmp_path.iterdir())


def test_a_secret_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage("s3://key:hunter2@bucket/prefix", base=tmp_path)
    assert "hunter2" not in f"{caught.value} {caught.value.subject} {caught.value.hint}"


@pytest.mark.parametrize("where", ["address", "environment"])
def test_an_endpoint_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    uri = "s3://bucket/prefix?region=us-east-1"
    if where == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "nonsense")
    else:
        uri += "&endpoint_url=nonsense"
    with pytest.raises(ConfigError, match="nonsense"):
        open_storage(uri, base=Path())


@pytest.mark.parametrize(
    ("key", "disposition"),
    [
        ("plugins/acme/slack/1.0.0/slack-1.0.0.zip", 'attachment; filename="slack-1.0.0.zip"'),
        ("plugins/acme/slack/1.0.0+b.1/a+b@c=d.html", 'attachment; filename="a+b@c=d.html"'),
        ("plugins/acme/slack/1.0.0/manifest.json", None),
        ("plugins/acme/slack/readme/0123.md", None),
        ('plugins/acme/slack/1.0.0/a"; x="b', None),  # no file has such a name
        ("metadata/timestamp.json", None),
        ("acme/slack/index.html", None),
    ],
)
def test_uploads_are_saved_and_not_shown(key: str, disposition: str | None) -> None:
    assert disposition_for(key) == disposition
