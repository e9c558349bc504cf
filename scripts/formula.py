"""Makes the Homebrew formula of a release, from packaging/homebrew/sealdex.rb.in and pins/client.txt.

    python scripts/formula.py --homepage ADDRESS --sdist FILE --sdist-url ADDRESS [--out dist/sealdex.rb]

Each of the client's packages becomes a resource with the address that the package index gives for its source and the
SHA-256 that the pins have. What Homebrew has itself, and builds with Rust, comes from there. Addresses are
looked up with uv; nothing is installed, and none is in this repository.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

REPOSITORY = Path(__file__).resolve().parent.parent
TEMPLATE = REPOSITORY / "packaging" / "homebrew" / "sealdex.rb.in"
PINS = REPOSITORY / "pins" / "client.txt"
PYTHON = (3, 13)
"""That of the formula."""
BREWED = {"cryptography", "cffi", "pycparser"}
"""Packages that the formula `cryptography` of Homebrew brings along."""


def requirements() -> str:
    """Return the pins that become resources, for `PYTHON`."""
    text = re.sub(r"^\s*#.*\n", "", PINS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    wanted = []
    for block in re.findall(r"^\S+==(?:.*\\\n)*.*\n", text, flags=re.MULTILINE):
        name, marker = block.partition("==")[0], block.partition("\n")[0].partition(";")[2]
        limits = re.findall(r"python_full_version (<|>=) '3\.(\d+)'", marker)
        fits = all(((3, int(minor)) > PYTHON) == (sign == "<") for sign, minor in limits)
        if name not in BREWED and fits:
            wanted.append(block)
    return "".join(wanted)


def looked_up(pins: str) -> dict[str, tuple[str, str]]:
    """Return address and SHA-256 of each package's source, as uv finds them.

    Raises:
        ValueError: a package has no source among its pins.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, found = Path(folder, "asked.txt"), Path(folder, "pylock.toml")
        asked.write_text(pins, encoding="utf-8")
        uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-deps", "--no-header"]
        version = ".".join(map(str, PYTHON))
        command = [*uv, "--python-version", version, "--format", "pylock.toml", "--output-file", str(found), str(asked)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return resources_of(tomlkit.parse(found.read_text(encoding="utf-8")), pins)


def resources_of(lock: Mapping[str, Any], pins: str) -> dict[str, tuple[str, str]]:
    """Return address and SHA-256 by name, from a lock of uv's; every digest is one of the pins."""
    found = {}
    for each in lock["packages"]:
        source = each.get("sdist")
        sha256 = None if source is None else str(source["hashes"]["sha256"])
        if sha256 is None or f"--hash=sha256:{sha256}" not in pins:
            raise ValueError(f"{each['name']} has no source with a digest of pins/client.txt")
        found[str(each["name"])] = (str(source["url"]), sha256)
    return found


def formula(homepage: str, sdist_url: str, sdist_sha256: str, resources: Mapping[str, tuple[str, str]]) -> str:
    """Return the formula."""
    blocks = [
        f'  resource "{name}" do\n    url "{url}"\n    sha256 "{sha256}"\n  end\n'
        for name, (url, sha256) in sorted(resources.items())
    ]
    told = {
        "@HOMEPAGE@": homepage,
        "@SDIST_URL@": sdist_url,
        "@SDIST_SHA256@": sdist_sha256,
        "@RESOURCES@\n": "\n".join(blocks),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text[text.index("class ") :]  # without the note about the template
    for word, value in told.items():
        text = text.replace(word, value)
    return text


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homepage", required=True, metavar="ADDRESS")
    parser.add_argument("--sdist", required=True, type=Path, metavar="FILE")
    parser.add_argument("--sdist-url", required=True, metavar="ADDRESS")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist" / "sealdex.rb")
    asked = parser.parse_args()
    sha256 = hashlib.sha256(asked.sdist.read_bytes()).hexdigest()
    text = formula(asked.homepage, asked.sdist_url, sha256, looked_up(requirements()))
    asked.out.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{asked.out}\n")


if __name__ == "__main__":
    main()
