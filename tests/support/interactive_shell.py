"""An interactive bash, zsh or fish on a terminal of its own, with the completion of our programs, for pressing Tab."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from support.components import program

_START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'"),
    "zsh": (["zsh", "-f", "-i"], "unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D"),
    "fish": (["fish", "--no-config", "-i"], "true"),
}
_PATIENCE_S = 60.0


class InteractiveShell:
    """A shell that has sourced completion scripts.

    Args:
        name: ``bash``, ``zsh`` or ``fish``.
        folder: for its home and the scripts.
        env: variables beside those of the test.
        programs: whose completion is sourced.
    """

    def __init__(self, name: str, folder: Path, env: dict[str, str], programs: tuple[str, ...]) -> None:
        command, settings = _START[name]
        command = [program(name, f"apt-get install {name}"), *command[1:]]
        here = Path(sys.executable).parent
        given = {**os.environ, **env, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "TERM": "vt100"}
        given |= {"PS1": "", "COLUMNS": "200", "LINES": "50"}
        given |= dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))
        setup = [settings]
        for each in programs:
            script = folder / f"{each}.{name}"
            made = subprocess.run([here / each, "completion", name], env=given, capture_output=True, check=True)
            script.write_bytes(made.stdout)
            setup.append(f"source {script}")
        self._terminal, end = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *command], stdin=end, stdout=end, stderr=end, env=given, cwd=folder
        )
        os.close(end)
        self._said = ""
        self.typed(f"{'; '.join(setup)}; echo re''ady\r", "ready")

    def __enter__(self) -> InteractiveShell:  # noqa: PYI034  # typing.Self came with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def typed(self, keys: str, expected: str) -> str:
        """Press keys, and return what was said until something expected was; ``expected`` is a pattern."""
        self._said = ""
        os.write(self._terminal, keys.encode())
        until = time.monotonic() + _PATIENCE_S
        while re.search(expected, self._said) is None:
            left = until - time.monotonic()
            assert left > 0, f"not said: {expected!r}, but:\n{self._said}"
            if select.select([self._terminal], [], [], left)[0]:
                self._said += os.read(self._terminal, 65536).decode(errors="replace")
        return self._said
