"""Two threads that decode to a type at the same moment, for the first time: both get the value, and nobody dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Types that nobody has used, each used first by all threads at once; taking turns quickly makes the moment wide.
_PROGRAM = """
import sys, threading
import msgspec
from sealdex.model.decode import convert_to, decode_as

sys.setswitchinterval(1e-6)
USES = {
    "decode": lambda kind: decode_as(b'{"g1": [{"f1": 3}]}', kind),
    "convert": lambda kind: convert_to({"g1": [{"f1": 3}]}, kind),
}
use = USES[sys.argv[1]]
read = []
for number in range(40):
    inner = msgspec.defstruct(f"Inner{number}", [(f"f{i}", "int | None", None) for i in range(20)], module="__main__")
    globals()[f"Inner{number}"] = inner
    fields = [(f"g{i}", f"tuple[Inner{number}, ...] | None", None) for i in range(20)]
    outer = msgspec.defstruct(f"Outer{number}", fields, module="__main__")
    start = threading.Barrier(8)

    def work():
        start.wait()
        read.append(use(outer).g1[0].f1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(len(read), set(read))
"""


@pytest.mark.parametrize("use", ["decode", "convert"])
def test_the_first_use_of_a_type_is_safe_in_threads(use: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    ran = subprocess.run([sys.executable, str(program), use], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "320 {3}\n"), ran.stderr[-2000:]
