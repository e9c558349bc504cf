"""The output layer: modes, what metadata may not do to a terminal, and errors as text, JSON and exit codes."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from filelock import Timeout
from hypothesis import given
from hypothesis import strategies as st

from sealdex.cli.error_table import report
from sealdex.cli.errors import run, show
from sealdex.cli.group import LazyCommand, LazyGroup, output_of, output_options
from sealdex.cli.output import Mode, Output, mode_of
from sealdex.cli.progress import Progress, in_bytes
from sealdex.errors import NoMatchError, SealdexError, UnavailableError, UnsafeArchiveError, VerificationError
from sealdex.store.file_lock import LockTimeoutError
from sealdex.text import clean, without_controls


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make(mode: Mode = "human", *, terminal: bool = False) -> tuple[Output, io.StringIO, io.StringIO]:
    stdout, stderr = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    return Output(mode, stdout, stderr), stdout, stderr


def use_everything(out: Output) -> None:
    out.line("line")
    out.answer("answer")
    out.block("block")
    out.table(["A", "B"], [["1", "2"]])
    out.note("note")
    out.warn("warn")
    out.result({"result": 1})
    with out.progress("progress") as progress:
        progress.update(1, 2)


def test_each_mode_writes_what_its_readers_expect() -> None:
    out, stdout, stderr = make()
    use_everything(out)
    assert stdout.getvalue() == "line\nanswer\n  block\nA  B\n1  2\n"
    assert stderr.getvalue() == "note\nwarning: warn\n"

    out, stdout, stderr = make("quiet")
    use_everything(out)
    assert stdout.getvalue() == "answer\n1\t2\n"
    assert stderr.getvalue() == "warning: warn\n"

    out, stdout, stderr = make("json")
    use_everything(out)
    assert json.loads(stdout.getvalue()) == {"result": 1}
    assert stderr.getvalue() == "warning: warn\n"


def test_json_mode_refuses_a_second_document() -> None:
    out, stdout, _ = make("json")
    out.result([])
    with pytest.raises(RuntimeError):
        out.result([])
    assert stdout.getvalue() == "[]\n"


def test_progress_is_drawn_on_a_terminal_only_and_wiped() -> None:
    out, _, stderr = make(terminal=True)
    with out.progress("fetching x") as progress:
        progress.update(512, 1024)
        progress.retried("cdn", "connection reset")
    assert "fetching x" in stderr.getvalue()
    assert "retry 1" in stderr.getvalue()
    assert stderr.getvalue().endswith("\r")
    assert stderr.getvalue().rsplit("\r", 2)[1].strip() == ""  # the last thing drawn is spaces

    for mode in ("json", "quiet"):
        out, _, stderr = make(mode, terminal=True)
        assert not out.progress("x").visible
    assert not make()[0].progress("x").visible


def test_colours_need_a_terminal_and_respect_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out, stdout, stderr = make(terminal=True)
    out.line("x", style="green")
    out.warn("y")
    assert stdout.getvalue() == "\x1b[32mx\x1b[0m\n"
    assert "\x1b[33m" in stderr.getvalue()

    out, stdout, _ = make()
    out.line("x", style="green")
    assert stdout.getvalue() == "x\n"

    monkeypatch.setenv("NO_COLOR", "1")
    out, stdout, _ = make(terminal=True)
    out.line("x", style="green")
    assert stdout.getvalue() == "x\n"


ATTACKS = [
    "\x1b[2J\x1b[1;31mowned\x1b[0m",  # clear the screen, colour
    "\x1b]0;title\x07owned",  # rename the window
    "\x1b]8;;https://evil.example\x1b\\owned\x1b]8;;\x1b\\",  # a link that isn't what it says
    "\x9b2Jowned",  # the one-character CSI
    "x\rowned",  # overwrite the line
    "ow\u202enod",  # direction override
    "own\u200bed",  # a name with something invisible in it
    "owned\x7f\x08",
    "\x1bPq#0;2;0\x1b\\owned",  # sixel graphics
    "owned\ninstalled acme/good 1.0.0 · signed by packages, root v3",  # a line of its own
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("mode", ["human", "quiet", "json"])
def test_attack_metadata_cannot_reach_the_terminal(attack: str, mode: Mode) -> None:
    """Attacker: may publish a plugin, so chooses its summary and every text of it.

    Change: escape sequences, carriage returns, direction overrides and line breaks in the text. Refused: each call that
    shows text takes them out. Nothing left: no control character but our own line feeds on either stream, and no line
    that the attacker wrote alone.
    """
    out, stdout, stderr = make(mode)
    out.line(attack)
    out.answer(attack)
    out.block(attack)
    out.table(["A", "B"], [[attack, attack]])
    out.note(attack)
    out.warn(attack)
    show(SealdexError(attack, subject=attack, hint=attack, untouched=attack), out)
    for text in (stdout.getvalue().replace("\t", " "), stderr.getvalue()):  # quiet tables are ours, and so their tabs
        assert all(line.isprintable() for line in text.split("\n"))
        assert not any(ord(c) in range(0x202A, 0x202F) or ord(c) == 0x200B for c in text)
        assert not any(line.startswith("installed") for line in text.split("\n"))
    if mode != "json":
        assert "\x1b" not in stdout.getvalue() + stderr.getvalue()
        assert "[2J" not in stdout.getvalue()


@given(st.text())
def test_clean_text_is_one_printable_line(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned.splitlines()) <= 1
    assert not any(c < " " or "\x7f" <= c <= "\x9f" for c in cleaned)
    assert clean(cleaned) == cleaned
    cleaned.encode()


def test_clean_leaves_people_s_languages_alone() -> None:
    for text in ("Grüße · naïve", "語音辨識", "речь", "تعرف", "🙂"):
        assert clean(text) == text


def test_text_that_the_stream_cannot_encode_is_replaced() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    out = Output("human", stream, stream)
    out.line("installed · done")
    out.flush()
    assert raw.getvalue() == b"installed ? done\n"


def test_table_aligns_wide_characters_and_cuts_the_last_column(monkeypatch: pytest.MonkeyPatch) -> None:
    out, stdout, _ = make()
    out.table(["NAME", "SUMMARY"], [["語音", "a"], ["abc", "b" * 200]])
    assert stdout.getvalue().splitlines()[1:] == ["語音  a", "abc   " + "b" * 200]
    out, stdout, _ = make()
    out.table(["NAME", "SUMMARY"], [["☀️e\u0301หุ่น", "a"], ["語音12", "b"]])  # an emoji by U+FE0F, and marks
    assert stdout.getvalue().splitlines()[1:] == ["☀️e\u0301หุ่น   a", "語音12  b"]
    out, stdout, _ = make(terminal=True)  # a StringIO has no size: 80 columns
    monkeypatch.setenv("NO_COLOR", "1")
    out.table(["NAME", "SUMMARY"], [["abc", "b" * 200]])
    assert len(stdout.getvalue().splitlines()[1]) == 80
    assert stdout.getvalue().endswith("…\n")


def test_json_takes_paths_sets_and_structs(tmp_path: Path) -> None:
    from sealdex.model.environment import Environment  # noqa: PLC0415  # only here

    out, stdout, _ = make("json")
    out.result({"path": tmp_path, "tags": frozenset({"b", "a"}), "environment": Environment(labels={"os": "linux"})})
    assert json.loads(stdout.getvalue()) == {
        "path": str(tmp_path),
        "tags": ["a", "b"],
        "environment": {"labels": {"os": "linux"}},
    }


def test_bytes_are_written_as_people_read_them() -> None:
    assert [in_bytes(n) for n in (0, 1023, 1024, 1536 * 1024, 5 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.5 MiB",
        "5.0 TiB",
    ]


def test_silent_progress_takes_all_calls() -> None:
    progress = Progress("x", None)
    with progress:
        progress.update(1)
        progress.step("unpacking")
        progress.retried("h", "r")


# --- errors ----------------------------------------------------------------------------------------------------------


def raiser(error: BaseException) -> Callable[[list[str], Output], object]:
    def command(args: list[str], out: Output) -> object:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SealdexError("x"), 1),
        (click.UsageError("x"), 2),
        (NoMatchError("x"), 3),
        (VerificationError("x"), 4),
        (UnsafeArchiveError("x"), 4),
        (UnavailableError("x"), 5),
        (Timeout("/store/trust/acme.lock"), 1),
        (LockTimeoutError("/store/trust/acme.lock"), 1),
        (PermissionError(errno.EACCES, "Permission denied", "/store"), 1),
        (ZeroDivisionError("x"), 1),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_exit_codes_follow_the_table(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEALDEX_DEBUG", raising=False)
    assert run(raiser(error), []) == code
    text = capsys.readouterr()
    assert text.out == ""
    assert "Traceback" not in text.err
    assert run(raiser(error), ["--json"]) == code
    text = capsys.readouterr()
    assert json.loads(text.out)["error"]["exit_code"] == code
    assert text.err == ""


def test_an_error_says_what_happened_to_what_what_is_untouched_and_what_helps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = VerificationError(
        "its SHA-256 is not the signed one", subject="acme/slack 1.2.0", untouched="nothing was installed"
    )
    run(raiser(error), [])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "SECURITY: its SHA-256 is not the signed one"
    assert lines[1:3] == ["  at: acme/slack 1.2.0", "  note: nothing was installed"]
    assert lines[3].startswith("  help: ")


def test_a_bug_says_how_to_get_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEALDEX_DEBUG", raising=False)
    run(raiser(ZeroDivisionError("boom")), [])
    assert "SEALDEX_DEBUG=1" in capsys.readouterr().err
    monkeypatch.setenv("SEALDEX_DEBUG", "1")
    run(raiser(ZeroDivisionError("boom")), [])
    assert "Traceback" in capsys.readouterr().err


def test_an_error_after_the_answer_leaves_one_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    def command(args: list[str], out: Output) -> object:
        out.result({"done": True})
        raise SealdexError("late")

    assert run(command, ["--json"]) == 1
    text = capsys.readouterr()
    assert json.loads(text.out) == {"done": True}
    assert "late" in text.err


def test_hint_of_the_error_wins_over_the_table() -> None:
    assert report(UnavailableError("x", hint="sealdex doctor")).hint == "sealdex doctor"
    assert "free some space" in str(report(OSError(errno.ENOSPC, "No space left on device", "/s")).hint)
    assert report(Timeout("/a.lock")).subject == "/a.lock"
    assert report(LockTimeoutError("/a.lock")).subject == "/a.lock"


def test_mode_is_read_before_the_arguments_are_parsed() -> None:
    assert mode_of(["search", "x", "--json"]) == "json"
    assert mode_of(["search", "--", "--json"]) == "human"
    assert mode_of(["list", "-q"]) == "quiet"


def test_a_word_that_is_no_text_here_is_no_bug() -> None:
    """A Latin-1 byte, or any beyond ASCII in the locale C: Python hands it on as a lone surrogate."""

    def command(args: list[str], out: Output) -> None:
        out.answer(args[0].encode().decode())

    assert [run(command, [word]) for word in ("Gr\udcfc\udcdfe", "Gruesse")] == [2, 0]


@pytest.mark.parametrize(
    ("decorator", "call"),
    [
        ("", "command(out)"),
        ("@click.command()\n@click.pass_obj\n", "command.main(args, standalone_mode=False, obj=out)"),
    ],
    ids=["plain", "click"],
)
def test_a_closed_pipe_is_no_error(decorator: str, call: str) -> None:
    code = (
        "import sys, click\nfrom sealdex.cli.errors import run\n"
        f"{decorator}def command(out):\n  for _ in range(100000): out.answer('x' * 100)\n"
        f"sys.exit(run(lambda args, out: {call}, []))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


# --- the lazy group --------------------------------------------------------------------------------------------------


def group() -> tuple[LazyGroup, Callable[[list[str], Output], Any]]:
    made = LazyGroup(name="sealdex", lazy={"install": LazyCommand("missing.module:command", "Install a plugin.")})

    @made.command()
    @output_options
    @click.argument("what")
    @click.pass_context
    def path(ctx: click.Context, what: str) -> None:
        """Show a path."""
        out = output_of(ctx)
        out.answer(what)
        out.result({"what": what})

    return made, lambda args, out: made.main(args, prog_name="sealdex", standalone_mode=False, obj=out)


def test_help_lists_commands_without_importing_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group()[1], ["--help"]) == 0
    assert "Install a plugin." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["pth", "x"], "did you mean 'path'"),
        (["instal"], "did you mean 'install'"),
        (["path", "x", "--jsn"], "--json"),
        (["path"], "sealdex path --help"),
        ([], "no command was given"),
    ],
)
def test_a_typo_gets_the_nearest_name_and_exit_code_2(
    args: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = LazyGroup(name="sealdex", lazy={"install": LazyCommand("json:dumps", "Install a plugin.")})
    for command in group()[0].commands.values():
        made.add_command(command)
    code = run(lambda a, out: made.main(a, prog_name="sealdex", standalone_mode=False, obj=out), args)
    assert code == 2
    assert expected in capsys.readouterr().err


def test_the_output_mode_reaches_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group()[1], ["path", "x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"what": "x"}


def test_a_transfer_that_starts_over_has_no_negative_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 0.0, 0.0, 10.0, 10.0, 20.0, 20.0, 30.0, 30.0, 40.0, 40.0])
    monkeypatch.setattr("sealdex.cli.progress.time", SimpleNamespace(monotonic=lambda: next(now)))
    stream = io.StringIO()
    progress = Progress("downloading", stream)
    for done in (300_000, 600_000, 40_000, 80_000):
        progress.update(done, 1_000_000)
    assert "-" not in stream.getvalue()
    assert "KiB/s" in stream.getvalue()


def test_a_dumb_terminal_gets_no_progress_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "dumb")
    assert not Output(stderr=Terminal()).progress("x").visible
    monkeypatch.setenv("TERM", "xterm")
    assert Output(stderr=Terminal()).progress("x").visible


def test_what_is_printable_has_nothing_to_remove() -> None:
    """So that looking at a text once is enough: `sealdex.text.clean` compiles no expression then."""
    printable = "".join(char for char in map(chr, range(sys.maxunicode + 1)) if char.isprintable())
    assert len(printable) > 100_000
    assert without_controls(printable) == printable
