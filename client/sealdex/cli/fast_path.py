"""``list``, ``path`` and ``ensure`` without click, whose import alone takes longer than these commands may take.

Hosts call them in loops, so they must take less than three times ``python -c pass``. Only exact, well-formed calls are
handled here; anything else (help, a typo, ``--config``) goes through click and behaves the same.
"""

from __future__ import annotations

from itertools import takewhile

from sealdex.cli.output import Output
from sealdex.paths import store_folder
from sealdex.store.layout import Store

_SIMPLE = ("--json", "-q", "--quiet")  # these may also stand before the command


def run_quickly(args: list[str], out: Output) -> bool:
    """Run ``list`` or ``path NS/NAME[@VERSION]`` with ``--json``, ``-q``, ``--quiet``, ``--store DIR``, and no more.

    Also ``ensure``, if everything in the lock was in place last time and nothing has changed since.

    Returns:
        True if the command was run; False if nothing has happened.
    """
    before = list(takewhile(_SIMPLE.__contains__, args))
    command, *rest = args[len(before) :] or [""]
    rest = [*before, *rest]
    if command == "ensure":
        return _ensure(rest, out)
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
            if word not in _SIMPLE:
                return False
        else:
            plugins.append(word)
    from sealdex.cli.fast_list import show_list, show_path  # noqa: PLC0415  # other commands come this way too

    if command == "list" and not plugins:
        show_list(out, store)
        return True
    if command == "path" and len(plugins) == 1:
        show_path(out, store, plugins[0])
        return True
    return False


def _ensure(args: list[str], out: Output) -> bool:
    store, project = "", "."
    words = iter(args)
    for word in words:
        if word == "--store":
            store = next(words, "-")
        elif word == "--project":
            project = next(words, "-")
        elif word not in {"--json", "-q", "--quiet", "--locked", "--offline", "--no-fallback"}:
            return False
    if store.startswith("-") or project.startswith("-"):
        return False
    from sealdex.cli.fast_ensure import show_in_place  # noqa: PLC0415  # `list` and `path` needn't wait for it
    from sealdex.lockfile.freshness import in_place  # noqa: PLC0415  # `list` and `path` read no lock

    found = in_place(Store(store or store_folder()), project)
    if found is None:
        return False
    show_in_place(out, project, found)
    return True
