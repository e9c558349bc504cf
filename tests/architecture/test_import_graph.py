"""The checker of the import contracts finds what it is there for, in a small made-up house."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.import_graph import (
    arrows_back_up,
    between_folders,
    circles,
    imports,
    modules,
    never_used,
    private_used,
    shared_broken,
    walls_broken,
)

CONTRACT = {"bricks": "", "walls": "bricks", "roof": "bricks walls"}
HOUSE = {
    "__init__": "",
    "bricks/__init__": "",
    "bricks/clay": "",
    "bricks/_kiln": "",
    "walls/__init__": "from house.walls.wall import Wall",
    "walls/wall": "from house.bricks import clay",
    "roof": "import house.walls\nfrom house.bricks.clay import Clay",
}

Build = Callable[..., dict[str, Path]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def built(**changed: str) -> dict[str, Path]:
        for name, source in {**HOUSE, **{path.replace("__", "/", 1): text for path, text in changed.items()}}.items():
            file = tmp_path / "house" / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        return modules(tmp_path / "house")

    return built


def problems(files: dict[str, Path]) -> list[str]:
    return walls_broken(imports(files), CONTRACT, ())


def module_circles(files: dict[str, Path]) -> list[list[str]]:
    return circles((each.importer, each.imported) for each in imports(files))


def test_a_house_in_order_passes(build: Build) -> None:
    files = build()
    found = imports(files)
    assert {(each.importer, each.imported) for each in found} == {
        ("house.walls", "house.walls.wall"),
        ("house.walls.wall", "house.bricks.clay"),
        ("house.roof", "house.walls"),
        ("house.roof", "house.bricks.clay"),
    }
    assert problems(files) == arrows_back_up(CONTRACT) == never_used(found, CONTRACT) == private_used(found) == []
    assert module_circles(files) == circles(between_folders(found, files)) == []


@pytest.mark.parametrize(
    "turned",
    [
        "import house.walls",
        "import house.walls.wall as wall",
        "from house import walls",
        "from house.walls import Wall",
        "def later():\n    from house.walls.wall import Wall",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.walls import Wall",
        "try:\n    import house.walls\nexcept ImportError:\n    pass",
        "TABLE = {'wall': LazyCommand('house.walls.wall:Wall', 'A wall.')}",
    ],
)
def test_an_arrow_turned_round_is_found_wherever_it_stands(build: Build, turned: str) -> None:
    files = build(bricks__clay=turned)
    [problem] = problems(files)
    assert problem.startswith("house.bricks.clay:")
    assert "imports house.walls" in problem
    assert module_circles(files)


def test_a_contract_with_an_arrow_back_up_is_refused() -> None:
    assert arrows_back_up({"bricks": "walls", "walls": ""}) == ["bricks may import walls, which doesn't stand above it"]
    assert arrows_back_up({"bricks": "mortar"}) == ["bricks may import mortar, which doesn't stand above it"]


def test_a_circle_within_a_room_is_found(build: Build) -> None:
    files = build(bricks__clay="import house.bricks._kiln", bricks___kiln="from house.bricks import clay")
    assert problems(files) == []
    assert module_circles(files) == [["house.bricks._kiln", "house.bricks.clay"]]


def test_a_circle_of_rooms_is_found_where_no_modules_make_one(build: Build) -> None:
    files = build(bricks__sand="from house.walls import plaster", walls__plaster="")
    assert module_circles(files) == []
    assert circles(between_folders(imports(files), files)) == [["house.bricks", "house.walls"]]


def test_a_room_within_a_room_may_be_shown_by_the_face_and_not_used_by_its_siblings(build: Build) -> None:
    inner = {"bricks__oven/__init__": "", "bricks__oven/fire": "from house.bricks import clay"}
    shown = build(**inner, bricks____init__="from house.bricks.oven.fire import Fire")
    assert circles(between_folders(imports(shown), shown)) == []
    used = build(**inner, bricks__sand="from house.bricks.oven import fire")
    assert circles(between_folders(imports(used), used)) == [["house.bricks", "house.bricks.oven"]]


@pytest.mark.parametrize(
    "source", ["from house.bricks._kiln import bake", "import house.bricks._kiln", "from house.bricks import _kiln"]
)
def test_a_private_module_used_from_outside_its_room_is_found(build: Build, source: str) -> None:
    files = build(walls__wall=source)
    assert private_used(imports(files)) == ["house.walls.wall:1 imports house.bricks._kiln, which is private to bricks"]
    assert private_used(imports(build(walls__wall="", bricks__clay=source))) == []


def test_a_room_without_a_row_and_a_row_without_use_are_found(build: Build) -> None:
    files = build(cellar__door="from house.bricks import clay", roof="")
    assert problems(files) == ["house.cellar.door: 'cellar' has no row in the contract"]
    assert never_used(imports(files), CONTRACT) == ["roof doesn't import bricks", "roof doesn't import walls"]


def test_constants_of_a_package_are_not_its_face(build: Build) -> None:
    assert problems(build(bricks__clay="from house import __version__")) == []
    assert problems(build(bricks__clay="from house import Roof")) == [
        "house.bricks.clay:1 imports house; bricks may import: nothing"
    ]


def test_relative_imports_are_refused(build: Build) -> None:
    with pytest.raises(ValueError, match=r"clay\.py:1 imports relatively"):
        imports(build(bricks__clay="from . import _kiln"))


def test_what_is_shared_with_another_package_is_held_to_its_list(build: Build, tmp_path: Path) -> None:
    house = build()
    guest = tmp_path / "guest/hall/visitor.py"
    guest.parent.mkdir(parents=True)
    guest.write_text("from house.bricks import clay\nfrom house.walls import Wall\nimport house.roof")
    across = [each for each in imports(modules(tmp_path / "guest"), house) if each.imported in house]
    assert shared_broken(across, {"bricks.*": "hall", "walls": "hall", "roof": "hall"}) == []
    assert shared_broken(across, {"bricks.clay": "hall", "walls": "attic", "walls.wall": "hall"}) == [
        "guest.hall.visitor:2 imports house.walls, which is shared with attic",
        "guest.hall.visitor:3 imports house.roof, which is shared with nobody",
        "nobody imports walls.wall",
    ]
