"""A folder that can't be written to, for whoever runs the tests: root as well, whom modes alone don't hold back."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _without_power() -> None:
    if os.geteuid() == 0 and _LIBC is not None:
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "PR_CAPBSET_DROP")


def run_without_power(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``sealdex`` as somebody for whom the modes of files hold, even if that is root."""
    return subprocess.run(
        [sys.executable, "-m", "sealdex", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_without_power,  # one call of the system, with the library loaded beforehand
    )


@contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Take the right to write from folders and all that is in them, while the block runs."""
    before = {
        path: path.stat().st_mode
        for folder in folders
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink()
    }
    for path, mode in before.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in before.items():
            path.chmod(mode)
