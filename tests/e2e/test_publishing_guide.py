"""docs/publishing.md, run as written against SeaweedFS and a bare repository: only addresses are replaced."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.components import missing
from support.places import REPOSITORY
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


@pytest.mark.slow
@pytest.mark.timeout(540)  # fifty commands, on a machine that may have other work
def test_the_guide_from_an_empty_bucket_to_a_root_rotation(
    tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [shlex.split(line) for line in re.findall(r"^    ((?:sealdex|git).*)$", GUIDE, re.MULTILINE)]
    assert len(commands) > 45
    server.client().create_bucket(Bucket="public-acme-plugins")
    url = f"{server.endpoint}/public-acme-plugins/public"
    toml = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)[0]  # the realm; what follows is of other files
    toml = toml.replace(
        "s3://acme-plugins/public?region=eu-central-1",
        f"s3://public-acme-plugins/public?region=us-east-1&endpoint_url={server.endpoint}",
    ).replace("https://plugins.example.org", url)
    assert toml.count(server.endpoint) == 2
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
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    said = {}
    for command in commands:
        words = [
            word.replace("https://plugins.example.org", url).replace(
                "https://github.com/acme/plugins", (tmp_path / "github").as_uri()
            )
            for word in command
        ]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        said[shlex.join(command)] = done.stdout
        if command[1] == "init":
            config = tmp_path / "plugins" / "registry.toml"
            text, count = re.subn(
                r"\[realms\.public\]\n.*?\n(?=\n)", lambda _: toml, config.read_text(encoding="utf-8"), flags=re.DOTALL
            )
            assert count == 1
            config.write_text(text, encoding="utf-8")
    assert (tmp_path / "agent" / "store" / "plugins" / "acme" / "slack" / "0.1.0").is_dir()
    assert (tmp_path / "plugins" / "trust" / "public" / "2.root.json").is_file()
    assert "new release `acme/slack 0.1.0`" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    trusted = list((tmp_path / "agent" / "store" / "trust").rglob("2.root.json"))
    assert trusted, "the client didn't follow to the new root"
    branches = git(tmp_path / "github", "branch", "--list", "--format=%(refname:short)").split()
    assert branches == ["main", "sign/rotate"]
    assert said["sealdex-builder --tree plugins ceremony take rotate origin/sign/rotate"].count("took ") > 2
    assert "signed by ns-acme" in said["sealdex info acme/slack"]
