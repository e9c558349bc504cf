"""The generated workflows of a registry on GitHub Pages, their steps run as written, each job on an empty disk."""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.authoring import builder
from support.components import at_clock, program
from support.later_clock import later_clock
from support.pages_site import PagesFiles
from support.tree_server import TreeServer
from support.workflows import GitHub, Job, Scene, git

from registry_builder.authoring.github import write_workflows
from registry_builder.authoring.scaffold import init_tree
from registry_builder.signing.dev_keys import make_dev_trust

ONLINE = ("online", "packages", "catalog")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A registry with its workflows on ``main``, nothing deployed yet."""
    keys = tmp_path / "keys"
    monkeypatch.setenv("SEALDEX_KEYS", str(keys))
    clone, site = tmp_path / "clone", dict[str, bytes]()
    with TreeServer(PagesFiles(site)) as server:
        init_tree(clone, name="acme", storage="pages", url=f"{server.url}/")
        write_workflows(clone, version="0.1.0")
        make_dev_trust(clone)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path in keys.rglob("*.pem"):
                if path.stem in ONLINE:
                    archive.add(path, path.name)
        secrets = {"SEALDEX_ONLINE_KEYS": base64.b64encode(packed.getvalue()).decode()}
        github = GitHub(tmp_path, "acme/registry", secrets=secrets, site=site)
        git(clone, "init", "--quiet", "--initial-branch=main")
        git(clone, "remote", "add", "origin", str(github.remote))
        made = Scene(github, clone, server.url, later_clock(tmp_path / "clock"))
        made.push("A registry")
        yield made


def release(scene: Scene, version: str) -> None:
    """Merge a release of acme/slack."""
    folder = scene.clone / "plugins/acme/slack"
    if not folder.exists():
        assert builder("--tree", scene.clone, "new", "notify", "acme/slack") == 0
    about = folder / "release.yaml"
    about.write_text(re.sub(r"(?m)^version:.*$", f"version: {version}", about.read_text(encoding="utf-8")))
    assert builder("pack", folder) == 0
    archive = folder / f"dist/{version}/slack-{version}.zip"
    assert builder("--tree", scene.clone, "release", archive) == 0
    scene.push(f"Release {version}")


def client(scene: Scene, folder: Path, *args: str, days: int = 0) -> None:
    """Run one command of a client that keeps what it knows."""
    environment = {**os.environ, "SEALDEX_CONFIG": str(folder / "config.toml"), "SEALDEX_STORE": str(folder / "store")}
    before = at_clock(f"+{days}d") if days else []
    command = [*before, str(Path(sys.executable).with_name("sealdex")), *args]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def deployed(job: Job) -> bool:
    return any("actions/deploy-pages" in used for used in job.uses)


@pytest.mark.slow
def test_deployed_twice_and_refreshed_from_empty_runners_with_one_client_following(
    scene: Scene, tmp_path: Path
) -> None:
    github, agent = scene.github, tmp_path / "agent"
    # a push isn't a person who says that nothing was ever deployed
    refused = github.run("publish.yml", "push")["publish"]
    assert refused.result == "failure"
    assert "first_publish" in refused.output
    assert (deployed(refused), github.site) == (False, {})

    release(scene, "1.0.0")
    first = github.run_by_hand("publish.yml", first_publish="true")["publish"]
    assert first.result == "success", first.output
    root = str(scene.clone / "trust/public/1.root.json")
    client(scene, agent, "registry", "add", "acme", f"{scene.url}/", "--root", root)
    client(scene, agent, "install", "acme/slack")
    assert (agent / "store/plugins/acme/slack/1.0.0").is_dir()

    release(scene, "1.1.0")
    second = github.run("publish.yml", "push")["publish"]
    assert second.result == "success", second.output
    assert "new release `acme/slack 1.1.0`" in second.summary
    client(scene, agent, "install", "acme/slack@1.1.0")
    client(scene, tmp_path / "other", "registry", "add", "acme", f"{scene.url}/", "--root", root)
    client(scene, tmp_path / "other", "install", "acme/slack@1.0.0")  # what was there before is there

    # once more by hand, as if nothing were there: the live registry stays
    before = dict(github.site)
    again = github.run_by_hand("publish.yml", first_publish="true")["publish"]
    assert (again.result, deployed(again), github.site) == ("failure", False, before)

    # five days later timestamp is due: the refresh deploys it, pages and all
    github.only = ("refresh", "status")
    jobs = github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="5")
    assert {jobs[name].result for name in github.only} == {"success"}, jobs["refresh"].output
    assert deployed(jobs["refresh"])
    assert {key for key in before if not key.startswith("metadata/")} <= set(github.site)
    client(scene, agent, "update", days=9)
    # a day after that nothing is due, and nothing is deployed
    jobs = github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="6")
    assert (jobs["refresh"].result, deployed(jobs["refresh"])) == ("success", False), jobs["refresh"].output


def test_one_at_a_time_with_the_least_of_rights(scene: Scene) -> None:
    flows = {
        name: yaml.safe_load((scene.clone / f".github/workflows/{name}.yml").read_text(encoding="utf-8"))
        for name in ("publish", "refresh")
    }
    for name, flow in flows.items():
        assert flow["concurrency"] == {"group": "sealdex-pages", "cancel-in-progress": False}
        job = flow["jobs"][name]
        assert job["environment"] == "github-pages"
        assert job["permissions"] == {"contents": "read", "id-token": "write", "pages": "write"}
        used = [step["uses"] for step in job["steps"] if "pages" in step.get("uses", "")]
        assert [re.sub("[0-9a-f]{40}", "PIN", each) for each in used] == [
            "actions/upload-pages-artifact@PIN",
            "actions/deploy-pages@PIN",
        ]
    others = [job for flow in flows.values() for name, job in flow["jobs"].items() if name not in flows]
    assert not any("pages" in job["permissions"] for job in others)


def test_zizmor_finds_nothing(scene: Scene) -> None:
    zizmor = program(str(Path(sys.executable).with_name("zizmor")), "pip install --group dev")
    command = [zizmor, "--offline", "--quiet", "--persona=pedantic", str(scene.clone)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
