"""Released versions, run from the wheels that were released: old clients against new registries and the reverse.

    tests/fixtures/released/<version>/*.whl       the two distributions, as they were built

Their dependencies are those of the environment that runs the tests, so a run needs no network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WHEELS = Path(__file__).parent.parent / "fixtures" / "released"
MODULES = {"sealdex": "sealdex", "sealdex-builder": "registry_builder"}


@dataclass(frozen=True)
class Released:
    """One released version, unpacked: its commands run instead of this checkout's."""

    version: str
    folder: Path

    def run(
        self,
        program: str,
        *arguments: str | Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        expect: int | None = 0,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``sealdex`` or ``sealdex-builder`` of this version; ``expect=None`` accepts every exit code."""
        return self.python("-m", MODULES[program], *arguments, cwd=cwd, env=env, expect=expect)

    def python(
        self, *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, expect: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with this version's packages in front of this checkout's."""
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **(env or {}), "PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if expect is not None:
            assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def unpack_release(version: str, folder: Path) -> Released:
    """Unpack both wheels of a released version into ``folder`` and return what runs them."""
    wheels = sorted((WHEELS / version).glob("*.whl"))
    assert len(wheels) == len(MODULES), f"no wheels of {version} in {WHEELS}"
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return Released(version, folder)
