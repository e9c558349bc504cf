"""``resolve`` and ``url``: what this host and others would take, where it is, and what it must be."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.commands import Ran, Run, captured
from support.plugin_registry import PluginRegistry

LINUX, ARM = {"os": "linux", "arch": "amd64"}, {"os": "linux", "arch": "arm64"}
IMAGE = "ghcr.example/acme/box@sha256:" + "ab" * 32


@pytest.fixture
def made(tmp_path: Path) -> PluginRegistry:
    registry = PluginRegistry()
    registry.release("acme/base", "1.0.0")
    registry.release("acme/slack", "1.0.0", dependencies={"acme/base": "^1"})
    registry.release("acme/slack", "2.0.0", selector={"match_labels": ARM}, dependencies={"acme/base": "^1"})
    registry.release("acme/slack", "3.0.0", selector={"match_labels": ARM}, rollout=1)
    registry.release("acme/far", "1.0.0", artifact={"url": "https://author.example/far.zip"})
    registry.release("acme/box", "1.0.0", artifact={"format": "oci", "url": IMAGE, "sha256": "ab" * 32})
    registry.release("acme/suite", "1.0.0", artifacts=(), dependencies={"acme/base": "^1"})
    registry.publish()
    return registry


@pytest.fixture
def ready(
    made: PluginRegistry, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    url = made.write(tmp_path / "published")
    (tmp_path / "root.json").write_bytes(made.root)
    run = captured(capsys)
    assert run("registry", "add", "public", url, "--root", "root.json").code == 0
    return run


def host(name: str | None, labels: dict[str, str], **more: Any) -> str:
    return json.dumps({**({"name": name} if name else {}), "labels": labels, **more})


@pytest.fixture
def piped(ready: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    def run(text: str, *args: str) -> Ran:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return ready(*args)

    return run


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def versions(answer: dict[str, Any]) -> dict[str, str]:
    return {each["plugin"]: each["version"] for each in answer["files"]}


def test_an_address_holds_the_signed_bytes(ready: Run, made: PluginRegistry, tmp_path: Path) -> None:
    ran = ready("url", "acme/slack", "--dependencies", "--json")
    base, slack = json.loads(ran.out)["files"]
    assert (base["plugin"], base["requested"], slack["version"]) == ("acme/base", False, "1.0.0")
    data = Path(slack["address"].removeprefix("file://")).read_bytes()
    assert slack["sha256"] == hashlib.sha256(data).hexdigest()
    assert (slack["size"], slack["registry"], slack["signed_by"]) == (len(data), "public", "packages")
    assert not (tmp_path / "store/cache").exists() or not [*(tmp_path / "store/cache").rglob("*.zip")]
    assert ready("url", "acme/slack", "-q").out == slack["address"] + "\n"
    shown = ready("url", "acme/slack").out
    assert shown.startswith(slack["address"])
    assert slack["sha256"] in shown


def test_an_author_s_address_an_image_and_a_suite(ready: Run) -> None:
    ran = ready("url", "acme/far", "acme/box", "acme/suite", "--json")
    found = {each["plugin"]: each for each in json.loads(ran.out)["files"]}
    far, box, suite = found["acme/far"], found["acme/box"], found["acme/suite"]
    assert far["address"] == "https://author.example/far.zip"
    assert (box["address"], box["image"], box["sha256"]) == (None, IMAGE, "ab" * 32)
    assert (suite["address"], suite["image"], suite["sha256"]) == (None, None, None)
    ran = ready("url", "acme/suite")
    assert (ran.code, ran.out) == (3, "")  # a script mustn't go on with an empty address
    assert ready("url", "acme/suite", "-q").code == 3
    assert ready("url", "acme/suite", "acme/far").code == 0
    assert "has no file of its own" in ran.err


def test_another_host_is_answered_for_by_what_it_is(ready: Run, tmp_path: Path) -> None:
    (tmp_path / "robot.json").write_text(host("robot", {"os": "linux", "arch": "aarch64"}))
    ran = ready("url", "acme/slack", "--environment", "robot.json", "--json")
    assert [each["version"] for each in json.loads(ran.out)["files"]] == ["2.0.0"]
    ran = ready("url", "acme/slack", "--environment", "robot.json", "--ignore-rollout", "--json")
    assert [each["version"] for each in json.loads(ran.out)["files"]] == ["3.0.0"]
    (tmp_path / "plan9.json").write_text(host(None, {"os": "plan9"}))
    assert ready("url", "acme/slack@2", "--environment", "plan9.json").code == 3


def test_what_env_prints_is_read(ready: Run, tmp_path: Path) -> None:
    (tmp_path / "here.json").write_text(ready("env", "--json").out)
    ran = ready("resolve", "acme/slack", "--environment", "here.json", "--json")
    [answer] = lines(ran.out)
    assert (answer["host"], versions(answer)) == ("here.json", {"acme/base": "1.0.0", "acme/slack": "1.0.0"})


def test_a_rollout_is_decided_by_the_other_host_s_own_id(piped: Run) -> None:
    ids = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(600)]
    text = "\n".join(host(each, ARM, host_id=each) for each in ids)
    ran = piped(text, "resolve", "acme/slack", "--environment", "-", "--json")
    taken = [versions(answer)["acme/slack"] for answer in lines(ran.out)]
    assert set(taken) == {"2.0.0", "3.0.0"}
    assert taken.count("3.0.0") < 30


def test_a_fleet_is_answered_line_by_line(ready: Run, tmp_path: Path) -> None:
    fleet = [host("a", LINUX), host("b", ARM, requests=["acme/base"]), host("c", {"os": "plan9"}), host("d", ARM)]
    (tmp_path / "fleet.jsonl").write_text("\ufeff" + "\n\n".join(fleet) + "\n")
    ran = ready("resolve", "acme/slack@2", "--environment", "fleet.jsonl", "--json")
    a, b, c, d = lines(ran.out)
    assert (ran.code, [each["host"] for each in (a, b, c, d)]) == (3, ["a", "b", "c", "d"])
    assert (a["files"], a["error"]["code"], c["error"]["code"]) == ([], "no-match", "no-match")
    assert versions(b) == {"acme/base": "1.0.0"}
    assert versions(d) == {"acme/base": "1.0.0", "acme/slack": "2.0.0"}
    assert "2 of 4 hosts" in ran.err
    ran = ready("resolve", "acme/slack", "--environment", "fleet.jsonl")
    assert [line.split()[:3] for line in ran.out.splitlines()[-2:]] == [
        ["d", "acme/base", "1.0.0"],
        ["d", "acme/slack", "2.0.0"],
    ]


def test_what_is_installed_and_pinned_here_says_nothing_of_others(ready: Run, tmp_path: Path) -> None:
    assert ready("install", "acme/base@1.0.0", "acme/slack@1.0.0", "--pin").code == 0
    (tmp_path / "robot.json").write_text(host("robot", ARM))
    ran = ready("resolve", "acme/slack", "--environment", "robot.json", "--json")
    assert versions(lines(ran.out)[0])["acme/slack"] == "2.0.0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe{", "not in UTF-8"),
        (b'{"lables": {}}', "did you mean 'labels'"),
        (b'{"tags": []}', "labels"),
        (b'[{"labels": {"os": "linux"}}, {"labels": 3}]', "entry 2: labels"),
        (b'{"labels": {"os": "linux"}}\nnonsense\n{"labels": {"os": 3}}', "line 2: is not valid JSON"),
        (b'{"labels": {"os": "linux"}}\nnonsense\n{"labels": {"os": 3}}', "line 3: labels"),
        (b'{"labels": {"os": "linux"}, "requests": ["nonsense"]}', "nonsense"),
    ],
)
def test_a_file_that_can_t_be_read_is_refused_with_all_its_problems(
    ready: Run, tmp_path: Path, text: bytes, said: str
) -> None:
    (tmp_path / "bad.json").write_bytes(text)
    ran = ready("resolve", "acme/slack", "--environment", "bad.json")
    assert ran.code in {1, 3}
    assert said in ran.err


def test_nothing_asked_and_no_such_file(ready: Run, piped: Run, tmp_path: Path) -> None:
    assert ready("resolve").code == 2
    (tmp_path / "robot.json").write_text(host("robot", ARM))
    ran = ready("resolve", "--environment", "robot.json")
    assert (ran.code, "nothing is asked" in ran.err) == (3, True)
    assert ready("url", "acme/slack", "--environment", "none.json").code == 1
    two = piped("\n".join([host("a", ARM), host("b", ARM)]), "url", "acme/slack", "--environment", "-")
    assert (two.code, "holds 2 hosts" in two.err) == (2, True)


def test_fetch_and_info_name_address_and_size(ready: Run) -> None:
    [fetched] = json.loads(ready("fetch", "acme/slack", "--cache-only", "--json").out)["fetched"]
    [asked] = json.loads(ready("url", "acme/slack", "--json").out)["files"]
    same = ("address", "size", "sha256", "registry", "signed_by", "root_version")
    assert {key: fetched[key] for key in same} == {key: asked[key] for key in same}
    told = json.loads(ready("info", "acme/slack", "--json").out)["file"]
    assert told == {key: asked[key] for key in ("address", "image", "size", "sha256")}


def test_search_tells_the_files_where_it_is_asked_to(ready: Run) -> None:
    told = {each["plugin"]: each["file"] for each in json.loads(ready("search", "--files", "--json").out)["plugins"]}
    [slack] = json.loads(ready("url", "acme/slack", "--json").out)["files"]
    same = ("version", "address", "image", "size", "sha256", "registry", "signed_by")
    assert told["acme/slack"] == {key: slack[key] for key in same}
    assert told["acme/box"]["image"] == IMAGE
    assert "file" not in json.loads(ready("search", "--json").out)["plugins"][0]
