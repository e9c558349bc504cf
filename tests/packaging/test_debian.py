"""The Debian package: what can be read off it. `make deb` builds it in a clean root, with lintian, and tries it.

That takes minutes, root and a mirror, so it runs here with SEALDEX_DEB=1, and in the workflow ci.yml.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from email import message_from_string
from pathlib import Path

import pytest
from support.components import program
from support.places import REPOSITORY

import sealdex
from sealdex.config.toml_reader import toml_values

FOLDER = REPOSITORY / "packaging/debian"
OF_DEBIAN = {"urllib3", "cryptography", "cffi", "pycparser"}


def carried(what: str) -> set[str]:
    text = (REPOSITORY / "scripts/deb_vendor.py").read_text()
    found = re.search(rf"^{what} = \((.*)\)$", text, flags=re.MULTILINE)
    assert found is not None
    return set(re.findall(r'"([^"]+)"', found[1]))


def test_its_version_is_that_of_the_client(tmp_path: Path) -> None:
    parse = program("dpkg-parsechangelog", "apt-get install dpkg-dev")
    text = (FOLDER / "changelog").read_text().replace("@MAINTAINER@", "A B <a@b.example>")
    (tmp_path / "changelog").write_text(text)
    command = [parse, "-l", str(tmp_path / "changelog"), "--show-field", "Version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.rpartition("-")[0], done.stderr) == (sealdex.__version__, "")


def test_every_package_of_the_client_comes_from_somewhere() -> None:
    pinned = set(re.findall(r"^(\S+)==", (REPOSITORY / "pins/client.txt").read_text(), flags=re.MULTILINE))
    assert carried("PURE") | carried("COMPILED") | OF_DEBIAN | {"tomli", "typing-extensions"} == pinned
    (rules,) = re.findall(r"^PURE = (.*)$", (FOLDER / "rules").read_text(), flags=re.MULTILINE)
    assert set(rules.split()) == carried("PURE")
    copyright_text = (FOLDER / "copyright").read_text()
    for name in carried("PURE") | carried("COMPILED"):
        assert f"Files: vendor/{name.replace('-', '_')}-*" in copyright_text


def test_debian_s_packages_are_as_new_as_the_client_asks() -> None:
    source, binary = (FOLDER / "control").read_text().split("\n\n", 1)
    asked = toml_values((REPOSITORY / "client/pyproject.toml").read_text())["project"]["dependencies"]
    (least,) = re.findall(r"urllib3>=([0-9.]+)", " ".join(asked))
    for part, field in ((source, "Build-Depends"), (binary, "Depends")):
        said = message_from_string(part)[field]
        assert f"python3-urllib3 (>= {least})" in said
        assert "python3-cryptography (>= 42)" in said


def test_what_it_installs_is_there() -> None:
    lines = [line.split()[0] for line in (FOLDER / "sealdex.install").read_text().splitlines()]
    for line in lines:
        place = line.replace("debian/systemd", "packaging/systemd") if "debian/" in line else f"client/{line}"
        assert list(REPOSITORY.glob(place)), line


def test_its_program_runs_its_own_modules_and_starts_processes_so(tmp_path: Path) -> None:
    """Another sealdex of the host, in the folder of the program, doesn't answer for what the package has."""
    script = tmp_path / "sealdex"
    text = (FOLDER / "sealdex.py").read_text()
    assert text.count("/usr/lib/sealdex") == 2
    script.write_text(text.replace("/usr/lib/sealdex", str(REPOSITORY / "client")))
    (tmp_path / "click").mkdir()
    (tmp_path / "click/__init__.py").write_text("raise SystemExit('another package answered')\n")
    for words in (["--version"], ["--run-module", "sealdex", "--version"]):
        done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=True)
        assert sealdex.__version__ in done.stdout
    found = runpy.run_path(str(script), run_name="looked at")
    assert found["SEALDEX_ONE_FILE"] == "/usr/bin/sealdex"


@pytest.mark.skipif(not os.environ.get("SEALDEX_DEB"), reason="takes minutes: SEALDEX_DEB=1, and the workflow ci.yml")
def test_it_is_built_checked_installed_and_tried(tmp_path: Path) -> None:
    assert shutil.which("debootstrap"), "apt-get install debootstrap"
    environment = {**os.environ, "OUT": str(tmp_path / "out"), "PYTHON": sys.executable}
    subprocess.run([sys.executable, "scripts/dist.py", "build"], cwd=REPOSITORY, check=True)
    subprocess.run(["sh", "scripts/deb.sh"], cwd=REPOSITORY, env=environment, check=True)
    assert list((tmp_path / "out").glob("sealdex_*.deb"))
