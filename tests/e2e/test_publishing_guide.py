"""docs/publishing.md, run as written against SeaweedFS and a bare repository: only addresses are replaced.

No stack is created: the bucket is made as its template says, as far as the server can, and a proxy enforces the policy
that the template gives it. What AWS would print of the stack, and of an invalidation in CloudFront, is the test's.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError
from support import warm_builder
from support.bucket_policy import enforce
from support.cfn_template import read_template, resolved
from support.components import missing
from support.places import REPOSITORY
from support.s3_proxy import S3Proxy
from support.s3_server import S3Server, WeedMissingError, s3_server
from support.workflows import git

GUIDE = (REPOSITORY / "docs" / "publishing.md").read_text(encoding="utf-8")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    (tmp_path / "s3").mkdir()
    try:
        with s3_server(tmp_path / "s3") as running:
            yield running
    except WeedMissingError as error:
        missing("weed", str(error))


class _CloudFront(BaseHTTPRequestHandler):
    """Answers CreateInvalidation as its API reference has it."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:  # the base class asks for this name
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        answer = (
            b'<?xml version="1.0"?><Invalidation xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Id>I1</Id>'
            b"<Status>InProgress</Status><CreateTime>2026-11-29T08:00:00Z</CreateTime></Invalidation>"
        )
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cloudfront(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What CloudFront was asked for."""
    _CloudFront.asked = []
    with HTTPServer(("127.0.0.1", 0), _CloudFront) as running:
        Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFRONT", f"http://127.0.0.1:{running.server_port}")
        yield _CloudFront.asked
        running.shutdown()


ROLE = "arn:aws:iam::123456789012:role/sealdex-acme-PublicPublisherRole-1A2B3C"


def stack_of(template: Path, server: S3Server, proxy: S3Proxy, bucket: str) -> str:
    """Make what a stack of the template would, as far as server and proxy can; return what AWS would print of it."""
    found = read_template(template.read_text(encoding="utf-8"))
    said = found["Resources"]["PublicBucket"]["Properties"]
    client = server.client()
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=said["VersioningConfiguration"])
    policy = json.dumps(found["Resources"]["PublicBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"])
    policy = policy.replace(f"arn:aws:s3:::{said['BucketName']}/", f"arn:aws:s3:::{bucket}/public/")
    proxy.before.append(enforce(json.loads(policy), bucket, {server.access_key: ROLE}))
    made = {
        "PublicBucket": bucket,
        "PublicPublisherRole.Arn": ROLE,
        "PublicRefresherRole.Arn": ROLE.replace("Publisher", "Refresher"),
        "PublicDistribution": "E2EXAMPLE",
        "PublicDistribution.DomainName": "d111111abcdef8.cloudfront.net",
        "AccessLogBucket": "sealdex-acme-accesslogbucket-1a2b3c",
        "AWS::Region": "us-east-1",
    }
    outputs = [
        {"OutputKey": name, "OutputValue": resolved(output["Value"], made)} for name, output in found["Outputs"].items()
    ]
    assert not any("?" in each["OutputValue"] for each in outputs)
    return json.dumps({"Stacks": [{"StackName": "sealdex-acme", "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]})


@pytest.fixture
def proxy(server: S3Server) -> Iterator[S3Proxy]:
    with S3Proxy(server) as running:
        yield running


@pytest.mark.slow
def test_the_guide_from_an_empty_bucket_to_a_root_rotation(
    tmp_path: Path, server: S3Server, proxy: S3Proxy, cloudfront: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [shlex.split(line) for line in re.findall(r"^    ((?:sealdex|git).*)$", GUIDE, re.MULTILINE)]
    assert len(commands) > 45
    url = f"{server.endpoint}/public-acme-plugins/public/"
    here = proxy.uri("public-acme-plugins", "public")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("SEALDEX_KEY_PASSPHRASE", "of the test")
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "agent" / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "agent" / "store"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "github")
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Kim\n\temail = kim@example.org\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "programs").mkdir()
    warm_builder.write(tmp_path / "programs")
    paths = [str(tmp_path / "programs"), str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(paths))
    said = {}
    for command in commands:
        words = [word.replace("https://github.com/acme/plugins", (tmp_path / "github").as_uri()) for word in command]
        if command[:3] == ["sealdex", "registry", "add"]:
            words = [word.replace("https://plugins.example.org/", url) for word in words]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        said[shlex.join(command)] = done.stdout
        if command[:2] == ["sealdex-builder", "init"]:
            config = tmp_path / "plugins" / "registry.toml"
            text = config.read_text(encoding="utf-8")
            bucket = re.findall(r'storage = "s3://(acme-[0-9a-f]{8})\?region=us-east-1"', text)
            template = tmp_path / "plugins" / "aws" / "stack.yaml"
            assert len(bucket) == 1
            assert bucket[0] in template.read_text(encoding="utf-8")
            stack = stack_of(template, server, proxy, "public-acme-plugins")
            (tmp_path / "stack.json").write_text(stack, encoding="utf-8")
            for written, instead in (
                (f"s3://{bucket[0]}?region=us-east-1", here),
                ("https://plugins.example.org/", url),
            ):
                assert text.count(f'"{written}"') == 1
                text = text.replace(f'"{written}"', f'"{instead}"')
            config.write_text(text, encoding="utf-8")
    assert "cloudfront = E2EXAMPLE" in said["sealdex-builder --tree plugins cloud outputs stack.json"]
    assert set(cloudfront) == {"/2020-05-31/distribution/E2EXAMPLE/invalidation"}
    assert (tmp_path / "agent" / "store" / "plugins" / "acme" / "slack" / "0.1.0").is_dir()
    assert (tmp_path / "plugins" / "trust" / "public" / "2.root.json").is_file()
    assert "new release `acme/slack 0.1.0`" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    trusted = list((tmp_path / "agent" / "store" / "trust").rglob("2.root.json"))
    assert trusted, "the client didn't follow to the new root"
    branches = git(tmp_path / "github", "branch", "--list", "--format=%(refname:short)").split()
    assert branches == ["main", "sign/rotate"]
    assert said["sealdex-builder --tree plugins ceremony take rotate origin/sign/rotate"].count("took ") > 2
    assert "signed by ns-acme" in said["sealdex info acme/slack"]
    assert proxy.operations()["PutObject"] > 20  # all of it under the policy of the template, which a thief meets too
    thief = replace(server, endpoint=parse_qs(urlsplit(here).query)["endpoint_url"][0])
    for key in ("metadata/1.root.json", "metadata/timestamp.json"):
        with pytest.raises(ClientError, match="AccessDenied"):
            thief.client(attempts=1).put_object(Bucket="public-acme-plugins", Key=f"public/{key}", Body=b"evil")
