"""What was released goes on working: 0.1.0's client reads what this builder publishes, and the reverse."""

from __future__ import annotations

from pathlib import Path

from support.released import Released


def test_the_released_packages_run_and_not_this_checkouts(v0_1_0: Released, tmp_path: Path) -> None:
    program = "import sealdex, registry_builder; print(sealdex.__file__, registry_builder.__file__, sep='\\n')"
    found = v0_1_0.python("-c", program, cwd=tmp_path).stdout.splitlines()
    assert [Path(file).is_relative_to(v0_1_0.folder) for file in found] == [True, True]
    for command in ("sealdex", "sealdex-builder"):
        assert v0_1_0.run(command, "--version", cwd=tmp_path).stdout.split()[-1] == "0.1.0"
