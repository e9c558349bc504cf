"""The program of `make frozen`: ``sealdex``, or with ``--run-module NAME`` first a module of ours, as supervisors."""

from __future__ import annotations

import runpy
import sys

AS_MODULE = "--run-module"


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == [AS_MODULE] and sys.argv[2:3] and sys.argv[2].startswith("sealdex."):
        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=False)
        return
    from sealdex.cli.main import main as command  # noqa: PLC0415  # a supervisor needs no command line

    sys.exit(command())


if __name__ == "__main__":
    main()
