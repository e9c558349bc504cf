"""What the generated workflows install: the step itself in an environment of its own, from wheels built here."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from support.authoring import builder
from support.components import missing
from support.distributions import built_release, environment_with_pip

import sealdex
from registry_builder.authoring.github import FILES, RECORD
from registry_builder.authoring.github_install import DEPENDENCIES, DISTRIBUTIONS, PROGRAMS, Programs

VERSION = sealdex.__version__
WHEELS = tuple(f"{name.replace('-', '_')}-{VERSION}-py3-none-any.whl" for name in DISTRIBUTIONS)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels of both distributions, built from this checkout."""
    folder = tmp_path_factory.mktemp("built")
    for name in WHEELS:
        (folder / name).symlink_to(built_release(tmp_path_factory) / name)
    assert sorted(path.name for path in folder.iterdir()) == sorted(WHEELS)
    return folder


@pytest.fixture
def dependencies() -> Path:
    """A folder with the wheels that the pins name, for this Python."""
    folder = Path(sys.prefix, "wheels")
    if not folder.is_dir():
        missing("the folder of pinned wheels", "scripts/setup.sh test")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    tree = tmp_path / "registry"
    assert builder("init", tree, "--github") == 0
    return tree


def upgrade(tree: Path, *args: object) -> int:
    return builder("--tree", tree, "upgrade", "--github", *args)


def with_wheels(built: Path) -> list[object]:
    return [each for name in WHEELS for each in ("--wheel", built / name)]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Runner:
    """A runner: a fresh environment, the checkout as the current folder, and an index of files."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.environment = folder / "environment"
        environment_with_pip(self.environment)
        self.tree = tree
        self.index = folder / "index"
        self.index.mkdir()

    def serve(self, *paths: Path) -> None:
        for path in paths:
            shutil.copy(path, self.index)

    def install(self) -> subprocess.CompletedProcess[str]:
        """Run the step of the workflow as it is written."""
        steps = yaml.safe_load((self.tree / ".github/workflows/publish.yml").read_text())["jobs"]["publish"]["steps"]
        (step,) = [step for step in steps if step.get("name") == "Install the builder"]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))},
            "PATH": os.pathsep.join([str(self.environment / "bin"), os.environ["PATH"]]),
            "PIP_NO_INDEX": "1",
            "PIP_COMPILE": "0",  # it takes as long as all the rest
            "PIP_FIND_LINKS": str(self.index),
            "PIP_CONFIG_FILE": os.devnull,
        }
        return subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=self.tree,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def packages(self) -> set[str]:
        command = [str(self.environment / "bin/python"), "-I", "-m", "pip", "list", "--format=json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {each["name"] for each in json.loads(done.stdout)} - {"pip", "setuptools"}


@pytest.fixture
def runner(tmp_path: Path, registry: Path) -> Runner:
    return Runner(tmp_path, registry)


@pytest.mark.slow
@pytest.mark.timeout(900)  # it installs 35 packages, on a machine that may be busy
def test_the_workflows_install_what_was_pinned_and_nothing_else(
    runner: Runner, registry: Path, built: Path, dependencies: Path, tmp_path: Path
) -> None:
    """Attack: whoever can put files on the index replaces one of a package that the builder needs, then one of ours,
    and whoever may push puts a module into the checkout. Each would run in the job that holds the keys."""
    ran = tmp_path / "ran"
    (registry / "pip.py").write_text(f"open({str(ran)!r}, 'w')\n")
    assert upgrade(registry, *with_wheels(built)) == 0

    runner.serve(*dependencies.glob("*.whl"), *built.iterdir())
    (victim,) = runner.index.glob("tomlkit-*.whl")
    changed(victim, "tomlkit/__init__.py")
    assert runner.install().returncode != 0
    assert runner.packages() == set()

    runner.serve(*dependencies.glob("*.whl"), *built.iterdir())
    changed(runner.index / WHEELS[1], "registry_builder/__init__.py")
    assert runner.install().returncode != 0
    assert not runner.packages() & set(DISTRIBUTIONS)

    runner.serve(*built.iterdir())
    done = runner.install()
    assert done.returncode == 0, done.stdout + done.stderr
    program = str(runner.environment / "bin/sealdex-builder")
    command = [program, "init", "again", "--github"]
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    # the wheel brings its pins along
    assert (tmp_path / "again" / DEPENDENCIES).read_bytes() == (registry / DEPENDENCIES).read_bytes()
    assert not ran.exists()


def changed(wheel: Path, member: str) -> None:
    """Add a line to a file of a wheel and mend what the wheel says of it: only a digest from outside can tell."""
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as before:
        files = {each.filename: before.read(each) for each in before.infolist()}
    files[member] += b"\nprint('not what was pinned')\n"
    (record,) = [name for name in files if name.endswith(".dist-info/RECORD")]
    rows = list(csv.reader(io.StringIO(files[record].decode())))
    for row in rows:
        if row[0] == member:
            said = base64.urlsafe_b64encode(hashlib.sha256(files[member]).digest()).decode().rstrip("=")
            row[1:] = [f"sha256={said}", str(len(files[member]))]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    files[record] = text.getvalue().encode()
    with zipfile.ZipFile(wheel, "w") as after:
        for name, data in files.items():
            after.writestr(name, data)


def test_every_job_installs_by_these_files(registry: Path) -> None:
    found = 0
    for path in [*(registry / ".github/workflows").glob("*.yml"), registry / "action.yml"]:
        described = yaml.safe_load(path.read_text())
        for job in described.get("jobs", {"": described.get("runs")}).values():
            for step in job["steps"]:
                lines = [line for line in step.get("run", "").splitlines() if "pip install" in line]
                if lines:
                    found += 1
                    assert "--require-hashes -r " in lines[0]
                    assert DEPENDENCIES in lines[0]
                    assert "--no-deps -r " in lines[1]
                    assert PROGRAMS in lines[1]
                    assert all("--only-binary :all:" in line for line in lines)
    assert found == 9
    text = (registry / DEPENDENCIES).read_text()
    assert "boto3==" in text
    assert "sigstore==" not in text
    assert "://" not in text
    assert (registry / PROGRAMS).read_text().count("--hash") == 0


def test_a_registry_that_verifies_bundles_installs_what_does(registry: Path) -> None:
    with (registry / "registry.toml").open("a", encoding="utf-8") as file:
        file.write(
            '\n[[attestations.accept]]\nissuer = "https://token.example.org"\nidentity = "https://example.org/acme/*"\n'
        )
    assert upgrade(registry) == 0
    assert "sigstore==" in (registry / DEPENDENCIES).read_text()


def test_digests_are_kept_until_they_are_of_another_version(registry: Path, built: Path) -> None:
    assert upgrade(registry, *with_wheels(built)) == 0
    text = (registry / PROGRAMS).read_text()
    said = Programs.read(text)
    assert said == Programs(
        VERSION, {name: digest(built / each) for name, each in zip(DISTRIBUTIONS, WHEELS, strict=True)}
    )
    assert upgrade(registry) == 0
    assert (registry / PROGRAMS).read_text() == text

    older = text.replace(f"=={VERSION}", "==0.0.9")
    (registry / PROGRAMS).write_text(older)
    assert upgrade(registry) == 1
    assert (registry / PROGRAMS).read_text() == older
    assert upgrade(registry, "--drop-digests") == 0
    assert Programs.read((registry / PROGRAMS).read_text()) == Programs(VERSION)


def test_wheels_that_are_not_ours_are_refused(
    registry: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (registry / PROGRAMS).read_bytes()
    renamed = tmp_path / WHEELS[1].replace(VERSION, "0.0.9")
    shutil.copy(built / WHEELS[1], renamed)
    text = tmp_path / "notes.whl"
    text.write_text("no wheel")
    client = built / WHEELS[0]
    for wheels, said in (
        ([client], "the wheel of sealdex-builder is missing"),
        ([client, client], "two wheels of sealdex were given"),
        ([client, renamed], "its file name says otherwise"),
        ([client, text], "is not a wheel"),
        ([client, tmp_path / "gone.whl"], "can't be read"),
    ):
        assert upgrade(registry, *[each for path in wheels for each in ("--wheel", path)]) in {1, 2}
        assert said in capsys.readouterr().err
    assert (registry / PROGRAMS).read_bytes() == before


def test_an_upgrade_replaces_what_nobody_edited(registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [*FILES, DEPENDENCIES, PROGRAMS]
    assert sorted(json.loads((registry / RECORD).read_text())) == sorted(names)
    new = {name: (registry / name).read_bytes() for name in names}
    older = {".github/workflows/publish.yml", DEPENDENCIES}  # as an older version wrote them
    record = json.loads((registry / RECORD).read_text())
    for name in older:
        (registry / name).write_bytes(b"older\n")
        record[name] = hashlib.sha256(b"older\n").hexdigest()
    (registry / RECORD).write_text(json.dumps(record))
    (registry / DEPENDENCIES).write_bytes(b"older\r\n")  # a checkout on Windows
    (registry / ".github/workflows/validate.yml").write_bytes(b"mine\n")
    (registry / "action.yml").unlink()
    assert upgrade(registry) == 1
    assert "validate.yml was edited" in capsys.readouterr().err
    mine = {".github/workflows/validate.yml": b"mine\n"}
    assert {name: (registry / name).read_bytes() for name in names} == new | mine
    assert upgrade(registry, "--force") == 0
    assert {name: (registry / name).read_bytes() for name in names} == new
    capsys.readouterr()
    assert upgrade(registry) == 0
    assert "everything is up to date with sealdex-builder" in capsys.readouterr().out


def test_an_upgrade_keeps_what_dependabot_raised(registry: Path) -> None:
    path = registry / ".github/workflows/validate.yml"
    ours = path.read_text()
    raised = re.sub(r"(uses: actions/checkout)@\S+ # v\S+", rf"\1@{'1' * 40} # v99.0.0", ours)
    raised = re.sub(r"(uses: actions/setup-python)@\S+ # v\S+", rf"\1@{'2' * 40} # v1.0.0", raised)
    assert raised.count("1" * 40) == 1
    path.write_text(raised.replace("name: validate", "name: older"))
    record = json.loads((registry / RECORD).read_text())
    record[".github/workflows/validate.yml"] = hashlib.sha256(
        re.sub(r"(uses: \S+)@\S+ # v\S+", r"\1", path.read_text()).encode()
    ).hexdigest()  # what an older version wrote, without its pins
    (registry / RECORD).write_text(json.dumps(record))
    assert upgrade(registry) == 0
    upgraded = path.read_text()
    assert "name: validate" in upgraded
    assert f"actions/checkout@{'1' * 40} # v99.0.0" in upgraded
    assert "2" * 40 not in upgraded
    assert upgraded.replace(f"@{'1' * 40} # v99.0.0", "") == re.sub(r"(actions/checkout)@\S+ # v\S+", r"\1", ours)
    assert upgrade(registry) == 0
    assert path.read_text() == upgraded
    path.write_text(upgraded + "# mine\n")
    assert upgrade(registry) == 1
