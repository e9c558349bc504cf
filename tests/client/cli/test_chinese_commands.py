"""Both programs as somebody in a Chinese locale runs them: what people read, what programs read, and odd terminals."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from support.places import REPOSITORY
from support.plugin_registry import PluginRegistry
from support.spoken import is_chinese

from sealdex.cli.help_text import SpokenContext
from sealdex.cli.output import Output
from sealdex.text import width_of

Runner = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """Return what runs a program on a host with one registry; ``acme/app`` is installed."""
    folder = tmp_path_factory.mktemp("chinese")
    registry = PluginRegistry()
    registry.release("acme/app", "1.0.0", {"VERSION": b"1"})
    registry.release("acme/app", "2.0.0", {"VERSION": b"2"})
    registry.publish()
    (folder / "root.json").write_bytes(registry.root)
    url = registry.write(folder / "published")
    (folder / "config.toml").write_text(f'[registries.public]\nurl = "{url}"\nroot = "root.json"\n')

    def do(*words: str, module: str = "sealdex", **environ: str) -> subprocess.CompletedProcess[bytes]:
        given = {name: value for name, value in os.environ.items() if name not in {"LANGUAGE", "LC_ALL", "LANG"}}
        given |= {"SEALDEX_CONFIG": str(folder / "config.toml"), "SEALDEX_STORE": str(folder / "store")}
        given |= {"PYTHONIOENCODING": "utf-8", "LC_ALL": "zh_CN.UTF-8", "PYTHONWARNINGS": "ignore", **environ}
        return subprocess.run(
            [sys.executable, "-m", module, *words], cwd=folder, env=given, capture_output=True, check=False
        )

    assert do("install", "acme/app@1.0.0").returncode == 0
    return do


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--json"],
        ["info", "acme/app", "--json"],
        ["install", "acme/ap", "--json"],
        ["install", "--json", "--nothing"],
        ["path", "acme/app", "-q"],
        ["list", "-q"],
    ],
    ids=" ".join,
)
def test_what_programs_read_is_the_same_in_every_language(run: Runner, words: list[str]) -> None:
    chinese, english = run(*words), run(*words, LC_ALL="C")
    assert (chinese.returncode, chinese.stdout) == (english.returncode, english.stdout)
    assert chinese.stderr == english.stderr


def test_people_read_chinese(run: Runner) -> None:
    shown = run("list")
    assert shown.stdout.decode().splitlines() == [
        "插件      版本          状态  注册表  信任",
        "acme/app  1.0.0 (当前)  启用  public  由 packages 签名，root v1",  # noqa: RUF001  # a mark of Chinese
    ]
    failed = run("install", "acme/ap")
    assert failed.returncode == 3
    assert failed.stdout == b""
    assert failed.stderr.decode().splitlines() == [
        "错误：注册表 'public' 中没有插件 acme/ap；您是不是要用 acme/app？",  # noqa: RUF001
        "  注意：未安装任何内容",  # noqa: RUF001
        "  帮助：sealdex search ap",  # noqa: RUF001
    ]


def test_a_wrong_call_is_explained_in_chinese_on_both_programs(run: Runner) -> None:
    client = run("install")
    assert (client.returncode, client.stderr.decode().splitlines()) == (
        2,
        ["错误：缺少参数 'NS/NAME[@RANGE]|ARCHIVE...'。", "  帮助：sealdex install --help"],  # noqa: RUF001
    )
    builder = run("yank", "acme/app", "--why", "x", module="registry_builder")
    assert builder.returncode == 2
    assert builder.stderr.decode().splitlines()[1:] == ["  帮助：sealdex-builder yank --help"]  # noqa: RUF001
    assert "没有版本" in builder.stderr.decode()


def test_a_terminal_that_cannot_show_chinese_gets_english(run: Runner) -> None:
    plain = run("list", PYTHONIOENCODING="ascii")
    assert plain.stdout.decode("ascii").startswith("PLUGIN")
    assert run("install", PYTHONIOENCODING="latin-1").stderr.startswith(b"error: Missing")
    assert run("list", PYTHONIOENCODING="gbk").stdout.decode("gbk").startswith("插件")


def test_what_is_logged_stays_english(run: Runner) -> None:
    logged = run("info", "acme/app", "-v", "--log-format", "json")
    assert logged.returncode == 0
    assert logged.stderr
    assert not is_chinese(logged.stderr.decode())


def test_english_reads_no_messages_and_chinese_one_file(run: Runner, tmp_path: Path) -> None:
    program = tmp_path / "modules.py"
    program.write_text(
        "import sys\nfrom sealdex.cli.main import main\nmain(['list'])\nprint(' '.join(sys.modules))\n",
        encoding="utf-8",
    )
    found = {}
    for locale in ("en_US.UTF-8", "C", "zh_CN.UTF-8"):
        shown = subprocess.run(
            [sys.executable, str(program)],
            env={**os.environ, "LC_ALL": locale, "PYTHONIOENCODING": "utf-8", "SEALDEX_STORE": str(tmp_path / "store")},
            capture_output=True,
            check=True,
        )
        found[locale] = set(shown.stdout.decode().splitlines()[-1].split())
    spoken = {"sealdex.cli.translation", "sealdex.cli.language", "sealdex.cli.messages"}
    assert not (found["en_US.UTF-8"] | found["C"]) & (spoken | {"gettext", "json"})
    assert spoken <= found["zh_CN.UTF-8"]
    assert not found["zh_CN.UTF-8"] & {"gettext", "click", "importlib.resources"}


def test_messages_are_found_in_a_zip_too(tmp_path: Path) -> None:
    archive = tmp_path / "client.zip"
    package = REPOSITORY / "client" / "sealdex"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted([*package.rglob("*.py"), *package.rglob("*.json")]):
            file.write(path, path.relative_to(package.parent))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(archive)!r}); import sealdex.__main__", "list"],
        env={
            **{name: value for name, value in os.environ.items() if name != "LANGUAGE"},
            "LC_ALL": "zh_CN.UTF-8",
            "PYTHONIOENCODING": "utf-8",
            "SEALDEX_STORE": str(tmp_path / "store"),
        },
        capture_output=True,
        check=False,
    )
    assert is_chinese(done.stderr.decode())


def test_attack_a_value_is_cleaned_after_it_was_put_into_a_translation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A publisher writes escape sequences and overrides: in Chinese as in English nothing of them is shown."""
    monkeypatch.delenv("LANGUAGE", raising=False)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    out = Output()
    evil = "a\x1b[2Jb\u202ec\r\nerror"
    out.warn(f"{evil} is deprecated")
    out.line(f"uninstalled {evil} 1.0")
    out.fail([f"there is no plugin {evil}"])
    out.table(["PLUGIN", "STATUS"], [[evil, evil]], worded=("STATUS",))
    shown = capsys.readouterr()
    assert "已弃用" in shown.err
    assert "已卸载" in shown.out
    for text in (shown.out, shown.err):
        assert not re.search("[\x1b\u202e\r]", text)
        assert "abc" in text
    assert len((shown.out + shown.err).splitlines()) == 5


def test_names_and_publishers_words_in_tables_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LANGUAGE", raising=False)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    out = Output()
    out.table(["PLUGIN", "STATUS", "SUMMARY"], [["enabled", "enabled", "List services."]], worded=("STATUS",))
    out.block("List services.")
    assert capsys.readouterr().out.splitlines() == [
        "插件     状态  简介",
        "enabled  启用  List services.",
        "  List services.",
    ]


# --- help ------------------------------------------------------------------------------------------------------------


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group, info_name=name)
    for each in group.list_commands(context):
        command = group.get_command(context, each)
        assert command is not None
        yield f"{name} {each}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {each}")


@pytest.mark.parametrize(
    ("address", "name", "room"),
    [
        ("sealdex.cli.command_table:cli", "sealdex", ()),
        ("registry_builder.cli.main:group", "sealdex-builder", ("registry_builder.cli",)),
    ],
    ids=["client", "builder"],
)
def test_all_help_is_chinese_and_fits_the_terminal(
    address: str, name: str, room: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LANGUAGE", raising=False)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    out = Output(rooms=room)
    module, _, attribute = address.partition(":")
    group = getattr(import_module(module), attribute)
    english, wide = [], []
    found = [(name, group), *commands(group, name)]
    assert len(found) > 35
    for called, command in found:
        context = SpokenContext(
            command, info_name=called, obj=out, terminal_width=80, help_option_names=["-h", "--help"]
        )
        verbatim = False
        for line in command.get_help(context).splitlines():
            verbatim = (verbatim and line.startswith("    ")) or line.strip() in {"示例：", "Example:"}  # noqa: RUF001
            if verbatim or (line.startswith(("用法", "      ")) and not line.startswith(" " * 10)):
                continue
            if width_of(line) > 80 and is_chinese(line):
                wide.append(f"{called}: {line}")
            words = re.findall(r"[A-Za-z]{3,} [a-z]{3,} [a-z]{3,}", line)
            if words and not is_chinese(line) and not re.search(r"sealdex(-builder)? |^  +[A-Z]", line):
                english.append(f"{called}: {line}")
    assert english == []
    assert wide == []


def test_help_in_english_is_clicks_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    command = click.Command("x", help="Says something.", params=[click.Option(["--of"], help="What of.")])
    own = click.Context(command, info_name="x", obj=Output(), terminal_width=80)
    ours = SpokenContext(command, info_name="x", obj=Output(), terminal_width=80)
    assert command.get_help(ours) == command.get_help(own)
