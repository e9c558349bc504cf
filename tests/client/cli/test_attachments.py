"""``fetch --attachment``, and that ``info`` names what is attached."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from support.commands import Run, captured
from support.plugin_registry import PluginRegistry

from sealdex.cli.attachments import meant
from sealdex.model.plugin import Attachment

FILES = {"slack.cdx.json": "cyclonedx", "bench.json": "evaluation", "load.json": "evaluation", "proof.json": "in-toto"}


def attachment(name: str, kind: str) -> Attachment:
    return Attachment(name, kind, len(name), hashlib.sha256(name.encode()).hexdigest())


ATTACHED = tuple(attachment(name, kind) for name, kind in FILES.items())


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("SBOM", ["slack.cdx.json"]),
        ("cyclonedx", ["slack.cdx.json"]),
        ("report", ["bench.json", "load.json"]),
        ("in-toto", ["proof.json"]),
        ("load.json", ["load.json"]),
        ("LOAD.json", []),
        ("spdx", []),
    ],
)
def test_what_is_meant_by_a_word(word: str, names: list[str]) -> None:
    assert [each.name for each in meant(ATTACHED, word)] == names


def test_a_name_goes_before_a_kind() -> None:
    named = attachment("report", "notes")
    assert meant([*ATTACHED, named], "report") == [named]


@pytest.fixture
def ready(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    made = PluginRegistry()
    made.release("acme/slack", "1.0.0", attachments=ATTACHED)
    made.release("acme/slack", "2.0.0", attachments=ATTACHED[:1], selector={"match_labels": {"os": "plan9"}})
    made.release("acme/bare", "1.0.0")
    for version in ("1.0.0", "2.0.0"):
        made.files.update({f"plugins/acme/slack/{version}/{name}": name.encode() for name in FILES})
    made.publish()
    url = made.write(tmp_path / "published")
    (tmp_path / "root.json").write_bytes(made.root)
    run = captured(capsys)
    assert run("registry", "add", "public", url, "--root", "root.json").code == 0
    return run


def test_attachments_are_fetched_by_kind_and_name(ready: Run, tmp_path: Path) -> None:
    ran = ready(
        "fetch", "acme/slack", "--attachment", "report", "--attachment", "slack.cdx.json", "--to", "d", "--json"
    )
    rows = json.loads(ran.out)["fetched"]
    assert [(row["version"], row["attachment"]) for row in rows] == [
        ("1.0.0", "bench.json"), ("1.0.0", "load.json"), ("1.0.0", "slack.cdx.json"),
    ]  # fmt: skip
    assert {path.name: path.read_bytes() for path in (tmp_path / "d").iterdir()} == {
        name: name.encode() for name in FILES if name != "proof.json"
    }
    again = ready("fetch", "acme/slack", "--attachment", "report", "--to", "d", "-q")
    assert (again.code, again.out.split()) == (0, [str(Path("d/bench.json")), str(Path("d/load.json"))])
    plan9 = ready("fetch", "acme/slack@2.0.0", "--attachment", "sbom", "--cache-only")  # it needn't fit this host
    assert (plan9.code, "in the cache" in plan9.out) == (0, True)


def test_what_is_not_attached_is_said_before_anything_is_fetched(ready: Run, tmp_path: Path) -> None:
    ran = ready("fetch", "acme/slack@1.0.0", "--attachment", "report", "--attachment", "spdx")
    assert (ran.code, "has no attachment 'spdx'; it has slack.cdx.json (cyclonedx), bench.json" in ran.err) == (3, True)
    assert "it has none" in ready("fetch", "acme/bare", "--attachment", "SBOM").err
    assert ready("fetch", "acme/slack", "--attachment", "SBOM", "--dependencies").code == 2
    (tmp_path / "bench.json").write_text("mine")
    taken = ready("fetch", "acme/slack@1.0.0", "--attachment", "bench.json")
    assert (taken.code, (tmp_path / "bench.json").read_text()) == (1, "mine")
    assert not (tmp_path / "load.json").exists()


def test_bytes_that_are_not_the_pinned_ones_are_refused(ready: Run, tmp_path: Path) -> None:
    (tmp_path / "published/plugins/acme/slack/1.0.0/bench.json").write_bytes(b"bench.jsoM")
    ran = ready("fetch", "acme/slack@1.0.0", "--attachment", "bench.json", "--to", "d")
    assert (ran.code, (tmp_path / "d").exists()) == (4, False)


def test_info_names_them(ready: Run) -> None:
    told = ready("info", "acme/slack").out
    assert "  attached to 2.0.0: slack.cdx.json (cyclonedx)\n" in told
    assert "sealdex fetch acme/slack@2.0.0 --attachment NAME" in told
    assert "attached" not in ready("info", "acme/bare").out
