"""A registry's repository on a GitHub of the test's own, publishing to the S3 server."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest
from support.later_clock import later_clock
from support.s3_server import S3Server
from support.workflows import GitHub, Scene, git

from registry_builder.authoring.github import write_workflows
from registry_builder.authoring.scaffold import init_tree
from registry_builder.signing.dev_keys import make_dev_trust

ONLINE = ("online", "packages", "catalog")


@pytest.fixture
def scene(tmp_path: Path, s3_server: S3Server, s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A registry with its workflows on ``main``, nothing published yet."""
    keys = tmp_path / "keys"
    monkeypatch.setenv("SEALDEX_KEYS", str(keys))
    clone = tmp_path / "clone"
    init_tree(clone, name="acme")
    write_workflows(clone, version="0.1.0")
    bucket_and_prefix = s3_uri.removeprefix("s3://").partition("?")[0]
    url = f"{s3_server.endpoint}/{bucket_and_prefix}"
    config = clone / "registry.toml"
    text = config.read_text(encoding="utf-8")
    text = text.replace('storage = "folder:published"', f'storage = "{s3_uri}"\nurl = "{url}/"')
    config.write_text(text, encoding="utf-8")
    make_dev_trust(clone)

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in keys.rglob("*.pem"):
            if path.stem in ONLINE:
                archive.add(path, path.name)
    github = GitHub(
        tmp_path,
        "acme/registry",
        secrets={"SEALDEX_ONLINE_KEYS": base64.b64encode(packed.getvalue()).decode()},
        variables={"SEALDEX_AWS_ROLE": "arn:aws:iam::000000000000:role/publisher", "SEALDEX_AWS_REGION": "us-east-1"},
        aws=s3_server.environment,
    )
    git(clone, "init", "--quiet", "--initial-branch=main")
    git(clone, "remote", "add", "origin", str(github.remote))
    made = Scene(github, clone, url, later_clock(tmp_path / "clock"))
    made.push("A registry")
    return made
