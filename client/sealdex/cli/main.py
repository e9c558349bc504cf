"""The command ``sealdex``: a fast path for commands that are called in loops, click for everything else."""

from __future__ import annotations

import os

from sealdex.cli.errors import run

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Sequence

    from click import Group

    from sealdex.cli.output import Output

PROG = "sealdex"


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; `sealdex.cli.error_table` lists the codes."""
    return run(_command, args, prog=PROG)


def _completed(cli: Group) -> bool:
    from sealdex.cli.complete import answer  # noqa: PLC0415  # only when a shell asks
    from sealdex.cli.completers import COMPLETERS  # noqa: PLC0415  # the same

    return answer(cli, PROG, COMPLETERS)


def _command(args: list[str], out: Output) -> object:
    from sealdex.cli.fast_path import run_quickly  # noqa: PLC0415  # imports are counted here, see that module

    # what is logged, is logged on the long way; a shell that completes gives no arguments
    if args and not os.environ.get("SEALDEX_LOG") and not os.environ.get("SEALDEX_LOG_FILE") and run_quickly(args, out):
        return 0
    from sealdex.cli.command_table import cli  # noqa: PLC0415  # click and all of its own

    if "_SEALDEX_COMPLETE" in os.environ and _completed(cli):
        return 0
    from sealdex.trust.key_libraries import put_off  # noqa: PLC0415  # so too: the fast path has no keys

    put_off()

    return cli.main(args, prog_name=PROG, standalone_mode=False, obj=out)
