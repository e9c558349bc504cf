"""use, pins, enable, disable, rollback, history, update and list --outdated, on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.model.ids import PluginId
from sealdex.store.database import FAILED, StoredStatus, user_name
from sealdex.store.layout import Store


def version_of(run: Run, plugin: str) -> str | None:
    ran = run("path", plugin, "--json")
    return str(ran.document["version"]) if ran.code == 0 else None


def test_use_rollback_history(run: Run) -> None:
    run("install", "acme/slack@1.0.0")
    run("install", "acme/slack@1.1.0")
    assert run("use", "acme/slack", "1.0.0").out == "acme/slack 1.0.0 is in use (was 1.1.0)\n"
    assert version_of(run, "acme/slack") == "1.0.0"
    back = run("rollback", "--json").document
    assert back["taken_back"][0]["command"] == "use acme/slack 1.0.0"
    assert version_of(run, "acme/slack") == "1.1.0"
    shown = run("history")
    assert "use acme/slack 1.0.0 (undone)" in shown.out
    assert "acme/slack 1.0.0 -> 1.1.0" in shown.out
    changes = run("history", "--json", "--limit", "2").document
    assert [(c["change"], c["holds"]) for c in changes["changes"]] == [(4, False), (3, False)]
    assert changes["total"] == 4
    assert run("rollback", "--to", "0").code == 0
    assert run("list", "--json").document["installed"] == []
    nothing = run("rollback")
    assert (nothing.code, "sealdex history" in nothing.err) == (2, True)


def test_rollback_puts_back_what_was_uninstalled(run: Run, server: TreeServer, tmp_path: Path) -> None:
    run("install", "acme/slack@1.0.0")
    run("install", "acme/slack@1.1.0", "--pin")
    before = run("list", "--json").document["installed"]
    run("uninstall", "acme/slack")
    server.requests.clear()
    back = run("rollback", "--json").document
    assert [(each["plugin"], each["restored"]) for each in back["plugins"]] == [("acme/slack", ["1.0.0", "1.1.0"])]
    assert back["lost"] == []

    def facts(listed: list[dict[str, object]]) -> list[object]:
        return [{k: v for k, v in each.items() if k != "installed_at"} for each in listed]

    assert facts(run("list", "--json").document["installed"]) == facts(before)
    assert (run("verify").code, server.requests) == (0, [])
    assert "acme/slack nothing -> 1.1.0, pinned to 1.1.0, restored 1.0.0, 1.1.0" in run("history").out


def test_rollback_says_what_the_cache_does_not_have_any_more(run: Run, tmp_path: Path) -> None:
    """Power, in the second half: who may write to the cache. Another archive is not put back."""
    run("install", "acme/slack@1.0.0")
    run("install", "acme/slack@1.1.0")
    files = {
        each["version"]: tmp_path / "store/cache/sha256" / each["artifact_sha256"][:2] / each["artifact_sha256"]
        for each in run("list", "--json").document["installed"]
        if each["plugin"] == "acme/slack"
    }
    run("uninstall", "acme/slack")
    files["1.0.0"].unlink()
    partly = run("rollback")
    assert (partly.code, "acme/slack 1.0.0 was not restored" in partly.err) == (0, True)
    assert "sealdex install acme/slack@1.0.0" in partly.err
    run("uninstall", "acme/slack")
    files["1.1.0"].write_bytes(b"x" * files["1.1.0"].stat().st_size)
    refused = run("rollback")
    assert (refused.code, "sealdex install acme/slack@1.1.0" in refused.err) == (3, True)
    assert [each["plugin"] for each in run("list", "--json").document["installed"]] == ["acme/base"]


def test_use_of_what_is_not_there(run: Run) -> None:
    run("install", "acme/mail")
    missing = run("use", "acme/mail", "9.0.0")
    assert (missing.code, "sealdex install acme/mail@9.0.0" in missing.err) == (3, True)
    assert run("use", "acme/mail").code == 2
    assert run("use", "acme/nothing", "--pin").code == 3
    assert run("use", "nothing", "1.0.0").code == 2


def test_pins_hold(run: Run) -> None:
    run("install", "acme/slack@1.0.0", "--pin")
    assert "1.0.0 (current, pinned)  enabled " in run("list").out
    refused = run("install", "acme/slack@1.1.0")
    assert refused.code == 3
    assert "the pin on this host keeps acme/slack at 1.0.0" in refused.err
    assert "--unpin removes the pin of acme/slack" in refused.err
    passed = run("install", "acme/slack")
    assert passed.out.startswith("acme/base 1.0.0 is already installed")
    change = run("history", "--json").document["changes"][0]
    since = f"pinned to 1.0.0 on this host since {change['at']} by {user_name()} (install acme/slack@1.0.0)"
    assert f"acme/slack 2.0.0 is newer but was not chosen: {since}\n" in passed.err
    assert change["by"] == user_name()
    assert f"keeps acme/slack at 1.0.0 since {change['at']} by" in refused.err
    assert f"acme/slack is not updated: pinned to 1.0.0 since {change['at']} by" in run("update").err
    assert run("use", "acme/slack", "--pin").out == "acme/slack 1.0.0 is in use, pinned\n"
    assert run("install", "acme/slack@1.1.0", "--pin").code == 0
    assert run("list", "--json").document["installed"][-1]["pin"] == "1.1.0"
    held = run("use", "acme/slack", "1.0.0")
    assert (held.code, "is pinned to 1.1.0" in held.err) == (2, True)
    assert run("install", "acme/slack", "--unpin").code == 0
    assert run("use", "acme/slack", "1.0.0").code == 0


def test_status(run: Run, tmp_path: Path) -> None:
    run("install", "acme/mail")
    assert run("list", "--json").document["installed"][0]["status"] == 1
    assert run("disable", "acme/mail").out == "acme/mail is disabled\n"
    assert run("list", "--json").document["installed"][0]["status"] == 0
    assert run("enable", "acme/mail", "--json").document["plugins"][0]["enabled"] is True
    StoredStatus(Store(tmp_path / "store")).note(PluginId("acme", "mail"), "1.0.0", FAILED, "ImportError: no")
    row, below = run("list").out.splitlines()[1:]
    assert row.split() == [
        "acme/mail",
        "1.0.0",
        "(current)",
        "error",
        "public",
        *["signed", "by", "packages,", "root", "v1"],
    ]
    assert below == "  ImportError: no"
    run("enable", "acme/mail")
    assert run("path", "acme/mail", "--json").document["status"] == 1
    assert run("disable", "acme/slack").code == 3


def test_update_without_a_project(run: Run, registry: PluginRegistry) -> None:
    run("install", "acme/slack@1.0.0", "acme/mail")
    run("install", "acme/slack@2.0.0")
    run("use", "acme/slack", "1.0.0")
    assert run("list", "--outdated", "--json").document["outdated"] == [
        {"plugin": "acme/slack", "version": "1.0.0", "newest": "1.1.0", "pinned": False, "yanked": False}
    ]
    assert run("update", "--dry-run").out == "~ acme/slack 1.0.0 -> 1.1.0\ndry run: nothing was changed\n"
    assert version_of(run, "acme/slack") == "1.0.0"
    assert run("update", "--json").document["changed"] == [
        {"plugin": "acme/slack", "before": "1.0.0", "after": "1.1.0"}
    ]
    assert version_of(run, "acme/slack") == "1.1.0"
    assert run("update").out == "everything is up to date\n"
    assert run("update", "acme/nothing").code == 3
    # what is newer than all of its channel is not made older
    run("use", "acme/slack", "2.0.0")
    assert run("update").code == 0
    assert version_of(run, "acme/slack") == "2.0.0"


def test_one_that_fails_leaves_all_as_they_were(run: Run, server: TreeServer, tmp_path: Path) -> None:
    run("install", "acme/slack@1.0.0")
    before = run("list", "--json").document
    server.instead["plugins/acme/slack/1.1.0/slack.zip"] = b"not what was signed"
    assert run("install", "acme/slack", "acme/mail").code == 4
    assert run("list", "--json").document == before


@pytest.mark.parametrize("ask", [["acme/slack"], ["acme/slack@^1"], ["acme/slack", "acme/base"]])
def test_fallback_when_the_registry_is_gone(run: Run, server: TreeServer, ask: list[str], tmp_path: Path) -> None:
    run("install", "acme/slack@1.0.0")
    server.instead = dict.fromkeys(server.files, 503)
    served = run("install", *ask)
    assert (served.code, "warning: no registry could be reached" in served.err) == (0, True)
    assert "acme/slack 1.0.0 is installed and used" in served.out
    shown = run("install", *ask, "--json").document["installed"]
    assert {(each["action"], bool(each["unreachable"])) for each in shown} == {("fallback", True)}
    assert run("install", *ask, "--no-fallback").code == 5
    unsatisfied = run("install", "acme/slack@>=1.1")
    assert (
        unsatisfied.code,
        "no installed version of acme/slack satisfies the request (installed: 1.0.0)" in unsatisfied.err,
    ) == (5, True)
    assert run("install", "acme/mail").code == 5


def test_an_artifact_that_is_not_delivered_is_told_as_that(run: Run, server: TreeServer) -> None:
    run("install", "acme/slack@1.0.0")
    server.instead["plugins/acme/slack/1.1.0/slack.zip"] = 503
    served = run("install", "acme/slack", "--set", "download.retry=0")
    assert served.code == 0
    assert "warning: acme/slack 1.1.0 could not be fetched, so what is installed or preinstalled is used" in served.err
    assert "answered 503" in served.err
    assert "no registry could be reached" not in served.err
    assert "acme/slack 1.0.0 is installed and used" in served.out
    shown = run("install", "acme/slack", "--set", "download.retry=0", "--json").document["installed"]
    assert {(each["action"], tuple(each["undelivered"])) for each in shown} == {("fallback", ("acme/slack 1.1.0",))}


def test_a_lie_is_no_outage(run: Run, server: TreeServer) -> None:
    """Power: the network. Change: other metadata. What is installed doesn't paper over it."""
    run("install", "acme/slack@1.0.0")
    server.instead["metadata/timestamp.json"] = b'{"signed": {}, "signatures": []}'
    assert run("install", "acme/slack").code == 4


# --- looking now and then --------------------------------------------------------------------------------------------


def test_what_is_outdated_is_said_now_and_then(run: Run, server: TreeServer, tmp_path: Path) -> None:
    config = tmp_path / "config/config.toml"
    run("install", "acme/slack@1.0.0")
    assert "outdated" not in run("install", "acme/mail").err
    config.write_text(config.read_text() + "\n[update]\nauto_check_update = true\n")
    said = run("install", "acme/mail")
    assert "outdated: acme/slack 1.0.0 -> 1.1.0; sealdex update" in said.err
    assert "outdated" not in run("install", "acme/mail").err
    mark = tmp_path / "store/last-update-check"
    os.utime(mark, (0, 0))
    assert "outdated" in run("install", "acme/mail").err
    server.instead = dict.fromkeys(server.files, 503)
    os.utime(mark, (0, 0))
    assert run("install", "acme/mail").code == 0
