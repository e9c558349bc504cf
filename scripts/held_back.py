"""What the bounds in our two pyproject.toml keep out: newer releases that the suite isn't run against.

    python scripts/held_back.py PROGRAM      the Python of an environment with the newest of everything

Prints a line of Markdown for each; nothing when nothing is kept out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parent.parent


def main() -> None:
    """Ask pip what is newer than what is installed."""
    command = [sys.argv[1], "-m", "pip", "list", "--outdated", "--format=json", "--disable-pip-version-check"]
    outdated = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    newer = {str(canonicalize_name(each["name"])): str(each["latest_version"]) for each in outdated}
    print("".join(f"{line}\n" for line in held_back(newer, shipped())), end="")


def shipped() -> list[Requirement]:
    """Return what the two distributions and their extras ask for."""
    found: list[Requirement] = []
    for path in ("client/pyproject.toml", "pyproject.toml"):
        project = tomllib.loads((REPOSITORY / path).read_text(encoding="utf-8"))["project"]
        lines = [
            *project["dependencies"],
            *(each for extra in project["optional-dependencies"].values() for each in extra),
        ]
        found += map(Requirement, lines)
    return found


def held_back(newer: dict[str, str], asked: list[Requirement]) -> list[str]:
    """Return a line for each package of which a newer release is outside of our bounds.

    Args:
        newer: the newest version of each package that isn't installed in it, by normalised name.
        asked: our requirements.
    """
    lines = {
        f"- `{each.name}` {newer[name]} is out, and we ask for `{each.specifier}`"
        for each in asked
        if (name := str(canonicalize_name(each.name))) in newer and not each.specifier.contains(newer[name])
    }
    return sorted(lines)


if __name__ == "__main__":
    main()
