"""Signing events: the steps of the generated workflows, run as written, with two signers on machines of their own."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from support.authoring import builder
from support.workflows import Job, Scene, git

PROGRAMS = Path(sys.executable).parent


class Signer:
    """A person with a clone, a key folder and a passphrase of their own; their keys are moved there, encrypted."""

    def __init__(self, scene: Scene, name: str, *keys: str) -> None:
        self.name = name
        self.clone = scene.github.place / f"{name}s-clone"
        folder = scene.github.place / f"{name}s-keys"
        folder.mkdir()
        self.environment = {
            "SEALDEX_KEYS": str(folder),
            "SEALDEX_KEY_PASSPHRASE": f"the passphrase of {name}",
        }
        for key in keys:
            path = scene.github.place / "keys" / f"{key}.pem"
            private = load_pem_private_key(path.read_bytes(), None)
            encryption = BestAvailableEncryption(self.environment["SEALDEX_KEY_PASSPHRASE"].encode())
            (folder / path.name).write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
            path.unlink()
        git(scene.github.place, "clone", "--quiet", str(scene.github.remote), str(self.clone))
        git(self.clone, "config", "user.name", name)
        git(self.clone, "config", "user.email", f"{name}@example.org")

    def run(self, *args: str) -> str:
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            for name, value in self.environment.items():
                patch.setenv(name, value)
            assert builder("--tree", self.clone, *args) == 0, f"{args}\n{said.getvalue()}"
        return said.getvalue()

    def push(self, branch: str) -> None:
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "--quiet", "--message", f"By {self.name}")
        git(self.clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")


def event(scene: Scene, branch: str) -> dict[str, Job]:
    """What GitHub does when that branch is pushed: the jobs of sign.yml on main."""
    pushed = scene.github.run("sign.yml", "push", branch)
    assert [(name, job.result) for name, job in pushed.items() if job.result != "skipped"] == [("pushed", "success")]
    assert pushed["pushed"].uses == []  # it never has the branch
    (asked,) = (each for each in scene.github.known["dispatched"] if each["workflow"] == "sign.yml")
    assert asked == {"workflow": "sign.yml", "ref": "main", "inputs": {"ceremony": branch.removeprefix("sign/")}}
    return scene.github.run_dispatched("sign.yml")


def results(jobs: dict[str, Job]) -> dict[str, str]:
    return {name: job.result for name, job in jobs.items() if job.result != "skipped"}


def main_of(scene: Scene) -> str:
    return git(scene.github.remote, "rev-parse", "main")


@pytest.mark.slow
def test_two_people_change_a_root_key_and_clients_follow(scene: Scene, tmp_path: Path) -> None:
    github = scene.github
    assert builder("--tree", scene.clone, "new", "notify", "acme/slack") == 0
    plugin = scene.clone / "plugins/acme/slack"
    assert builder("pack", plugin) == 0
    assert builder("--tree", scene.clone, "release", plugin / "dist/0.1.0/slack-0.1.0.zip") == 0
    shutil.rmtree(plugin / "src")
    scene.push("A plugin")
    assert results(github.run("publish.yml", "push")) == {"publish": "success"}
    agent = {
        **os.environ,
        "SEALDEX_CONFIG": str(tmp_path / "agent/config.toml"),
        "SEALDEX_STORE": str(tmp_path / "agent/store"),
    }

    def client(*args: str) -> None:
        done = subprocess.run(
            [str(PROGRAMS / "sealdex"), *args], env=agent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    client("registry", "add", "acme", f"{scene.url}/", "--root", str(scene.clone / "trust/public/1.root.json"))
    client("install", "acme/slack")

    # the public half of the new key comes to main first, as anything does
    kim, kai = Signer(scene, "kim", "root-1"), Signer(scene, "kai", "root-2")
    kim.run("keys", "create", "root-3")
    kim.push("main")
    git(kim.clone, "switch", "--quiet", "--create", "sign/new-laptop")
    kim.run("ceremony", "start", "new-laptop", "--keys", "root=root-2,root-3", "--why", "root-1 was on the old one")
    kim.push("sign/new-laptop")
    jobs = event(scene, "sign/new-laptop")
    assert results(jobs) == {"event": "success"}
    (pull,) = github.known["pulls"]
    assert (pull["head"], pull["title"]) == ("sign/new-laptop", "Signing event: new-laptop")
    assert pull["body"] == jobs["event"].summary
    assert "## Ceremony new\\-laptop: waits for signatures" in pull["body"]
    assert "Why: root\\-1 was on the old one" in pull["body"]
    assert "role root no longer trusts root\\-1" in pull["body"]
    assert "| root 1 | 0 of 2 required |  |" in pull["body"]
    assert "for root 1, of root\\-1, root\\-2" in pull["body"]

    # nobody can sign for the other; each adds what they have, and pushes
    assert "root-2 is not available here" in kim.run("ceremony", "sign", "new-laptop", "--yes")
    kim.push("sign/new-laptop")
    assert results(event(scene, "sign/new-laptop")) == {"event": "success"}
    (pull,) = github.known["pulls"]
    assert "| root 1 | 1 of 2 required | `root-1` |" in pull["body"]
    before = main_of(scene)
    git(kai.clone, "fetch", "--quiet", "origin")
    git(kai.clone, "switch", "--quiet", "sign/new-laptop")
    kai.run("ceremony", "sign", "new-laptop", "--yes")
    kai.push("sign/new-laptop")
    tip = git(github.remote, "rev-parse", "sign/new-laptop")
    jobs = event(scene, "sign/new-laptop")
    assert results(jobs) == {"event": "success", "finish": "success"}, jobs["finish"].output

    # main has what was signed and what finishing made of it; the branch is merged and gone
    assert git(github.remote, "merge-base", before, tip, "main") == before
    assert git(github.remote, "rev-parse", "main^1", "main^2").split() == [before, tip]
    changed = git(github.remote, "diff", "--name-only", before, "main").splitlines()
    assert {path for path in changed if not path.startswith("ceremonies/new-laptop/")} == {
        "registry.toml",
        "trust/public/2.root.json",
    }
    assert json.loads(git(github.remote, "show", "main:ceremonies/new-laptop/closed.json"))["outcome"] == "finished"
    assert git(github.remote, "branch", "--list", "sign/*") == ""

    assert results(github.run_dispatched("publish.yml")) == {"publish": "success"}
    client("info", "acme/slack")
    assert list((tmp_path / "agent/store/trust").rglob("2.root.json"))


@pytest.fixture
def started(scene: Scene) -> Signer:
    """A ceremony on its branch that root-1 and both targets keys have signed, and root-2 hasn't."""
    kim = Signer(scene, "kim", "root-1")
    git(kim.clone, "switch", "--quiet", "--create", "sign/renew")
    kim.run("ceremony", "start", "renew", "--renew", "root", "--why", "the year is over")
    kim.run("ceremony", "sign", "renew", "--yes")
    kim.push("sign/renew")
    return kim


def sign_with_the_rest(scene: Scene, started: Signer) -> None:
    started.environment["SEALDEX_KEYS"] = str(scene.github.place / "keys")
    started.run("ceremony", "sign", "renew", "--yes", "--key", "root-2")


def test_nothing_of_a_signing_branch_is_run_and_nothing_but_signatures_reaches_main(
    scene: Scene, started: Signer, tmp_path: Path
) -> None:
    """Attack: whoever may push a branch adds programs that a workflow would import or run, and a change of the
    configuration, to a ceremony that everybody has signed. It is refused and said in the pull request."""
    sign_with_the_rest(scene, started)
    ran = tmp_path / "ran"
    for name in ("pip.py", "sitecustomize.py", "registry_builder/__init__.py", "click.py"):
        path = started.clone / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(ran)!r}, 'w')\n")
    config = started.clone / "registry.toml"
    config.write_text(config.read_text().replace("storage = ", "# storage = "))
    started.push("sign/renew")
    before = main_of(scene)
    jobs = event(scene, "sign/renew")
    assert results(jobs) == {"event": "failure"}
    (pull,) = scene.github.known["pulls"]
    assert "## Ceremony renew: refused" in pull["body"]
    assert "registry.toml is not a file that signers may add" in pull["body"]
    assert main_of(scene) == before
    assert not ran.exists()


def test_a_plan_that_was_changed_finishes_nothing(scene: Scene, started: Signer) -> None:
    """Attack: with all signatures there, the plan is made to write another key into registry.toml than was signed."""
    before = main_of(scene)
    sign_with_the_rest(scene, started)
    plan = started.clone / "ceremonies/renew/plan.json"
    role = {"keys": ["root-1", "targets-1"], "threshold": 2, "expiry_days": 365, "signing_days": 60}
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "roles": {"root": role}}))
    started.push("sign/renew")
    jobs = event(scene, "sign/renew")
    assert results(jobs) == {"event": "success", "finish": "failure"}
    assert "does not match 2.root.json" in jobs["finish"].output
    assert main_of(scene) == before


def test_a_strangers_signature_finishes_nothing(scene: Scene, started: Signer) -> None:
    """Attack: a signature is put in place of the one that is missing."""
    before = main_of(scene)
    (own,) = (started.clone / "ceremonies/renew/public/signatures").iterdir()
    keyids = json.loads((scene.clone / "trust/public/1.root.json").read_text())["signed"]["roles"]["root"]["keyids"]
    (other,) = [each for each in keyids if each not in own.name]
    own.with_name(f"root.{other}.json").write_text(own.read_text().replace(own.name.split(".")[1], other))
    started.push("sign/renew")
    assert results(event(scene, "sign/renew")) == {"event": "success"}
    assert "a signature doesn't count" in scene.github.known["pulls"][0]["body"]
    assert main_of(scene) == before


_EVIL = "`touch PWNED` $(touch PWNED) \n# Signed\n::error::x\n<img src=x> ![x](http://evil) @everyone ${{ secrets.X }}"


def test_names_and_reasons_are_text(scene: Scene, started: Signer, tmp_path: Path) -> None:
    """Attack: shell in the branch's name, shell, Markdown and HTML in the fields of the plan that signers are shown."""
    plan = started.clone / "ceremonies/renew/plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "why": _EVIL, "by": _EVIL}))
    started.push("sign/renew")
    assert results(event(scene, "sign/renew")) == {"event": "success"}
    body = scene.github.known["pulls"][0]["body"]
    for part in ("<img", "![x]", "@everyone", "\n# Signed", "\n::error"):
        assert part not in body
    for branch in ("sign/$(touch${IFS}PWNED)", "sign/--help", "sign/a/b", "sign/@/etc/passwd"):
        git(started.clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        jobs = event(scene, branch)
        assert results(jobs) == {"event": "failure"}
        assert "not a valid ceremony name" in jobs["event"].output
    assert list(tmp_path.rglob("PWNED")) == []
    assert len(scene.github.known["pulls"]) == 1


def test_a_forks_pull_request_and_a_moving_main_are_in_nobodys_way(scene: Scene, started: Signer) -> None:
    """A fork has a branch of the same name; and main moves on while the ceremony is finished: it is finished on top.
    What is pushed to the signing branch at that moment isn't finished with it, and isn't deleted."""
    theirs = {"number": 1, "head": "sign/renew", "title": "x", "body": "theirs", "open": True, "fork": True}
    scene.github.know({**scene.github.known, "pulls": [theirs]})
    sign_with_the_rest(scene, started)
    started.push("sign/renew")
    # somebody merges something at that moment: git's hook does it, before the first push to main is taken
    tree = git(scene.github.remote, "rev-parse", "main^{tree}")
    meanwhile = git(scene.github.remote, "commit-tree", "-p", "main", "-m", "Meanwhile", tree)
    late = git(scene.github.remote, "commit-tree", "-p", "sign/renew", "-m", "Late", tree)
    hook = scene.github.remote / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = refs/heads/main ] && [ ! -e moved ]; then\n'
        f'  touch moved; git update-ref "$1" {meanwhile}; git update-ref refs/heads/sign/renew {late}\n'
        "fi\n"
    )
    hook.chmod(0o755)
    jobs = event(scene, "sign/renew")
    assert jobs["finish"].result == "success", jobs["finish"].output
    assert git(scene.github.remote, "rev-parse", "main^1") == meanwhile
    assert "2.root.json" in git(scene.github.remote, "ls-tree", "-r", "--name-only", "main", "trust")
    assert git(scene.github.remote, "rev-parse", "sign/renew") == late
    assert git(scene.github.remote, "rev-parse", "main^2") == git(scene.github.remote, "rev-parse", f"{late}^")
    unchanged, own = scene.github.known["pulls"]
    assert unchanged == theirs
    assert own["head"] == "sign/renew"
