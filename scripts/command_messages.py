"""The messages of both command lines: read from the sources, kept for translators, written for programs.

    .venv/bin/python scripts/messages.py            update these as well, see there

`client/sealdex/cli/languages/TAG.po` and `registry_builder/cli/languages/TAG.po` are for translators; the .json beside
each is made of it, and read by `sealdex.cli.translation`. Nothing is marked in the sources: every literal that holds
words counts, but those that `_Reader` passes over. A value has a number in braces; a count is ``{n}``.
"""

from __future__ import annotations

import ast
import errno
import inspect
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import click
from babel.messages import catalog, extract, pofile

from sealdex.cli.messages import words_of

HERE = Path(__file__).resolve().parent.parent
ROOMS = {"sealdex": HERE / "client" / "sealdex", "sealdex-builder": HERE / "registry_builder"}

_PLACE = "\0"
_MOST = 12  # so many variants of one text are written out; of more, the varying parts are values
_VALUE = re.compile(r"\{(?:\d+|n)\}")
_FIELD = re.compile(r"\{[a-z_]*(?:![rs])?\}|%\([a-z_]+\)s|%r|%s")

# a word beside another word, a value or a quoted thing
_SAID = re.compile(
    r"(?<![\w/.<\[-])[A-Za-z][a-z']+[,;:.]? (?=[\w\"'`(\0<\[{$-])|(?<=[\w\"'`)\0\]}>%]) [a-z]{2,}(?![\w/]|\.\w|[-:=]\w)"
)
_PATTERN = re.compile(r"\(\?|\\[bswd]|^\s*[{<]")
_SQL = re.compile(
    r"^(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|BEGIN|ALTER|REPLACE|DROP|WHERE|ORDER BY|ON CONFLICT)\b"
)
_COMMAND = re.compile(
    r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:sealdex|sealdex-builder|cd|python3?|openssl|docker|skopeo|git|gh|aws|pip|curl)\b"
    r"(?!.*(?:; |, | to |: | says | shows | prints ))"
)
_LOGS = {"log", "_log", "logger", "_logger", "LOG", "_LOG", "logging", "warnings"}
_BUGS = {"TypeError", "RuntimeError", "AssertionError", "NotImplementedError", "KeyError", "AttributeError"}
_NOT_FOR_PEOPLE = {"re.compile", "cast", "setattr", "getattr", "execute", "executemany", "executescript"}
# what is written into files and pages, which have words of their own
_NOT_SHOWN = (
    "registry_builder/cli/markdown.py",
    "registry_builder/site/static_api/openapi.py",
    "registry_builder/site/_offline_verifier.py",
)
_SITE = "registry_builder/site/"
_OF_PAGES = {"say", "count", "N_", "_", "ngettext", "gettext"}  # of pages: scripts/messages.py
_WORDED = {"table", "say", "line", "note", "warn"}  # calls whose first argument is shown, even if it is one word
# words that stand alone in the source, where a name could stand as well
_WORDS = {
    "sealdex": (
        *("error:", "warning:", "SECURITY:", "at: {0}", "note: {0}", "help: {0}", "Usage:", "Options:", "Commands:"),
        *("ok", "WARNING", "PROBLEM", "unknown", "enabled", "disabled", "current", "pinned", "YANKED", "DAMAGED"),
        *("running", "starting", "stopping", "stopped", "failed", "healthy", "unhealthy", "interrupted", "any"),
        *("NOT ON THIS MIRROR", "required", "default: {0}", "retry {0}", "{0}, retrying", "and {0} more"),
        *("Examples:", "Example:", "unpinned", "{0} (undone)", "{0} nothing -> {1}", "{0} -> nothing"),
        *("yanked", "default"),
        # what begins with a verb of a table
        *(
            "installed {0}",
            "repaired {0}",
            "switched to {0}",
            "freed {0}; {1} with {2} kept",
            "removed {0}, {1}; {2} stay",
        ),
        *("would install {0}", "would repair {0}", "would record {0}", "would need the image {0} of {1}"),
        *("would free {0}; {1} with {2} kept", "would remove {0}, {1}; {2} stay", "removed {0}, {1}; {2} stay"),
        *("installed {0} in {1}, {2}", "repaired {0} in {1}, {2}", "installed {0}, repaired {1} in {2}, {3}"),
        # what is put together of parts
        *("keywords: {0}", "owners: {0}", "homepage: {0}", "repository: {0}", "documentation: {0}"),
        *("did you mean {0}?", "there is no plugin {0}; did you mean {1}?", "there is no plugin {0} in registry {1}"),
        *("there is no plugin {0} in registry {1}; did you mean {2}?", "{0} is missing"),
        # what click puts together of what it says
        *("Missing argument {0}.", "Missing option {0}.", "{0} is not a valid integer.", "{0} is not a valid float."),
        *("{0} is not a valid integer range.", "{0} is not a valid float range."),
    ),
    "sealdex-builder": (
        *("yes", "no", "none", "LACKS KEYS", "finished", "aborted", "Repeat for confirmation", "{n} bins"),
        *("{n} artifact", "{n} manifest", "{n} readme", "{n} index document", "{n} catalogue shard", "{n} file list"),
        *(
            "{n} artifacts",
            "{n} manifests",
            "{n} readmes",
            "{n} index documents",
            "{n} catalogue shards",
            "{n} file lists",
        ),
        *("{n} file lists", "{n} attachment", "{n} attachments", "{n} dependents document", "{n} dependents documents"),
    ),
}
_SYSTEM = (
    *("ENOENT", "EACCES", "EPERM", "EEXIST", "ENOTDIR", "EISDIR", "ENOSPC", "EROFS", "EDQUOT", "ENOTEMPTY", "EMFILE"),
    *("EIO", "EBUSY", "EXDEV", "ELOOP", "ENAMETOOLONG", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EADDRINUSE"),
)


class Text(NamedTuple):
    """A message: where it stands, and its plural if it counts something."""

    file: str
    line: int
    message: str
    plural: str | None = None


# --- reading the sources ---------------------------------------------------------------------------------------------


def texts_of(path: Path) -> list[Text]:
    """Return what a module may say to people, in the order of lines."""
    reader = _Reader(path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else path.name)
    reader.visit(ast.parse(path.read_text(encoding="utf-8")))
    return sorted(reader.found, key=lambda text: text.line)


class _Reader(ast.NodeVisitor):
    """Finds literals with words. Passes over what only programs or logs read."""

    def __init__(self, file: str) -> None:
        self.found: list[Text] = []
        self._file = file

    def visit_Expr(self, node: ast.Expr) -> None:
        """Pass over docstrings."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Pass over what something is compared with."""

    def visit_arg(self, node: ast.arg) -> None:
        """Pass over annotations."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Pass over keys."""
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Pass over the annotation."""
        if node.value is not None:
            self.visit(node.value)

    def visit_Dict(self, node: ast.Dict) -> None:
        """Pass over keys."""
        for value in node.values:
            self.visit(value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Read the docstrings of commands, which are their help."""
        names = [ast.unparse(each.func if isinstance(each, ast.Call) else each) for each in node.decorator_list]
        help_text = ast.get_docstring(node)
        if help_text and any(name.endswith(("command", "group")) for name in names):
            self._add_all(node.lineno, help_text)
        for each in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
            self.visit(each)

    def visit_Call(self, node: ast.Call) -> None:
        """Read counts and headings, which are words alone; pass over logs and bugs."""
        name = ast.unparse(node.func)
        first, _, last = name.rpartition(".")
        if first.partition(".")[0] in _LOGS or last in _BUGS or {name, last} & _NOT_FOR_PEOPLE:
            return
        if last == "counted" and all(isinstance(each, ast.Constant) for each in node.args[1:]):
            nouns = [str(each.value) for each in node.args[1:] if isinstance(each, ast.Constant)]
            self._put(node.lineno, f"{{n}} {nouns[0]}", f"{{n}} {nouns[1] if len(nouns) > 1 else nouns[0] + 's'}")
            self.visit(node.args[0])
            return
        if last in _OF_PAGES and self._file.startswith(_SITE):
            return
        if last in _WORDED and node.args:
            for each in ast.walk(node.args[0]) if last == "table" else node.args[:1]:
                if (
                    isinstance(each, ast.Constant)
                    and isinstance(each.value, str)
                    and re.search("[A-Za-z]{2}", each.value)
                ):
                    self._put(each.lineno, each.value.strip())
        self.generic_visit(node)

    def _literal(self, node: ast.expr) -> None:
        variants = _variants(node)
        if variants is None:
            self.generic_visit(node)
            return
        for text in variants:
            self._add_all(node.lineno, text)
        for each in _values(node):
            self.visit(each)

    visit_Constant = visit_JoinedStr = visit_BinOp = visit_IfExp = _literal  # noqa: N815  # the names are ast's

    def _add_all(self, line: int, text: str) -> None:
        """Add a text by paragraphs and lines, as `sealdex.cli.help_text` and the output layer show them."""
        if _SQL.search(text.strip()):
            return
        if "\n\n" not in text and "\b" not in text:
            parts = text.split("\n")
        else:
            parts = []
            for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
                lines = paragraph.splitlines() or [""]
                parts += lines[1:] if lines[0].strip() == "\b" else [" ".join(paragraph.split())]
        for part in parts:
            core = re.sub(f"{_PLACE}+", _PLACE, part.strip())
            if _SAID.search(core) and not any(each.search(core) for each in (_PATTERN, _COMMAND)):
                self._put(line, _numbered(core))

    def _put(self, line: int, message: str, plural: str | None = None) -> None:
        self.found.append(Text(self._file, line, message, plural))


def _numbered(text: str) -> str:
    """Return a text with numbers in its places."""
    numbers = iter(range(100))
    return re.sub(_PLACE, lambda _: f"{{{next(numbers)}}}", text)


def _is_text(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Add()):
            return _is_text(node.left) or _is_text(node.right)
        case ast.IfExp():
            return _is_text(node.body) or _is_text(node.orelse)
    return False


def _variants(node: ast.expr) -> list[str] | None:
    """Return all forms of a text, with places for its values; None for what isn't a text."""
    match node:
        case ast.Constant(value=str()):
            return [_FIELD.sub(_PLACE, str(node.value))]
        case ast.JoinedStr():
            parts = [_variants_of_part(each) for each in node.values]
        case ast.BinOp(op=ast.Add()) if _is_text(node):
            parts = [_variants(node.left) or [_PLACE], _variants(node.right) or [_PLACE]]
        case ast.IfExp() if _is_text(node):
            return [*(_variants(node.body) or [_PLACE]), *(_variants(node.orelse) or [_PLACE])]
        case _:
            return None
    made = ["".join(each) for each in product(*parts)]
    return made if len(made) <= _MOST else ["".join(each[0] if len(each) == 1 else _PLACE for each in parts)]


def _variants_of_part(part: ast.expr) -> list[str]:
    if not isinstance(part, ast.FormattedValue):
        return [_FIELD.sub(_PLACE, str(part.value))] if isinstance(part, ast.Constant) else [_PLACE]
    if part.format_spec is not None or part.conversion != -1:
        return [_PLACE]
    return _variants(part.value) or [_PLACE]


def _values(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the expressions within a text that aren't part of the text."""
    inner: list[ast.expr] = []
    match node:
        case ast.JoinedStr():
            inner = [each.value for each in node.values if isinstance(each, ast.FormattedValue)]
        case ast.BinOp():
            inner = [node.left, node.right]
        case ast.IfExp():
            yield node.test
            inner = [node.body, node.orelse]
    for each in inner:
        if _is_text(each):
            yield from _values(each)
        else:
            yield each


def _of_click() -> Iterator[Text]:
    """Yield what click says by itself; if another version of it says otherwise, that is shown in English."""
    for path in sorted(Path(click.__file__).parent.glob("*.py")):
        with path.open("rb") as file:
            for line, found, *_ in extract.extract("python", file, {"_": None, "ngettext": (1, 2)}):
                for each in (found,) if isinstance(found, str) else found[:2]:
                    if len(each) > 1:
                        yield Text("click", line, _numbered(_FIELD.sub(_PLACE, " ".join(each.split()))))


@cache
def messages(program: str) -> list[Text]:
    """Return all that a program says; what the client says already isn't repeated for the builder."""
    room = ROOMS[program]
    found = [text for path in sorted(room.rglob("*.py")) for text in texts_of(path) if text.file not in _NOT_SHOWN]
    found += [Text("words", 0, word) for word in _WORDS[program]]
    if program == "sealdex":
        found += _of_click()
        found += [Text("system", 0, os.strerror(getattr(errno, name))) for name in _SYSTEM]
    known = set() if program == "sealdex" else {(text.message, text.plural) for text in messages("sealdex")}
    return [text for text in found if (text.message, text.plural) not in known]


# --- what is kept of it ----------------------------------------------------------------------------------------------


def template(program: str) -> catalog.Catalog:
    """Return a catalog of all messages of a program, without translations."""
    made = catalog.Catalog(project=program, fuzzy=False)
    for text in messages(program):
        made.add(text.message if text.plural is None else (text.message, text.plural), locations=[(text.file, 0)])
    for message in made:
        message.flags.clear()
    return made


def document(found: catalog.Catalog) -> dict[str, object]:
    """Return what programs read of a translated catalog, see `sealdex.cli.messages`."""
    texts: dict[str, str] = {}
    templates: list[tuple[list[str], list[object], int]] = []
    for message in found:
        if not message.id or not message.string:
            continue  # said in English
        ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
        string = str(message.string[-1] if isinstance(message.string, tuple | list) else message.string)
        for text in dict.fromkeys(ids):
            if not _VALUE.search(text):
                texts[text] = string
                continue
            order = _VALUE.findall(text)
            parts: list[object] = []
            for word, value in zip(_VALUE.split(string), [*_VALUE.findall(string), None], strict=True):
                parts += [word] if word else []
                parts += [order.index(value)] if value is not None else []
            templates.append((_VALUE.split(text), parts, int(order == ["{n}"])))
    keys = [_keys(words) for words, _, _ in templates]
    often = Counter(key for each in keys for key in each)

    def rarest(each: set[str]) -> str:
        return min(each, key=lambda key: (often[key], key), default="")

    return {
        "texts": texts,
        "templates": [
            [rarest(each), sum(map(str.isalpha, "".join(words))), words, *more]
            for each, (words, *more) in zip(keys, templates, strict=True)
        ],
    }


def _keys(words: list[str]) -> set[str]:
    """Return the whole words of a template, by which a text is found to be one of it: none that touches a value."""
    found: set[str] = set()
    for number, text in enumerate(words):
        parts = text.split(" ")
        whole = parts[number > 0 : len(parts) - (number < len(words) - 1)]
        found |= words_of(" ".join(whole))
    return {key for key in found if re.search(r"\w{2}", key)}


def written(found: catalog.Catalog) -> str:
    """Return the document as a file of one message a line, so that changes can be read."""
    made = document(found)
    lines = [
        f'"{name}": {mark[0]}\n{_lines(made[name])}\n{mark[1]}' for name, mark in (("texts", "{}"), ("templates", "[]"))
    ]
    return "{" + ",\n".join(lines) + "}\n"


def _lines(values: object) -> str:
    def shown(value: object) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    if isinstance(values, dict):
        return ",\n".join(f"{shown(key)}:{shown(value)}" for key, value in values.items())
    return ",\n".join(map(shown, values if isinstance(values, list) else []))


def languages(program: str) -> Sequence[str]:
    """Return the tags of the languages that a program speaks beside English."""
    return sorted(path.stem for path in (ROOMS[program] / "cli" / "languages").glob("*.po"))


def place(program: str, language: str) -> Path:
    """Return the file of a language for translators; that for programs ends in .json."""
    return ROOMS[program] / "cli" / "languages" / f"{language}.po"


def read(path: Path, language: str) -> catalog.Catalog:
    """Return the catalog of a file."""
    with path.open("rb") as file:
        return pofile.read_po(file, locale=language.replace("-", "_"), abort_invalid=True)
