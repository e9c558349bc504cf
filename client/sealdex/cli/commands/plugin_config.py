"""The command ``config plugin``: a plugin's configuration on this host."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import click

from sealdex.cli.completion import installed_plugin
from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.config.secret_references import FORMS, KEY, is_reference, reference
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.model.foreign_json import json_values
from sealdex.model.ids import parse_plugin_id
from sealdex.store.layout import Store
from sealdex.store.plugin_config import kept_config, reject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sealdex.cli.output import Output
    from sealdex.model.ids import PluginId
    from sealdex.runtime.configuration import Configured, HostConfiguration

ACTIONS = ("get", "set", "unset", "edit")
_PART = re.compile(r'\s*(?:"([^"]*)"|([^".\s][^".]*?))\s*(\.|$)')
_HIDDEN = "***"


@click.command(
    "plugin",
    context_settings={"ignore_unknown_options": True},  # a value may begin with a dash: -5
    epilog=examples(
        "sealdex config plugin acme/slack",
        "sealdex config plugin acme/slack set channel '#builds'",
        "sealdex config plugin acme/slack set token env:SLACK_TOKEN retry.times 3",
        "sealdex config plugin acme/slack get channel",
        "sealdex config plugin acme/slack unset channel",
        "sealdex config plugin acme/slack unset --all",
        "sealdex config plugin acme/slack edit",
    ),
)
@installed_plugin("plugin", metavar="NS/NAME")
@click.argument("action", type=click.Choice(ACTIONS), default="get", metavar="[get|set|unset|edit]")
@click.argument("words", nargs=-1, metavar="[KEY [VALUE]]...")
@click.option("--text", "is_text", is_flag=True, help="Set values as they are typed: no JSON, no reference.")
@click.option("--all", "everything", is_flag=True, help="Unset all that is set.")
@client_command
def plugin_(
    context: Context, plugin: str, action: str, words: tuple[str, ...], is_text: bool, everything: bool
) -> None:
    """Show or change the configuration of a plugin on this host.

    It is kept in the store, over the plugin's defaults, for all hosts, jobs and services that use it here, and checked
    against the schema of the version in use. KEY is a name, or several with dots between them. VALUE is JSON or text,
    as the schema has it; env:NAME, file:PATH and keyring:SERVICE/USER stand for a secret, which is read when the plugin
    is loaded, and never kept or shown.
    """
    from sealdex.runtime.configuration import HostConfiguration  # noqa: PLC0415  # `config --help` needn't wait

    store = Store(context.config().store)
    asked = _id(plugin)
    if everything and action != "unset":
        raise UsageError("--all goes with unset", hint=f"sealdex config plugin {asked} unset --all")
    host = HostConfiguration(store, asked)
    paths = [_path(word) for word in (words[::2] if action == "set" else words)]
    if action == "get":
        _show(context, host, paths)
        return
    if action == "set":
        if not words or len(words) % 2:
            raise UsageError("set wants a key and a value", hint=f"sealdex config plugin {asked} set KEY VALUE")
        given = zip(paths, words[1::2], strict=True)
        done = host.set({path: _value(host, path, text, is_text=is_text) for path, text in given})
    elif action == "unset":
        if bool(words) is everything:
            raise UsageError("unset wants keys, or --all", hint=f"sealdex config plugin {asked} unset KEY")
        done = host.unset(paths)
    else:
        if words:
            raise UsageError("edit takes no keys", hint=f"sealdex config plugin {asked} edit")
        changed = _edited(context.out, store, asked, host)
        if changed is None:
            context.out.line(f"the configuration of {asked} is unchanged")
            context.out.result(_document(host, host.read()))
            return
        done = changed
    _tell(context, host, done)


def _id(plugin: str) -> PluginId:
    try:
        return parse_plugin_id(plugin)
    except ValueError as error:
        raise UsageError(str(error), subject=plugin, hint="write NAMESPACE/NAME, such as acme/slack") from error


def _tell(context: Context, host: HostConfiguration, done: Configured) -> None:
    out = context.out
    for each in (*done.problems, *done.missing):
        out.warn(f"{done.plugin} {done.version} can't be loaded like this: {each}")
    out.line(f"the configuration of {done.plugin} is kept; it counts when the plugin is loaded or started next")
    out.result(_document(host, done))


def _show(context: Context, host: HostConfiguration, paths: Sequence[tuple[str, ...]]) -> None:
    from sealdex.runtime.configuration import shown  # noqa: PLC0415  # `config --help` needn't wait

    found = host.read()
    document = _document(host, found)
    if paths:
        values = {}
        for path in paths:
            at: Any = document["config"]
            for key in path:
                if not isinstance(at, dict) or key not in at or is_reference(at):
                    raise NotFoundError(
                        f"{found.plugin} has no {shown(path)} in its configuration",
                        subject=str(found.plugin),
                        hint=f"to see all of it: sealdex config plugin {found.plugin}",
                    )
                at = at[key]
            values[shown(path)] = at
            context.out.answer(_text(at))
        context.out.result({"plugin": str(found.plugin), "version": found.version, "values": values})
        return
    context.out.result(document)
    rows = [
        [shown(path), _text(value), "this host" if _is_at(found.kept, path) else "default"]
        for path, value in _leaves(document["config"])
    ]
    context.out.table(["KEY", "VALUE", "FROM"], rows, worded=("FROM",))
    for each in (*found.problems, *found.missing):
        context.out.warn(f"{found.plugin} {found.version} can't be loaded like this: {each}")


def _document(host: HostConfiguration, found: Configured) -> dict[str, Any]:
    """Return it for JSON; values that the schema says are secrets are hidden."""
    return {
        "plugin": str(found.plugin),
        "version": found.version,
        "config": _hidden(host, found.merged),
        "set": _hidden(host, found.kept),
        "missing": list(found.missing),
        "problems": list(found.problems),
    }


def _hidden(host: HostConfiguration, values: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in values.items():
        path = (*above, key)
        if is_reference(value):
            result[key] = value
        elif host.is_secret(path):
            result[key] = _HIDDEN
        else:
            result[key] = _hidden(host, value, path) if isinstance(value, dict) else value
    return result


def _value(host: HostConfiguration, path: tuple[str, ...], text: str, *, is_text: bool) -> Any:
    if not is_text and (found := reference(text)) is not None:
        return found
    if host.is_secret(path):
        raise UsageError(
            f"{'.'.join(path)} is a secret, and would stand in the history of the shell and in the store",
            untouched="the configuration was not changed",
            hint=f"give a reference: {FORMS}",
        )
    kinds = host.schema_of(path).get("type", ())
    if is_text or kinds in ("string", ["string"]):
        return text
    try:
        value = json_values(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):  # NaN and Infinity aren't JSON's
        return text
    return value


def _path(word: str) -> tuple[str, ...]:
    parts: list[str] = []
    at = 0
    while match := _PART.match(word, at):
        parts.append(match[1] if match[1] is not None else match[2])
        at = match.end()
        if not match[3]:
            return tuple(parts)
    raise UsageError(f"'{word}' is not a key", hint="write NAME, or NAME.NAME; a name with dots in quotes: '\"a.b\".c'")


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value and not is_reference(value):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _is_at(values: Any, path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def _text(value: Any) -> str:
    if is_reference(value):
        return f"secret from {value[KEY]}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _edited(out: Output, store: Store, plugin: PluginId, host: HostConfiguration) -> Configured | None:
    """Let the user edit what is set, until it fits or they give up; None: nothing was changed."""
    from sealdex.runtime.configuration import ChangedMeanwhileError  # noqa: PLC0415  # `config --help` needn't wait

    before = kept_config(store, plugin)
    text = json.dumps(before, indent=2, ensure_ascii=False) + "\n"
    values: Any = None
    while True:
        try:
            edited = click.edit(text, extension=".json")
        except click.ClickException as error:
            raise ConfigError(
                error.format_message(), untouched="the configuration was not changed", hint="set $EDITOR"
            ) from error
        if edited is None or edited == text:
            return None
        text = edited
        try:
            values = json_values(text)
            if not isinstance(values, dict):
                raise ValueError("it is not an object: write { ... }")  # noqa: TRY301, TRY004  # told like the others
            return host.replace(values, before)
        except ValueError as error:
            problem = ConfigError(f"this is not JSON: {error}", subject=str(plugin))
        except ConfigError as error:
            problem = error
        if sys.stdin.isatty() and not isinstance(problem, ChangedMeanwhileError):
            click.echo(out.say(str(problem)), err=True)
            if click.confirm(out.say("Edit it again?"), default=True, err=True):
                continue
        raise problem.restated(untouched=_what_became_of(text, values, store, plugin, host)) from problem


def _what_became_of(text: str, values: Any, store: Store, plugin: PluginId, host: HostConfiguration) -> str:
    """Keep what was edited in vain, but for one with secrets in it, and say where."""
    if isinstance(values, dict) and any(host.plain_secrets(values)):
        return "the configuration was not changed, and what was written is not kept: there is a secret in it"
    try:
        return f"the configuration was not changed, and what was written is in {reject(store, plugin, text)}"
    except OSError as error:
        click.echo(text, err=True)
        return f"the configuration was not changed, and what was written can't be kept: {error.strerror}; it is above"
