"""The command ``sealdex``: a fast path for commands that are called in loops, click for everything else."""

from __future__ import annotations

import atexit
import gc
import os
import sys

from sealdex.cli.errors import run

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Sequence

    from click import Group

    from sealdex.cli.output import Output

PROG = "sealdex"
_ALLOCATIONS = 50_000
"""So many new objects may there be before the collector looks for circles among them; Python's own limit is 700."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; `sealdex.cli.error_table` lists the codes.

    Args:
        args: the arguments; left out: those of the process, which is about to end then.
    """
    if args is not None:
        return run(_command, args, prog=PROG)
    # An import makes thousands of objects that stay. Looking through them again and again, and once more at the end of
    # the process, is a fifth of the time that `sealdex info` takes.
    gc.set_threshold(_ALLOCATIONS, 20, 100)
    try:
        return run(_command, None, prog=PROG)
    finally:
        gc.freeze()


def program() -> int:
    """Run the command line of a process that does nothing else, and end it; what ``sealdex`` is for a shell."""
    code = main()
    from sealdex.cli.plain_calls import parse  # noqa: PLC0415  # imported by now, mostly

    if parse(sys.argv[1:]) is not None:  # no plugin was run, nor any other code that may expect more
        _end(code)
    return code


def _end(code: int) -> None:
    """End the process without taking its modules and objects apart, which is a twentieth of `sealdex install`.

    Only where nothing is lost by it: what has to be called at the end is called, what was written is passed on, and no
    thread is at work. Otherwise this returns, and the process ends as usual.
    """
    threads = sys.modules.get("threading")
    if sys.flags.interactive or sys.gettrace() is not None or (threads is not None and threads.active_count() > 1):
        return
    atexit._run_exitfuncs()  # noqa: SLF001  # as multiprocessing ends its children
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # Python says what can't be written, in its own way
    os._exit(code)


def _completed(cli: Group) -> bool:
    from sealdex.cli.complete import answer  # noqa: PLC0415  # only when a shell asks
    from sealdex.cli.completers import COMPLETERS  # noqa: PLC0415  # completing must not wait for it

    return answer(cli, PROG, COMPLETERS)


def _command(args: list[str], out: Output) -> object:
    from sealdex.cli.fast_path import run_quickly  # noqa: PLC0415  # imports are counted here, see that module

    # what is logged, is logged on the long way; a shell that completes gives no arguments
    if args and not os.environ.get("SEALDEX_LOG") and not os.environ.get("SEALDEX_LOG_FILE"):
        if run_quickly(args, out):
            return 0
        from sealdex.cli.plain_calls import run_plainly  # noqa: PLC0415  # so too

        if run_plainly(args, out):
            return 0
    from sealdex.trust import key_libraries, lean_imports  # noqa: PLC0415  # the fast path has no keys

    key_libraries.put_off()
    lean_imports.put_off()  # before all that it puts off
    from sealdex.cli.command_table import cli  # noqa: PLC0415  # click and all of its own

    if "_SEALDEX_COMPLETE" in os.environ and _completed(cli):
        return 0
    return cli.main(args, prog_name=PROG, standalone_mode=False, obj=out)
