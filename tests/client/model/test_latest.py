"""Which release is shown as the latest: the one that install takes, wherever one is shown."""

from __future__ import annotations

import pytest

from sealdex.model.index import FilePin, IndexDocument, ReleaseEntry, latest_release
from sealdex.model.plugin import Mark


def entry(text: str) -> ReleaseEntry:
    """Read ``2.0.0-rc.1 stable,beta yanked``; without channels it is in stable."""
    version, *rest = text.split()
    yanked = Mark(at="2026-11-21T12:00:00Z", by="Kim") if "yanked" in rest else None
    channels = tuple(next((part for part in rest if part != "yanked"), "stable").split(","))
    return ReleaseEntry(version, FilePin(1, "0" * 64), channels=channels, yanked=yanked)


@pytest.mark.parametrize(
    ("releases", "latest"),
    [
        (["2.0.0-rc.1", "1.0.0"], "1.0.0"),
        (["2.0.0-rc.1", "1.1.0 yanked", "1.0.0"], "1.0.0"),
        (["2.0.0 beta", "1.0.0"], "1.0.0"),
        (["2.0.0-rc.1", "1.0.0 yanked"], "2.0.0-rc.1"),
        (["2.0.0-rc.1", "1.0.0 beta"], "2.0.0-rc.1"),  # as before: stable goes before other channels
        (["2.0.0-rc.2 beta", "2.0.0-rc.1 beta"], "2.0.0-rc.2"),
        (["1.0.0", "2.0.0-rc.1", "1.10.0", "1.9.0"], "1.10.0"),  # whatever the order in the document
        (["1.0.0+build-7", "0.9.0"], "1.0.0+build-7"),  # a hyphen in build metadata makes no pre-release
        (["1.0.0 yanked"], None),
        ([], None),
    ],
)
def test_latest_release(releases: list[str], latest: str | None) -> None:
    document = IndexDocument(1, "acme", "slack", "notify", "Sends", tuple(map(entry, releases)))
    found = latest_release(document)
    assert (found.version if found else None) == latest
