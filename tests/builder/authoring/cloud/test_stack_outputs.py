"""``cloud outputs``: what a stack made comes into registry.toml, and into commands that a shell may run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree

from registry_builder.source.config import read_config

ROLE = "arn:aws:iam::123456789012:role"
MADE = {
    "PublicBucket": "acme-plugins",
    "PublicPublisherRole": f"{ROLE}/sealdex-acme-PublicPublisherRole-1A",
    "PublicRefresherRole": f"{ROLE}/sealdex-acme-PublicRefresherRole-1A",
    "PublicDistribution": "E2EXAMPLE",
    "PublicDomain": "d111111abcdef8.cloudfront.net",
    "PublicHubStore": "arn:aws:cloudfront::123456789012:key-value-store/12345678-aaaa-bbbb-cccc-1234567890ab",
    "OnlineKey": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "StackRegion": "us-east-1",
}


def described(outputs: dict[str, str], status: str = "CREATE_COMPLETE", **others: Any) -> bytes:
    listed = [{"OutputKey": key, "OutputValue": value, "Description": "x"} for key, value in outputs.items()]
    stack = {"StackName": "sealdex-acme", "StackStatus": status, "Outputs": listed, "CreationTime": "x", **others}
    return json.dumps({"Stacks": [stack]}).encode()


@pytest.fixture
def root(tree: Tree) -> Path:
    path = tree.root / "registry.toml"
    path.write_text(path.read_text().replace("folder:published", "s3://acme-plugins"))
    return tree.root


def adopt(root: Path, tmp_path: Path, data: bytes) -> int:
    (tmp_path / "stack.json").write_bytes(data)
    return call(root, "cloud", "outputs", tmp_path / "stack.json")


def test_what_the_stack_made_is_taken_over_once(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (root / "registry.toml").read_text()
    (tmp_path / "stack.json").write_bytes(described(MADE))
    found = document(root, capsys, "cloud", "outputs", tmp_path / "stack.json")
    assert found["stack"] == "sealdex-acme"
    assert found["written"]["realms.public.cloudfront"] == "E2EXAMPLE"
    assert found["next"] == [
        f"gh variable set SEALDEX_AWS_ROLE --env publish --body {MADE['PublicPublisherRole']}",
        "gh variable set SEALDEX_AWS_REGION --env publish --body us-east-1",
        f"gh variable set SEALDEX_AWS_ROLE --env refresh --body {MADE['PublicRefresherRole']}",
        "gh variable set SEALDEX_AWS_REGION --env refresh --body us-east-1",
        f"sealdex-builder keys add kms-online awskms:{MADE['OnlineKey']}",
    ]
    section = read_config(root).realms["public"]
    assert section.cloudfront == "E2EXAMPLE"
    assert section.url is not None
    assert section.key_value_store == MADE["PublicHubStore"]
    after = (root / "registry.toml").read_text()
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []  # nothing else changed
    # again, from standard input: nothing to do
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(described(MADE, "UPDATE_COMPLETE"))))
    assert document(root, capsys, "cloud", "outputs", "-")["written"] == {}
    assert (root / "registry.toml").read_text() == after


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not what describe-stacks prints"),
        (b"\xff\xfe", "is not what describe-stacks prints"),
        (b'{"Stacks": []}', "is not what describe-stacks prints"),
        (described(MADE, "CREATE_IN_PROGRESS"), "is not finished, its status is CREATE_IN_PROGRESS"),
        (described(MADE, "ROLLBACK_COMPLETE"), "is not finished, its status is ROLLBACK_COMPLETE"),
        (described(MADE, "DELETE_COMPLETE"), "is not finished"),
        (described({"StackRegion": "us-east-1"}), "has nothing of a realm"),
        (described({**MADE, "PublicDistribution": "E2OTHER\nx"}), "output PublicDistribution is not what it should be"),
        (described({**MADE, "PublicPublisherRole": f"{ROLE}/x; rm -rf ~"}), "output PublicPublisherRole is not"),
        (described({**MADE, "PublicRefresherRole": f"{ROLE}/$(id)"}), "output PublicRefresherRole is not"),
        (described({**MADE, "PublicHubStore": "arn:aws:cloudfront::1:x; id"}), "output PublicHubStore is not"),
        (described({**MADE, "StackRegion": "`id`"}), "output StackRegion is not"),
        (described({**MADE, "OnlineKey": "arn:aws:kms:us-east-1:1:key/x"}), "output OnlineKey is not"),
    ],
)
def test_what_is_not_a_stack_of_this_registry_changes_nothing(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, said: str
) -> None:
    """Attack: whoever edits the outputs of a stack has commands run by the person who copies them."""
    before = (root / "registry.toml").read_bytes()
    assert adopt(root, tmp_path, data) in {1, 2}
    shown = capsys.readouterr()
    assert said in shown.err
    assert "gh variable" not in shown.err
    assert (root / "registry.toml").read_bytes() == before


def test_what_registry_toml_says_otherwise_is_not_overwritten(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt(root, tmp_path, described(MADE)) == 0
    before = (root / "registry.toml").read_bytes()
    assert adopt(root, tmp_path, described({**MADE, "PublicDistribution": "E2OTHER"})) == 1
    assert 'has cloudfront = "E2EXAMPLE" in registry.toml already' in capsys.readouterr().err
    assert (root / "registry.toml").read_bytes() == before
