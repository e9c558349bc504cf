"""Both distributions: built alike each time, one version, an index page of their own, and nothing that isn't theirs."""

from __future__ import annotations

import email
import re
import subprocess
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import tomli
from markdown_it import MarkdownIt
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from support.distributions import DIST, built_release
from support.places import REPOSITORY

import sealdex

PROJECTS: dict[str, str] = DIST["PROJECTS"]
VERSION: str = DIST["version"]()
READMES = {"sealdex": "client/README.md", "sealdex_builder": "registry_builder/README.md"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a release, as `make dist` makes it: built twice and compared, wheels from sdists as well."""
    return built_release(tmp_path_factory)


def wheel(built: Path, name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(built / f"{name}-{VERSION}-py3-none-any.whl")


def metadata_of(built: Path, name: str) -> Metadata:
    with wheel(built, name) as archive:
        return Metadata.from_email(archive.read(f"{name}-{VERSION}.dist-info/METADATA"), validate=True)


def project_of(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = tomli.loads((REPOSITORY / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_the_version_stands_in_one_place() -> None:
    assert sealdex.__version__ == VERSION
    for folder in PROJECTS.values():
        project = project_of(folder)
        assert "version" not in project
        assert project["dynamic"] == ["version"]
    places = ["registry_builder", "client", "docs", "scripts", ".github", "*.toml", "Makefile"]
    listed = subprocess.run(
        ["git", "grep", "-lE", rf"(^|[^0-9.]){re.escape(VERSION)}", "--", *places],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    # the builder asks for the client of its own release: hatchling has no way to derive one line of a list
    assert set(listed.stdout.split()) == {"client/sealdex/__init__.py", "pyproject.toml"}


def test_the_builder_needs_the_client_of_its_own_release() -> None:
    """It uses private modules of the client, so no other combination than the one that was tested is known to hold."""
    (needed,) = [each for each in map(Requirement, project_of(".")["dependencies"]) if each.name == "sealdex"]
    assert str(needed.specifier) == f"=={VERSION}"


def test_what_is_installed_for_editing_shows_the_version() -> None:
    assert [metadata.version(name) for name in ("sealdex", "sealdex-builder")] == [VERSION, VERSION]


@pytest.mark.parametrize("name", sorted(PROJECTS))
def test_what_the_index_shows(built: Path, name: str) -> None:
    found = metadata_of(built, name)  # its fields are valid
    assert str(found.version) == VERSION
    assert found.summary
    assert found.keywords
    assert found.license_expression
    supported = {each.rpartition(" ")[2] for each in found.classifiers or [] if "Python :: 3." in each}
    assert supported == set(DIST["PYTHONS"])
    assert found.requires_python is not None
    assert [each for each in DIST["PYTHONS"] if each not in found.requires_python] == []
    assert found.description == (REPOSITORY / READMES[name]).read_text(encoding="utf-8")
    assert found.description_content_type == "text/markdown"
    for address in (found.project_urls or {}).values():
        assert address.startswith("https://")


@pytest.mark.parametrize("name", sorted(READMES))
def test_links_of_an_index_page_lead_somewhere_from_there(name: str) -> None:
    """There is no folder around it, so an address has to be absolute."""
    text = (REPOSITORY / READMES[name]).read_text(encoding="utf-8")
    html = MarkdownIt().enable("table").render(text)
    links = re.findall(r'(?:href|src)="([^"]*)"', html)
    assert [link for link in links if not link.startswith("https://")] == []


@pytest.mark.parametrize(("name", "package"), [("sealdex", "sealdex"), ("sealdex_builder", "registry_builder")])
def test_a_wheel_holds_its_package_and_its_licences_and_no_more(built: Path, name: str, package: str) -> None:
    with wheel(built, name) as archive:
        names = archive.namelist()
        info = f"{name}-{VERSION}.dist-info/"
        share = f"{name}-{VERSION}.data/data/share/"
        assert [each for each in names if not each.startswith((f"{package}/", info, share))] == []
        program = name.replace("_", "-")
        assert sorted(each.removeprefix(share) for each in names if each.startswith(share)) == [
            f"bash-completion/completions/{program}",
            f"fish/vendor_completions.d/{program}.fish",
            f"zsh/site-functions/_{program}",
        ]
        assert [each for each in names if each.endswith("README.md") or "/tests/" in each] == []
        assert f"{package}/py.typed" in names
        assert f"{package}/cli/languages/zh.json" in names
        assert [each for each in names if each.endswith(".po") and "site_templates" not in each] == []
        licences = email.message_from_bytes(archive.read(f"{info}METADATA")).get_all("License-File") or []
        assert "LICENSE" in licences
        assert [each for each in licences if f"{info}licenses/{each}" not in names] == []
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"],
        cwd=REPOSITORY / PROJECTS[name] / package,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {f"{package}/{each}" for each in tracked.stdout.split()}
    assert {each for each in names if each.endswith(".py")} == modules


@pytest.mark.parametrize("name", sorted(PROJECTS))
def test_an_sdist_holds_what_its_wheel_is_made_of_and_no_tests(built: Path, name: str) -> None:
    with tarfile.open(built / f"{name}-{VERSION}.tar.gz") as archive:
        tops = {each.split("/")[1] for each in archive.getnames() if "/" in each}
    assert {"pyproject.toml", "PKG-INFO", "LICENSE"} <= tops
    assert tops & {"tests", "benchmarks", "docs", "examples", "keys", ".github"} == set()


def test_the_digests_are_those_of_the_files(built: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=built, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert len((built / "SHA256SUMS").read_text().splitlines()) == len(list(built.iterdir())) - 1 == 4


def test_a_build_that_depends_on_its_surroundings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = DIST["build"]

    def hatchling(_project: Path, out: Path, surroundings: dict[str, str], *_targets: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        for name in PROJECTS:
            for end in (".tar.gz", "-py3-none-any.whl"):
                (out / f"{name}-{VERSION}{end}").write_text(surroundings["TZ"])

    monkeypatch.setitem(build.__globals__, "_hatchling", hatchling)
    with pytest.raises(DIST["DistError"], match="two builds differ: sealdex"):
        build(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tag", ["v0.0.1", "main"])
def test_a_tag_of_another_version_releases_nothing(tag: str) -> None:
    with pytest.raises(DIST["DistError"], match=f"the tag is {tag}, the version {VERSION}"):
        DIST["_check_tag"](tag)
