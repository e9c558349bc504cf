"""What is said when nothing fits: chains, what exists, and the flag or setting that would help."""

from __future__ import annotations

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry

from sealdex.cli.context import ConsoleObserver
from sealdex.cli.output import Output
from sealdex.cli.progress import Progress


def test_a_conflict_is_told_as_a_chain(run: Run, registry: PluginRegistry) -> None:
    registry.release("acme/a", "2.0.0", dependencies={"acme/b": "^1"})
    registry.release("acme/b", "1.0.0", dependencies={"acme/base": ">=3"})
    registry.publish()
    refused = run("install", "acme/a", "acme/base@<3")
    assert refused.code == 3
    assert "you asked for acme/base@<3" in refused.err
    assert "acme/b 1.0.0 needs acme/base >=3 (acme/a 2.0.0 -> acme/b 1.0.0)" in refused.err
    assert run("list", "--json").document["installed"] == []


def test_a_tag_that_is_missing_is_said_with_where_to_state_it(run: Run, registry: PluginRegistry) -> None:
    registry.release("acme/hal", "1.0.0", tags=("jetpack-5",))
    registry.publish()
    refused = run("install", "acme/hal")
    assert (refused.code, "1.0.0: needs tag jetpack-5" in refused.err) == (3, True)
    assert "if this host has jetpack-5, add it to tags = [...] under [environment] in config.toml" in refused.err
    assert run("install", "acme/hal", "--set", "environment.tags=jetpack-5").code == 0


def test_flags_that_would_admit_a_release(run: Run, registry: PluginRegistry) -> None:
    registry.release("acme/all", "1.0.0-rc.1", channels=("beta",), rollout=0)
    registry.publish()
    refused = run("install", "acme/all")
    assert "help: --channel beta --ignore-rollout would choose 1.0.0-rc.1" in refused.err
    assert run("install", "acme/all", "--pre", "--channel", "beta", "--ignore-rollout").code == 0
    typo = run("install", "acme/slak")
    assert (typo.code, "did you mean acme/slack" in typo.err) == (3, True)


def test_a_search_that_takes_too_long_ends_with_the_setting_that_gives_it_more(run: Run) -> None:
    short = run("install", "acme/slack", "--set", "install.resolve_timeout=0.000000001")
    assert (short.code, "install.resolve_timeout" in short.err) == (3, True)
    assert run("install", "acme/slack", "--json", "--set", "install.resolve_timeout=0.000000001").document["error"][
        "code"
    ] == ("still-searching")
    assert run("list", "--json").document["installed"] == []
    assert run("install", "acme/slack").code == 0


def test_that_it_is_still_searching_is_noted_ever_more_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    observer = ConsoleObserver(Output(), Progress("looking", None))
    for second in range(1, 10):
        observer.resolving(second, 100 * second)
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.partition("(")[2] for line in told.err.splitlines()] == [
        "100 decisions in 1 s)",
        "200 decisions in 2 s)",
        "400 decisions in 4 s)",
        "800 decisions in 8 s)",
    ]


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ("=1.1.0", "1.1.0"),
        ("1.1.0", "1.1.0"),
        ("^1", "1.1.0"),
        ("<1.1", "1.0.0"),
        ("1.0", "1.0.0"),
        (">=1 <2", "1.1.0"),
        ("*", "1.1.0"),
        ("^2", "2.0.0"),  # nothing in it fits here: the newest that is in it
    ],
)
def test_info_takes_ranges(run: Run, asked: str, version: str) -> None:
    shown = run("info", f"acme/slack@{asked}", "--json")
    assert (shown.code, shown.document["manifest"]["version"]) == (0, version)
    noted = run("info", f"acme/slack@{asked}").err
    assert ("no release in ^2 fits this host, so this is the newest, 2.0.0" in noted) == (version == "2.0.0")


@pytest.mark.parametrize(("asked", "code"), [("^7", 3), ("=7.0.0", 3), ("banana", 2), ("", 2)])
def test_info_says_when_nothing_is_in_a_range(run: Run, asked: str, code: int) -> None:
    refused = run("info", f"acme/slack@{asked}")
    assert refused.code == code
    assert (f"acme/slack has no release {asked}" in refused.err) == (code == 3)


def test_info_shows_of_pre_releases_what_a_range_has(run: Run, registry: PluginRegistry) -> None:
    registry.release("acme/pre", "0.11.0-rc.1")
    registry.release("acme/pre", "0.10.0-rc.1")
    registry.publish()
    assert run("info", "acme/pre@^0.11.0-0", "--json").document["manifest"]["version"] == "0.11.0-rc.1"
    assert run("info", "acme/pre@*", "--json").document["manifest"]["version"] == "0.11.0-rc.1"
