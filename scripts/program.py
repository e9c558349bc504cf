"""The command line of onefile.py and frozen.py: from the client's wheel in one folder to a program in another."""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def run(make: Callable[[Path, Path, Path | None], Path], description: str | None) -> None:
    """Read the command line, make the program and print its path and size.

    Args:
        make: gets the folder for the program, the client's wheel, and a folder with the pinned packages or None.
        description: for ``--help``.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dist", type=Path, default=REPOSITORY / "dist", help="the folder with the client's wheel")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", help="the folder that gets the program")
    parser.add_argument("--wheels", type=Path, help="a folder with the pinned packages; the index is asked without it")
    asked = parser.parse_args()
    version = runpy.run_path(str(Path(__file__).with_name("dist.py")))["version"]()
    made = make(asked.out, asked.dist / f"sealdex-{version}-py3-none-any.whl", asked.wheels)
    print(f"{made}  {made.stat().st_size / 1e6:.1f} MB")
