"""The generated workflows, their steps run as written: pull request, merge, publish, install, refresh, attacks."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from support.authoring import builder
from support.components import at_clock
from support.s3_server import S3Server
from support.workflows import Job, Scene, git


def make_plugin(folder: Path, plugin: str) -> Path:
    """Return a folder as an author's own repository has it."""
    scratch = folder / "scratch"
    assert builder("init", scratch) == 0
    assert builder("--tree", scratch, "new", "notify", plugin) == 0
    made = folder / "author"
    shutil.copytree(scratch / "plugins" / plugin, made)
    shutil.rmtree(scratch)
    return made


def release(scene: Scene, folder: Path, plugin: str, **inputs: str) -> Job:
    """Release a plugin from its author's repository, by the registry's action, with a token that has no right on it."""
    return scene.github.use_action("action.yml", {"plugin": plugin, "token": "fork:author", **inputs}, folder)


def fork_of(scene: Scene) -> Path:
    return scene.github.place / "remotes/author/registry"


def fetch(scene: Scene, branch: str) -> None:
    """Bring the branch of a fork into the registry's repository, as GitHub does for a pull request."""
    git(scene.github.remote, "fetch", "--quiet", str(fork_of(scene)), f"+{branch}:{branch}")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def merge(scene: Scene, branch: str) -> None:
    git(scene.clone, "pull", "--quiet", "--no-rebase", "--no-edit", "origin", branch)
    scene.push(f"Merge {branch}")


def install(scene: Scene, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Add the registry to a new client and install from it."""
    client = str(Path(sys.executable).with_name("sealdex"))
    environment = {**os.environ, "SEALDEX_CONFIG": str(folder / "config.toml"), "SEALDEX_STORE": str(folder / "store")}
    root = str(scene.clone / "trust/public/1.root.json")
    done = subprocess.CompletedProcess([], 0, "", "")
    for args in (["registry", "add", "acme", f"{scene.url}/", "--root", root], ["install", "acme/slack"]):
        if done.returncode == 0:
            command = [*before, client, *args]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done


@pytest.mark.slow
def test_from_a_pull_request_to_an_installation_and_a_refresh(
    scene: Scene, tmp_path: Path, s3_server: S3Server
) -> None:
    github = scene.github
    first = github.run("publish.yml", "push")["publish"]
    assert first.result == "success", first.output

    # an author's repository opens the pull request; a second time it changes nothing
    folder = make_plugin(tmp_path, "acme/slack")
    released = release(scene, folder, "acme/slack")
    assert released.result == "success", released.output
    (pull,) = github.known["pulls"]
    assert (pull["head"], pull["title"]) == ("release/acme/slack/0.1.0", "Release acme/slack 0.1.0")
    assert pull["fork"] == "author"
    assert git(github.remote, "branch", "--list", "release/*") == ""
    fetch(scene, pull["head"])
    assert git(github.remote, "ls-tree", "-r", "--name-only", "release/acme/slack/0.1.0", "plugins").splitlines() == [
        "plugins/.gitkeep",
        "plugins/acme/slack/README.md",
        "plugins/acme/slack/dist/0.1.0/slack-0.1.0.zip",
        "plugins/acme/slack/plugin.yaml",
        "plugins/acme/slack/release.yaml",
        "plugins/acme/slack/releases/0.1.0.json",
    ]

    # the pull request is validated without secrets, and its summary says what merging it publishes
    validated = github.run_of_fork("validate.yml", "release/acme/slack/0.1.0")["validate"]
    assert validated.result == "success", validated.output
    assert "0 errors" in validated.summary
    assert "new release `acme/slack 0.1.0`" in validated.summary
    assert not any("aws-actions" in used for used in validated.uses)

    merge(scene, "release/acme/slack/0.1.0")
    published = github.run("publish.yml", "push")["publish"]
    assert published.result == "success", published.output
    assert "new release `acme/slack 0.1.0`" in published.summary
    done = install(scene, tmp_path / "agent")
    assert done.returncode == 0, done.stderr
    again = release(scene, folder, "acme/slack")
    assert "already released" in again.output
    assert len(github.known["pulls"]) == 1

    # five days later nobody has published, and timestamp is within its window: the schedule signs it anew
    late = install(scene, tmp_path / "late", *at_clock("+9d"))
    assert late.returncode == 4
    assert "expired" in late.stderr
    jobs = github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="5")
    assert {job.result for job in jobs.values()} == {"success"}, jobs["refresh"].output
    assert github.known["issues"] == []
    assert git(github.remote, "branch", "--list", "sign/*") == ""
    done = install(scene, tmp_path / "later", *at_clock("+9d"))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_one_issue_says_what_is_missing_until_it_is_there(scene: Scene) -> None:
    github = scene.github
    assert github.run("publish.yml", "push")["publish"].result == "success"

    # nothing is due now, but the secret with the keys is gone: the issue says so before the day that needs them
    secrets, github.secrets = github.secrets, {}
    jobs = github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="1")
    assert {job.result for job in jobs.values()} == {"success"}, jobs["status"].output
    (issue,) = github.known["issues"]
    for role, key in (("packages", "packages"), ("timestamp", "online")):
        assert f"realm public, `{role}` needs 1 key(s), 0 can sign: `{key}`:" in issue["body"]
    assert issue["open"]
    assert "signing window" not in issue["body"]
    github.secrets = secrets

    # ten months later the offline roles are due: people must sign, and the same issue says so until they have
    jobs = github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="310")
    assert jobs["status"].result == "success", jobs["status"].output
    (issue,) = github.known["issues"]
    assert issue["open"]
    assert issue["edits"] == 1
    assert "| root | 1 |" in issue["body"]
    assert "**within its signing window**" in issue["body"]
    # nobody refreshed meanwhile, but what has expired could be shown to be the newest
    assert "The refresh failed" not in issue["body"]
    assert "**expired**" not in issue["body"]
    assert "Keys that are missing" not in issue["body"]
    # the ceremony that they sign is started, once
    github.only = ("renew",)
    jobs = github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="310")
    assert jobs["renew"].result == "success", jobs["renew"].output
    github.only = ()
    (asked,) = github.known["dispatched"]
    assert asked["workflow"] == "sign.yml"
    (branch,) = git(github.remote, "branch", "--list", "sign/*").split()
    assert branch == f"sign/{asked['inputs']['ceremony']}"
    added = git(github.remote, "diff", "--name-only", "main", branch).splitlines()
    assert [Path(path).name for path in added] == ["plan.json", "2.root.json", "2.targets.json"]
    github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="1")
    assert not github.known["issues"][0]["open"]


@pytest.mark.slow
def test_what_expired_over_the_holidays_is_revived_or_left_to_a_person(
    scene: Scene, s3_server: S3Server, tmp_path: Path
) -> None:
    """Attack: the cache was dropped while no schedule ran, and whoever can write to the bucket put old files back."""
    github, client = scene.github, s3_server.client()
    bucket, _, prefix = scene.url.removeprefix(f"{s3_server.endpoint}/").partition("/")
    key = f"{prefix}/metadata/timestamp.json"
    assert github.run("publish.yml", "push")["publish"].result == "success"
    github.only = ("refresh", "status")
    jobs = github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="20")
    assert {jobs[name].result for name in github.only} == {"success"}, jobs["refresh"].output
    assert github.known["issues"] == []

    shutil.rmtree(github.place / "cache")
    before = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    jobs = github.run("refresh.yml", "schedule", **scene.later, TEST_DAYS="40")
    assert jobs["refresh"].result == "failure"
    assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == before
    (issue,) = github.known["issues"]
    assert "**expired**" in issue["body"]
    assert "The refresh failed" in issue["body"]
    assert "this machine doesn't remember" in issue["body"].replace("\\", "")
    assert "sealdex-builder refresh --allow-expired" in issue["body"].replace("\\", "")


def test_the_action_attaches_where_it_was_built(scene: Scene, tmp_path: Path) -> None:
    """Whoever runs it has no name that git knows; a pull request that was closed, or is a fork's, isn't taken for this
    one's; and once it is merged another run, with another statement of another build, changes nothing."""
    github, branch = scene.github, "release/acme/slack/0.1.0"
    folder = make_plugin(tmp_path, "acme/slack")
    released = release(scene, folder, "acme/slack", provenance="true")
    assert released.result == "success", released.output
    (used,) = [each for each in released.uses if "provenance" in each]
    assert used.startswith("actions/attest-build-provenance@")
    fetch(scene, branch)
    base = f"{branch}:plugins/acme/slack"
    (name,) = git(github.remote, "ls-tree", "--name-only", f"{base}/status").split()
    event = json.loads(git(github.remote, "show", f"{base}/status/{name}"))
    assert (event["action"], event["kind"], event["by"]) == ("attest", "sigstore-bundle", "acme/registry")
    attached = git(github.remote, "show", f"{base}/attachments/0.1.0/{event['name']}")
    archive = folder.parent / "archive.zip"
    archive.write_bytes(
        subprocess.run(
            ["git", "-C", str(github.remote), "show", f"{base}/dist/0.1.0/slack-0.1.0.zip"],
            capture_output=True,
            check=True,
        ).stdout
    )
    payload = json.loads(attached)["dsseEnvelope"]["payload"]
    assert json.loads(base64.b64decode(payload))["subject"][0]["digest"]["sha256"] == digest(archive)

    known = github.known
    (pull,) = known["pulls"]
    github.know({**known, "pulls": [{**pull, "open": False}, {**pull, "fork": "stranger"}]})
    assert release(scene, folder, "acme/slack", provenance="true").result == "success"
    assert [pull["head"] for pull in github.known["pulls"]] == [branch] * 3
    # its own earlier attempt, with the statement of another build, was added to
    assert git(fork_of(scene), "rev-list", "--count", f"main..{branch}") == "3"
    fetch(scene, branch)
    merge(scene, branch)
    again = release(scene, folder, "acme/slack", provenance="true")
    assert again.result == "success"
    assert "already released" in again.output


def test_the_action_says_why_a_plugin_cannot_be_packed_or_released(scene: Scene, tmp_path: Path) -> None:
    folder = make_plugin(tmp_path, "acme/slack")
    template = folder / "release.yaml"
    text = template.read_text()
    for wrong, said in (
        (text.replace("notify:Plugin", "slack:Plugin"), "there is no module 'slack'"),
        (text.replace("version: 0.1.0", "version: nonsense"), "must be a semantic version"),
        (f"{text}license: nonsense\nchannel: '*'\n", "channel"),
    ):
        template.write_text(wrong)
        done = release(scene, folder, "acme/slack")
        assert done.result == "failure"
        assert said in done.output
        assert "KeyError" not in done.output
    assert "pulls" not in scene.github.known or scene.github.known["pulls"] == []


@pytest.mark.slow
def test_where_release_yaml_names_images_alone_nothing_is_packed(scene: Scene, tmp_path: Path) -> None:
    folder = make_plugin(tmp_path, "acme/slack")
    image = f"harbor.example/acme/slack@sha256:{'ab' * 32}"
    (folder / "release.yaml").write_text(f"version: 0.1.0\nartifacts:\n  - image: {image}\n")
    done = release(scene, folder, "acme/slack", artifacts="release-assets", tag="v0.1.0", provenance="true")
    assert done.result == "success", done.output
    assert not any("attest-build-provenance" in each for each in done.uses)
    assert not (scene.github.place / "assets/v0.1.0").exists()
    branch = "release/acme/slack/0.1.0"
    listed = git(fork_of(scene), "ls-tree", "-r", "--name-only", branch, "plugins/acme/slack/")
    assert {line.rpartition("/")[2] for line in listed.splitlines()} == {
        "0.1.0.json", "README.md", "plugin.yaml", "release.yaml",
    }  # fmt: skip
    made = json.loads(git(fork_of(scene), "show", f"{branch}:plugins/acme/slack/releases/0.1.0.json"))
    assert [each["source"] for each in made["artifacts"]] == [f"oci:{image}"]


def test_without_any_token_archives_are_assets_and_the_release_a_patch(scene: Scene, tmp_path: Path) -> None:
    """Attack: a tag is moved, or an asset exchanged, and the workflow run again: what a published release names by its
    digest is never replaced."""
    folder = make_plugin(tmp_path, "acme/slack")
    (folder / "README.zh.md").write_text("# 你好\n", encoding="utf-8")
    given = {"token": "", "artifacts": "release-assets", "tag": "v0.1.0"}
    released = release(scene, folder, "acme/slack", **given)
    assert released.result == "success", released.output
    assert "No token was given" in released.summary
    patch = scene.github.place / "artifacts/sealdex-release/sealdex-release.patch"
    git(scene.clone, "am", "--quiet", str(patch))
    base = scene.clone / "plugins/acme/slack"
    written = {"README.md", "README.zh.md", "plugin.yaml", "release.yaml", "releases"}
    assert {path.name for path in base.iterdir()} == written
    (artifact,) = json.loads((base / "releases/0.1.0.json").read_text())["artifacts"]
    assert artifact["source"] == "https://github.com/acme/registry/releases/download/v0.1.0/slack-0.1.0.zip"
    asset = scene.github.place / "assets/v0.1.0/slack-0.1.0.zip"
    assert (digest(asset), asset.stat().st_size) == (artifact["sha256"], artifact["size"])
    assert git(scene.github.remote, "branch", "--format=%(refname:short)") == "main"
    assert "pulls" not in scene.github.known or scene.github.known["pulls"] == []

    (folder / "src/notify.py").write_text("class Plugin:\n    changed = True\n")
    again = release(scene, folder, "acme/slack", **given)
    assert again.result == "failure"
    assert "has other bytes under the name slack-0.1.0.zip" in again.output
    assert digest(asset) == artifact["sha256"]
    untagged = release(scene, folder, "acme/slack", **{**given, "tag": "v1/../../x"})
    assert untagged.result == "failure"
    assert "run it for a tag, or give one" in untagged.output


@pytest.mark.slow
def test_several_platforms_are_packed_each_on_its_own_and_released_as_one(scene: Scene, tmp_path: Path) -> None:
    folder = make_plugin(tmp_path, "acme/slack")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "A plugin")
    labels = ["os=linux,arch=amd64", "os=darwin,arch=arm64"]
    platforms = [{"runner": "ubuntu-24.04", "labels": each} for each in labels]
    inputs = {
        "plugin": "acme/slack",
        "platforms": json.dumps(platforms),
        "build": 'printf %s "$LABELS" > src/built-for.txt',
    }
    jobs = scene.github.call("release-plugin.yml", folder, inputs, {"token": "fork:author"})
    assert jobs["pack"].result == "success", jobs["pack"].output
    assert jobs["release"].result == "success", jobs["release"].output
    assert jobs["release"].outputs == {"version": "0.1.0"}
    assert len([each for each in jobs["release"].uses if "attest-build-provenance" in each]) == 1
    branch = "release/acme/slack/0.1.0"
    made = json.loads(git(fork_of(scene), "show", f"{branch}:plugins/acme/slack/releases/0.1.0.json"))
    found = {each["selector"]["match_labels"]["os"]: each["source"].rpartition("/")[2] for each in made["artifacts"]}
    assert found == {"linux": "slack-0.1.0-linux-amd64.zip", "darwin": "slack-0.1.0-darwin-arm64.zip"}
    for label, name in zip(labels, (found["linux"], found["darwin"]), strict=True):
        with zipfile.ZipFile(scene.github.place / "assets/v1" / name) as archive:
            assert archive.read("built-for.txt").decode() == label
    assert [pull["fork"] for pull in scene.github.known["pulls"]] == ["author"]
    bad = scene.github.call("release-plugin.yml", folder, {**inputs, "build": "exit 3"}, {"token": "fork:author"})
    assert (bad["pack"].result, bad["release"].result) == ("failure", "skipped")


def run_step(tree: Path, job: str, step: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """Run one step of release-plugin.yml by itself; return its exit code, what it printed, and its outputs."""
    workflow = yaml.safe_load((tree / ".github/workflows/release-plugin.yml").read_text())
    (script,) = [each["run"] for each in workflow["jobs"][job]["steps"] if each.get("name") == step]
    outputs = folder / "outputs"
    outputs.write_text("")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {"PATH": path, "RUNNER_TEMP": str(folder / "temp"), "GITHUB_OUTPUT": str(outputs), **environment}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], cwd=folder, env=given, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr, outputs.read_text()


def test_what_platforms_pack_meets_without_loss(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    assert builder("init", tree, "--github") == 0
    packed = tmp_path / "temp/packed"
    for index, labels in enumerate(("os=linux", "os=darwin")):
        (packed / str(index)).mkdir(parents=True)
        (packed / str(index) / f"tool-{index}.zip").write_bytes(b"x")
        (packed / str(index) / f"tool-{index}.zip.labels").write_text(labels)
    code, said, outputs = run_step(tree, "release", "List what was packed", tmp_path)
    assert code == 0, said
    assert outputs.splitlines()[1:3] == [f"{packed}/0/tool-0.zip:os=linux", f"{packed}/1/tool-1.zip:os=darwin"]
    # named alike by the command that made them
    for name in ("tool-0.zip", "tool-0.zip.labels"):
        shutil.copy(packed / "0" / name, packed / "1")
    code, said, outputs = run_step(tree, "release", "List what was packed", tmp_path)
    assert (code, outputs) == (2, "")
    assert "two platforms have an archive of the name tool-0.zip" in said
    shutil.rmtree(packed)
    code, said, outputs = run_step(tree, "release", "List what was packed", tmp_path)
    assert (code, len(outputs.splitlines())) == (0, 2), said


def test_a_platform_packs_nothing_where_release_yaml_names_images_alone(tmp_path: Path) -> None:
    folder = make_plugin(tmp_path, "acme/slack")
    tree = tmp_path / "tree"
    assert builder("init", tree, "--github") == 0
    shutil.copytree(tree, tmp_path / ".sealdex-registry")
    given = {"ARCHIVES": "", "FOLDER": str(folder), "INDEX": "0", "LABELS": "os=linux", "PLUGIN": "acme/slack"}
    code, said, outputs = run_step(tree, "pack", "Pack", tmp_path, **given)
    assert (code, outputs) == (0, "packed=true\n"), said
    assert (tmp_path / "temp/packed/0/slack-0.1.0-linux.zip").is_file()
    shutil.rmtree(tmp_path / "temp")
    (folder / "release.yaml").write_text(f"version: 0.1.0\nartifacts:\n  - image: h.example/a@sha256:{'ab' * 32}\n")
    code, said, outputs = run_step(tree, "pack", "Pack", tmp_path, **given)
    assert (code, outputs) == (0, ""), said
    assert "release.yaml names container images alone" in said
    # archives that a command made, in folders of their own
    for system in ("a", "b"):
        (folder / "dist" / system).mkdir(parents=True)
        (folder / "dist" / system / "tool.zip").write_text(system)
    code, said, outputs = run_step(tree, "pack", "Pack", tmp_path, **{**given, "ARCHIVES": "dist/a/*.zip"})
    assert (code, outputs) == (0, "packed=true\n"), said
    assert (tmp_path / "temp/packed/0/tool.zip.labels").read_text() == "os=linux"
    shutil.rmtree(tmp_path / "temp")
    code, said, outputs = run_step(tree, "pack", "Pack", tmp_path, **{**given, "ARCHIVES": "dist/*/tool.zip"})
    assert (code, outputs) == (2, ""), said
    assert "two files have the name tool.zip" in said


def test_a_token_without_rights_on_the_registry_pushes_nothing_there(scene: Scene, tmp_path: Path) -> None:
    folder = make_plugin(tmp_path, "acme/slack")
    done = release(scene, folder, "acme/slack", fork="acme/registry")
    assert done.result == "failure"
    assert "git push" in done.output
    assert git(scene.github.remote, "branch", "--format=%(refname:short)") == "main"
    mighty = {"token": "a person's", "fork": "acme/registry"}
    assert release(scene, folder, "acme/slack", **mighty).result == "success"
    assert "release/acme/slack/0.1.0" in git(scene.github.remote, "branch", "--format=%(refname:short)")


def test_a_publisher_that_remembers_refuses_a_bucket_that_was_put_back(
    scene: Scene, s3_server: S3Server, tmp_path: Path
) -> None:
    """Attack: whoever can write to the bucket puts last week's timestamp back, validly signed, so that the next
    publish builds on it. The workflow's cache remembers the newer one; the run stops, and the bucket is as it was."""
    github, client = scene.github, s3_server.client()
    bucket, _, prefix = scene.url.removeprefix(f"{s3_server.endpoint}/").partition("/")
    key = f"{prefix}/metadata/timestamp.json"
    first = github.run("publish.yml", "push")["publish"]
    assert first.result == "success", first.output
    old = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    release(scene, make_plugin(tmp_path, "acme/slack"), "acme/slack")
    fetch(scene, "release/acme/slack/0.1.0")
    merge(scene, "release/acme/slack/0.1.0")
    second = github.run("publish.yml", "push")["publish"]
    assert second.result == "success", second.output
    client.put_object(Bucket=bucket, Key=key, Body=old)
    attacked = github.run("publish.yml", "push")["publish"]
    assert attacked.result == "failure"
    assert "SECURITY" in attacked.output
    assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == old


_EVIL = "$(touch PWNED)`touch PWNED`';touch PWNED;'\"${{ secrets.X }} | <img src=x onerror=alert(1)> ![x](http://evil)"


def test_nothing_in_a_pull_request_is_run_or_becomes_part_of_the_page(scene: Scene, tmp_path: Path) -> None:
    """Attack: whoever may open a pull request puts shell, Python that the workflow would import, and HTML into every
    place that a workflow looks at. Validation says what is wrong, nothing runs, and the summary shows it as text."""
    scene.github.run("publish.yml", "push")
    ran = tmp_path / "ran-by-import"
    for name in ("pip.py", "pip/__main__.py", "sitecustomize.py", "registry_builder/__init__.py", "click.py"):
        path = scene.clone / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(ran)!r}, 'w')\nraise SystemExit(0)\n")
    folder = scene.clone / "plugins" / "acme" / "evil"
    (folder / "releases").mkdir(parents=True)
    (folder / "plugin.yaml").write_text(
        f"type: notify\nsummary: {_EVIL!r}\nlicense: {_EVIL!r}\nkeywords: [{_EVIL!r}]\n"
    )
    (folder / "releases" / "`touch PWNED`.json").write_text("{}")
    (folder / "releases" / "1.0.0.json").write_text(
        '{"version": "1.0.0; touch PWNED", "entry_point": "$(touch PWNED)"}'
    )
    branch = "x-$(touch${IFS}PWNED)"
    scene.push(_EVIL, branch)
    validated = scene.github.run("validate.yml", "pull_request", branch)["validate"]
    assert validated.result == "failure"
    assert "errors" in validated.summary
    assert not ran.exists()
    assert list(tmp_path.rglob("PWNED")) == []
    assert "<img" not in validated.summary
    assert "![x]" not in validated.summary


@pytest.mark.parametrize("plugin", ["../../../x/y", "acme/$(touch PWNED)"])
def test_the_action_takes_a_plugin_id_and_nothing_else(scene: Scene, tmp_path: Path, plugin: str) -> None:
    """Attack: a value that somebody else chose reaches the action's input; it never becomes a path or a command."""
    folder = make_plugin(tmp_path, "acme/slack")
    job = release(scene, folder, plugin)
    assert job.result == "failure"
    assert "plugin must be namespace/name" in job.output
    assert list(tmp_path.rglob("PWNED")) == []
    assert git(scene.github.remote, "branch", "--list").split() == ["*", "main"]


def test_a_job_whose_role_is_refused_shows_its_claims_and_publishes_nothing(scene: Scene) -> None:
    github = scene.github
    github.of_environment["publish"] = {"SEALDEX_AWS_ROLE": "arn:aws:iam::000000000000:role/of-publish"}
    github.refuses_role, github.token_url = True, "http://127.0.0.1:9/none?"
    refused = github.run("publish.yml", "push")["publish"]
    assert refused.result == "failure"
    assert github.roles == ["arn:aws:iam::000000000000:role/of-publish"]
    assert "$ sealdex-builder cloud claims" in refused.output
    assert "GitHub gave no token for this job" in refused.output  # nobody answers there
    assert "bearer-of-job" not in refused.output
    assert "--require-all" not in refused.output
