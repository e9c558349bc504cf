"""Feeds one reader with inputs that atheris makes by looking at which code they reach, until it fails or time is up.

    python tests/fuzz/run_atheris.py READER --seconds 120 [--finds FOLDER]
    python tests/fuzz/run_atheris.py --list

Needs ``pip install atheris`` beside what the tests need. What makes a reader fail is written to FOLDER, is to be made
smaller, and kept under ``tests/fuzz/finds/READER/`` with the fix. Exit code 0: nothing was found.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

HERE = Path(__file__).parent


def main() -> int:
    """Read the arguments and run one reader."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reader", nargs="?")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--finds", type=Path, default=Path("fuzz-finds"))
    asked = parser.parse_args()
    import atheris  # noqa: PLC0415  # only here, and it isn't among the pinned tools

    # our own code alone: what is below it is fuzzed by its own projects, and slows this down
    with atheris.instrument_imports(include=["sealdex", "registry_builder"]):
        from fuzz.mutation import mutations  # noqa: PLC0415  # what is imported here is watched
        from fuzz.readers import readers  # noqa: PLC0415  # the same

    if asked.list or asked.reader is None:
        sys.stdout.write("\n".join(sorted(readers())) + "\n")
        return 0
    reader = readers()[asked.reader]
    asked.finds.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        kept = [path.read_bytes() for path in sorted((HERE / "finds" / asked.reader).glob("*"))]
        for number, seed in enumerate([*mutations(reader.seeds, reader.tokens, 50, seed=2), *kept]):
            if len(seed) < 100_000:
                Path(corpus, str(number)).write_bytes(seed)
        words = Path(corpus).with_suffix(".dict")
        words.write_text("".join(f'"{_escaped(token)}"\n' for token in reader.tokens if 0 < len(token) < 64))
        atheris.Setup(
            [
                sys.argv[0],
                corpus,
                f"-max_total_time={asked.seconds}",
                f"-artifact_prefix={asked.finds}{os.sep}{asked.reader}-",
                *([f"-dict={words}"] if words.read_text() else []),
                "-max_len=65536",
                "-timeout=20",
                "-rss_limit_mb=2048",
                "-print_final_stats=1",
            ],
            reader.run,
        )
        atheris.Fuzz()
    return 0


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    sys.exit(main())
