"""What was probably meant by a mistyped name."""

from __future__ import annotations

import pytest

from sealdex.similar import distance, most_similar

COMMANDS = ["registry", "search", "info", "install", "uninstall", "list", "path", "ps", "rollback", "verify", "config"]
PLUGINS = ["acme/slack", "acme/notify-slack", "speech/echo-service", "robotics/kalman", "team-x/slack", "日本/音声"]
SETTINGS = ["download.timeout", "download.retry", "install.resolve_timeout", "update.auto_check_update"]
OPTIONS = ["--json", "--require-attestation", "--channel", "--dry-run", "--pre", "--no-fallback"]


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("registyr", COMMANDS, ["registry"]),
        ("inst", COMMANDS, ["install"]),
        ("unistall", COMMANDS, ["uninstall", "install"]),
        ("publish", COMMANDS, []),
        ("ls", COMMANDS, []),
        ("", COMMANDS, []),
        ("LIST", COMMANDS, ["list"]),
        ("acme/slak", PLUGINS, ["acme/slack", "acme/notify-slack"]),
        ("slack-notify", PLUGINS, ["acme/notify-slack"]),
        ("slack", PLUGINS, ["acme/slack", "acme/notify-slack", "team-x/slack"]),
        ("speech/echo", PLUGINS, ["speech/echo-service"]),
        ("日本/音響", PLUGINS, ["日本/音声"]),
        ("acme/discord", PLUGINS, []),
        ("dowload.timout", SETTINGS, ["download.timeout"]),
        ("timeout", SETTINGS, ["download.timeout", "install.resolve_timeout"]),
        ("auto-check", SETTINGS, ["update.auto_check_update"]),
        ("--jsno", OPTIONS, ["--json"]),
        ("--attestation", OPTIONS, ["--require-attestation"]),
        ("--dry", OPTIONS, ["--dry-run"]),
        ("--fallback", OPTIONS, ["--no-fallback"]),
    ],
)
def test_what_was_meant(typed: str, known: list[str], meant: list[str]) -> None:
    assert most_similar(typed, known, 3) == meant


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("", "", 0), ("ab", "ba", 1), ("kitten", "sitting", 3), ("abc", "abcdefg", None), ("abcd", "wxyz", None)],
)
def test_edits_are_counted_up_to_a_limit(one: str, other: str, edits: int | None) -> None:
    assert distance(one, other, 3) == distance(other, one, 3) == edits


def test_of_very_many_names_the_parts_must_be_the_same() -> None:
    many = [*(f"ns{number}/plugin-{number}" for number in range(3000)), "acme/notify-slack"]
    assert most_similar("slack-notify", many) == ["acme/notify-slack"]
    assert most_similar("acme/notify-slakc", many) == ["acme/notify-slack"]
    assert most_similar("slakc-notfy", many) == []
