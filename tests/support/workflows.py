"""Runs the steps of GitHub workflows as GitHub would, on this machine: a clone and a home of its own for each job.

Every ``run:`` is run as it is written, by the shell that GitHub takes. What ``uses:`` names is played by a few lines
for each action: a checkout from a local remote, credentials from the test, a cache that outlives the job. ``gh`` is a
program that keeps issues and pull requests in a file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_GH = """\
import json, os, pathlib, sys
state = pathlib.Path(os.environ["GH_STATE"])
known = json.loads(state.read_text()) if state.exists() else {"issues": [], "pulls": [], "labels": []}
args = sys.argv[1:]
option = lambda name: args[args.index(name) + 1]
body = lambda: pathlib.Path(option("--body-file")).read_text()
assert os.environ["GH_TOKEN"], "gh has no token"
match args[:2]:
    case ["auth", "setup-git"]: pass
    case ["label", "create"]: known["labels"].append(args[2])
    case ["issue", "list"]:
        assert option("--label") in known["labels"]
        number = next((i["number"] for i in known["issues"] if i["open"]), None)
        print("" if number is None else number)
    case ["issue", "create"]:
        known["issues"].append({"number": len(known["issues"]) + 1, "open": True, "body": body(), "edits": 0})
    case ["issue", "edit"]:
        issue = known["issues"][int(args[2]) - 1]
        issue["body"], issue["edits"] = body(), issue["edits"] + 1
    case ["issue", "close"]: known["issues"][int(args[2]) - 1]["open"] = False
    case ["pr", "view"]: sys.exit(0 if args[2] in [p["head"] for p in known["pulls"]] else 1)
    case ["pr", "create"]: known["pulls"].append({"head": option("--head"), "title": option("--title")})
    case _: sys.exit(f"gh {args}: not played")
state.write_text(json.dumps(known))
"""


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
    workspace: Path = Path()
    uses: list[str] = field(default_factory=list)


@dataclass
class GitHub:
    """One repository on a GitHub of the test's own.

    Attributes:
        place: the folder for everything; ``remotes/<repository>`` in it is the bare git repository.
        secrets, variables: those of the repository; on a pull request there are no secrets.
        aws: what assuming the role gives.
        environment: variables of the machine, beyond a path to the builder.
    """

    place: Path
    repository: str
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    aws: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    _runs: int = 0
    _installed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.remote = self.place / "remotes" / self.repository
        self.remote.mkdir(parents=True)
        git(self.remote, "init", "--quiet", "--bare", "--initial-branch=main")
        programs = self.place / "programs"
        programs.mkdir()
        (programs / "gh").write_text(f"#!{sys.executable}\n{_GH}")
        (programs / "gh").chmod(0o755)

    @property
    def known(self) -> Any:
        """What `gh` keeps: issues, pull requests, labels."""
        return json.loads((self.place / "gh.json").read_text())

    def run(self, workflow: str, event: str, ref: str = "main", **environment: str) -> dict[str, Job]:
        """Run the workflow of that file name, as it stands at ``ref``; return what became of each job."""
        text = git(self.remote, "show", f"{ref}:.github/workflows/{workflow}")
        described = yaml.safe_load(text)
        assert event in described[True], f"{workflow} isn't run on {event}"  # YAML 1.1 reads `on` as true
        jobs: dict[str, Job] = {}
        for name, job in described["jobs"].items():
            needed = {n: {"result": jobs[n].result} for n in [job["needs"]] if n in jobs} if "needs" in job else {}
            if any(n["result"] != "success" for n in needed.values()) and "if" not in job:
                jobs[name] = Job("skipped")
                continue
            context = {
                "secrets": {} if event == "pull_request" else self.secrets,
                "vars": self.variables,
                "needs": needed,
            }
            jobs[name] = self._job(job["steps"], job.get("permissions", {}), ref, context, environment)
        return jobs

    def use_action(self, action: str, inputs: dict[str, str], workspace: Path) -> Job:
        """Run the composite ``action.yml`` of this repository in the repository of an author, as a step there would."""
        described = yaml.safe_load(git(self.remote, "show", f"main:{action}"))
        values = {name: about.get("default", "") for name, about in described["inputs"].items()} | inputs
        assert all(values[name] for name, about in described["inputs"].items() if about.get("required"))
        return self._job(described["runs"]["steps"], {}, "main", {"inputs": values}, {}, workspace)

    def _job(
        self,
        steps: list[dict[str, Any]],
        permissions: dict[str, str],
        ref: str,
        context: dict[str, Any],
        environment: dict[str, str],
        workspace: Path | None = None,
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
            "GITHUB_SERVER_URL": (self.place / "remotes").as_uri(),
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_RUN_ID": str(self._runs),
            "GH_STATE": str(self.place / "gh.json"),
            "PIP_NO_INDEX": "1",  # what is asked for is installed, so nothing need be fetched
            **self.environment,
            **environment,
        }
        github = {
            "token": "token",
            "repository": self.repository,
            "action_repository": self.repository,
            "run_id": str(self._runs),
            "run_attempt": "1",
            "ref": ref,
        }
        values: dict[str, Any] = {"github": github, "runner": {"temp": str(temp)}, "steps": {}, **context}
        caches: list[Path] = []
        for step in steps:
            if "if" in step and evaluated(step["if"].strip("${ }"), values) in {"", "false"}:
                continue
            if "uses" in step:
                given = {key: expanded(str(value), values) for key, value in step.get("with", {}).items()}
                done.uses.append(step["uses"])
                self._use(step["uses"], given, ref, permissions, done.workspace, variables, home, caches)
                continue
            if step["run"].startswith("pip install ") and step["run"] in self._installed:
                continue  # on one machine it would only say, slowly, that everything is there
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
                timeout=120,
            )
            done.output += f"$ {step['run']}\n{ran.stdout}{ran.stderr}"
            if output.exists():
                said = dict(line.split("=", 1) for line in output.read_text().splitlines())
                values["steps"][step.get("id", "")] = {"outputs": said}
                output.unlink()
            if ran.returncode != 0:
                done.result = "failure"
                break
            self._installed.add(step["run"])
        else:
            for cached in caches:  # saved after the last step, when the job succeeded
                if cached.exists():
                    shutil.copytree(cached, self.place / "cache", dirs_exist_ok=True)
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
    ) -> None:
        name = action.partition("@")[0]
        if name == "actions/checkout":
            assert permissions.get("contents") == "read"
            git(workspace, "clone", "--quiet", "--branch", ref, str(self.remote), ".")
        elif name == "actions/cache":
            path = Path(given["path"].replace("~", str(home)))
            caches.append(path)
            if (self.place / "cache").exists():
                shutil.copytree(self.place / "cache", path)
        elif name == "aws-actions/configure-aws-credentials":
            assert permissions.get("id-token") == "write"
            assert given["role-to-assume"] == self.variables["SEALDEX_AWS_ROLE"]
            variables |= self.aws
        else:
            assert name == "actions/setup-python", f"{name}: not played"


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


def expanded(text: str, values: dict[str, Any]) -> str:
    """Replace the expressions in a value."""
    return _EXPRESSION.sub(lambda match: evaluated(match[1], values), text)


def evaluated(expression: str, values: dict[str, Any]) -> str:
    """Evaluate the few forms of expressions that our workflows have."""
    if "||" in expression:
        return next(filter(None, (evaluated(part.strip(), values) for part in expression.split("||"))), "")
    if match := re.fullmatch(r"(\S+) (==|!=) '([^']*)'", expression):
        return str((evaluated(match[1], values) == match[3]) == (match[2] == "==")).lower()
    value: Any = values
    for part in expression.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)
