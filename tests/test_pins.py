"""Everything that is installed here is pinned by version and digest, and the pins are those of what is declared."""

from __future__ import annotations

import itertools
import json
import re
import runpy
from dataclasses import dataclass
from typing import Any

import pytest
import tomli
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.places import REPOSITORY

OURS = {"sealdex", "sealdex-builder"}
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
REMEDY = "run: make pins"
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Pin:
    """One line of a file of pins, with the lines below that say who asked for it."""

    requirement: Requirement
    hashes: int
    via: tuple[str, ...]


def declared() -> dict[str, list[Requirement]]:
    """Return for each file of pins what is asked for by name."""
    builder = tomli.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    client = tomli.loads((REPOSITORY / "client" / "pyproject.toml").read_text(encoding="utf-8"))
    included = [{"include-group": "test"}, {"include-group": "lint"}]
    assert builder["dependency-groups"].pop("dev") == included
    groups = {name: parsed(lines) for name, lines in builder["dependency-groups"].items()}
    extras = {
        name: [each for project in (builder, client) for each in parsed(extras_of(project).get(name, []))]
        for name in extras_of(builder) | extras_of(client)
    }
    of_client = parsed(client["project"]["dependencies"])
    both = [*parsed(builder["project"]["dependencies"]), *of_client]
    return {
        "client": of_client,
        "builder": both,
        "builder-sigstore": [*both, *extras["sigstore"]],
        "test": [*both, *(each for lines in extras.values() for each in lines), *groups["test"], *groups["lint"]],
        "build": groups["build"],
        "kms": groups["kms"],
        "frozen": groups["frozen"],
        "fuzz": groups["fuzz"],
        "pins": groups["pins"],
    }


def extras_of(project: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = project["project"]["optional-dependencies"]
    return found


def parsed(lines: list[str]) -> list[Requirement]:
    return [each for each in map(Requirement, lines) if each.name not in OURS]


def pins_of(text: str) -> list[Pin]:
    found: list[Pin] = []
    for block in re.split(r"\n(?=\S)", text):
        if block.startswith(("#", "-")) or not block.strip():
            continue
        line = block.partition("\\\n")[0]
        words = re.findall(r"#(?: via)? +(?:-c )?(\S+)", block)
        found.append(Pin(Requirement(line.strip()), len(_HASH.findall(block)), tuple(words)))
    return found


def problems(wanted: list[Requirement], text: str) -> list[str]:
    """Return what is wrong with a file of pins for what is wanted."""
    pins = pins_of(text)
    names = {canonicalize_name(pin.requirement.name) for pin in pins}
    said = [f"holds an address: {line.strip()}" for line in text.splitlines() if "://" in line or "--index" in line]
    asked = {canonicalize_name(each.name) for each in wanted}
    for pin in pins:
        name = canonicalize_name(pin.requirement.name)
        if not re.fullmatch(r"==[^,*]+", str(pin.requirement.specifier)) or pin.hashes == 0:
            said.append(f"{name} has no version or no digest")
        users = {canonicalize_name(word) for word in pin.via} & names
        if not users and name not in asked:
            said.append(f"{name} is pinned, but nothing needs it")
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        for here in environments():
            if not holds(requirement.marker, here):
                continue
            found = [
                pin.requirement
                for pin in pins
                if canonicalize_name(pin.requirement.name) == name and holds(pin.requirement.marker, here)
            ]
            versions = [next(iter(each.specifier)).version for each in found if each.specifier]
            if len(versions) != 1 or not requirement.specifier.contains(versions[0], prereleases=True):
                where = f"Python {here['python_version']} on {here['sys_platform']}"
                said.append(f"{requirement} is asked for, pinned is {versions or 'nothing'} ({where})")
    return said


def environments() -> list[dict[str, str]]:
    """Return the markers of every Python on every system."""
    return [
        {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system}
        for python in PYTHONS
        for system in ("linux", "darwin", "win32")
    ]


def holds(marker: Marker | None, environment: dict[str, str]) -> bool:
    return marker is None or marker.evaluate(environment)


@pytest.mark.parametrize("name", sorted(declared()))
def test_the_pins_are_those_of_what_is_declared(name: str) -> None:
    found = problems(declared()[name], (REPOSITORY / "pins" / f"{name}.txt").read_text(encoding="utf-8"))
    assert found == [], f"pins/{name}.txt is not what pyproject.toml asks for; {REMEDY}"


def test_there_is_no_other_file_of_pins() -> None:
    assert {path.stem for path in (REPOSITORY / "pins").glob("*.txt")} == set(declared())


def test_one_version_of_a_package_is_used_throughout() -> None:
    def installed(name: str, environment: dict[str, str]) -> set[str]:
        pins = pins_of((REPOSITORY / "pins" / f"{name}.txt").read_text(encoding="utf-8"))
        return {
            f"{pin.requirement.name}{pin.requirement.specifier}"
            for pin in pins
            if holds(pin.requirement.marker, environment)
        }

    for here in environments():
        sets = [installed(name, here) for name in ("client", "builder", "builder-sigstore", "test")]
        for smaller, larger in itertools.pairwise(sets):
            assert smaller - larger == set(), REMEDY


ASKED = "# via sealdex (client/pyproject.toml)"
DIGEST = "--hash=sha256:" + "0" * 64
GOOD = f"# made\na==1.5 \\\n    {DIGEST}\n    {ASKED}\nb==2 \\\n    {DIGEST}\n    # via a\n"


@pytest.mark.parametrize(
    ("wanted", "text", "said"),
    [
        (["a>=1", "c>=1"], GOOD, "c>=1 is asked for, pinned is nothing (Python 3.10 on linux)"),
        (["a>=2"], GOOD, "a>=2 is asked for, pinned is ['1.5'] (Python 3.10 on linux)"),
        (["b>=1"], GOOD, "a is pinned, but nothing needs it"),
        (["a>=1"], GOOD.replace("==1.5", ">=1.5"), "a has no version or no digest"),
        (["a>=1"], GOOD.replace(DIGEST, "", 1), "a has no version or no digest"),
        (["a>=1"], f"--index-url https://user:secret@example.org/\n{GOOD}", "holds an address: --index-url"),
        (["a>=1"], GOOD.replace("a==1.5", "a==1.5 ; python_full_version < '3.14'"), "nothing (Python 3.14 on linux)"),
        (["a>=1 ; sys_platform == 'win32'"], GOOD.replace("a==1.5", "a==1.5 ; sys_platform == 'linux'"), "on win32"),
    ],
)
def test_what_was_forgotten_is_said(wanted: list[str], text: str, said: str) -> None:
    assert problems(parsed(["a>=1"]), GOOD) == []
    assert said in "\n".join(problems(parsed(wanted), text))


def test_the_lock_files_of_node_hold_digests_and_no_address() -> None:
    locks = sorted(
        path for folder in ("tests", "benchmarks") for path in (REPOSITORY / folder).glob("**/node/package-lock.json")
    )
    assert len(locks) == 5
    for path in locks:
        text = path.read_text(encoding="utf-8")
        packages = {name: each for name, each in json.loads(text)["packages"].items() if name}
        assert [name for name, each in packages.items() if "integrity" not in each] == [], path
        assert [name for name, each in packages.items() if "resolved" in each] == [], path


def test_what_our_bounds_keep_out_is_named() -> None:
    script = runpy.run_path(str(REPOSITORY / "scripts" / "held_back.py"))
    asked = [*map(Requirement, ["tuf>=7.0.1,<8", "PyYAML>=6.0,<7", "packaging>=24.2"])]
    newer = {"tuf": "8.0.0", "pyyaml": "6.9", "packaging": "99.0", "other": "1.0"}
    assert script["held_back"](newer, asked) == ["- `tuf` 8.0.0 is out, and we ask for `<8,>=7.0.1`"]
    assert {"tuf", "jsonschema", "python-pkcs11", "sigstore"} <= {each.name for each in script["shipped"]()}
