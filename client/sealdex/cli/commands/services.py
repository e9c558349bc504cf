"""Commands that run services: run, ps, stop, logs."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealdex.cli.context import Context, client_command
from sealdex.cli.foreign_output import Unwritten
from sealdex.cli.group import examples
from sealdex.cli.number_option import Seconds
from sealdex.errors import SealdexError, UsageError
from sealdex.paths import store_folder
from sealdex.runtime import services as running
from sealdex.runtime.process.signals import ended_by_signals, on_signals
from sealdex.text import clean

if TYPE_CHECKING:
    from sealdex.model.ids import PluginId
    from sealdex.runtime.services.state import ServiceState


@click.command(
    epilog=examples(
        "sealdex run speech/echo-service",
        "sealdex run speech/echo-service --detach --port 0",
        "sealdex run speech/echo-service@1.0.0 --with-env --env LOG_LEVEL=debug",
        "sealdex run speech/echo-service --detach --no-follow --env-file /etc/sealdex/echo.env",
    )
)
@click.argument("plugin", metavar="NS/NAME[@VERSION]")
@click.option(
    "-d", "--detach", is_flag=True, help="Return once the service is healthy and leave it running in the background."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Use this port instead of the manifest's; 0 takes any free one."
)
@click.option(
    "--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set an environment variable; may be repeated."
)
@click.option(
    "--env-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="Set variables from a file with NAME=VALUE lines, for values that other users of the host must not see.",
)  # fmt: skip
@click.option("--with-env", is_flag=True, help="Run it in a virtual environment made from its requirements.txt.")
@click.option(
    "--health-timeout", type=Seconds(min=0.1), default=60.0, show_default=True, metavar="SECONDS",
    help="How long it may take to become healthy.",
)  # fmt: skip
@click.option(
    "--grace", type=Seconds(min=0), default=10.0, show_default=True, metavar="SECONDS",
    help="How long it may take to stop before it is killed.",
)  # fmt: skip
@click.option(
    "--max-restarts", type=click.IntRange(min=0), default=10, show_default=True,
    help="Maximum restarts in a row after failures.",
)  # fmt: skip
@click.option(
    "--health-interval", type=Seconds(min=0.1), default=10.0, show_default=True, metavar="SECONDS",
    help="Interval between health checks; the manifest may set a longer one.",
)  # fmt: skip
@click.option(
    "--health-retries", type=click.IntRange(min=1), default=3, show_default=True,
    help="Number of health checks in a row that must fail before it is restarted.",
)  # fmt: skip
@click.option(
    "--follow/--no-follow", default=None,
    help="Switch to another version when `update`, `use` or `rollback` change the version in use; the default, unless "
    "VERSION is given.",
)  # fmt: skip
@click.option("--no-dependencies", is_flag=True, help="Don't start the services that it depends on.")
@client_command
def run(
    context: Context,
    plugin: str,
    detach: bool,
    port: int | None,
    variables: tuple[str, ...],
    env_file: Path | None,
    with_env: bool,
    health_timeout: float,
    grace: float,
    max_restarts: int,
    health_interval: float,
    health_retries: int,
    follow: bool | None,
    no_dependencies: bool,
) -> None:
    """Start an installed service, wait until it is healthy, and show its output until Ctrl-C (twice: kill it).

    It runs in its version's folder with MODELS_DIR, PORT and the variables of its manifest, on ports of 127.0.0.1. If
    it or its health check fails, it is restarted with growing delays. When the version in use changes, the new version
    is started; if it doesn't become healthy, the old one keeps running.

    Services that it depends on are started first, in the background, unless they already run, and are waited for until
    they are healthy.
    """
    out = context.out
    services = _services(context)
    asked, version = _release(plugin)
    if follow and version is not None:
        raise UsageError(
            f"--follow switches to other versions, but {plugin} is requested at one version",
            hint=f"leave out --follow, or run {asked} without a version",
        )
    follows = version is None if follow is None else follow

    def show(line: str) -> None:
        if out.logs_json:
            out.log("info", line, source=str(asked))
        elif out.mode == "json":
            out.stderr.write(clean(line) + "\n")
        else:
            out.answer(line)
        out.flush()  # otherwise a pipe gets it in blocks, long after it was printed

    env = {**(_file_pairs(env_file) if env_file is not None else {}), **_pairs(variables)}
    with ended_by_signals():  # pip, which makes the environment, ends too
        plan = services.plan(asked, version, port=port, env=env, with_env=with_env, on_line=out.note)
    if not with_env and (plan.folder / "requirements.txt").is_file():
        out.note("it has a requirements.txt; to make a virtual environment from it: --with-env")
    policy = running.RestartPolicy(
        health=health_timeout,
        grace=grace,
        max_restarts=max_restarts,
        health_interval=health_interval,
        health_retries=health_retries,
    )
    store = services.store
    for broken in running.unmet(store, plan.plugin, plan.version):
        out.warn(f"{broken}: {broken.fix}")
    if not no_dependencies:
        needed = running.needed_services(store, plan.plugin, plan.version)

        def say(state: ServiceState) -> None:
            _say(context, state)
            out.note(
                f"{state.plugin}, which {asked} depends on, keeps running; to stop it: sealdex stop {state.plugin}"
            )

        running.see_to(services, store, needed, policy, say)
    if detach:
        state = services.start(plan, policy, follows=follows)
        _say(context, state)
        out.note(f"sealdex logs -f {asked} · sealdex stop {asked}")
        out.result(state.as_dict())
        return
    unwritten = Unwritten()
    supervisor = services.supervisor(
        plan,
        policy,
        follows=follows,
        on_line=unwritten.passing(show),
        on_state=unwritten.passing(lambda state: _say(context, state)),
    )
    # a closed terminal sends SIGHUP: the service stops then too
    with on_signals(("SIGINT", "SIGTERM", "SIGHUP"), lambda _: supervisor.request_stop()):
        done = supervisor.run()
    unwritten.settle()
    out.result(done.as_dict())


def _say(context: Context, state: ServiceState) -> None:
    where = f" · {state.health_url}" if state.health_url and state.state == "running" else ""
    process = f" · process {state.pid}" if state.pid is not None else ""
    why = f" · {state.error}" if state.error and state.state in {"waiting", "running"} else ""
    health = f", {state.health}" if state.health and state.state == "running" else ""
    context.out.line(f"{state.plugin} {state.version} is {state.state}{health}{process}{where}{why}")
    context.out.flush()


@click.command(epilog=examples("sealdex ps", "sealdex ps --json"))
@client_command
def ps(context: Context) -> None:
    """List services: those that run, and how the others ended."""
    found = _services(context).list()
    context.out.result({"services": [state.as_dict() for state in found]})
    context.out.table(
        ["SERVICE", "VERSION", "STATE", "HEALTH", "PROCESS", "PORT", "RESTARTS", "UPTIME", "SINCE"],
        [
            [
                state.plugin,
                state.version,
                _format_state(state),
                state.health if state.health and state.state == "running" else "-",
                str(state.pid or "-"),
                str(state.port or "-"),
                str(state.restarts),
                _duration(state.uptime_s(datetime.now(timezone.utc))),
                state.since,
            ]
            for state in found
        ],
        worded=("STATE", "HEALTH", "UPTIME"),
    )
    for state in found:
        if state.is_left_behind:
            context.out.note(
                f"process {state.pid} of {state.plugin} runs without a supervisor; stop it: sealdex stop {state.plugin}"
            )
        elif state.error and state.state != "stopped":
            context.out.note(f"{state.plugin}: {state.error.splitlines()[0]}")
    if not found:
        context.out.note("no service has been started here; start one: sealdex run NAMESPACE/NAME")


@click.command(
    epilog=examples(
        "sealdex stop speech/echo-service", "sealdex stop speech/echo-service --grace 30", "sealdex stop --all"
    )
)
@click.argument("plugins", nargs=-1, metavar="NS/NAME...")
@click.option("--all", "every", is_flag=True, help="Stop all running services.")
@click.option(
    "--grace", type=Seconds(min=0), metavar="SECONDS",
    help="How long they may take to stop before they are killed; default: the --grace of `run`.",
)  # fmt: skip
@client_command
def stop(context: Context, plugins: tuple[str, ...], every: bool, grace: float | None) -> None:
    """Stop services: SIGTERM to the whole process group, then SIGKILL.

    With --all, services that depend on others are stopped first. The services that a named one depends on keep running.
    """
    if bool(plugins) == every:
        raise UsageError("name the services to stop, or give --all", hint="to see what runs: sealdex ps")
    services = _services(context)
    asked = [_release(plugin)[0] for plugin in plugins]
    if every:
        started = [_release(s.plugin)[0] for s in services.list() if s.state not in running.OVER or s.is_left_behind]
        asked = running.in_stopping_order(services.store, started)
    states, failures = [], []
    for plugin in asked:
        try:
            state = services.stop(plugin, grace)
        except SealdexError as error:  # the others must be stopped all the same
            failures.append(error)
            continue
        states.append(state.as_dict())
        context.out.line(f"stopped {state.plugin} {state.version}")
    if failures:
        for other in failures[1:]:
            context.out.note(str(other))
        raise failures[0]
    context.out.result({"stopped": states})


@click.command(epilog=examples("sealdex logs speech/echo-service", "sealdex logs -f speech/echo-service -n 20"))
@click.argument("plugin", metavar="NS/NAME")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=100, show_default=True, help="Number of last lines to show."
)
@click.option("-f", "--follow", is_flag=True, help="Keep following until the service ends or Ctrl-C.")
@client_command
def logs(context: Context, plugin: str, lines: int, follow: bool) -> None:
    """Show the output of a service, each line with its time."""
    out = context.out
    folder = _services(context).log(_release(plugin)[0])
    if follow and out.mode == "json":
        raise UsageError("--follow and --json exclude each other: --follow writes lines, --json one document")
    if follow:
        for line in folder.follow(lines):
            out.answer(line)
            out.flush()
        return
    last = folder.last_lines(lines)
    for line in last:
        out.answer(line)
    out.result({"plugin": plugin, "log": folder.log_path, "lines": last})


def _services(context: Context) -> running.Services:
    return running.Services(context.store or store_folder())


def _release(text: str) -> tuple[PluginId, str | None]:
    try:
        return running.asked_release(text)
    except ValueError as error:
        raise UsageError(str(error), subject=text, hint="write NAMESPACE/NAME or NAMESPACE/NAME@VERSION") from error


def _format_state(state: ServiceState) -> str:
    if state.is_left_behind:
        return "died, left behind"
    return state.state if state.exit_code is None else f"{state.state} ({state.exit_code})"


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _file_pairs(path: Path) -> dict[str, str]:
    """Read variables from a file of ``NAME=VALUE`` lines; empty lines and lines that begin with # are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the environment file can't be read: {error}", subject=str(path)) from error
    pairs = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _is_variable(name.strip()):
            raise UsageError(
                f"line {number} is not of the form NAME=VALUE", subject=str(path)
            )  # its text may be a secret
        pairs[name.strip()] = value.removesuffix("\r")
    return pairs


def _pairs(words: tuple[str, ...]) -> dict[str, Any]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _is_variable(name):
            raise UsageError(f"--env {word} is not of the form NAME=VALUE")
        pairs[name] = value
    return pairs


def _is_variable(name: str) -> bool:
    """Return whether a variable can have such a name: ``export A`` is a shell's word before a name."""
    return bool(name) and name.isprintable() and not any(map(str.isspace, name))
