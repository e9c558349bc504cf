"""What pages and code refer to is in the repository: links, pages by name, modules, tests."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
from support.places import REPOSITORY

TRACKED = [
    REPOSITORY / name
    for name in subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.split("\0")
    if name and (REPOSITORY / name).is_file() and "fixtures" not in name and "templates" not in name
]  # fmt: skip
PAGES = [path for path in TRACKED if path.suffix == ".md"]
CODE = [path for path in TRACKED if path.suffix in {".py", ".toml", ".yml", ".sh"} or path.name in {"Makefile", "run"}]
NAMES = {path.name for path in PAGES}

_PAGE = re.compile(r"(?<![\w/.{<-])((?:[\w.-]+/)*[\w.-]+\.md)\b")
_DECISION = re.compile(r"\bdecisions?/(\d{4}[\w-]*)|\bdecision (\d{4})\b")

# pages of registries and plugins, which commands write and tests make; and a file of a runner
_OF_REGISTRIES = re.compile(r"(README(\.[\w-]+)?|readme|notes|usage|body|summary)\.md")


def named(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def exists(reference: str, file: Path) -> bool:
    """Return whether a page is there: from the top, beside the file that names it, or by its name alone."""
    if "/" not in reference:
        return reference in NAMES
    return (REPOSITORY / reference).is_file() or (file.parent / reference).is_file()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_that_is_named_is_there() -> None:
    broken = [
        f"{named(file)}: {reference}"
        for file in [*PAGES, *CODE]
        if not named(file).startswith("tests/") or file.parent.name == "support"
        for reference in _PAGE.findall(file.read_text(encoding="utf-8"))
        if not exists(reference, file) and not _OF_REGISTRIES.fullmatch(reference.rpartition("/")[2])
    ]
    assert broken == []


def test_every_decision_that_is_named_is_there() -> None:
    decisions = {path.stem for path in (REPOSITORY / "docs" / "decisions").iterdir()}
    numbers = {name[:4] for name in decisions}
    broken = [
        f"{named(file)}: {title or number}"
        for file in [*PAGES, *CODE]
        for title, number in _DECISION.findall(file.read_text(encoding="utf-8"))
        if (title not in decisions and title not in numbers if title else number not in numbers)
    ]
    assert broken == []


def test_decisions_have_a_number_of_their_own_and_say_it() -> None:
    pages = sorted((REPOSITORY / "docs" / "decisions").iterdir())
    numbers = [path.name[:4] for path in pages]
    assert len(set(numbers)) == len(numbers)
    heads = [path.read_text(encoding="utf-8").partition("\n")[0] for path in pages]
    assert [
        path.name for path, head in zip(pages, heads, strict=True) if not head.startswith(f"# {path.name[:4]} · ")
    ] == []


# what these two say of the code is held to it

GUIDES = ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/releasing.md"]
_MODULE = re.compile(r"(?:sealdex|registry_builder)(?:\.\w+)+")


def quoted(guide: str) -> list[str]:
    text = re.sub(r"```.*?```", "", (REPOSITORY / guide).read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def is_module_or_name(dotted: str) -> bool:
    try:
        if importlib.util.find_spec(dotted) is not None:
            return True
    except ModuleNotFoundError:  # the last but one isn't a package
        pass
    module, _, name = dotted.rpartition(".")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return False
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return any(isinstance(each, ast.ClassDef | ast.FunctionDef) and each.name == name for each in tree.body)


@pytest.mark.parametrize("guide", GUIDES)
def test_modules_that_a_guide_names_are_there(guide: str) -> None:
    dotted = [each for each in quoted(guide) if _MODULE.fullmatch(each) and not each.endswith((".toml", ".lock"))]
    assert [each for each in dotted if not is_module_or_name(each)] == []
    assert guide != "ARCHITECTURE.md" or len(dotted) > 40


@pytest.mark.parametrize("guide", GUIDES)
def test_files_and_tests_that_a_guide_names_are_there(guide: str) -> None:
    tops = {path.relative_to(REPOSITORY).parts[0] for path in TRACKED}
    paths = [each for each in quoted(guide) if " " not in each and each.partition("/")[0] in tops]
    missing = []
    for each in paths:
        file, _, test = each.partition("::")
        place = REPOSITORY / file
        if not place.exists() or (test and f"def {test}(" not in place.read_text(encoding="utf-8")):
            missing.append(each)
    assert missing == []


def test_every_room_stands_in_the_architecture() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for heading, package in (("## The client", "client/sealdex"), ("## The builder", "registry_builder")):
        drawn = text.partition(f"{heading}\n")[2].partition("\n## ")[0]
        rooms = {path.parent.name for path in (REPOSITORY / package).glob("*/__init__.py")}
        assert rooms - set(re.findall(r"[a-z]+", drawn)) == set()


def test_a_reference_to_nothing_is_found() -> None:
    assert not exists("DESIGN.md", REPOSITORY / "README.md")
    assert not exists("docs/nothing.md", REPOSITORY / "README.md")
    assert exists("docs/format.md", REPOSITORY / "README.md")
    assert not is_module_or_name("sealdex.store.nothing")
    assert not is_module_or_name("sealdex.nothing.Client")
    assert is_module_or_name("sealdex.client.Client")
