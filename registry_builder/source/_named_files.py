"""Checks that what a release names is in its archive: entry point, service command, models, icon. Runs nothing.

A release names these once but may have an archive per platform, so each archive is checked. Programs of the host
(a bare word, an absolute path) and values that only the host knows (``${PORT}``) aren't checked.
"""

from __future__ import annotations

import ast
import difflib
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from sealdex.archive.mapping import PlannedFile
from sealdex.model.release import Release

MAX_SOURCE_BYTES = 4 * 1024 * 1024

_BINARY_MODULE = r"(\.[A-Za-z0-9_.-]+)?\.(so|pyd|pyc)"
_INTERPRETERS = re.compile(r"(python|node|ruby|perl|bash|sh|zsh|pwsh|php|lua|deno|Rscript|julia)[0-9.]*(\.exe)?")
_MAX_LINKS = 40
_DYNAMIC = ("globals", "exec", "setattr", "vars", "locals")  # with one of these, a module may define anything


class InstalledFiles:
    """The files that an installation of one artifact would have.

    Args:
        files: the files.
        read: returns a file's content by its path in the archive, up to `MAX_SOURCE_BYTES`; None if it can't be read.
        is_single: whether the artifact is one file that is installed as it is. Except for ``.py`` files it may contain
            anything (a wheel, a self-extracting program), so it isn't checked.
    """

    def __init__(
        self, files: Sequence[PlannedFile], read: Callable[[str], bytes | None], *, is_single: bool = False
    ) -> None:
        self.is_opaque = is_single and not any(file.path.endswith(".py") for file in files)
        self._by_path = {file.path: file for file in files}
        self._folders = {folder for path in self._by_path for folder in _folders_above(path)}
        self._read = read

    def file(self, path: str) -> PlannedFile | None:
        """Return the regular file at a path, links followed; None if there is none."""
        path = posixpath.normpath(path)
        for _ in range(_MAX_LINKS):
            found = self._by_path.get(path)
            if found is None or found.kind == "file":
                return found
            if found.kind == "hardlink":
                path = found.source
            elif found.kind == "symlink":
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), found.target or ""))
            else:
                return None
        return None

    def is_there(self, path: str) -> bool:
        """Return whether there is a file, folder or link at a path."""
        path = posixpath.normpath(path)
        return path == "." or path in self._by_path or path in self._folders

    def is_folder(self, path: str) -> bool:
        """Return whether there is a folder at a path."""
        return path in self._folders or (path in self._by_path and self._by_path[path].kind == "folder")

    def content(self, file: PlannedFile) -> bytes | None:
        """Return the content of a file, or None if it can't be read."""
        return self._read(file.source) if file.size <= MAX_SOURCE_BYTES else None

    def matching(self, pattern: str) -> bool:
        """Return whether the path of some file matches a whole pattern."""
        return any(re.fullmatch(pattern, path) for path in self._by_path)

    def near(self, path: str) -> str:
        """Return a hint with similar paths; empty if there are none."""
        close = difflib.get_close_matches(path, self._by_path, n=3, cutoff=0.5)
        name = posixpath.basename(path)
        close += [each for each in self._by_path if posixpath.basename(each) == name and each not in close][:3]
        return f"; there is {', '.join(close[:3])}" if close else ""


def _folders_above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def named_problems(release: Release, files: InstalledFiles, *, runs_on_posix: bool) -> Iterator[tuple[str, str]]:
    """Yield (field path, what is wrong) for each name of the release that is missing from these files.

    Args:
        release: the release with the names.
        files: the files of the artifact.
        runs_on_posix: whether the artifact may be installed on a host where a program needs the executable bit.
    """
    if files.is_opaque:
        return
    kind = release.runtime.kind if release.runtime is not None else "python"
    if release.entry_point is not None:
        problems = {"python": _python_problems, "process": _process_problems}.get(kind)
        if problems is not None:
            for message in problems(release.entry_point, files, runs_on_posix=runs_on_posix):
                yield "entry_point", message
    if release.service is not None and release.service.command:
        for message in _command_problems(release.service.command, files, runs_on_posix=runs_on_posix):
            yield "service.command", message
    for i, model in enumerate(release.models):
        if not files.is_there(model.path):
            yield f"models[{i}].path", f"'{model.path}' is not in the archive{files.near(model.path)}"
    icon = release.icon
    if icon and ":" not in icon and not files.is_there(icon):
        yield "icon", f"'{icon}' is not in the archive{files.near(icon)}: use a path in the archive or an https:// URL"


# --- commands --------------------------------------------------------------------------------------------------------


def _process_problems(entry_point: str, files: InstalledFiles, *, runs_on_posix: bool) -> Iterator[str]:
    try:
        words = shlex.split(entry_point)
    except ValueError as error:
        yield f"can't be read as a command: {error}"
        return
    if not words:
        yield "is empty"
        return
    yield from _command_problems(words, files, runs_on_posix=runs_on_posix)


def _command_problems(words: Sequence[str], files: InstalledFiles, *, runs_on_posix: bool) -> Iterator[str]:
    program = words[0].removeprefix("${SERVICE_DIR}/")
    if _is_the_hosts(program):
        return
    found = files.file(program)
    if found is None:
        if "/" in program:
            yield f"program '{program}' is not in the archive{files.near(program)}"
        elif _INTERPRETERS.fullmatch(program) and len(words) > 1:
            script = words[1].removeprefix("${SERVICE_DIR}/")
            if not script.startswith("-") and not _is_the_hosts(script) and not files.is_there(script):
                yield f"'{script}', which {program} should run, is not in the archive{files.near(script)}"
    elif runs_on_posix and not found.mode & 0o100:
        yield (
            f"program '{program}' is not executable in the archive: chmod +x it and pack again, list it in `bin` of "
            "the artifact, or put the interpreter first, as in 'python3 tool.py'"
        )


def _is_the_hosts(word: str) -> bool:
    return word.startswith("/") or "$" in word or ".." in word.split("/") or "\\" in word or word[1:2] == ":"


# --- Python ----------------------------------------------------------------------------------------------------------


def _python_problems(entry_point: str, files: InstalledFiles, **_: bool) -> Iterator[str]:
    module, colon, attribute = entry_point.partition(":")
    if not colon:
        # services and jobs start a file, such as train.py
        path = entry_point.split(maxsplit=1)[0] if entry_point.split() else ""
        if not _is_the_hosts(path) and not files.is_there(path) and not _module_is_there(path, files):
            yield f"'{path}' is not in the archive{files.near(path)}: give a file of the package, or module:attribute"
        return
    is_path = module.endswith(".py") and files.is_there(module)
    if (
        is_path
        or not module
        or not attribute
        or not all(part.isidentifier() for part in f"{module}.{attribute}".split("."))
    ):
        named = module.removesuffix(".py").replace("/", ".")
        usual = f"{named}:{attribute}" if named and attribute else "module:attribute"
        yield f"'{entry_point}' is not of the form module:attribute: write {usual}"
        return
    path = module.replace(".", "/")
    source = files.file(f"{path}/__init__.py") or files.file(f"{path}.py")
    if source is None:
        if not _module_is_there(module, files):
            folder = " (the folder has no __init__.py)" if files.is_folder(path) else files.near(f"{path}.py")
            yield f"there is no module '{module}': neither {path}.py nor {path}/__init__.py{folder}"
        return
    content = files.content(source)
    if content is not None and (problem := _attribute_problem(content, attribute.split(".", 1)[0])):
        yield f"'{entry_point}': {source.path} {problem}"


def _module_is_there(module: str, files: InstalledFiles) -> bool:
    path = re.escape(module.replace(".", "/"))
    return files.matching(rf"{path}(/__init__)?(\.py|{_BINARY_MODULE})")


def _attribute_problem(source: bytes, attribute: str) -> str | None:
    """Return why a module can't have an attribute; None if it has it, or if only running it would tell."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # perhaps written for another Python version
    defined: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _DYNAMIC:
            return None
        if isinstance(node, ast.Global):
            defined.update(node.names)
    for node in _module_level(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            defined.update(alias.asname or alias.name.split(".", 1)[0] for alias in node.names)
        else:
            stored = (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            defined.update(name.id for name in stored)
    if {attribute, "*", "__getattr__"} & defined:
        return None
    close = difflib.get_close_matches(attribute, defined, n=1)
    return f"defines no '{attribute}'" + (f"; did you mean '{close[0]}'?" if close else "")


def _module_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of the module's own scope, including those in blocks (if, try, with, for)."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in ("body", "orelse", "finalbody"):
                yield from _module_level(getattr(node, block, []))
            for inner in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
                yield from _module_level(inner.body)


__all__ = ["MAX_SOURCE_BYTES", "InstalledFiles", "named_problems"]
