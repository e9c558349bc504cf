"""The program ``gh`` on a GitHub of the test's own: issues, pull requests and dispatched runs in a JSON file.

It knows the calls that our workflows make and refuses others, and what the run's token has no permission for.
`$GH_STATE` names the file; `$GH_TOKEN` is ``run:`` and the job's permissions in JSON; ``fork:`` and an account without
any right on the repository; or any other text, a person's token that may do everything.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

state = pathlib.Path(os.environ["GH_STATE"])
known = json.loads(state.read_text()) if state.exists() else {"issues": [], "pulls": [], "labels": [], "dispatched": []}
args = sys.argv[1:]
token = os.environ["GH_TOKEN"]
assert token, "gh has no token"


def option(name: str) -> str:
    return args[args.index(name) + 1]


def body() -> str:
    return pathlib.Path(option("--body-file")).read_text() if "--body-file" in args else option("--body")


def may(scope: str) -> None:
    if token.startswith("run:") and json.loads(token.removeprefix("run:")).get(scope) != "write":
        sys.exit(f"gh {args[:2]}: Resource not accessible by integration ({scope}: write)")


def git(*args: str) -> str:
    return subprocess.run(["git", *args], check=True, capture_output=True, text=True).stdout.strip()


def assets() -> pathlib.Path:
    """The folder with the assets of the release that is meant."""
    return state.with_name("assets") / args[2]


def pushes() -> None:
    """Let git push from this home, as the credentials do that the real command sets up."""
    if token.startswith("fork:"):
        here = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
        git("config", "--global", "url.refused:.pushInsteadOf", here)
        return
    if not token.startswith("run:") or json.loads(token.removeprefix("run:")).get("contents") == "write":
        subprocess.run(
            ["git", "config", "--global", "--remove-section", "url.refused:"], check=False, capture_output=True
        )


match args[:2]:
    case ["auth", "setup-git"]:
        pushes()
    case ["label", "create"]:
        may("issues")
        known["labels"].append(args[2])
    case ["issue", "list"]:
        assert option("--label") in known["labels"]
        number = next((i["number"] for i in known["issues"] if i["open"]), None)
        sys.stdout.write("" if number is None else f"{number}\n")
    case ["issue", "create"]:
        may("issues")
        known["issues"].append(
            {"number": len(known["issues"]) + 1, "open": True, "title": option("--title"), "body": body(), "edits": 0}
        )
    case ["issue", "edit"]:
        may("issues")
        issue = known["issues"][int(args[2]) - 1]
        issue["body"], issue["edits"] = body(), issue["edits"] + 1
    case ["issue", "close"]:
        may("issues")
        known["issues"][int(args[2]) - 1]["open"] = False
    case ["repo", "fork"]:
        assert option("--remote-name") == "fork"
        origin, owner = git("remote", "get-url", "origin"), token.removeprefix("fork:")
        before, _, name = origin.rpartition("/")
        place = f"{before.rpartition('/')[0]}/{owner}/{name}"
        if not pathlib.Path(place.removeprefix("file://")).exists():
            git("clone", "--quiet", "--bare", origin, place.removeprefix("file://"))
        git("remote", "add", "fork", place)
    case ["release", "view"]:
        if not assets().exists():
            sys.exit("release not found")
        if "--jq" in args:
            assert option("--jq") == ".assets[].name"
            sys.stdout.write("".join(f"{path.name}\n" for path in sorted(assets().iterdir())))
    case ["release", "create"]:
        may("contents")
        assert "--verify-tag" in args
        assets().mkdir(parents=True)
    case ["release", "upload"]:
        may("contents")
        source = pathlib.Path(args[3])
        assert not (assets() / source.name).exists(), "asset under the same name already exists"
        shutil.copy(source, assets())
    case ["release", "download"]:
        pathlib.Path(option("--dir")).mkdir()
        shutil.copy(assets() / option("--pattern"), option("--dir"))
    case ["pr", "list"] if "--jq" not in args:
        meant = [p for p in known["pulls"] if p["open"] and p["head"] == option("--head")]
        told = [
            {
                "url": f"https://github.example/pull/{p['number']}",
                "isCrossRepository": bool(p.get("fork")),
                "headRepositoryOwner": {"login": p.get("fork") or "acme"},
            }
            for p in meant
        ]
        assert set(option("--json").split(",")) == {"url", "isCrossRepository", "headRepositoryOwner"}
        sys.stdout.write(json.dumps(told))
    case ["pr", "list"]:
        # the jq filter is played: the first open one that is not of a fork
        assert "isCrossRepository" in option("--jq"), "a fork's pull request may have a branch of the same name"
        shown = [p for p in known["pulls"] if p["open"] or option("--state") != "open"]
        found = [p for p in shown if p["head"] == option("--head") and not p.get("fork")]
        sys.stdout.write(f"{found[0]['number']}\n" if found else "")
    case ["pr", "create"]:
        may("pull-requests")
        owner, _, branch = option("--head").rpartition(":")
        known["pulls"].append(
            {
                "number": len(known["pulls"]) + 1,
                "head": branch,
                **({"fork": owner} if owner else {}),
                "title": option("--title"),
                "body": body(),
                "open": True,
            }
        )
    case ["pr", "edit"]:
        may("pull-requests")
        known["pulls"][int(args[2]) - 1]["body"] = body()
    case ["workflow", "run"]:
        may("actions")
        given = [
            (word, *args[i + 1].split("=", 1)) for i, word in enumerate(args) if word in {"--field", "--raw-field"}
        ]
        # as the real one does: --field takes @PATH for the content of a file
        fields = {
            name: pathlib.Path(value[1:]).read_text() if word == "--field" and value.startswith("@") else value
            for word, name, value in given
        }
        known["dispatched"].append({"workflow": args[2], "ref": option("--ref"), "inputs": fields})
    case _:
        sys.exit(f"gh {args}: not played")
state.write_text(json.dumps(known))
