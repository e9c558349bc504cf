"""The one output layer of the command lines: human, JSON and quiet modes, tables, colours and progress.

Commands never print directly. All output passes through `clean`, because summaries, owners and reasons are written by
publishers: an escape sequence in a summary must not move the cursor or change what is shown. JSON is written as pure
ASCII, which escapes the same characters.

| call       | human           | quiet                        | json                |
| ---------- | --------------- | ---------------------------- | ------------------- |
| `line`     | stdout          | -                            | -                   |
| `answer`   | stdout          | stdout                       | -                   |
| `block`    | stdout          | -                            | -                   |
| `table`    | stdout, aligned | stdout, tabs and no headings | -                   |
| `result`   | -               | -                            | stdout, exactly one |
| `result_line` | -            | -                            | stdout, one a line  |
| `warn`     | stderr          | stderr                       | stderr              |
| `note`     | stderr          | -                            | -                   |
| `trace`    | stderr          | stderr                       | -                   |
| `progress` | stderr, if a terminal | -                      | -                   |

What people read is translated here, and nowhere else: `Output.say`. What programs read is not: answers, json and quiet
tables, lines of the log.

Imports are few and cheap: `sealdex list` must start in a fraction of the interpreter's own time.
"""

from __future__ import annotations

import os
import sys

from sealdex.cli.progress import Progress, columns_of
from sealdex.text import clean, clean_lines, cut, width_of

TYPE_CHECKING = False  # as type checkers read it; `typing` itself takes a third of the time that `list` has
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal, TextIO

    from sealdex.errors import SealdexError

    Mode = Literal["human", "json", "quiet"]
    Style = Literal["bold", "dim", "green", "yellow", "red"]
else:
    Mode = Style = str

_CODES: dict[str, str] = {"bold": "1", "dim": "2", "green": "32", "yellow": "33", "red": "31"}


def mode_of(args: Sequence[str]) -> Mode:
    """Return the output mode, read from the raw arguments because errors may come before they are parsed."""
    before = args[: args.index("--")] if "--" in args else args
    if "--json" in before:
        return "json"
    return "quiet" if "--quiet" in before or "-q" in before else "human"


def logs_json(args: Sequence[str]) -> bool:
    """Return whether stderr gets JSON lines, read from the raw arguments, else ``$SEALDEX_LOG_FORMAT``."""
    before = args[: args.index("--")] if "--" in args else args
    for number, word in enumerate(before):
        if word == "--log-format":
            return before[number + 1 : number + 2] == ["json"]
        if word.startswith("--log-format="):
            return word == "--log-format=json"
    return os.environ.get("SEALDEX_LOG_FORMAT") == "json" or ("--json" in before and verbosity(args) > 0)


def verbosity(args: Sequence[str]) -> int:
    """Tell from the raw arguments how often ``-v`` was given: 1 for decisions, 2 for each step as well."""
    count = 0
    for word in args[: args.index("--")] if "--" in args else args:
        if word == "--verbose":
            count += 1
        elif word[:1] == "-" and not word[1:].strip("vq"):  # -v, -vv, -qv
            count += word.count("v")
    return count


class Output:
    """The output of a command.

    Args:
        mode: ``human``, ``json`` (one document on stdout) or ``quiet`` (answers only).
        stdout, stderr: text streams; default: those of the process.
        rooms: packages beside this one whose messages may be shown, see `sealdex.cli.translation`.
    """

    def __init__(
        self,
        mode: Mode = "human",
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        *,
        rooms: Sequence[str] = (),
    ) -> None:
        self.mode: Mode = mode
        self.stdout = sys.stdout if stdout is None else stdout
        self.stderr = sys.stderr if stderr is None else stderr
        self.logs_json = False
        """Whether notes, warnings and errors are JSON lines: time, level, message."""
        self.is_followed = False
        """Whether the log is shown on stderr, so that no progress line may be redrawn there."""
        self.answered = False
        """Whether the JSON document has been written."""
        self.ages: list[Mapping[str, object]] = []
        """How old the metadata of registries is, where it has expired: added to the JSON document as ``trust_age``."""
        self.left: list[Mapping[str, object]] = []
        """Addresses of registries that others were asked instead of: added as ``addresses_left``."""
        self.skipped: list[Mapping[str, object]] = []
        """Registries that a search went on without: added as ``skipped``."""
        self.passed_over: list[Mapping[str, object]] = []
        """Newer signed releases that partial mirrors lack: added as ``passed_over``."""
        self.beside_error: Mapping[str, object] = {}
        """What a command that fails answers all the same: added to the JSON document of the error."""
        self._kept: list[tuple[Any, str]] = []
        self._rooms = (__package__ or "", *rooms)
        self._says: Callable[[str], str] | None = None

    @property
    def is_translated(self) -> bool:
        """Whether people read another language than English."""
        return self._translate is not _as_it_is

    @property
    def _translate(self) -> Callable[[str], str]:
        if self._says is None:
            self._says = (
                _as_it_is
                if self.mode == "json" or self.logs_json
                else _translator(self._rooms, (self.stdout, self.stderr))
            )
        return self._says

    def say(self, text: str) -> str:
        """Return a text in the language of whoever reads the output; as it is where programs read it.

        All methods that show a whole line do so themselves: this is for words that something is put together from.
        """
        return self._translate(text)

    def keep_options(self, commands: str, options: str) -> None:
        """Add options of the current call to every command that is advised from now on.

        Args:
            commands: a pattern of program and command, after which the options are inserted.
            options: the options, quoted for a shell; may be empty.
        """
        if options:
            import re  # noqa: PLC0415  # only for who gave an option

            self._kept.append((re.compile(commands), f" {options}"))

    def advice(self, text: str) -> str:
        """Return text with the kept options added to its commands, see `keep_options`."""
        for commands, options in self._kept:
            text = commands.sub(lambda match, given=options: match[0] + given, text)
        return text

    def line(self, text: str = "", *, style: Style | None = None, is_said: bool = False) -> None:
        """Write one line about something that happened; ``is_said``: it is put together of what `say` returned."""
        if self.mode == "human":
            self._write(self.stdout, clean(text if is_said else self.say(text)), style)

    def answer(self, text: str) -> None:
        """Write an answer, such as a path; scripts read it, so it is shown in quiet mode too."""
        if self.mode != "json":
            self._write(self.stdout, clean(text))

    def answer_path(self, path: str, *before: str) -> None:
        """Write a path as an answer, after tab-separated words; through a pipe its bytes are exact.

        A path may contain bytes of another encoding, control characters or a line feed.
        """
        if self.mode == "json":
            return
        text = "\t".join([*map(clean, before), path])
        shown = _encodable(clean(path), self.stdout)
        buffer = getattr(self.stdout, "buffer", None)
        is_plain = shown == path and (path.isascii() or os.name == "nt")
        if is_plain or buffer is None or _is_terminal(self.stdout):
            self._write(self.stdout, "\t".join([*map(clean, before), shown]))
            if shown != path:
                self.warn(
                    "the path contains characters that a terminal can't show; through a pipe or with --json it is exact"
                )
            return
        self.flush()
        with self._told(self.stdout):
            buffer.write(os.fsencode(text) + b"\n")

    def block(self, text: str, *, indent: int = 2) -> None:
        """Show text of several lines, indented, so that it can't be mistaken for output of this program."""
        if self.mode == "human":
            for line in clean_lines(text):
                self._write(self.stdout, (" " * indent + line).rstrip())

    def warn(self, text: str) -> None:
        """Write a warning to stderr, in every mode."""
        text = self.advice(self.say(text))
        if self.logs_json:
            self.log("warning", text)
        else:
            self._write_parts(self.stderr, self._title("warning"), "yellow", clean(text))

    def leave(self, registry: str, url: str, error: SealdexError) -> None:
        """Warn that another address of a registry is asked than this one; the JSON answer says so as well."""
        self.warn(f"{url} is left for another address: {error.message}")
        self.left.append({"registry": registry, "address": url, "code": error.code, "reason": error.message})

    def note(self, text: str, **fields: Any) -> None:
        """Write a note for people to stderr: the next command, what is being waited for.

        Args:
            text: what people read.
            fields: what it is made of, for lines of JSON, such as ``event``.
        """
        text = self.advice(self.say(text))
        if self.logs_json:
            self.log("info", text, **fields)
        elif self.mode == "human":
            self._write(self.stderr, clean(text), "dim")

    def trace(self, text: str) -> None:
        """Write one line of the log on stderr, in every mode: it was asked for."""
        self._write(self.stderr, clean(text), "dim")

    def fail(self, lines: Sequence[str], *, title: str = "error") -> None:
        """Write an error to stderr: the first line after the title, the others indented below it."""
        lines = [self.advice(self.say(line)) for line in lines]
        if self.logs_json:
            self.log("critical" if title == "SECURITY" else "error", "; ".join(map(clean, lines)))
            return
        self._write_parts(self.stderr, self._title(title), "red", clean(lines[0]))
        for line in lines[1:]:
            self._write(self.stderr, "  " + clean(line))

    def log(self, level: str, text: str, **more: Any) -> None:
        """Write one JSON object as a line of stderr."""
        import json  # noqa: PLC0415  # only who asked for it pays
        import time  # noqa: PLC0415  # only who asked for times pays

        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.stderr.write(json.dumps({"time": now, "level": level, "message": text, **more}, default=_plain) + "\n")
        self.stderr.flush()

    def result(self, document: Any) -> None:
        """Write the one JSON document of json mode; other modes ignore it.

        Args:
            document: mappings, lists, strings, numbers, msgspec structs; paths and sets are written as strings and
                lists.
        """
        if self.mode != "json":
            return
        if self.answered:
            raise RuntimeError("a command answers with exactly one JSON document")
        self.answered = True
        if self.ages and isinstance(document, dict):
            document = {**document, "trust_age": self.ages}
        if self.left and isinstance(document, dict):
            document = {**document, "addresses_left": self.left}
        if self.skipped and isinstance(document, dict):
            document = {**document, "skipped": self.skipped}
        if self.passed_over and isinstance(document, dict):
            document = {**document, "passed_over": self.passed_over}
        if self.beside_error and isinstance(document, dict):
            document = {**document, **self.beside_error}
        import json  # noqa: PLC0415  # only json mode pays for it

        with self._told(self.stdout):
            self.stdout.write(json.dumps(document, indent=2, default=_plain) + "\n")
            self.stdout.flush()

    def result_line(self, document: Any) -> None:
        """Write one of several JSON documents of json mode, each on a line of its own; other modes ignore it."""
        if self.mode != "json":
            return
        self.answered = True
        import json  # noqa: PLC0415  # only json mode pays for it

        with self._told(self.stdout):
            self.stdout.write(json.dumps(document, default=_plain) + "\n")
            self.stdout.flush()

    def table(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        below: Mapping[int, str] | None = None,
        worded: Sequence[str] = (),
    ) -> None:
        """Show rows in columns, under headers unless those are empty.

        On a terminal the last column is cut where the line would wrap.

        Args:
            headers: of the columns.
            rows: the cells of each row.
            below: by the number of a row, a line that people see below it, such as an error.
            worded: the headers of columns whose cells are words of ours, not names.
        """
        if self.mode == "json":
            return
        cells = [[clean(cell) for cell in row] for row in rows]
        if self.mode == "quiet":
            for row in cells:
                self._write(self.stdout, "\t".join(row))
            return
        if not cells:
            return
        if self.is_translated:
            said = [header in worded for header in headers]
            cells = [[self.say(cell) if is_ours else cell for cell, is_ours in zip(row, said)] for row in cells]  # noqa: B905  # as long
            headers = [self.say(header) for header in headers]
        widths = [max(map(width_of, column)) for column in zip(headers, *cells, strict=True)]
        room = self._columns() - sum(widths[:-1]) - 2 * (len(widths) - 1)
        for number, row in enumerate([list(headers), *cells]):
            if not any(row):
                continue
            if room > 8:
                row[-1] = cut(row[-1], room)
            padded = [cell + " " * (width - width_of(cell)) for cell, width in zip(row, widths, strict=True)]
            self._write(self.stdout, "  ".join(padded).rstrip(), "bold" if number == 0 else None)
            if below and number - 1 in below:
                self._write(self.stdout, f"  {clean(self.say(below[number - 1]))}", "red")

    def progress(self, label: str) -> Progress:
        """Return a progress line on stderr; silent unless stderr is a terminal and the mode is human."""
        is_plain = self.mode == "human" and not self.logs_json and not self.is_followed
        visible = is_plain and _is_terminal(self.stderr) and os.environ.get("TERM") != "dumb"
        return Progress(clean(self.say(label)), self.stderr if visible else None, self.say)

    def flush(self) -> None:
        """Flush the streams, so that a closed pipe is noticed here and not at exit."""
        with self._told(self.stdout):
            self.stdout.flush()
        with self._told(self.stderr):
            self.stderr.flush()

    def _title(self, word: str) -> str:
        said = self.say(f"{word}:")
        return f"{said} " if said.isascii() else said  # the colon of Chinese has its space in itself

    def _told(self, stream: TextIO) -> _Told:
        return _Told(stream, "stdout" if stream is self.stdout else "stderr")

    def _columns(self) -> int:
        if not _is_terminal(self.stdout):
            return sys.maxsize  # a pipe has no width: programs that read it need the whole text
        return columns_of(self.stdout)

    def _write(self, stream: TextIO, text: str, style: Style | None = None) -> None:
        if style is not None and _has_colours(stream):
            text = f"\x1b[{_CODES[style]}m{text}\x1b[0m"
        with self._told(stream):
            stream.write(_encodable(text, stream) + "\n")

    def _write_parts(self, stream: TextIO, title: str, style: Style, text: str) -> None:
        if _has_colours(stream):
            title = f"\x1b[{_CODES[style]}m{title}\x1b[0m"
        with self._told(self.stdout):
            self.stdout.flush()  # so that on a terminal earlier output comes first
        with self._told(stream):
            stream.write(_encodable(title + text, stream) + "\n")


class _Told:
    """Raises an error for a stream that can't be written, and discards everything written to it afterwards.

    A closed pipe is not an error, see `sealdex.cli.errors`. If stderr can't be written, nothing is raised.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, OSError) or isinstance(error, BrokenPipeError):
            return False
        swallow([self._stream])
        if self._name == "stderr":
            return True
        from sealdex.errors import SealdexError  # noqa: PLC0415  # only when it fails

        raise SealdexError(
            f"the answer can't be written to {self._name}: {error.strerror or error}",
            untouched="the command did its work; only its answer is missing",
            hint="check where the output goes: the disk may be full",
        ) from error


def swallow(streams: Sequence[TextIO]) -> None:
    """Redirect streams and their descriptors to the null device, so that nothing fails when the interpreter exits."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        try:
            os.dup2(null, stream.fileno())
        except (OSError, ValueError):  # noqa: PERF203  # a stream without a descriptor has nothing to flush
            continue
    os.close(null)


def open_missing_streams() -> None:
    """Open descriptors that the caller closed (``sealdex list >&-``) on the null device, as with ``>/dev/null``.

    Otherwise the first file that is opened gets the number of stdout, and output is written into that file.
    """
    if None not in {sys.stdin, sys.stdout, sys.stderr}:
        return
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # noqa: PERF203  # each by itself
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # lives as long as the process
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # the same
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # the same


_IN_ENGLISH = ("en", "C.", "POSIX")


def _as_it_is(text: str) -> str:
    return text


def _translator(rooms: Sequence[str], streams: Sequence[TextIO]) -> Callable[[str], str]:
    """Return what translates; for English, which most read, nothing is imported or read for it."""
    asked = [os.environ.get(name) for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")]
    if os.name != "nt" and all(not each or each == "C" or each.startswith(_IN_ENGLISH) for each in asked):
        return _as_it_is
    from sealdex.cli.translation import translation  # noqa: PLC0415  # only who reads another language pays for it

    return translation(rooms, streams) or _as_it_is


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _has_colours(stream: TextIO) -> bool:
    # no-color.org: any value except the empty one
    return _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _encodable(text: str, stream: TextIO) -> str:
    """Replace characters that the stream can't encode (``·`` in a Latin-2 log), instead of failing."""
    if text.isascii():
        return text
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    import msgspec  # noqa: PLC0415  # only for structs

    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    raise TypeError(f"{type(value).__name__} can't be written as JSON")
