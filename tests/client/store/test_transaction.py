"""A set of plugins changes as one: killed, failing or rolled back, it is all of it or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.installing import make_release
from support.killing import ALL, kills_of
from support.plugin_set import PLUGINS, jobs, state
from support.store_truth import disagreements

from sealdex.errors import FormatTooNewError, NotFoundError, UsageError, VerificationError
from sealdex.install.install import install
from sealdex.install.transaction import deploy, finish_killed, pins
from sealdex.model.ids import PluginId
from sealdex.store.change import Change, Facts, Member
from sealdex.store.database import DISABLED, ENABLED, FAILED, PluginRow, State, StoredStatus
from sealdex.store.installations import current_version_named, installed_versions
from sealdex.store.layout import Store
from sealdex.store.rollback import RolledBack, not_taken_back, roll_back
from sealdex.store.transaction import change_facts, changing, facts_of, remove_versions

APP, BASE = PLUGINS


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def in_use(store: Store) -> list[str | None]:
    return [current_version_named(store, plugin) for plugin in PLUGINS]


# --- killed ----------------------------------------------------------------------------------------------------------

KILLS = 8
ONE, TWO = ["1.0.0"] * 2, ["2.0.0"] * 2
VERSIONS_OF_ONE = [f"{plugin} 1.0.0" for plugin in PLUGINS]
VERSIONS_OF_BOTH = [f"{plugin} {version}" for plugin in PLUGINS for version in ("1.0.0", "2.0.0")]


@pytest.mark.parametrize(
    ("scenario", "before", "done"),
    [
        ("first", ([None] * 2, [], [], []), (ONE, VERSIONS_OF_ONE, [], ["one"])),
        ("upgrade", (ONE, VERSIONS_OF_ONE, [], ["one"]), (TWO, VERSIONS_OF_BOTH, TWO, ["two", "one"])),
        (
            "rollback",
            (TWO, VERSIONS_OF_BOTH, TWO, ["two", "one"]),
            (ONE, VERSIONS_OF_ONE, [], ["rollback --to 1", "two", "one"]),
        ),
        (
            "restore",
            ([None] * 2, [], [], ["uninstall", "one"]),
            (ONE, VERSIONS_OF_ONE, [], ["rollback --to 1", "uninstall", "one"]),
        ),
    ],
)
def test_a_set_that_is_killed_at_any_step(scenario: str, before: Any, done: Any, tmp_path: Path) -> None:
    """What the next run makes of it is the old state or the new one, of all plugins at once.

    The steps are drawn at random; KILLS=all takes every one.
    """
    lines = kills_of(f"set-{scenario}", tmp_path, KILLS, edges=True)
    assert len(lines) > (20 if ALL else KILLS)
    outcomes = []
    for line in lines:
        settled, again = line["settled"], line["again"]
        found = (settled["current"], settled["installed"], settled["pins"], settled["history"])
        assert found in (before, done), line
        outcomes.append(found == done)
        assert (settled["damaged"], settled["unfinished"]) == ([], []), line
        assert (again["current"], again["installed"], again["pins"], again["history"]) == done, line
        assert (again["damaged"], again["unfinished"], again["staging"]) == ([], [], []), line
        if line["after"]["unfinished"] == ["preparing"]:
            assert line["after"]["current"] == before[0], line
    assert outcomes == sorted(outcomes)  # once it is done it stays done, and both were seen
    assert len(set(outcomes)) == 2


# --- failing ---------------------------------------------------------------------------------------------------------


def test_what_fails_at_the_last_leaves_nothing_of_the_first(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0"), command="one")
    before = state(store)
    good, other = jobs(tmp_path, "2.0.0")
    wrong, _ = make_release(tmp_path / "wrong", "2.0.0", {"bin/tool": b"other"})
    with pytest.raises(VerificationError, match="is not the file"):
        deploy(store, [good, replace(other, archive=wrong)], command="two")
    assert state(store) == before


def test_a_change_that_changes_nothing_is_not_remembered(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0"), command="one")
    deploy(store, jobs(tmp_path, "1.0.0"), command="again")
    assert [change.command for change in State(store).history()] == ["one"]


# --- switching and rolling back --------------------------------------------------------------------------------------


def test_rollback_goes_back_step_by_step(store: Store, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        deploy(store, jobs(tmp_path, version), command=version)
    roll_back(store)
    assert in_use(store) == TWO
    assert [i.version for i in installed_versions(store, APP)] == ["1.0.0", "2.0.0"]
    roll_back(store)
    assert in_use(store) == ONE
    roll_back(store)
    assert in_use(store) == [None] * 2
    assert not Path(store.plugin_folder(APP)).exists()
    with pytest.raises(UsageError, match="no change to undo"):
        roll_back(store)


def test_rollback_to_a_change_and_on_from_there(store: Store, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        deploy(store, jobs(tmp_path, version), command=version)
    done = roll_back(store, to=1)
    assert [change.id for change in done.changes] == [3, 2]
    assert in_use(store) == ONE
    with pytest.raises(UsageError, match="no change 2"):
        roll_back(store, to=2)
    deploy(store, jobs(tmp_path, "4.0.0"), command="4")
    roll_back(store)
    assert in_use(store) == ONE
    roll_back(store, to=0)
    assert in_use(store) == [None] * 2


def test_rollback_touches_only_what_was_changed(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0"), command="one")
    deploy(store, jobs(tmp_path, "2.0.0", (APP,)), command="app")
    change_facts(store, "disable", {BASE: lambda facts: replace(facts, enabled=False)})
    roll_back(store)
    assert facts_of(store, BASE) == Facts("1.0.0")
    assert facts_of(store, APP) == Facts("2.0.0")


def test_rollback_to_what_was_removed_says_so_and_changes_nothing(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="one")
    deploy(store, jobs(tmp_path, "2.0.0", (APP,)), command="two")
    remove_versions(store, "uninstall", {APP: ("1.0.0",)})
    roll_back(store)  # of a removal: 1.0.0 was not in use, so nothing has to be there again
    before = state(store)
    with pytest.raises(NotFoundError, match=r"1\.0\.0 is not installed") as caught:
        roll_back(store)
    assert caught.value.hint == "sealdex install acme/app@1.0.0"
    assert state(store) == before


def with_way_back(store: Store, tmp_path: Path, lost: tuple[str, ...] = ()) -> RolledBack:
    """Roll back, and put back what isn't said to be lost by installing it again."""

    def restore(plugin: PluginId, version: str) -> Callable[[], object] | None:
        job = jobs(tmp_path, version, (plugin,))[0]
        return None if version in lost else lambda: install(store, job.request, job.archive, make_current=False)

    return roll_back(store, restore=restore)


def test_rollback_returns_to_each_state_before_whatever_was_done(store: Store, tmp_path: Path) -> None:
    """Versions come, go, come again and are switched; going back meets the same states in reverse."""
    steps: list[Callable[[], object]] = [
        lambda: deploy(store, jobs(tmp_path, "1.0.0"), command="both"),
        lambda: deploy(store, jobs(tmp_path, "2.0.0", (APP,), pin=True), command="app"),
        lambda: remove_versions(store, "uninstall", {APP: ("1.0.0",)}),
        lambda: remove_versions(store, "uninstall", {APP: ("2.0.0",), BASE: ("1.0.0",)}),
        lambda: deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="again"),
        lambda: deploy(store, jobs(tmp_path, "3.0.0"), command="three"),
        lambda: change_facts(store, "use", {APP: lambda facts: replace(facts, version="1.0.0")}),
        lambda: remove_versions(store, "uninstall", {APP: ("3.0.0", "1.0.0")}),
    ]

    def seen() -> tuple[Any, ...]:
        looked = state(store)
        return looked["current"], looked["installed"], looked["pins"], looked["damaged"], looked["staging"]

    states = [seen()]
    for step in steps:
        step()
        states.append(seen())
    assert len({str(each) for each in states}) > 6
    for before in reversed(states[:-1]):
        assert with_way_back(store, tmp_path).lost == ()
        assert seen() == before
    assert disagreements(store) == []


def test_over_several_changes_the_oldest_says_what_was_there(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="one")
    remove_versions(store, "uninstall", {APP: ("1.0.0",)})
    deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="again")
    roll_back(store, to=1)
    assert facts_of(store, APP) == Facts("1.0.0")
    roll_back(store, to=0)
    assert facts_of(store, APP) == Facts()
    assert disagreements(store) == []


def test_what_only_lay_there_and_is_lost_is_told(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="one")
    deploy(store, jobs(tmp_path, "2.0.0", (APP,)), command="two")
    remove_versions(store, "uninstall", {APP: ("1.0.0", "2.0.0")})
    before = state(store)
    with pytest.raises(NotFoundError, match=r"2\.0\.0 is not installed"):
        with_way_back(store, tmp_path, lost=("2.0.0",))
    assert state(store) == before
    assert with_way_back(store, tmp_path, lost=("1.0.0",)).lost == ((APP, "1.0.0"),)
    assert facts_of(store, APP) == Facts("2.0.0")
    assert disagreements(store) == []


def test_what_cannot_be_put_back_leaves_all_as_it_was(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0"), command="one")
    remove_versions(store, "uninstall", dict.fromkeys(PLUGINS, ("1.0.0",)))
    before = state(store)

    def restore(plugin: PluginId, version: str) -> Callable[[], object]:
        job = jobs(tmp_path, version, (plugin,))[0]
        if plugin == BASE:
            return lambda: install(store, job.request, make_release(tmp_path / "x", "9.0.0")[0], make_current=False)
        return lambda: install(store, job.request, job.archive, make_current=False)

    with pytest.raises(VerificationError):
        roll_back(store, restore=restore)
    assert state(store) == before


def test_a_store_of_before_there_were_ways_back_is_read(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0"), command="one")
    with closing(sqlite3.connect(store.state_file)) as database:
        database.execute("ALTER TABLE member DROP COLUMN restores")
        database.execute("PRAGMA user_version = 1")
        database.commit()
    deploy(store, jobs(tmp_path, "2.0.0"), command="two")
    assert [change.command for change in State(store).history()] == ["two", "one"]
    assert disagreements(store) == []


def test_removing_the_version_in_use_and_the_last(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="one")
    deploy(store, jobs(tmp_path, "2.0.0", (APP,), pin=True), command="two")
    remove_versions(store, "uninstall", {APP: ("2.0.0",)})
    assert facts_of(store, APP) == Facts("1.0.0")
    remove_versions(store, "uninstall", {APP: ("1.0.0",)})
    assert facts_of(store, APP) == Facts()
    assert not Path(store.plugin_folder(APP)).exists()


def test_using_what_is_not_there(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="one")
    with pytest.raises(NotFoundError, match=r"acme/app 9\.0\.0 is not installed; installed: 1\.0\.0"):
        change_facts(store, "use", {APP: lambda facts: replace(facts, version="9.0.0")})
    assert len(State(store).history()) == 1


def test_a_committed_change_whose_version_is_gone_holds_nobody_up(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="one")
    member = Member(APP, Facts("1.0.0"), Facts("2.0.0"))
    State(store).commit(State(store).begin("two", [member]), [member])
    finish_killed(store)
    assert in_use(store)[0] == "1.0.0"
    assert State(store).unfinished() == []


def test_what_still_holds_is_decided_from_the_history_alone() -> None:
    def change(number: int, undoes: int | None = None) -> Change:
        return Change(number, "", "", "done", undoes, ())

    history = [change(7), change(6, 2), change(5, 4), change(4), change(3), change(2), change(1)]
    assert [c.id for c in not_taken_back(history)] == [7, 1]


# --- the database ----------------------------------------------------------------------------------------------------


def test_status_is_kept_and_disabling_wins(store: Store) -> None:
    status = StoredStatus(store)
    assert status.is_enabled(APP)
    status.note(APP, "1.0.0", FAILED, "ValueError: no")
    assert State(store).plugin(APP) == PluginRow(FAILED, "1.0.0", "ValueError: no")
    status.note(APP, "1.0.0", ENABLED, None)
    assert State(store).plugin(APP) == PluginRow(ENABLED)
    change_facts(store, "disable", {APP: lambda facts: replace(facts, enabled=False)})
    status.note(APP, "1.0.0", FAILED, "ValueError: no")
    assert State(store).plugin(APP) == PluginRow(DISABLED)
    assert not status.is_enabled(APP)


def test_an_error_is_forgotten_when_another_version_is_used(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0", (APP,)), command="one")
    StoredStatus(store).note(APP, "1.0.0", FAILED, "no")
    deploy(store, jobs(tmp_path, "2.0.0", (APP,)), command="two")
    assert State(store).plugin(APP) == PluginRow()


def test_pins_are_those_of_the_store(store: Store, tmp_path: Path) -> None:
    deploy(store, jobs(tmp_path, "1.0.0", (APP, BASE), pin=True), command="one")
    deploy(store, jobs(tmp_path, "2.0.0", (BASE,), pin=False), command="two")
    assert pins(store) == {APP: "1.0.0"}


def test_a_database_of_a_newer_sealdex_is_left_alone(store: Store) -> None:
    StoredStatus(store).note(APP, "1.0.0", FAILED, "no")
    with sqlite3.connect(store.state_file) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(FormatTooNewError, match="format 99"), changing(store, "x"):
        raise AssertionError("unreachable")


def test_reading_from_nothing_makes_nothing(store: Store) -> None:
    assert State(store).plugins() == {}
    assert State(store).history() == []
    assert StoredStatus(store).is_enabled(PluginId("a", "b"))
    assert not Path(store.root).exists()
