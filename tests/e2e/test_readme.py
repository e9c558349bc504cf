"""The README's journeys, run as written: only addresses of examples are replaced by those of this machine."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY

from registry_builder.site.preview.server import running_server

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def commands(heading: str) -> list[list[str]]:
    """Return the indented commands below a heading, split as a shell splits them, without their comments."""
    section = README.partition(f"### {heading}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    lines = re.findall(r"^    (sealdex.*|cd .*)$", section, re.MULTILINE)
    assert lines, f"no commands under '{heading}'"
    return [shlex.split(line, comments=True) for line in lines]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "agent" / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "agent" / "store"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def run(command: list[str], folder: Path, replaced: dict[str, str] | None = None) -> str:
    words = [(replaced or {}).get(word, word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def is_here(command: list[str]) -> bool:
    """Return whether a command of the air gap is run where the network is."""
    return command[1:3] in (["mirror", "create"], ["bundle", "create"])


def author(place: Path) -> Path:
    """Walk the author's way and return the source tree."""
    folder = place
    for command in commands("The author"):
        if command[0] == "cd":
            folder /= command[1]
        else:
            run(command, folder)
    return folder


@pytest.mark.slow
def test_the_author_the_agent_the_air_gap_and_python(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = author(place)
    root = str(tree / "trust" / "public" / "1.root.json")
    with running_server(tree / "published") as address:
        replaced = {"https://plugins.example.org/": f"{address}/", "1.root.json": root}
        printed = [run(command, place, replaced) for command in commands("The agent")]
        assert "acme/slack" in printed[1]
        installed = Path(printed[3].strip())
        assert installed.name == "0.1.0"
        assert any(installed.iterdir())

        python = re.search(r"```python\n(.*?)```", README, re.DOTALL)
        assert python is not None
        said = subprocess.run([sys.executable, "-c", python[1]], capture_output=True, text=True, check=True, cwd=place)
        assert said.stdout.strip() == str(installed)

        (place / "sealdex.toml").write_text('[plugins]\n"acme/slack" = "*"\n')
        run(["sealdex", "lock"], place)
        both = commands("The air gap")
        for command in both:
            if is_here(command):
                run(command, place, replaced)

    other_side = place / "other-side"
    monkeypatch.setenv("SEALDEX_CONFIG", str(other_side / "config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(other_side / "store"))
    (tree / "published").rename(place / "out-of-reach")
    for command in both:
        if not is_here(command):
            run(command, place, replaced)
    assert (other_side / "store" / "plugins" / "acme" / "slack" / "0.1.0").is_dir()


def test_the_two_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_links_of_the_readme_and_the_guides_lead_somewhere() -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "keys" / "README.md"]
    broken = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?://)([^)#\s]+)", text)
        broken += [f"{page.relative_to(REPOSITORY)}: {link}" for link in links if not (page.parent / link).exists()]
    assert broken == []
