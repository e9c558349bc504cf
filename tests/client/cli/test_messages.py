"""The messages of both command lines: complete and not stale; and nothing that people see bypasses them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.places import REPOSITORY
from support.spoken import PROGRAMS, chinese, is_chinese, script

VALUE = re.compile(r"\{(?:\d+|n)\}")
LANGUAGES = [(program, tag) for program in PROGRAMS for tag in script("command_messages").languages(program)]

# what is the same in every language: commands, names, header fields
SAME = re.compile(
    r"^(?:sealdex|sealdex-builder|keyring|rollback|Host|Bearer|Basic|pip|kill|docker|git|gh|openssl|python3?|SHA-256|URL|"
    r"REST|gRPC|-> |public, max-age|no-cache)\b"
)


@pytest.fixture(scope="module", params=LANGUAGES, ids=" ".join)
def language(request: pytest.FixtureRequest) -> tuple[Any, Any, Path]:
    """The messages in the sources, those in a file for translators, and the latter."""
    program, tag = request.param
    messages = script("command_messages")
    path = messages.place(program, tag)
    return messages.template(program), messages.read(path, tag), path


def test_one_thing_has_one_word_in_chinese() -> None:
    """Terms and punctuation are those of docs/translating.md."""
    table = (REPOSITORY / "docs/translating.md").read_text(encoding="utf-8")
    rows = [line.split("|")[3] for line in table.splitlines() if is_chinese(line) and line.startswith("| ")]
    others = [word for row in rows for word in re.split(", ", row.strip()) if word]
    assert len(others) > 12
    wrong = re.compile(
        "|".join([*others, r"[\u4e00-\u9fff][,;?!]|[\u4e00-\u9fff][(:] ?[\u4e00-\u9fff]|[^\u4e00-\u9fff]\u4f60"])
    )
    files = [script("command_messages").place(program, "zh") for program in PROGRAMS]
    found = [
        (path.name, match[0], message.string)
        for path in [*files, REPOSITORY / "site_templates/languages/zh/messages.po"]
        for message in script("command_messages").read(path, "zh")
        for form in ([message.string] if isinstance(message.string, str) else message.string)
        if message.id and (match := wrong.search(form))
    ]
    assert found == []


def test_both_programs_speak_chinese() -> None:
    assert {(program, "zh") for program in PROGRAMS} <= set(LANGUAGES)


def test_every_message_is_translated_and_none_is_stale(language: tuple[Any, Any, Path]) -> None:
    wanted, found, _ = language
    ids = {message.id for message in wanted if message.id}
    assert len(ids) > 1000
    assert {message.id for message in found if message.id} == ids, "run scripts/messages.py"
    assert [message.id for message in found if message.id and not any(forms_of(message))] == []
    assert [message.id for message in found if message.fuzzy and message.id] == []


def test_a_translation_has_the_same_values(language: tuple[Any, Any, Path]) -> None:
    _, found, _ = language
    for message in found:
        ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
        for form in forms_of(message):
            assert set(VALUE.findall(form)) == set(VALUE.findall(ids[-1])), message.id
            assert "\n" not in form


def test_what_programs_read_is_made_of_it(language: tuple[Any, Any, Path]) -> None:
    _, found, path = language
    written = path.with_suffix(".json").read_text(encoding="utf-8")
    assert written == script("command_messages").written(found), "run scripts/messages.py"


def forms_of(message: Any) -> list[str]:
    string = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return [form for form in string if message.id and form]


# --- what bypasses the messages -------------------------------------------------------------------------------------

SHOWING = {"line", "note", "warn", "progress", "step", "say"}
TEXTS = {"help", "short_help", "hint", "untouched", "message", "detail", "remedy"}
BUGS = {"TypeError", "RuntimeError", "ValueError", "OSError", "AttributeError", "AssertionError"}
UNSAID = {"echo", "secho", "confirm", "prompt", "print", "pause", "progressbar"}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def shown_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of what is handed to errors, the output layer and click. ``x1`` stands for values."""
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        given = [each.value for each in node.keywords if each.arg in TEXTS]
        if name.endswith(("Error", "Refused")) and name not in BUGS:
            given += node.args[:1]
        elif (name in SHOWING and isinstance(node.func, ast.Attribute)) or name == "LazyCommand":
            given += node.args[:1] if name != "LazyCommand" else node.args[1:2]
        for each in given:
            for text in literal(each):
                yield node.lineno, text


def literal(node: ast.expr) -> list[str]:
    """Return what a text may be; two values side by side are one, and of texts within it the first counts."""
    if isinstance(node, ast.IfExp):
        return [*literal(node.body), *literal(node.orelse)]
    found = part_of(node)
    return [re.sub("\0+", "x1", found)] if found.strip("\0") else []


def part_of(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str()):
            return str(node.value)
        case ast.JoinedStr():
            return "".join(map(part_of, node.values))
        case ast.FormattedValue(value=(ast.IfExp() | ast.BinOp()) as chosen) | ast.IfExp(body=chosen):
            return part_of(chosen)
        case ast.BinOp(op=ast.Add()):
            return part_of(node.left) + part_of(node.right)
    return "\0"


def rooms() -> list[Path]:
    return [path for program in PROGRAMS for path in sorted(script("command_messages").ROOMS[program].rglob("*.py"))]


def test_no_text_that_people_read_bypasses_the_messages() -> None:
    say = chinese().say
    unsaid = []
    count = 0
    for path in rooms():
        if path.parent.name == "site":  # pages have words of their own, and a test of their own
            continue
        for line, text in shown_texts(path):
            for part in filter(None, (each.strip() for each in re.sub(r"\s*\n\s*\n\s*", "\n", text).split("\n"))):
                words = re.findall(r"[A-Za-z]{2,}", part.replace("x1", ""))
                count += 1
                if words and say(part) == part and not is_same(part):
                    unsaid.append(f"{path.relative_to(REPOSITORY)}:{line}: {part}")
    assert count > 1000
    assert unsaid == []


def is_same(text: str) -> bool:
    """Return whether a text is a command or a name, the same in every language."""
    return SAME.search(text) is not None or re.search(r"[A-Za-z]{2,} [a-z]{2,}|[a-z]{2,}:$", text) is None


def test_nothing_is_printed_past_the_output_layer() -> None:
    found = []
    for path in rooms():
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = ast.unparse(node.func)
            if name.rpartition(".")[2] in UNSAID and name.rpartition(".")[0] in {"", "click"} and literal(node.args[0]):
                found.append(f"{path.name}: {literal(node.args[0])[0]}")
    # the version, and what a process of ours writes into the log of its service
    # what a process of ours writes into the log of its service, the version, and a question that the command line wraps
    assert sorted(found) == [
        "__main__.py: sealdex: x1",
        "command_table.py: sealdex x1",
        "passphrase.py: Passphrase of key x1",
    ]


def test_the_test_finds_what_bypasses(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text(
        'raise NotFoundError(f"{a}{b} has gone fishing", hint="cast a wider net" if c else f"wait {d}")\n'
        'out.line("Done")\n'
        'ValueError("not this one")\n',
        encoding="utf-8",
    )
    assert [text for _, text in shown_texts(path)] == ["cast a wider net", "wait x1", "x1 has gone fishing", "Done"]
    say = chinese().say
    assert say("x1 has gone fishing") == "x1 has gone fishing"
    assert is_chinese(say("nothing was installed"))
