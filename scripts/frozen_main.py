"""The program of `make frozen`: ``sealdex``, or with ``--run-module NAME`` first a module of ours, as supervisors."""

from __future__ import annotations

import os
import runpy
import sys

AS_MODULE = "--run-module"


def main() -> None:
    """Run the command line."""
    forget_unpacking()
    if sys.argv[1:2] == [AS_MODULE] and sys.argv[2:3] and sys.argv[2].startswith("sealdex."):
        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=False)
        return
    from sealdex.cli.main import program  # noqa: PLC0415  # a supervisor needs no command line

    sys.exit(program())


def forget_unpacking() -> None:
    """Take out of the environment what PyInstaller put there, for the processes that are started from here.

    A supervisor would use this one's unpacked files, which go when this one ends; services and plugins would load its
    libraries in place of the system's.
    """
    for name in [name for name in os.environ if name.startswith("_PYI_")]:
        del os.environ[name]
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"):
        before = os.environ.pop(f"{name}_ORIG", None)
        if before is not None:
            os.environ[name] = before
        elif os.environ.get(name) == getattr(sys, "_MEIPASS", None):
            os.environ.pop(name, None)


if __name__ == "__main__":
    main()
