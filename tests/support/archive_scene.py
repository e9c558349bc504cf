"""Where an archive attacks: an outside that must not change, and a destination that must not appear."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.archives import (
    tree,
)

from sealdex.archive.unpack import (
    RefusedArchiveError,
    UnpackLimits,
    unpack,
)


class Scene:
    """A folder with an outside that must not change, and a destination that must not appear."""

    def __init__(self, root: Path) -> None:
        self.archive = root / "attack"
        self.outside = root / "outside"
        self.outside.mkdir(parents=True)
        (self.outside / "victim").write_bytes(b"as it was")
        self.destination = self.outside / "inner" / "destination"
        self.destination.parent.mkdir()

    def refused(self, archive_format: str, *reasons: str, limits: UnpackLimits | None = None) -> RefusedArchiveError:
        """Unpack, and check that it is refused for exactly these reasons and that nothing was written."""
        with pytest.raises(RefusedArchiveError) as caught:
            unpack(self.archive, archive_format, self.destination, limits=limits)
        problems = [str(problem) for problem in caught.value.problems]
        assert len(problems) == len(reasons), problems
        for reason in reasons:
            assert any(reason in problem for problem in problems), (reason, problems)
        self.unharmed()
        return caught.value

    def unharmed(self) -> None:
        """Check that nothing is there but what was."""
        assert tree(self.outside) == {"victim": b"as it was"}
        assert sorted(p.name for p in self.outside.rglob("*")) == ["inner", "victim"]
