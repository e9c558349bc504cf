"""A release that was yanked after it was installed: `list`, `update` and `doctor` say so, and why."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.commands import Run
from support.plugin_registry import YANKED, PluginRegistry
from support.tree_server import TreeServer

from sealdex.model.ids import PluginId

MAIL = PluginId("acme", "mail")


def yank(registry: PluginRegistry, versions: Iterable[str]) -> None:
    document = registry.documents[MAIL]
    changed = tuple(
        msgspec.structs.replace(release, yanked=YANKED if release.version in versions else None)
        for release in document.releases
    )
    registry.documents[MAIL] = msgspec.structs.replace(document, releases=changed)
    registry.publish()


@pytest.fixture
def yanked(run: Run, registry: PluginRegistry) -> Run:
    """acme/mail 1.0.0 is in use, and was yanked since; so was 0.9.0, which nobody has."""
    assert run("install", "acme/mail").code == 0
    assert "YANKED" not in run("list").out
    yank(registry, ["0.9.0", "1.0.0"])
    return run


def mark_of(run: Run) -> Any:
    (row,) = run("list", "--json").document["installed"]
    return row["yanked"]


def test_list_outdated_asks_and_says_it_though_there_is_nothing_newer(yanked: Run) -> None:
    assert mark_of(yanked) is None  # nobody has asked since
    asked = yanked("list", "--outdated")
    assert "acme/mail 1.0.0, which is in use, was yanked by kai: leaks tokens" in asked.err
    assert yanked("list", "--outdated", "--json").document["yanked"] == [
        {"plugin": "acme/mail", "version": "1.0.0", "why": "yanked by kai: leaks tokens"}
    ]


def test_list_says_what_was_learnt_and_asks_nobody(yanked: Run, server: TreeServer) -> None:
    yanked("info", "acme/mail")  # any command that has the signed word at hand
    server.requests.clear()
    listed = yanked("list")
    assert "1.0.0 (current) YANKED" in listed.out
    assert "acme/mail 1.0.0 was yanked by kai: leaks tokens; sealdex info acme/mail" in listed.err
    mark = mark_of(yanked)
    assert {key: mark[key] for key in ("by", "why", "at")} == {"by": "kai", "why": "leaks tokens", "at": YANKED.at}
    assert mark["seen"] >= "2026"
    assert server.requests == []


def test_update_says_it_and_what_helps(yanked: Run, registry: PluginRegistry) -> None:
    stuck = yanked("update")
    assert "acme/mail 1.0.0, which is in use, was yanked by kai: leaks tokens" in stuck.err
    assert (
        "acme/mail is not updated: it was yanked by kai: leaks tokens, but no newer release fits this host" in stuck.err
    )
    assert "sealdex install 'acme/mail@<1.0.0'" in stuck.err
    registry.release("acme/mail", "1.0.1")
    registry.publish()
    done = yanked("update", "--json").document
    assert done["changed"] == [{"plugin": "acme/mail", "before": "1.0.0", "after": "1.0.1"}]
    assert [each["version"] for each in done["yanked"]] == ["1.0.0"]
    assert yanked("update", "--json").document["yanked"] == []


def test_doctor_warns_with_the_remedy(yanked: Run, registry: PluginRegistry) -> None:
    document = yanked("doctor", "--json").document
    found = [each for each in document["findings"] if each["check"] == "yanked"]
    assert not document["healthy"]
    assert [(f["subject"], f["state"], f["detail"], f["remedy"]) for f in found] == [
        ("acme/mail@1.0.0", "problem", "in use, and yanked by kai: leaks tokens", "sealdex update acme/mail")
    ]
    registry.release("acme/mail", "1.0.1")
    registry.publish()
    yanked("update")
    document = yanked("doctor", "--json").document
    (left,) = [each for each in document["findings"] if each["check"] == "yanked"]
    assert left["detail"].startswith("installed, and yanked")
    assert yanked(*left["remedy"].split()[1:]).code == 0
    assert not any(
        f["state"] != "ok" for f in yanked("doctor", "--json").document["findings"] if f["check"] == "yanked"
    )


def test_what_is_known_holds_without_a_registry(yanked: Run, server: TreeServer) -> None:
    yanked("list", "--outdated")
    server.instead = dict.fromkeys(server.files, 503)
    assert mark_of(yanked)["why"] == "leaks tokens"
    doctor = yanked("doctor", "--json")
    assert "yanked by kai" in doctor.out


def test_a_yank_that_is_taken_back_is_forgotten(yanked: Run, registry: PluginRegistry) -> None:
    yanked("list", "--outdated")
    yank(registry, [])
    yanked("list", "--outdated")
    assert mark_of(yanked) is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 2}', '{"format": 1, "yanked": {"acme/mail": 3}}', "\0", "[" * 9999]
)
def test_a_note_that_cannot_be_read_is_made_again(yanked: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "store/yanked.json").write_text(text)
    assert yanked("list").code == 0
    yanked("list", "--outdated")
    assert mark_of(yanked)["by"] == "kai"
