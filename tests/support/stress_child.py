"""One of many processes that change one store: ``python -m support.stress_child PROJECTS SEED ROUNDS``.

First it updates a plugin, as the others do at that moment; then it runs commands at random, in the folders of PROJECTS.
Configuration and store come from the environment. A command may say, by its exit code, that what others did at the same
moment makes it impossible: what it is to remove, or to go back to, is gone already. Any other failure is told on stderr
and ends this with 1.
"""

from __future__ import annotations

import contextlib
import io
import random
import sys
from collections.abc import Callable
from pathlib import Path

from sealdex.cli.main import main

PLUGINS = ("acme/app", "acme/base", "acme/tool")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
# the others change what is needed all the time, so what one process does it insists on

Words = Callable[[random.Random, Path], list[str]]


def _plugin(chance: random.Random) -> str:
    return chance.choice(PLUGINS)


def _release(chance: random.Random) -> str:
    return f"{chance.choice(PLUGINS)}@{chance.choice(VERSIONS)}"


DEEDS: tuple[tuple[Words, set[int]], ...] = (
    (lambda chance, _: ["install", _release(chance), "--no-fallback", "--force"], {0}),
    (lambda chance, _: ["install", _plugin(chance), "--no-fallback", "--force"], {0}),
    (lambda _, __: ["update", "--installed", "--force"], {0}),
    (lambda chance, projects: ["ensure", "--locked", "--no-fallback", "--project", _project(chance, projects)], {0}),
    (lambda _, __: ["rollback", "--force"], {0, 2, 3}),
    (lambda chance, _: ["uninstall", _release(chance), "--force"], {0, 3}),
    (lambda chance, _: ["use", _plugin(chance), chance.choice(VERSIONS), "--force"], {0, 3}),
    (lambda chance, _: ["disable", _plugin(chance)], {0, 3}),
    (lambda chance, _: ["enable", _plugin(chance), "--force"], {0, 3}),
    (lambda chance, _: ["cache", "gc", "--max-bytes", chance.choice(("0", "300000"))], {0}),
    (lambda _, __: ["cache", "verify"], {0}),
    (lambda _, __: ["verify"], {0, 3}),
    (lambda chance, _: ["path", _plugin(chance)], {0, 3}),
)


def _project(chance: random.Random, projects: Path) -> str:
    return str(chance.choice(sorted(projects.iterdir())))


def work(projects: Path, seed: int, rounds: int) -> list[str]:
    """Do ``rounds`` things after the first; return what went wrong."""
    chance = random.Random(seed)  # noqa: S311  # which thing to do
    todo = [(["install", f"{PLUGINS[seed % len(PLUGINS)]}@{VERSIONS[-1]}", "--no-fallback", "--force"], {0})]
    for _ in range(rounds):
        words, allowed = chance.choice(DEEDS)
        todo.append((words(chance, projects), allowed))
    wrong = []
    for command, allowed in todo:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(command)
        if code not in allowed:
            wrong.append(f"{' '.join(command)}: exit {code}\n{said.getvalue()}")
    return wrong


if __name__ == "__main__":
    problems = work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stderr.write("\n".join(problems))
    sys.exit(1 if problems else 0)
