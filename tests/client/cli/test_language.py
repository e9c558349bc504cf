"""Which language a command speaks, and how it finds the message that a text was made from. Pure."""

from __future__ import annotations

import pytest
from support.spoken import chinese

from sealdex.cli.help_text import wrapped
from sealdex.cli.language import languages
from sealdex.cli.messages import Messages, match
from sealdex.text import width_of


@pytest.mark.parametrize(
    ("environ", "tags"),
    [
        ({}, ["en"]),
        ({"LANG": "C"}, ["en"]),
        ({"LANG": "C.UTF-8", "LANGUAGE": "zh"}, ["en"]),
        ({"LANG": "POSIX"}, ["en"]),
        ({"LANG": "zh_CN.UTF-8"}, ["zh-cn", "zh", "en"]),
        ({"LANG": "zh_SG.GBK"}, ["zh-sg", "zh", "en"]),
        ({"LANG": "zh"}, ["zh", "en"]),
        ({"LANG": "zh-Hans-CN"}, ["zh-hans-cn", "zh", "en"]),
        ({"LANG": "zh_Hans_TW"}, ["zh-hans-tw", "zh", "en"]),
        ({"LANG": "zh_TW.UTF-8"}, ["zh-Hant", "en"]),
        ({"LANG": "zh_HK"}, ["zh-Hant", "en"]),
        ({"LANG": "zh_Hant_CN@stroke"}, ["zh-Hant", "en"]),
        ({"LANG": "de_AT.UTF-8"}, ["de-at", "de", "en"]),
        ({"LC_ALL": "en_GB.UTF-8", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, ["en-gb", "en"]),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "en_US"}, ["zh-cn", "zh", "en"]),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh_TW:zh_CN:en"}, ["zh-Hant", "zh-cn", "zh", "en"]),
        ({"LANGUAGE": "zh_CN"}, ["zh-cn", "zh", "en"]),
        ({"LANG": "zh_CN.UTF-8", "LANGUAGE": "en"}, ["en"]),
    ],
)
def test_the_language_is_chosen_as_gettext_chooses_it(environ: dict[str, str], tags: list[str]) -> None:
    assert list(dict.fromkeys(languages(environ))) == tags


@pytest.mark.parametrize(
    ("number", "tags"),
    [(0x0804, ["zh-cn", "zh", "en"]), (0x0404, ["zh-Hant", "en"]), (0x0409, ["en"]), (0x0004, ["zh-hans", "zh", "en"])],
)
def test_windows_tells_the_language_of_its_interface(number: int, tags: list[str]) -> None:
    assert languages({}, number) == tags
    assert languages({"LANG": "C"}, number) == ["en"]
    assert languages({"LANG": "zh_CN"}, 0x0409) == ["zh-cn", "zh", "en"]


SMALL = Messages([
    {
        "texts": {"nothing was installed": "未安装", "stable": "稳定", "the link leads out": "链接指向外部"},
        "templates": [
            ["not", 7, ["", " is not on ", ""], [1, " 上没有 ", 0], 0],
            ["mirror", 17, ["", " is not on this mirror: ", ""], ["此镜像没有 ", 0, "：", 1], 0],  # noqa: RUF001
            ["plugins", 7, ["", " plugins"], [0, " 个插件"], 1],
            ["help", 4, ["help: ", ""], ["帮助：", 0], 0],  # noqa: RUF001
            ["of", 2, ["", " of ", ""], [1, " 的 ", 0], 0],
        ],
    }
])  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing was installed", "未安装"),
        ("  nothing was installed", "  未安装"),
        ("acme/slack is not on public", "public 上没有 acme/slack"),
        # the template with most words of its own; the value is a sentence too
        ("acme/x is not on this mirror: the link leads out", "此镜像没有 acme/x：链接指向外部"),  # noqa: RUF001
        ("3 plugins", "3 个插件"),
        ("all plugins", "all plugins"),
        # a word within a sentence is a name
        ("stable is not on stable", "stable 上没有 stable"),
        ("stable", "稳定"),
        # few letters of its own: only around words
        ("part of whole", "whole 的 part"),
        ("a talk of two cities", "a talk of two cities"),
        ("help: nothing was installed", "帮助：未安装"),  # noqa: RUF001
        ("2 plugins; nothing was installed", "2 个插件；未安装"),  # noqa: RUF001
        ("2 plugins (nothing was installed)", "2 个插件（未安装）"),  # noqa: RUF001
        ("Somebody's own summary: of a plugin", "Somebody's own summary: of a plugin"),
        ("", ""),
    ],
)
def test_a_text_is_said_by_the_message_that_it_was_made_from(text: str, said: str) -> None:
    assert SMALL.say(text) == said


def test_a_long_text_and_a_deep_one_are_left_as_they_are() -> None:
    assert SMALL.say("nothing was installed" * 1000) == "nothing was installed" * 1000
    assert SMALL.say("help: " * 100 + "x").startswith("帮助：帮助：")  # noqa: RUF001


def test_words_are_found_in_their_order() -> None:
    assert match(["", " needs ", ""], "a needs b needs c") == ["a", "b needs c"]
    assert match(["x", "y"], "xy") == [""]
    assert match(["ab", "ba"], "aba") is None
    assert match(["", " in ", " of ", ""], "1 of 2 in 3") is None


def test_lines_of_help_are_as_wide_as_the_terminal_and_begin_with_no_mark() -> None:
    text = "在放置第一个文件之前，所有内容都已下载并验证；要么全部完成（或什么都不做）。See https://example.org/x"  # noqa: RUF001
    for columns in range(12, 60):
        lines = list(wrapped(text, columns))
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert all(width_of(line) <= max(columns, width_of("https://example.org/x")) for line in lines)
        assert not any(line[0] in "，。；）" for line in lines)  # noqa: RUF001
    assert list(wrapped("", 10)) == []


def test_the_real_messages_says_what_a_host_reads_most() -> None:
    say = chinese().say
    assert say("there is no registry 'nobody'; did you mean 'public'?").startswith("没有注册表 'nobody'")
    assert say("3 problems") == "3 个问题"
    assert say("yanked by registry: it was broken") == "已被 registry 撤回：it was broken"  # noqa: RUF001
