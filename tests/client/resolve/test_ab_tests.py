"""A/B tests by label: who has which side follows from label and experiment alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.commands import Run
from support.plugin_registry import PluginRegistry

from sealdex.model.decode import DocumentError, read_values
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId
from sealdex.model.index import AbEntry, ArtifactEntry, FilePin, ReleaseEntry
from sealdex.model.release import Release, release_problems
from sealdex.resolve import Policy, judge
from sealdex.resolve.requests import Want

DIGEST = "0" * 64
VOICE = PluginId("speech", "voice")
SITES = [f"site-{number}" for number in range(2000)]


def fits(test: AbEntry, given: dict[str, str], *, host: str = "f" * 32, version: str = "1.0.0", **policy: Any) -> bool:
    artifacts = (ArtifactEntry("a", DIGEST, "file"),)
    release = ReleaseEntry(version, FilePin(1, DIGEST), artifacts=artifacts, rollout=0, ab=test)
    policy = {"host": host, **policy}
    return judge(release, [Want(VOICE, "*")], Policy(**policy), Environment(labels=given)).fits


def test_a_label_decides_alone_and_the_share_grows_without_losing_anybody() -> None:
    before: set[str] = set()
    for share in (0, 1, 25, 50, 99, 100):
        test = AbEntry("voices", share, "site")
        sites = {site for site in SITES if fits(test, {"site": site})}
        assert sites == {site for site in SITES if fits(test, {"site": site, "x": "y"}, host="0" * 32, version="2.0.0")}
        assert before <= sites
        assert abs(len(sites) / len(SITES) - share / 100) < 0.04
        before = sites


def test_experiments_are_independent() -> None:
    one, other = ({s for s in SITES if fits(AbEntry(name, 50, "site"), {"site": s})} for name in ("one", "other"))
    assert abs(len(one & other) / len(SITES) - 0.25) < 0.04


def test_the_sides_are_written_down_for_ever() -> None:
    """Another client, and a later one, must come to the same sides: docs/format.md has the rule."""
    test = AbEntry("voices", 50, "site")
    assert [fits(test, {"site": site}) for site in SITES[:8]] == SIDES


SIDES = [True, False, False, True, True, False, True, False]


@pytest.mark.parametrize(
    ("labels", "policy", "expected"),
    [
        ({"ring": "early"}, {}, True),
        ({"ring": "late"}, {}, False),
        ({}, {}, False),
        ({}, {"labels": {"ring": "early"}}, True),
        ({"ring": "early"}, {"labels": {"ring": "late"}}, False),
        ({}, {"ignore_rollout": True}, True),
        ({}, {"host": None}, True),
    ],
)
def test_labels_of_host_and_job_choose_who_takes_part(
    labels: dict[str, str], policy: dict[str, Any], expected: bool
) -> None:
    test = AbEntry("voices", selector={"match_labels": {"ring": "early"}})
    assert fits(test, labels, **policy) is expected


def test_who_lacks_the_label_and_a_selector_from_the_future_are_out() -> None:
    assert not fits(AbEntry("voices", 100, "site"), {})
    assert not fits(AbEntry("voices", 100, selector={"match_moon": "full"}), {"ring": "early"})
    assert fits(AbEntry("voices", 100), {})


def test_what_authors_write_is_checked() -> None:
    base = {"version": "1.0.0"}
    with pytest.raises(DocumentError, match="experiment"):
        read_values({**base, "ab": {"share": 10}}, Release)
    both = read_values({**base, "rollout": 5, "ab": {"experiment": "voices"}}, Release)
    assert [where for where, _ in release_problems(both)] == ["rollout", "ab"]


def test_a_host_gets_its_side_and_is_told_so(run: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    registry.release("acme/mail", "2.0.0", rollout=0, ab=AbEntry("mails", selector={"match_labels": {"ring": "early"}}))
    registry.publish()
    assert "2.0.0 (A/B test mails: 100% of hosts where ring=early)" in run("info", "acme/mail").out
    outside = run("install", "acme/mail")
    assert "installed acme/mail 1.0.0" in outside.out
    assert "not chosen: A/B test mails: needs ring=early" in outside.err
    inside = run("install", "acme/mail", "--set", 'environment.labels={ring = "early"}')
    assert "installed acme/mail 2.0.0" in inside.out
