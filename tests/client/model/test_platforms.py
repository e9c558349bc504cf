"""Spellings of os and arch: what is the same to people becomes what hosts report."""

from __future__ import annotations

import pytest

from sealdex.cli.commands import search as search_commands
from sealdex.model.environment import detect_environment
from sealdex.model.platforms import KNOWN_VALUES, unusual_values, usual_spelling, with_usual_spellings
from sealdex.model.selectors import Expression, Operator, Selector


@pytest.mark.parametrize(
    ("key", "value", "usual"),
    [
        *(("arch", value, "amd64") for value in ("x86_64", "x64", "AMD64", "amd64", "X86-64")),
        *(("arch", value, "arm64") for value in ("aarch64", "arm64v8", "ARM64")),
        *(("arch", value, "arm") for value in ("armv7l", "armhf", "armv6l", "armv8l")),
        *(("arch", value, "386") for value in ("i386", "i686", "x86")),
        *(("os", value, "darwin") for value in ("macos", "macOS", "osx", "Darwin")),
        *(("os", value, "windows") for value in ("win32", "win64", "Windows")),
        ("os", "Linux", "linux"),
        ("os", "plan9", None),
        ("arch", "armv8", None),  # a 64-bit processor, or its 32-bit mode: nobody knows which
        ("gpu", "Linux", "Linux"),  # no label of ours
    ],
)
def test_usual_spelling(key: str, value: str, usual: str | None) -> None:
    assert usual_spelling(key, value) == usual


def test_a_selector_is_rewritten_in_labels_and_expressions_and_nowhere_else() -> None:
    selector = Selector(
        {"os": "macOS", "acme.example/os": "macOS"},
        (
            Expression("arch", Operator.IN, ("x86_64", "amd64", "aarch64")),
            Expression("os", Operator.NOT_IN, ("win32", "plan9")),
            Expression("arch", Operator.EXISTS),
        ),
    )
    assert with_usual_spellings(selector) == Selector(
        {"os": "darwin", "acme.example/os": "macOS"},
        (
            Expression("arch", Operator.IN, ("amd64", "arm64")),
            Expression("os", Operator.NOT_IN, ("windows", "plan9")),
            Expression("arch", Operator.EXISTS),
        ),
    )
    assert [value for _, _, value, _ in unusual_values(selector)] == ["macOS", "x86_64", "aarch64", "win32", "plan9"]


def test_what_is_usual_already_is_the_same_object() -> None:
    selector = Selector({"os": "linux"}, (Expression("arch", Operator.IN, ("amd64", "nobody-knows")),))
    assert with_usual_spellings(selector) is selector


def test_this_host_reports_known_values() -> None:
    labels = detect_environment().labels
    assert all(labels[key] in KNOWN_VALUES[key] for key in KNOWN_VALUES)


@pytest.mark.parametrize(
    ("written", "label"), [("os=macOS", ("os", "darwin")), ("gpu=X", ("gpu", "X")), ("os=q", ("os", "q"))]
)
def test_search_takes_every_spelling(written: str, label: tuple[str, str]) -> None:
    assert search_commands._label(written) == label  # what the option is read with
