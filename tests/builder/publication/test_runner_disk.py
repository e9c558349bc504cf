"""A folder on a runner that is thrown away is refused by publish; init asks, or says where to publish."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.authoring import builder
from support.workflows import git

from registry_builder.authoring.github import write_workflows
from registry_builder.authoring.scaffold import init_tree
from registry_builder.publication.runner_disk import check_disk
from registry_builder.source.config import RealmSection, read_config
from registry_builder.source.storage_choice import storage_choice
from sealdex.errors import ConfigError, UsageError


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry as checked out on a runner of GitHub's."""
    root = tmp_path / "work"
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    assert builder("init", root, "--dev-keys", "--name", "acme") == 0
    git(root, "init", "--quiet")
    git(root, "add", "registry.toml")
    for name, value in (("GITHUB_ACTIONS", "true"), ("GITHUB_WORKSPACE", str(root)), ("CI", "true")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RUNNER_ENVIRONMENT", "github-hosted")
    return root


def test_publishing_onto_a_disk_that_is_thrown_away_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert builder("--tree", checkout, "publish") == 1
    said = capsys.readouterr().err
    assert "discarded after the job" in said
    for way in ("s3://BUCKET/PREFIX", "pages:published", "folder_in_ci = true", "--folder-in-ci"):
        assert way in said
    assert not (checkout / "published").exists()
    assert builder("--tree", checkout, "publish", "--dry-run") == 0
    assert builder("--tree", checkout, "publish", "--folder-in-ci", "--first-publish") == 2
    assert builder("--tree", checkout, "publish", "--folder-in-ci") == 0
    config = checkout / "registry.toml"
    stated = 'storage = "folder:published"\nfolder_in_ci = true'
    config.write_text(config.read_text(encoding="utf-8").replace('storage = "folder:published"', stated))
    assert builder("--tree", checkout, "publish") == 0


@pytest.mark.parametrize(
    ("storage", "changed"),
    [
        ("s3://bucket/prefix", {}),
        ("folder:published", {"GITHUB_ACTIONS": ""}),
        ("folder:published", {"RUNNER_ENVIRONMENT": "self-hosted"}),
        ("folder:published", {"GITHUB_WORKSPACE": ""}),
        ("folder:/srv/registry", {}),
        ("folder:../elsewhere", {}),
    ],
)
def test_what_stays_is_not_refused(checkout: Path, storage: str, changed: dict[str, str]) -> None:
    check_disk(checkout, "public", RealmSection(storage=storage), {**os.environ, **changed})


def test_a_registry_that_the_job_made_itself_is_not_refused(checkout: Path) -> None:
    git(checkout, "rm", "--quiet", "--cached", "registry.toml")
    check_disk(checkout, "public", read_config(checkout).realms["public"])
    # without git nobody can tell, so it is refused, with a way on
    shutil.rmtree(checkout / ".git")
    with pytest.raises(ConfigError, match="discarded after the job"):
        check_disk(checkout, "public", read_config(checkout).realms["public"])


def test_init_says_that_the_workflow_will_refuse_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder("init", tmp_path / "a", "--github") == 0
    assert "publish.yml will refuse" in capsys.readouterr().err
    for number, storage in enumerate(("s3://bucket/prefix", "folder:published")):
        assert builder("init", tmp_path / str(number), "--github", "--storage", storage) == 0
        assert "publish.yml will refuse" not in capsys.readouterr().err
        assert read_config(tmp_path / str(number)).realms["public"].storage == storage
    assert read_config(tmp_path / "1").realms["public"].folder_in_ci
    assert builder("init", tmp_path / "a", "--github", "--storage", "pages") == 2


@pytest.mark.parametrize("storage", ["ftp://x", "folder:", "pages:", "s3://", "published"])
def test_init_takes_no_storage_that_is_none(tmp_path: Path, storage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder("init", tmp_path / "a", "--storage", storage) == 2
    assert not (tmp_path / "a").exists()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/Acme/Plugins.git", "https://acme.github.io/Plugins/"),
        ("git@github.com:acme/plugins.git", "https://acme.github.io/plugins/"),
        ("ssh://git@github.com/acme/plugins", "https://acme.github.io/plugins/"),
        ("https://github.com/acme/acme.github.io", "https://acme.github.io/"),
    ],
)
def test_the_address_of_a_site_on_pages_is_told_by_the_remote(tmp_path: Path, remote: str, url: str) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", remote)
    assert storage_choice(tmp_path, "pages", None) == ("pages:published", url)
    assert storage_choice(tmp_path / "not" / "there", "pages", None)[1] == url
    assert storage_choice(tmp_path, "pages:site", "https://x.example/") == ("pages:site", "https://x.example/")
    git(tmp_path, "remote", "set-url", "origin", "https://gitlab.com/acme/plugins")
    with pytest.raises(UsageError, match="can't be determined"):
        storage_choice(tmp_path, "pages", None)


def test_a_person_at_a_terminal_is_asked_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = iter(["s3", "s3://bucket/prefix"])

    def prompt(text: str, **_: object) -> str:
        asked.append(text)
        return next(answers)

    monkeypatch.setattr("click.prompt", prompt)
    assert builder("init", tmp_path / "piped", "--github") == 0
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("CI", "true")
    assert builder("init", tmp_path / "ci", "--github") == 0
    monkeypatch.delenv("CI")
    assert builder("init", tmp_path / "without", "--name", "x") == 0
    assert asked == []
    assert builder("init", tmp_path / "asked", "--github") == 0
    assert len(asked) == 2
    assert read_config(tmp_path / "asked").realms["public"].storage == "s3://bucket/prefix"


def test_a_repository_has_one_site(tmp_path: Path) -> None:
    init_tree(tmp_path, name="acme", storage="pages", url="https://acme.github.io/x/")
    config = tmp_path / "registry.toml"
    more = '[realms.team]\nstorage = "pages:team"\nurl = "https://acme.github.io/y/"\n\n[roles.root]'
    config.write_text(config.read_text(encoding="utf-8").replace("[roles.root]", more))
    with pytest.raises(ConfigError, match="one site"):
        write_workflows(tmp_path, version="0.1.0")
