"""What is put off until it is first used (`sealdex.lazy`): names of a package, and regular expressions."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import REPOSITORY

from sealdex.lazy import regex

INIT = """
from sealdex.lazy import exports
__getattr__, __dir__ = exports(__name__, {"heavy": ("Heavy", "again"), "sub.deep": ("Deep",)})
__all__ = ["Deep", "Heavy", "again"]
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    room = tmp_path / "room"
    (room / "sub").mkdir(parents=True)
    (room / "__init__.py").write_text(INIT)
    (room / "heavy.py").write_text("class Heavy: ...\ndef again(): ...\n")
    (room / "light.py").write_text("")
    (room / "sub/__init__.py").write_text("")
    (room / "sub/deep.py").write_text("class Deep: ...\n")
    (room / "broken.py").write_text("raise ImportError('what it needs is missing')\n")
    return tmp_path


def run(package: Path, program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=package, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_module_is_imported_when_one_of_its_names_is_used(package: Path) -> None:
    program = (
        "import sys\nimport room\nloaded = lambda: sorted(m for m in sys.modules if m.startswith('room.'))\n"
        "print(loaded()); room.Heavy; print(loaded()); print(room.Deep is room.Deep, loaded())"
    )
    assert run(package, program).splitlines() == [
        "[]",
        "['room.heavy']",
        "True ['room.heavy', 'room.sub', 'room.sub.deep']",
    ]


def test_names_are_what_their_modules_have_and_are_looked_up_once(package: Path) -> None:
    program = (
        "import room\nfrom room import again\nfrom room.heavy import Heavy\n"
        "print(room.Heavy is Heavy, 'Heavy' in vars(room), 'Deep' in vars(room), again.__name__)"
    )
    assert run(package, program) == "True True False again"


def test_modules_of_the_package_can_be_imported_from_it(package: Path) -> None:
    assert (
        run(package, "from room import heavy, light; print(heavy.__name__, light.__name__)") == "room.heavy room.light"
    )


def test_a_star_import_takes_what_all_names(package: Path) -> None:
    assert run(package, "from room import *; print(Heavy.__name__, Deep.__name__)") == "Heavy Deep"


def test_an_unknown_name_is_an_attribute_error_that_suggests_the_nearest(package: Path) -> None:
    program = (
        "import room\ntry: room.Heavi\nexcept AttributeError as e: print(e, e.name, e.obj is room)\n"
        "print(hasattr(room, '__path__'), hasattr(room, '__wrapped__'))"
    )
    assert run(package, program).splitlines() == [
        "module 'room' has no attribute 'Heavi' Heavi True",
        "True False",
    ]


def test_what_fails_in_the_module_is_not_called_a_missing_name(package: Path) -> None:
    (package / "room/__init__.py").write_text(INIT.replace('"heavy": ("Heavy", "again")', '"broken": ("Heavy",)'))
    program = "import room\ntry: room.Heavy\nexcept ImportError as e: print(type(e).__name__, e)"
    assert run(package, program) == "ImportError what it needs is missing"


def test_dir_names_what_was_not_imported_yet(package: Path) -> None:
    assert run(package, "import room; print({'Deep', 'Heavy', 'again'} <= set(dir(room)))") == "True"


def test_it_imports_nothing_itself(package: Path) -> None:
    program = "import sys; before = set(sys.modules)\nimport sealdex\nprint(sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        cwd=package,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['sealdex', 'sealdex.lazy']"


def test_a_regular_expression_is_compiled_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_now = re.compile

    def counted(source: str, flags: int) -> re.Pattern[str]:
        compiled.append(source)
        return compile_now(source, flags)

    monkeypatch.setattr(re, "compile", counted)
    late = regex(r"(?P<name>[a-z]+)=.", re.DOTALL)
    assert (late.pattern, compiled) == (r"(?P<name>[a-z]+)=.", [])
    found = late.fullmatch("key=\n")
    assert found is not None
    assert found["name"] == "key"
    assert late.fullmatch("key=") is None
    assert late.sub("", "a=1b=2") == ""
    assert late.groups == 1
    assert compiled == [late.pattern] * 3, "once for each method, and re keeps what it compiled"
    with pytest.raises(AttributeError):
        late.no_such_name  # type: ignore[attr-defined]  # noqa: B018


def _late(file: Path) -> list[str]:
    """Return the names of the regular expressions that a module puts off."""
    return [
        ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "regex"
    ]


def test_every_regular_expression_that_is_put_off_compiles() -> None:
    client = REPOSITORY / "client"
    found = {file: names for file in (client / "sealdex").rglob("*.py") if (names := _late(file))}
    for file, names in found.items():
        module = importlib.import_module(".".join(file.relative_to(client).with_suffix("").parts))
        assert all(getattr(module, name).groups >= 0 for name in names), file
    assert sum(map(len, found.values())) > 30
