#!/usr/bin/python3
"""Runs `sealdex` with the modules of /usr/lib/sealdex; with ``--run-module NAME`` first, a module of these.

The second is how the client starts processes of its own, such as the supervisors of services.
"""

import sys

SEALDEX_ONE_FILE = "/usr/bin/sealdex"  # says that it is started so

if __name__ == "__main__":
    # in place of /usr/bin: another installation of this host must not answer for what is here
    sys.path[0] = "/usr/lib/sealdex"
    if sys.argv[1:2] == ["--run-module"]:
        import runpy

        module = sys.argv[2]
        del sys.argv[1:3]
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    else:
        from sealdex.cli.main import program

        sys.exit(program())
