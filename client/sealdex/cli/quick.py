"""``list`` and ``path`` without click, which alone takes longer to import than these may take altogether.

Hosts call them in loops, so they get under three times ``python -c pass``. Only exact, well-formed calls are taken
here; whatever is unusual (help, a typo, a configuration named) goes the long way and behaves the same there.
"""

from __future__ import annotations

from sealdex.cli.installed import show_list, show_path
from sealdex.cli.output import Output


def run_quickly(args: list[str], out: Output) -> bool:
    """Run ``list`` or ``path NS/NAME[@VERSION]`` with ``--json``, ``-q``, ``--quiet``, ``--store DIR``, and no more.

    Returns:
        Whether it did; if not, nothing has happened.
    """
    command, *rest = args or [""]
    if command not in {"list", "path"}:
        return False
    store: str | None = None
    plugins: list[str] = []
    words = iter(rest)
    for word in words:
        if word == "--store":
            store = next(words, "")
            if not store:
                return False
        elif word.startswith("-"):
            if word not in {"--json", "-q", "--quiet"}:
                return False
        else:
            plugins.append(word)
    if command == "list" and not plugins:
        show_list(out, store)
        return True
    if command == "path" and len(plugins) == 1:
        show_path(out, store, plugins[0])
        return True
    return False
