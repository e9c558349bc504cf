"""The options that all commands with a client share, and the session that they are given.

A command is a function that `client_command` decorates: its first argument is a `sealdex.cli.session.Context`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.cli.number_option import Finite
from sealdex.cli.session import ConsoleObserver, Context
from sealdex.cli.size_option import Size
from sealdex.errors import UsageError

__all__ = ["ConsoleObserver", "Context", "client_command", "download_options"]

_DOWNLOAD_KEY = "sealdex.download"


def client_command(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a click callback: a `Context` as its first argument, and the options common to all commands."""

    @click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Configuration file to use ($SEALDEX_CONFIG).",
    )
    @click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Store folder to use ($SEALDEX_STORE).",
    )
    @click.option(
        "--metrics-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="SEALDEX_METRICS_FILE",
        metavar="FILE",
        help="Write metrics for node-exporter to this file ($SEALDEX_METRICS_FILE; needs sealdex[metrics]).",
    )
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a setting for this run, such as download.timeout=5; may be repeated. See: sealdex config show.",
    )
    @output_options
    @click.pass_context
    @functools.wraps(command)
    def with_context(
        ctx: click.Context,
        /,
        *args: Any,
        config_path: Path | None,
        store: Path | None,
        metrics_file: Path | None,
        **options: Any,
    ) -> Any:
        context = Context(output_of(ctx), config_path, store)
        _keep_options(ctx, context)
        context.settings.update(map(_setting, options.pop("settings")))
        context.metrics_file = metrics_file
        context.download.update(ctx.meta.get(_DOWNLOAD_KEY, {}))
        return command(context, *args, **options)

    return with_context


def _keep_options(ctx: click.Context, context: Context) -> None:
    """Add the current --config and --store to every command that is advised."""
    given = {"--config": context.config_path, "--store": context.store}
    program = ctx.find_root().command
    if any(given.values()) and isinstance(program, LazyGroup) and program.advised is not None:
        import shlex  # noqa: PLC0415  # only for who gave an option

        said = [f"{option} {shlex.quote(str(value))}" for option, value in given.items() if value is not None]
        context.out.keep_options(program.advised, " ".join(said))


def download_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--concurrent``, ``--timeout``, ``--retry`` and ``--limit-rate``, which override ``[download]``.

    They are stored in the command's `Context`, so the callback takes no arguments for them.
    """
    for option in (
        click.option(
            "--concurrent",
            type=click.IntRange(1, 64),
            metavar="N",
            expose_value=False,
            callback=lambda ctx, _param, value: _set_download(ctx, "concurrent", value),
            help="Number of files downloaded at the same time; default: `concurrent` of [download].",
        ),
        click.option(
            "--timeout",
            type=Finite(0, 3600, min_open=True),
            metavar="SECONDS",
            expose_value=False,
            callback=lambda ctx, _param, value: _set_download(ctx, "timeout", value),
            help="Seconds without data before a connection is retried; default: `timeout` of [download].",
        ),
        click.option(
            "--retry",
            type=click.IntRange(0, 1000),
            metavar="N",
            expose_value=False,
            callback=lambda ctx, _param, value: _set_download(ctx, "retry", value),
            help="Retries for a request that makes no progress (0 disables); default: `retry` of [download].",
        ),
        click.option(
            "--limit-rate",
            type=Size(1, "rate"),
            metavar="RATE",
            expose_value=False,
            callback=lambda ctx, _param, value: _set_download(ctx, "max_bytes_per_second", value),
            help="Maximum bytes per second for all downloads together: 500k, 2MiB, 1.5G.",
        ),
    ):
        command = option(command)
    return command


def _set_download(ctx: click.Context, field: str, value: float | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_DOWNLOAD_KEY, {})[field] = value


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(
            f"'{text}' is not a valid setting: write KEY=VALUE", hint="for example: --set download.timeout=5"
        )
    return key.strip(), value.strip()
