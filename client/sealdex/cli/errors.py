"""`run` wraps a command line: every error becomes text or JSON, and an exit code.

The table from errors to codes is `sealdex.cli.error_table`.
The text says what happened, to what, what was not changed, and which command helps. In json mode it is one document
on stdout: ``{"error": {"code", "message", "subject", "untouched", "hint", "exit_code"}}``. The table is imported only
when something fails, to keep `sealdex list` fast.
"""

from __future__ import annotations

import os
import sys

from sealdex.cli.output import Output, logs_json, mode_of, open_missing_streams, swallow, verbosity

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_READER_GONE = 141


def show(error: BaseException, out: Output, prog: str = "sealdex") -> int:
    """Write an error to the output and return the exit code.

    In json mode the document goes to stdout, unless the command has already answered: then the error is text on stderr,
    so that stdout always holds exactly one document.
    """
    from sealdex.cli.error_table import DEBUG_VARIABLE, report  # noqa: PLC0415  # only when it fails

    shown = report(error, prog)
    if os.environ.get(DEBUG_VARIABLE):
        import traceback  # noqa: PLC0415  # only for who asked

        out.stderr.write("".join(traceback.format_exception(error)))
    if out.mode == "json" and not out.answered:
        out.result(shown._replace(hint=shown.hint and out.advice(shown.hint)).document())
    else:
        out.fail(shown.lines(), title="SECURITY" if shown.security else "error")
    return shown.exit_code


def run(
    command: Callable[[list[str], Output], object],
    args: Sequence[str] | None = None,
    *,
    prog: str = "sealdex",
    rooms: Sequence[str] = (),
) -> int:
    """Run a command line to its end and return the exit code.

    Args:
        command: takes the arguments and the output to write to; returns an exit code or None. For click:
            ``lambda args, out: group.main(args, prog_name=prog, standalone_mode=False, obj=out)``.
        args: the arguments; default: those of the process.
        prog: the program's name, for advice.
        rooms: further packages whose messages may be shown, see `sealdex.cli.translation`.
    """
    given = sys.argv[1:] if args is None else list(args)
    open_missing_streams()
    out = Output(mode_of(given), rooms=rooms)
    out.logs_json = logs_json(given)
    stdout = sys.stdout
    try:
        try:
            code = _followed(command, given, out)
            out.flush()
        except BrokenPipeError:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the one place where errors become text
            code = show(error, out, prog)
            out.flush()
    except BrokenPipeError:
        return _reader_gone(out)
    except SystemExit:
        # click turns a closed pipe into exit code 1; the only sign of it is the mute stream that click puts there
        if sys.stdout is not stdout:
            return _reader_gone(out)
        raise
    return code if isinstance(code, int) else 0


def _followed(command: Callable[[list[str], Output], object], args: list[str], out: Output) -> object:
    """Run a command, with its log where that was asked for."""
    asked = verbosity(args)
    if not asked and not os.environ.get("SEALDEX_LOG") and not os.environ.get("SEALDEX_LOG_FILE"):
        return command(args, out)
    from sealdex.cli.log_handler import followed  # noqa: PLC0415  # `logging` takes as long as `sealdex list` has

    with followed(out, asked):
        return command(args, out)


def _reader_gone(out: Output) -> int:
    """Handle ``sealdex list | head -1``: print nothing, and keep the interpreter silent when it flushes at exit."""
    swallow([out.stdout, out.stderr])
    return EXIT_READER_GONE
