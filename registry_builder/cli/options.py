"""What commands share: options, the source tree, passphrases, and the examples at the end of their help."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_builder import source, storage
from sealdex.cli.group import output_of
from sealdex.errors import ConfigError
from sealdex.model.ids import PluginId, parse_plugin_id

if TYPE_CHECKING:
    from registry_builder.source.config import RegistryConfig
    from registry_builder.storage import Storage
    from sealdex.cli.output import Output

    _PluginIdType = click.ParamType[PluginId]
else:
    _PluginIdType = click.ParamType  # not generic in older releases of click


def example(*lines: str) -> str:
    """Return the epilog of a command: its example, one command per line, which click must not rewrap."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])


# --- options and arguments --------------------------------------------------------------------------------------------


class PluginIdParam(_PluginIdType):
    """``namespace/name``, validated."""

    name = "ns/name"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> PluginId:
        """Parse, or fail with what is wrong."""
        if isinstance(value, PluginId):
            return value
        try:
            return parse_plugin_id(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


PLUGIN_ID = PluginIdParam()
REALM = click.option("--realm", metavar="NAME", help="Only this realm; by default all of registry.toml.")
REALMS = click.option(
    "--realm",
    "realms",
    multiple=True,
    metavar="NAME",
    help="Only this realm; may be repeated; by default all of registry.toml.",
)
ALL_REALMS = click.option("--all-realms", is_flag=True, help="All realms of registry.toml, which is the default.")
ALLOW_FILE = click.option(
    "--allow-file",
    "allow_files",
    multiple=True,
    metavar="PATTERN",
    help="A file that may contain a key or token, because it is meant to be public; may be repeated.",
)
BY_URL = click.option(
    "--by-url", is_flag=True, help="Read the published state by the realm's url, as clients do, without credentials."
)
SUMMARY = click.option(
    "--summary",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append the result as Markdown to this file, such as $GITHUB_STEP_SUMMARY.",
)
FILES = click.option("--files", is_flag=True, help="List every file that is written: path, size, type and reason.")


# --- the source tree --------------------------------------------------------------------------------------------------


def tree_of(ctx: click.Context) -> Path:
    """Return the folder that contains ``registry.toml``.

    Raises:
        NotFoundError: there is none.
    """
    named = ctx.meta.get("registry_builder.tree")
    return source.find_tree(named) if isinstance(named, Path) else source.find_tree(Path.cwd())


def shown(path: Path) -> str:
    """Return a path for display: relative to the current folder if that is shorter."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(path)


def typed(path: Path) -> str:
    """Return a path quoted for a shell, for a command that is advised."""
    return shlex.quote(shown(path))


def reader_storage(config: RegistryConfig, realm: str, *, by_url: bool) -> Storage | None:
    """Return the storage to read from instead of that in registry.toml; None for that one.

    What is deployed to GitHub Pages is always read by its url: the local folder is only the next deployment.

    Raises:
        ConfigError: the realm has no url.
    """
    section = config.realms.get(realm)
    if not by_url and not (section is not None and section.is_pages):
        return None
    if section is None or section.url is None:
        raise ConfigError(
            f"realm {realm} has no url",
            subject=realm,
            hint=f'write url = "https://..." below [realms.{realm}] in registry.toml, or leave out --by-url',
        )

    return storage.UrlStorage(section.url)


# --- what is asked for and written beside the answer ------------------------------------------------------------------


def prompt_for_passphrase() -> Callable[[str], str] | None:
    """Return a prompt that doesn't echo, or None if there is no terminal."""
    if not sys.stdin.isatty():
        return None
    out = output_of(click.get_current_context())
    return lambda question: str(click.prompt(out.say(question), hide_input=True, err=True))


def print_text(out: Output, text: str) -> None:
    """Print a document as the answer, line by line: a line's own output has no line ends."""
    for line in text.splitlines():
        out.answer(line)


def append(summary: Path | None, markdown: str) -> None:
    """Append Markdown to the file of ``--summary``, if there is one."""
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(markdown + "\n")


__all__ = [
    "ALLOW_FILE",
    "ALL_REALMS",
    "BY_URL",
    "FILES",
    "PLUGIN_ID",
    "REALM",
    "REALMS",
    "SUMMARY",
    "append",
    "example",
    "print_text",
    "prompt_for_passphrase",
    "reader_storage",
    "shown",
    "tree_of",
    "typed",
]
