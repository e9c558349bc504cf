"""What is installed and depends on something goes on working: refused with the chain, insisted on, or brought along."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry
from support.tree_server import TreeServer

from sealdex.model.index import ArtifactEntry


@pytest.fixture
def registry() -> PluginRegistry:
    """acme/app needs acme/a, which needs acme/b ^0.1; acme/b 0.2.0 is out, and nobody can work with it."""
    made = PluginRegistry()
    made.release("acme/app", "1.0.0", dependencies={"acme/a": "^1"})
    made.release("acme/a", "1.0.0", dependencies={"acme/b": "^0.1"})
    made.release("acme/b", "0.1.0")
    made.release("acme/b", "0.1.1")
    made.release("acme/b", "0.2.0")
    made.release("acme/other", "1.0.0", dependencies={"acme/b": "*"})
    made.publish()
    return made


def in_use(run: Run) -> dict[str, str]:
    rows = run("list", "--json").document["installed"]
    return {row["plugin"]: row["version"] for row in rows if row["current"]}


APP = {"acme/app": "1.0.0", "acme/a": "1.0.0", "acme/b": "0.1.1"}


@pytest.fixture
def app(run: Run) -> Run:
    assert run("install", "acme/app").code == 0
    assert in_use(run) == APP
    return run


# --- installing ------------------------------------------------------------------------------------------------------


def test_a_version_that_an_installed_plugin_cannot_work_with_is_refused_with_the_chain(app: Run) -> None:
    refused = app("install", "acme/b@0.2")
    assert refused.code == 3
    assert "you asked for acme/b@0.2" in refused.err
    assert "acme/a 1.0.0, which is installed, needs acme/b ^0.1" in refused.err
    assert "--cascade also updates acme/a; --force breaks what is installed" in refused.err
    assert in_use(app) == APP
    error = app("install", "acme/b@0.2", "--json").document["error"]
    wants = error["details"]["explanations"][0]["wants"]
    assert [(want["by"], want["range"], want["installed"]) for want in wants] == [
        (None, "0.2", False),
        ("acme/a 1.0.0", "^0.1", True),
    ]


def test_without_a_range_the_newest_that_goes_with_the_rest_is_taken(app: Run, server: TreeServer) -> None:
    ran = app("install", "acme/b")
    assert (ran.code, in_use(app)) == (0, APP)
    assert "acme/b 0.2.0 is newer but was not chosen: not in ^0.1, which acme/a 1.0.0 needs" in ran.err
    server.requests.clear()
    assert app("install", "acme/other").code == 0
    assert in_use(app) == {**APP, "acme/other": "1.0.0"}
    # the documents of what is installed and stays aren't asked for
    assert [path for path in server.requests if "index/acme" in str(path) and ".app." in str(path)] == []


def test_force_insists_and_says_what_it_breaks(app: Run) -> None:
    forced = app("install", "acme/b@0.2", "--force")
    assert forced.code == 0
    assert "acme/a 1.0.0 needs acme/b ^0.1, 0.2.0 is in use: sealdex install 'acme/b@^0.1'" in forced.err
    assert in_use(app) == {**APP, "acme/b": "0.2.0"}
    doctor = app("doctor", "--json")
    found = [each for each in doctor.document["error"]["details"]["findings"] if each["check"] == "dependencies"]
    assert [(each["subject"], each["state"], each["detail"]) for each in found] == [
        ("acme/a", "problem", "acme/a 1.0.0 needs acme/b ^0.1, 0.2.0 is in use")
    ]
    assert doctor.code == 1
    assert found[0]["remedy"].startswith("sealdex install 'acme/b@^0.1'")
    # the remedy helps, and needs no force
    assert app("install", "acme/b@^0.1").code == 0
    assert in_use(app) == APP
    assert app("doctor").code == 0


def test_cascade_brings_those_along_that_can_follow(app: Run, registry: PluginRegistry) -> None:
    refused = app("install", "acme/b@0.2", "--cascade")
    assert refused.code == 3
    assert "acme/a 1.0.0 needs acme/b ^0.1" in refused.err
    assert in_use(app) == APP
    registry.release("acme/a", "1.1.0", dependencies={"acme/b": "^0.2"})
    registry.publish()
    done = app("install", "acme/b@0.2", "--cascade", "--pin")
    assert done.code == 0
    assert in_use(app) == {**APP, "acme/a": "1.1.0", "acme/b": "0.2.0"}
    pins = {row["plugin"]: row["pin"] for row in app("list", "--json").document["installed"] if row["current"]}
    assert pins == {"acme/app": None, "acme/a": None, "acme/b": "0.2.0"}


def test_what_is_chosen_together_may_change_together(app: Run, registry: PluginRegistry) -> None:
    registry.release("acme/a", "1.1.0", dependencies={"acme/b": "^0.2"})
    registry.publish()
    assert app("install", "acme/a").code == 0
    assert in_use(app) == {**APP, "acme/a": "1.1.0", "acme/b": "0.2.0"}


# --- taking away and switching ---------------------------------------------------------------------------------------


def test_what_another_plugin_needs_is_not_uninstalled(app: Run) -> None:
    refused = app("uninstall", "acme/b")
    assert refused.code == 1
    assert "acme/a 1.0.0 needs acme/b ^0.1 (acme/app -> acme/a -> acme/b): it would be gone" in refused.err
    assert "to uninstall those too: --cascade; to uninstall anyway: --force" in refused.err
    assert in_use(app) == APP
    assert app("uninstall", "acme/b", "--json").document["error"]["details"]["broken"] == [
        {"plugin": "acme/a", "version": "1.0.0", "needs": "acme/b", "range": "^0.1", "found": None}
    ]
    assert app("uninstall", "acme/b", "acme/app", "acme/a").code == 0  # together it is nobody's loss
    assert in_use(app) == {}


def test_uninstalling_with_what_depends_on_it_or_all_the_same(app: Run) -> None:
    cascaded = app("uninstall", "acme/b", "--cascade", "--json").document["uninstalled"]
    assert sorted(each["plugin"] for each in cascaded) == ["acme/a", "acme/app", "acme/b"]
    assert app("rollback").code == 0  # one change
    assert in_use(app) == APP
    forced = app("uninstall", "acme/b", "--force")
    assert (forced.code, "acme/a 1.0.0 needs acme/b ^0.1, which is not installed" in forced.err) == (0, True)
    assert app("doctor").code == 1
    assert app("uninstall", "acme/app").code == 0  # what is broken already stands in nobody's way
    assert app("install", "acme/b@^0.1").code == 0
    assert app("doctor").code == 0


def test_a_version_that_is_not_in_use_may_go(app: Run) -> None:
    app("install", "acme/b@0.1.0")
    assert app("uninstall", "acme/b@0.1.1").code == 0
    assert in_use(app) == {**APP, "acme/b": "0.1.0"}


def test_use_and_rollback_heed_what_depends_on_a_plugin(app: Run, registry: PluginRegistry) -> None:
    assert app("install", "acme/b@0.2", "--force").code == 0
    assert app("use", "acme/b", "0.1.1").code == 0
    refused = app("use", "acme/b", "0.2.0")
    assert (refused.code, in_use(app)) == (1, APP)
    assert "acme/a 1.0.0 needs acme/b ^0.1 (acme/app -> acme/a -> acme/b): it would be 0.2.0" in refused.err
    back = app("rollback")
    assert (back.code, in_use(app)) == (1, APP)
    assert app("rollback", "--force").code == 0
    assert in_use(app) == {**APP, "acme/b": "0.2.0"}
    assert app("rollback").code == 0  # from there to what works is never refused
    assert in_use(app) == APP


def test_switching_to_a_version_that_needs_something_else_is_refused(app: Run, registry: PluginRegistry) -> None:
    registry.release("acme/a", "1.1.0", dependencies={"acme/b": "^0.2"})
    registry.publish()
    app("install", "acme/a")
    refused = app("use", "acme/a", "1.0.0")
    assert (refused.code, "acme/a 1.0.0 needs acme/b ^0.1" in refused.err) == (1, True)
    assert app("use", "acme/a", "1.0.0", "--force").code == 0


def test_what_is_disabled_needs_nothing_until_it_is_enabled(app: Run) -> None:
    app("disable", "acme/a")
    assert app("install", "acme/b@0.2").code == 0
    assert app("doctor").code == 0
    refused = app("enable", "acme/a")
    assert (refused.code, "acme/a 1.0.0 needs acme/b ^0.1" in refused.err) == (1, True)
    assert app("install", "acme/b@0.1").code == 0
    assert app("enable", "acme/a").code == 0


# --- updating --------------------------------------------------------------------------------------------------------


def test_update_says_whose_range_holds_a_version_back(app: Run, registry: PluginRegistry) -> None:
    registry.release("acme/b", "0.1.2")
    registry.publish()
    for named in ([], ["acme/b"]):
        ran = app("update", *named, "--json", "--dry-run").document
        assert ran["changed"] == [{"plugin": "acme/b", "before": "0.1.1", "after": "0.1.2"}]
        assert ran["kept"] == {"acme/b": "0.2.0 is newer, but acme/a 1.0.0 needs acme/b ^0.1"}
    assert app("update").code == 0
    assert in_use(app) == {**APP, "acme/b": "0.1.2"}
    assert app("update", "acme/b", "--force").code == 0
    assert in_use(app) == {**APP, "acme/b": "0.2.0"}


def test_update_puts_right_what_was_broken(app: Run, registry: PluginRegistry) -> None:
    """As stores are that an earlier sealdex has left: nobody asked for acme/b >=0.2.0."""
    app("install", "acme/b@0.2", "--force")
    done = app("update", "--json")
    assert (done.code, in_use(app)) == (0, APP)
    app("install", "acme/b@0.2", "--force")
    registry.release("acme/a", "1.1.0", dependencies={"acme/b": "^0.2"})
    registry.publish()
    assert app("update").code == 0  # forwards where that is possible
    assert in_use(app) == {**APP, "acme/a": "1.1.0", "acme/b": "0.2.0"}


# --- projects --------------------------------------------------------------------------------------------------------


def test_a_lock_goes_over_all_and_says_what_it_breaks(app: Run, tmp_path: Path) -> None:
    (tmp_path / "project/sealdex.toml").write_text('[plugins]\n"acme/b" = "0.2"\n')
    ensured = app("ensure")
    assert (ensured.code, in_use(app)) == (0, {**APP, "acme/b": "0.2.0"})
    assert "acme/a 1.0.0 needs acme/b ^0.1, 0.2.0 is in use" in ensured.err


def test_a_plugin_that_was_never_here_is_nobodys_loss(run: Run, registry: PluginRegistry) -> None:
    """A container image isn't in the store, and what needs it works."""
    registry.plugin("acme/suite")
    image = ArtifactEntry("x", "ab" * 32, "oci", url=f"harbor.example/x@sha256:{'ab' * 32}")
    registry.release("acme/suite", "1.0.0", artifacts=(image,))
    registry.release("acme/c", "1.0.0", dependencies={"acme/suite": "^1"})
    registry.publish()
    assert run("install", "acme/c").code == 0
    assert run("doctor").code == 0
    assert run("disable", "acme/c").code == 0
    assert run("enable", "acme/c").code == 0
