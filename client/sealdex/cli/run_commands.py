"""Commands that run services: run, ps, stop, logs."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.output import clean
from sealdex.errors import UsageError

if TYPE_CHECKING:
    from sealdex.model.ids import PluginId
    from sealdex.runtime.service_state import ServiceState
    from sealdex.runtime.services import Services


@click.command(
    epilog=examples(
        "sealdex run speech/echo-service",
        "sealdex run speech/echo-service --detach --port 0",
        "sealdex run speech/echo-service@1.0.0 --with-env --env LOG_LEVEL=debug",
    )
)
@click.argument("plugin", metavar="NS/NAME[@VERSION]")
@click.option("-d", "--detach", is_flag=True, help="Return once it is well, and let it go on in the background.")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of the manifest's; 0 takes any that is free.")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; may be repeated.")
@click.option("--with-env", is_flag=True, help="Give it a virtual environment made from its requirements.txt.")
@click.option(
    "--health-timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True, metavar="SECONDS",
    help="How long it may take to become well.",
)  # fmt: skip
@click.option(
    "--grace", type=click.FloatRange(min=0), default=10.0, show_default=True, metavar="SECONDS",
    help="How long it may take to end before it is killed.",
)  # fmt: skip
@click.option(
    "--max-restarts", type=click.IntRange(min=0), default=10, show_default=True,
    help="How often in a row it is started again after it failed.",
)  # fmt: skip
@client_command
def run(
    context: Context,
    plugin: str,
    detach: bool,
    port: int | None,
    variables: tuple[str, ...],
    with_env: bool,
    health_timeout: float,
    grace: float,
    max_restarts: int,
) -> None:
    """Start an installed service, wait until it is well, and show what it prints until Ctrl-C.

    It runs in its version's folder with MODELS_DIR, PORT and what its manifest names, on 127.0.0.1's ports. When it
    fails it is started again, after longer and longer pauses.
    """
    from sealdex.runtime.supervisor import Patience  # noqa: PLC0415  # the other commands needn't wait for it

    out = context.out
    services = _services(context)
    asked, version = _release(plugin)

    def show(line: str) -> None:
        if out.logs_json:
            out.log("info", line, source=str(asked))
        elif out.mode == "json":
            out.stderr.write(clean(line) + "\n")
        else:
            out.answer(line)

    plan = services.plan(asked, version, port=port, env=_pairs(variables), with_env=with_env, on_line=out.note)
    if not with_env and (plan.folder / "requirements.txt").is_file():
        out.note("it has a requirements.txt; --with-env makes a virtual environment from it")
    patience = Patience(health=health_timeout, grace=grace, max_restarts=max_restarts)
    if detach:
        state = services.start(plan, patience)
        _say(context, state)
        out.note(f"sealdex logs -f {asked} · sealdex stop {asked}")
        out.result(state.as_dict())
        return
    supervisor = services.supervisor(plan, patience, on_line=show, on_state=lambda state: _say(context, state))
    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: supervisor.request_stop()))
        out.result(supervisor.run().as_dict())


def _say(context: Context, state: ServiceState) -> None:
    where = f" · {state.health_url}" if state.health_url and state.state == "running" else ""
    process = f" · process {state.pid}" if state.pid is not None else ""
    why = f" · {state.error}" if state.error and state.state == "waiting" else ""
    context.out.line(f"{state.plugin} {state.version} is {state.state}{process}{where}{why}")
    context.out.flush()


@click.command(epilog=examples("sealdex ps", "sealdex ps --json"))
@client_command
def ps(context: Context) -> None:
    """List services: what runs, and how what ran ended."""
    found = _services(context).list()
    context.out.result({"services": [state.as_dict() for state in found]})
    context.out.table(
        ["SERVICE", "VERSION", "STATE", "PROCESS", "PORT", "RESTARTS", "SINCE"],
        [
            [
                state.plugin,
                state.version,
                state.state if state.exit_code is None else f"{state.state} ({state.exit_code})",
                str(state.pid or "-"),
                str(state.port or "-"),
                str(state.restarts),
                state.since,
            ]
            for state in found
        ],
    )
    if not found:
        context.out.note("no service has been started here; sealdex run NAMESPACE/NAME")


@click.command(epilog=examples("sealdex stop speech/echo-service", "sealdex stop speech/echo-service --grace 30"))
@click.argument("plugins", nargs=-1, required=True, metavar="NS/NAME...")
@click.option(
    "--grace", type=click.FloatRange(min=0), default=10.0, show_default=True, metavar="SECONDS",
    help="How long to wait for one whose supervisor is gone before it is killed.",
)  # fmt: skip
@client_command
def stop(context: Context, plugins: tuple[str, ...], grace: float) -> None:
    """End services: SIGTERM to the whole process group, then SIGKILL."""
    from sealdex.runtime.supervisor import Patience  # noqa: PLC0415  # the other commands needn't wait for it

    services = _services(context)
    states = []
    for plugin in plugins:
        state = services.stop(_release(plugin)[0], Patience(grace=grace))
        states.append(state.as_dict())
        context.out.line(f"stopped {state.plugin} {state.version}")
    context.out.result({"stopped": states})


@click.command(epilog=examples("sealdex logs speech/echo-service", "sealdex logs -f speech/echo-service -n 20"))
@click.argument("plugin", metavar="NS/NAME")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=100, show_default=True, help="How many of the last.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the service is over, or Ctrl-C.")
@client_command
def logs(context: Context, plugin: str, lines: int, follow: bool) -> None:
    """Show what a service printed, each line with its time."""
    out = context.out
    folder = _services(context).log(_release(plugin)[0])
    last = folder.last_lines(lines)
    if follow and out.mode == "json":
        raise UsageError("--follow writes lines and --json one document: they exclude each other")
    for line in last:
        out.answer(line)
    out.result({"plugin": plugin, "log": folder.log_path, "lines": last})
    if follow:
        for line in folder.follow():
            out.answer(line)
            out.flush()


def _services(context: Context) -> Services:
    from sealdex.places import store_folder  # noqa: PLC0415  # click's help needn't wait for any of these
    from sealdex.runtime.services import Services  # noqa: PLC0415  # the same

    return Services(context.store or store_folder())


def _release(text: str) -> tuple[PluginId, str | None]:
    from sealdex.runtime.services import asked_release  # noqa: PLC0415  # the same

    try:
        return asked_release(text)
    except ValueError as error:
        raise UsageError(str(error), subject=text, hint="write NAMESPACE/NAME or NAMESPACE/NAME@VERSION") from error


def _pairs(words: tuple[str, ...]) -> dict[str, Any]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise UsageError(f"--env {word} is not of the form NAME=VALUE")
        pairs[name] = value
    return pairs
