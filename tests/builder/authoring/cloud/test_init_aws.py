"""``init --aws``: a new registry with the template of its account, and an existing one that gets it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.authoring import builder
from support.cfn_template import read_template

from registry_builder.source.config import read_config


def test_a_new_registry_gets_a_bucket_of_its_own_a_template_and_three_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "Acme Plugins"
    options = ("--aws", "--url", "https://plugins.example.org/", "--repository", "acme/plugins")
    assert builder("init", tree, *options, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    section = read_config(tree).realms["public"]
    assert section.storage.startswith("s3://acme-plugins-")
    assert section.storage.endswith("?region=us-east-1")
    assert str(tree / "aws/stack.yaml") in found["written"]
    template = read_template((tree / "aws/stack.yaml").read_text())
    assert template["Resources"]["PublicBucket"]["Properties"]["BucketName"] in section.storage
    enter, create, adopt, publish = found["next"]
    assert enter == f"cd '{tree}'"
    assert create == (
        "aws cloudformation deploy --region us-east-1 --stack-name sealdex-acme-plugins --template-file aws/stack.yaml "
        "--capabilities CAPABILITY_IAM --parameter-overrides "
        "GitHubOwnerId=$(gh api repos/acme/plugins --jq .owner.id) "
        "GitHubRepositoryId=$(gh api repos/acme/plugins --jq .id) PublicCertificate=ARN-OF-CERTIFICATE-IN-US-EAST-1"
    )
    assert adopt == (
        "aws cloudformation describe-stacks --region us-east-1 --stack-name sealdex-acme-plugins "
        "| sealdex-builder cloud outputs -"
    )
    assert publish == "sealdex-builder publish"


def test_in_an_existing_tree_only_the_template_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = tmp_path / "registry"
    assert builder("init", tree, "--storage", "s3://acme-plugins?region=eu-west-1") == 0
    git = ["git", "-C", str(tree)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "remote", "add", "origin", "git@github.com:Acme/plugins.git"], check=True)
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file() and ".git/" not in str(path)}
    capsys.readouterr()
    assert builder("init", tree, "--aws", "--kms", "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["written"] == [str(tree / "aws/stack.yaml")]
    assert "us-east-1 alone" in shown.err
    assert all(path.read_bytes() == data for path, data in before.items())
    template = read_template((tree / "aws/stack.yaml").read_text())
    assert template["Parameters"]["GitHubOwner"]["Default"] == "Acme"
    assert "PackagesKey" in template["Resources"]
    # again: unchanged is no news, and what somebody edited stays and is named
    assert builder("init", tree, "--aws", "--kms") == 0
    assert "differs" not in capsys.readouterr().err
    (tree / "aws/stack.yaml").write_text("mine")
    assert builder("init", tree, "--aws") == 0
    assert "cloud template --output aws/stack.yaml" in capsys.readouterr().err
    assert (tree / "aws/stack.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--storage", "pages", "--url", "https://acme.github.io/"), "--storage pages is not in S3"),
        (("--storage", "s3://acme.plugins/插件", "--url", "https://a.example/b"), "prefix '插件'"),
        (("--url", "http://plugins.example.org/"), "must begin with https://"),
        (("--repository", "acme"), "--repository 'acme'"),
    ],
)
def test_what_a_template_can_not_hold_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert builder("init", tmp_path / "registry", "--aws", *options) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_options_of_the_template_want_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder("init", tmp_path / "registry", "--kms") == 2
    assert "add --aws" in capsys.readouterr().err
    assert builder("init", tmp_path / "registry") == 0
    assert builder("init", tmp_path / "registry", "--aws", "--url", "https://a.example/") == 2
    assert "registry.toml exists already" in capsys.readouterr().err
    assert builder("init", tmp_path / "registry", "--aws") == 2
    assert "no realm of registry.toml is in S3" in capsys.readouterr().err
    assert not (tmp_path / "registry/aws").exists()
