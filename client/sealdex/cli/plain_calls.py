"""``info``, ``install`` and ``ensure`` without click, as robots and CI call them: names and switches, and no more.

What they import is most of their time on a host that knows nothing yet, and click is a tenth of it. Anything else -
help, a typo, an option with a value - goes through click and does the same: both call the function in
`sealdex.cli.run_info` and its neighbours, and a test compares what they hand it.
"""

from __future__ import annotations

import os
from itertools import takewhile

TYPE_CHECKING = False  # as type checkers read it, see `sealdex.cli.output`
if TYPE_CHECKING:
    from typing import Any

    from sealdex.cli.output import Output

SIMPLE = ("--json", "-q", "--quiet")
"""Switches of every command, which may also stand before it; `sealdex.cli.output` reads them."""

SWITCHES = {
    "info": {"--offline": "offline", "--all": "show_all"},
    "install": {
        "--offline": "offline",
        "--no-fallback": "no_fallback",
        "--cascade": "cascade",
        "--force": "force",
        "--dry-run": "dry_run",
        "--pre": "pre",
    },
    "ensure": {
        "--offline": "offline",
        "--no-fallback": "no_fallback",
        "--locked": "locked",
        "--frozen": "frozen",
        "--dry-run": "dry_run",
    },
}
"""The switches that are understood here: an option to the parameter that it sets."""


def parse(args: list[str]) -> tuple[str, list[str], dict[str, Any]] | None:
    """Return command, names and parameters of a plain call; None if it is another call."""
    before = list(takewhile(SIMPLE.__contains__, args))
    command, *words = args[len(before) :] or [""]
    switches = SWITCHES.get(command)
    if switches is None:
        return None
    names: list[str] = []
    given: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word in switches:
            given[switches[word]] = True
        elif word == "--project" and command == "ensure":
            folder = next(rest, "")
            if not os.path.isdir(folder):  # noqa: PTH112  # pathlib isn't here yet, and click says what is wrong
                return None
            given["folder"] = folder
        elif word.startswith("-"):
            if word not in SIMPLE:
                return None
        else:
            names.append(word)
    fits = {"info": len(names) == 1, "install": bool(names), "ensure": not names}
    return (command, names, given) if fits[command] else None


def run_plainly(args: list[str], out: Output) -> bool:
    """Run a plain call; return False if it is another one, and nothing has happened."""
    if os.environ.get("SEALDEX_METRICS_FILE") or "_SEALDEX_COMPLETE" in os.environ:
        return False
    call = parse(args)
    if call is None:
        return False
    from sealdex.trust import key_libraries, lean_imports  # noqa: PLC0415  # other calls needn't wait for it

    key_libraries.put_off()
    lean_imports.put_off()  # before all that it puts off
    from sealdex.cli.session import Context  # noqa: PLC0415  # so too

    command, names, given = call
    context = Context(out, None, None)
    if command == "info":
        from sealdex.cli.run_info import run_info  # noqa: PLC0415  # one of the three

        run_info(context, names[0], **given)
    elif command == "install":
        from sealdex.cli.run_install import run_install  # noqa: PLC0415  # one of the three

        run_install(context, tuple(names), **given)
    else:
        from pathlib import Path  # noqa: PLC0415  # `list` and `path` needn't wait for it

        from sealdex.cli.run_ensure import run_ensure  # noqa: PLC0415  # one of the three

        run_ensure(context, **given | {"folder": Path(given.get("folder", ""))})
    return True
