"""Runs the steps of GitHub workflows as GitHub would, on this machine: a clone and a home of its own for each job.

Every ``run:`` is run as it is written, by the shell that GitHub takes. What ``uses:`` names is played by a few lines
for each action: a checkout from a local remote, credentials from the test, a cache that outlives the job. ``gh`` is
`support.gh_program`. What GitHub refuses is refused: a push or a call of ``gh`` for which the job has no permission, an
environment on another branch than main, a history that a checkout didn't ask for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from support import warm_builder

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_GH = Path(__file__).with_name("gh_program.py")
_DISPATCHED = "workflow_dispatch"
_WHATEVER_HAPPENED = ("cancelled()", "always()", "failure()")


def git(folder: Path, *args: str) -> str:
    """Run git as somebody, and return what it says."""
    command = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", str(folder), *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


@dataclass
class Job:
    """What became of one job."""

    result: str = "success"
    output: str = ""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    workspace: Path = Path()
    uses: list[str] = field(default_factory=list)


@dataclass
class GitHub:
    """One repository on a GitHub of the test's own.

    Attributes:
        place: the folder for everything; ``remotes/<repository>`` in it is the bare git repository.
        secrets, variables: those of the repository; on a pull request there are no secrets.
        of_environment: variables of an environment, before those of the repository.
        aws: what assuming the role gives; ``refuses_role`` refuses it, and ``token_url`` gives the job's token.
        environment: variables of the machine, beyond a path to the builder.
        only: the jobs that are run, to save time; all when empty.
        site: what GitHub Pages serves: path to bytes; each deployment replaces all of it.
    """

    place: Path
    repository: str
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    of_environment: dict[str, dict[str, str]] = field(default_factory=dict)
    aws: dict[str, str] = field(default_factory=dict)
    refuses_role: bool = False
    token_url: str = ""
    roles: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    site: dict[str, bytes] = field(default_factory=dict)
    _runs: int = 0

    def __post_init__(self) -> None:
        self.remote = self.place / "remotes" / self.repository
        self.remote.mkdir(parents=True)
        git(self.remote, "init", "--quiet", "--bare", "--initial-branch=main")
        programs = self.place / "programs"
        programs.mkdir()
        (programs / "gh").write_text(f"#!{sys.executable}\n{_GH.read_text()}")
        (programs / "gh").chmod(0o755)
        warm_builder.write(programs)

    @property
    def known(self) -> Any:
        """What `gh` keeps: issues, pull requests, labels, runs that were asked for."""
        path = self.place / "gh.json"
        empty: dict[str, list[Any]] = {"issues": [], "pulls": [], "labels": [], "dispatched": []}
        return json.loads(path.read_text()) if path.exists() else empty

    def know(self, known: Any) -> None:
        """Put what people did to issues and pull requests in place of what `gh` keeps."""
        (self.place / "gh.json").write_text(json.dumps(known))

    def run(self, workflow: str, event: str, ref: str = "main", **environment: str) -> dict[str, Job]:
        """Run the workflow of that file name, as it stands at ``ref``; return what became of each job."""
        return self._run(workflow, event, ref, {}, environment, self.repository)

    def run_of_fork(self, workflow: str, ref: str) -> dict[str, Job]:
        """Run it on a pull request from a fork: there are no variables then, and no token of the job's own."""
        return self._run(workflow, "pull_request", ref, {}, {}, "stranger/registry")

    def _run(
        self,
        workflow: str,
        event: str,
        ref: str,
        inputs: dict[str, str],
        environment: dict[str, str],
        head: str,
    ) -> dict[str, Job]:
        is_fork = head != self.repository
        about = {"pull_request": {"head": {"repo": {"full_name": head}}}} if event == "pull_request" else {}
        text = git(self.remote, "show", f"{ref}:.github/workflows/{workflow}")
        described = yaml.safe_load(text)
        triggers = described[True]  # YAML 1.1 reads `on` as true
        assert event in triggers, f"{workflow} isn't run on {event}"
        if event == "push":
            assert any(fnmatchcase(ref, pattern) for pattern in triggers["push"]["branches"])
        jobs: dict[str, Job] = {}
        for name, job in described["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            context: dict[str, Any] = {
                "secrets": {} if event == "pull_request" else self.secrets,
                "vars": {} if is_fork else self.variables | self.of_environment.get(job.get("environment", ""), {}),
                "needs": {n: {"result": jobs[n].result, "outputs": jobs[n].outputs} for n in needs},
                "github": {"event_name": event, "event": {"inputs": inputs, **about}},
            }
            if self.only and name not in self.only:
                jobs[name] = Job("skipped")
                continue
            condition = str(job.get("if", "")).strip("${ }")
            is_blocked = any(jobs[n].result != "success" for n in needs)
            if is_blocked and not any(each in condition for each in _WHATEVER_HAPPENED):
                jobs[name] = Job("skipped")
                continue
            github = self._github(ref) | context["github"]
            if condition and evaluated(condition, {**context, "github": github}) in {"", "false"}:
                jobs[name] = Job("skipped")
                continue
            # those of validate are open to pull requests
            is_open = event == "pull_request" and job.get("environment", "").startswith("validate")
            assert "environment" not in job or ref == "main" or is_open, "its rule lets no other branch in"
            permissions = job.get("permissions", {})
            if is_fork:
                permissions = {name: "read" for name in permissions if name != "id-token"}
            jobs[name] = self._job(job["steps"], permissions, ref, context, environment, outputs=job.get("outputs", {}))
        return jobs

    def run_by_hand(self, workflow: str, **inputs: str) -> dict[str, Job]:
        """Run the workflow on main with what a person gave in the form."""
        return self._run(workflow, _DISPATCHED, "main", inputs, {}, self.repository)

    def run_dispatched(self, workflow: str) -> dict[str, Job]:
        """Run that workflow as another one asked for; anything else that is asked for waits."""
        known = self.known
        asked = next(each for each in known["dispatched"] if each["workflow"] == workflow)
        self.know({**known, "dispatched": [each for each in known["dispatched"] if each is not asked]})
        return self._run(workflow, _DISPATCHED, asked["ref"], asked["inputs"], {}, self.repository)

    def _github(self, ref: str) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "action_repository": self.repository,
            "run_id": str(self._runs),
            "run_attempt": "1",
            "ref": f"refs/heads/{ref}",
            "ref_name": ref,
            "server_url": "https://github.com",
        }

    def use_action(self, action: str, inputs: dict[str, str], workspace: Path) -> Job:
        """Run the composite ``action.yml`` of this repository in the repository of an author, as a step there would."""
        described = yaml.safe_load(git(self.remote, "show", f"main:{action}"))
        values = {name: about.get("default", "") for name, about in described["inputs"].items()} | inputs
        assert all(values[name] for name, about in described["inputs"].items() if about.get("required"))
        git(self.place, "clone", "--quiet", "--depth=1", self.remote.as_uri(), f"job-{self._runs + 1}/action")
        may = {"contents": "write"}
        return self._job(described["runs"]["steps"], may, "main", {"inputs": values}, {}, workspace)

    def call(self, workflow: str, caller: Path, inputs: dict[str, str], secrets: dict[str, str]) -> dict[str, Job]:
        """Call a reusable workflow of this repository from an author's repository, a folder in git, on a tag."""
        described = yaml.safe_load(git(self.remote, "show", f"main:.github/workflows/{workflow}"))
        about = described[True]["workflow_call"]
        values = {name: str(each.get("default", "")) for name, each in about["inputs"].items()} | inputs
        values["provenance"] = values["provenance"].lower()  # a boolean of YAML's
        assert set(values) == set(about["inputs"])
        assert set(secrets) <= set(about["secrets"])
        place = {"workflow_repository": self.repository, "workflow_sha": git(self.remote, "rev-parse", "main")}
        environment = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"}
        jobs: dict[str, Job] = {}
        for name, job in described["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else []
            if any(jobs[each].result != "success" for each in needs):
                jobs[name] = Job("skipped")
                continue
            platforms: list[Any] = [None]
            if "strategy" in job:
                assert job["strategy"]["matrix"]["platform"] == "${{ fromJSON(inputs.platforms) }}"
                platforms = json.loads(values["platforms"])
            for index, platform in enumerate(platforms):
                context: dict[str, Any] = {
                    "inputs": values,
                    "secrets": secrets,
                    "job": place,
                    "strategy": {"job-index": str(index)},
                }
                context |= {"matrix": {"platform": platform}, "caller": caller}
                done = self._job(
                    job["steps"], job["permissions"], "main", context, environment, outputs=job.get("outputs", {})
                )
                if name not in jobs or done.result != "success":
                    jobs[name] = done
        return jobs

    def _inlined(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the steps with those of this repository's own action in its place."""
        found: list[dict[str, Any]] = []
        for step in steps:
            if not step.get("uses", "").startswith("./"):
                found.append(step)
                continue
            described = yaml.safe_load(git(self.remote, "show", "main:action.yml"))
            defaults = {name: about.get("default", "") for name, about in described["inputs"].items()}
            assert set(step["with"]) <= set(defaults)
            # the caller's step has no id that one of the action's has as well, but the outputs are those of "release"
            found += [{**each, "inputs": defaults | step["with"]} for each in described["runs"]["steps"]]
        return found

    def _job(
        self,
        steps: list[dict[str, Any]],
        permissions: dict[str, str],
        ref: str,
        context: dict[str, Any],
        environment: dict[str, str],
        workspace: Path | None = None,
        outputs: dict[str, str] | None = None,
    ) -> Job:
        self._runs += 1
        folder = self.place / f"job-{self._runs}"
        temp, home = folder / "temp", folder / "home"
        for each in (temp, home):
            each.mkdir(parents=True)
        summary, output = folder / "summary.md", folder / "output"
        done = Job(workspace=workspace or folder / "work")
        done.workspace.mkdir(exist_ok=True)
        variables = {
            "PATH": os.pathsep.join(
                [str(self.place / "programs"), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "HOME": str(home),
            "RUNNER_TEMP": str(temp),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_ACTIONS": "true",
            "RUNNER_ENVIRONMENT": "github-hosted",
            "GITHUB_WORKSPACE": str(done.workspace),
            "GITHUB_SERVER_URL": (self.place / "remotes").as_uri(),
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_REF_NAME": ref,
            "GITHUB_RUN_ID": str(self._runs),
            "GH_STATE": str(self.place / "gh.json"),
            "GITHUB_ACTION_PATH": str(folder / "action"),
            **self.environment,
            **environment,
        }
        # an author's repository has nothing but the token that it gives to the action
        token = f"run:{json.dumps(permissions)}"
        (home / ".gitconfig").write_text('[url "refused:"]\n\tpushInsteadOf = file://\n')
        github = self._github(ref) | {"token": token} | context.get("github", {})
        of_job: dict[str, Any] = {**context, "github": github, "runner": {"temp": str(temp)}, "steps": {}}
        caches: list[Path] = []
        for step in self._inlined(steps):
            values = of_job
            given = step.get("inputs", context.get("inputs", {}))
            values["inputs"] = context.get("inputs", {})
            values = {**of_job, "inputs": {name: expanded(str(each), of_job) for name, each in given.items()}}
            if "inputs" in step:
                variables["GITHUB_ACTION_PATH"] = str(done.workspace / ".sealdex-registry")
            condition = str(step.get("if", "")).strip("${ }")
            values["failed"] = str(done.result != "success").lower()
            if done.result != "success" and not any(each in condition for each in _WHATEVER_HAPPENED):
                continue
            if condition and evaluated(condition, values) in {"", "false"}:
                continue
            if "uses" in step:
                given = {key: expanded(str(value), values) for key, value in step.get("with", {}).items()}
                done.uses.append(step["uses"])
                caller = context.get("caller")
                said = self._use(step["uses"], given, ref, permissions, done.workspace, variables, home, caches, caller)
                refused = self.refuses_role and step["uses"].startswith("aws-actions/")
                values["steps"][step.get("id", "")] = {"outputs": said, "outcome": "failure" if refused else "success"}
                if refused:
                    done.result = "failure"
                continue
            if step.get("name") == "Install the builder":
                # this checkout's are there; test_installing.py runs the step itself
                for named in re.findall(r'-r "?([^\s"]+)', step["run"]):
                    file = named.replace("$GITHUB_ACTION_PATH", variables["GITHUB_ACTION_PATH"])
                    assert (done.workspace / file).is_file()
                continue
            own = {key: expanded(str(value), values) for key, value in step.get("env", {}).items()}
            script = folder / "step.sh"
            script.write_text(step["run"], encoding="utf-8")
            shell = ["--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") == "bash" else ["-e"]
            ran = subprocess.run(
                ["bash", *shell, str(script)],
                cwd=done.workspace,
                env={**variables, **own},
                capture_output=True,
                text=True,
                check=False,
            )
            done.output += f"$ {step['run']}\n{ran.stdout}{ran.stderr}"
            if output.exists():
                values["steps"][step.get("id", "")] = {"outputs": written_outputs(output.read_text())}
                output.unlink()
            if ran.returncode != 0:
                done.result = "failure"
        for cached in caches if done.result == "success" else []:  # saved after the last step
            if cached.exists():
                shutil.copytree(cached, self.place / "cache", dirs_exist_ok=True)
        done.outputs = {name: expanded(value, values) for name, value in (outputs or {}).items()}
        done.summary = summary.read_text(encoding="utf-8") if summary.exists() else ""
        return done

    def _use(
        self,
        action: str,
        given: dict[str, str],
        ref: str,
        permissions: dict[str, str],
        workspace: Path,
        variables: dict[str, str],
        home: Path,
        caches: list[Path],
        caller: Path | None,
    ) -> dict[str, str]:
        name = action.partition("@")[0]
        if name == "actions/checkout":
            assert permissions.get("contents") in {"read", "write"}
            known = {"persist-credentials", "lfs", "fetch-depth"}
            assert given["persist-credentials"] == "False"
            if caller is not None:  # a reusable workflow has the caller's repository, and its own by name
                source = Path(caller) if "repository" not in given else self.place / "remotes" / given["repository"]
                git(workspace, "clone", "--quiet", source.as_uri(), given.get("path", "clone"))
                if "repository" not in given:
                    shutil.copytree(workspace / "clone", workspace, dirs_exist_ok=True)
                else:
                    git(workspace / given["path"], "checkout", "--quiet", given["ref"])
                return {}
            assert set(given) <= known, "only what the run stands for is checked out"
            history = [] if given.get("fetch-depth") == "0" else ["--depth=1", "--single-branch"]
            git(workspace, "clone", "--quiet", *history, "--branch", ref, self.remote.as_uri(), ".")
        elif name == "actions/cache":
            path = Path(given["path"].replace("~", str(home)))
            caches.append(path)
            if (self.place / "cache").exists():
                shutil.copytree(self.place / "cache", path)
        elif name == "aws-actions/configure-aws-credentials":
            assert permissions.get("id-token") == "write"
            self.roles.append(given["role-to-assume"])
            if self.refuses_role:
                variables |= {
                    "ACTIONS_ID_TOKEN_REQUEST_URL": self.token_url,
                    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer-of-job",
                }
            else:
                variables |= self.aws
        elif name == "actions/upload-pages-artifact":
            packed = workspace / given["path"]
            files = {path.relative_to(packed).as_posix(): path for path in packed.rglob("*") if path.is_file()}
            # as the real one does: what is hidden stays behind
            shown = {key: path for key, path in files.items() if not any(part[0] == "." for part in key.split("/"))}
            (home.parent / "pages").write_text(json.dumps({key: str(path) for key, path in shown.items()}))
        elif name == "actions/deploy-pages":
            assert permissions.get("pages") == "write"
            assert permissions.get("id-token") == "write"
            deployed = json.loads((home.parent / "pages").read_text())
            self.site.clear()
            self.site |= {key: Path(path).read_bytes() for key, path in deployed.items()}
        elif name == "actions/upload-artifact":
            kept, source = self.place / "artifacts" / given["name"], Path(given["path"])
            kept.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, kept, dirs_exist_ok=True)
            else:
                shutil.copy(source, kept)
        elif name == "actions/download-artifact":
            for folder in sorted((self.place / "artifacts").glob(given["pattern"])):
                shutil.copytree(folder, given["path"], dirs_exist_ok=True)
        elif name == "actions/attest-build-provenance":
            bundle = home.parent / "attestation.json"
            bundle.write_bytes(provenance(*map(Path, given["subject-path"].splitlines())))
            return {"bundle-path": str(bundle)}
        else:
            assert name == "actions/setup-python", f"{name}: not played"
        return {}


def provenance(*archives: Path) -> bytes:
    """Return what GitHub says of where archives were built, as far as its form goes: nobody has signed it."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": each.name, "digest": {"sha256": hashlib.sha256(each.read_bytes()).hexdigest()}}
            for each in archives
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    }
    envelope = {
        "payload": base64.b64encode(json.dumps(statement).encode()).decode(),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": ""}],
    }
    media_type = "application/vnd.dev.sigstore.bundle.v0.3+json"
    return json.dumps({"mediaType": media_type, "verificationMaterial": {}, "dsseEnvelope": envelope}).encode()


@dataclass
class Scene:
    """The repository, a person's clone of it, and where the registry is published."""

    github: GitHub
    clone: Path
    url: str
    later: dict[str, str]
    """With ``TEST_DAYS``: variables that move the builder's clock; S3 would refuse signatures of a moved host clock."""

    def push(self, message: str, branch: str = "main") -> None:
        git(self.clone, "add", "--all", "--force")
        git(self.clone, "commit", "--quiet", "--allow-empty", "--message", message)
        git(self.clone, "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")


def written_outputs(text: str) -> dict[str, str]:
    """Read what a step wrote to ``$GITHUB_OUTPUT``: ``name=value`` lines, and values of several lines up to a word."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, sign, rest = re.split("(=|<<)", line, maxsplit=1)
        found[name] = rest if sign == "=" else "\n".join(iter(lines.__next__, rest))
    return found


def expanded(text: str, values: dict[str, Any]) -> str:
    """Replace the expressions in a value."""
    return _EXPRESSION.sub(lambda match: evaluated(match[1], values), text)


def evaluated(expression: str, values: dict[str, Any]) -> str:
    """Evaluate the few forms of expressions that our workflows have."""
    if "&&" in expression:
        return str(all(evaluated(part.strip(), values) not in {"", "false"} for part in expression.split("&&"))).lower()
    if expression == "!cancelled()":
        return "true"
    if expression == "failure()":
        return str(values.get("failed", "false"))
    if "||" in expression:
        *found, last = (evaluated(part.strip(), values) for part in expression.split("||"))
        return next((each for each in found if each not in {"", "false"}), last)
    if match := re.fullmatch(r"(\S+) (==|!=) (?:'([^']*)'|([a-z_.]+))", expression):
        other = evaluated(match[4], values) if match[4] else match[3]
        return str((evaluated(match[1], values) == other) == (match[2] == "==")).lower()
    value: Any = values
    for part in expression.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)
