"""Commands that say which releases hosts would take, and where the files are, without downloading: resolve, url."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sealdex import resolve
from sealdex.cli.context import Context, client_command
from sealdex.cli.group import examples
from sealdex.cli.policy_options import policy_of, policy_options
from sealdex.cli.progress import in_bytes
from sealdex.config.environment_file import OtherHost, read_hosts
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealdex.locate import Answer
    from sealdex.results import Located

_MAX_BYTES = 256 * 1024 * 1024
_HERE = "this host"


@click.command(
    "resolve",
    epilog=examples(
        "sealdex resolve acme/slack",
        "sealdex resolve acme/slack 'acme/mail@^2' --environment robot-1.json --environment robot-2.json",
        "sealdex resolve acme/slack --environment - --json < fleet.jsonl",
    ),
)
@click.argument("plugins", nargs=-1, metavar="NS/NAME[@RANGE]...")
@click.option(
    "--environment",
    "files",
    multiple=True,
    metavar="FILE",
    help="Ask for the hosts in this file instead of this one; - is stdin; may be repeated.",
)
@click.option("--offline", is_flag=True, help="Make no requests: use what was last verified.")
@policy_options
@client_command
def resolve_(
    context: Context,
    plugins: tuple[str, ...],
    files: tuple[str, ...],
    offline: bool,
    channel: str,
    pre: bool,
    yanked: bool,
    ignore_rollout: bool,
) -> None:
    """Show which releases would be installed for plugins and what they depend on; download and change nothing.

    A FILE holds what `sealdex env --json` printed on another host, or one such object a line for a whole fleet. `name`
    names a host in answers, `host_id` decides about staged rollouts, `requests` replaces those given here for it.
    With --json, each host's answer is one line. A host without an answer doesn't keep the others from theirs; the exit
    code is 3 then.
    """
    from sealdex.locate import Answer, locate, locate_for  # noqa: PLC0415  # `--help` needn't wait for it

    if not plugins and not files:
        raise UsageError("name at least one plugin", hint="sealdex resolve NS/NAME")
    requests = [*map(resolve.parse_request, plugins)]
    policy = policy_of(channel, pre, yanked, ignore_rollout)
    hosts = _hosts(files)
    lost = 0
    rows: list[list[str]] = []
    with context.client("resolving", offline=offline) as client:
        if files:
            answers = locate_for(client.queries, hosts, requests, policy, dependencies=True)
        else:
            here = OtherHost(name=_HERE, environment=client.environment)
            answers = iter([Answer(here, tuple(locate(client.queries, requests, policy, dependencies=True)))])
        for answer in answers:
            context.out.result_line(_answer_plain(answer))
            if answer.error is not None:
                lost += 1
                context.out.warn(f"{answer.host.name}: {answer.error.message}")
            rows += [[*([answer.host.name] if files else []), *_cells(each)] for each in answer.located]
    if rows:
        context.out.table([*(["HOST"] if files else []), "PLUGIN", "VERSION", "SIZE", "SHA-256", "REGISTRY"], rows)
    if lost:
        raise NotFoundError(f"{lost} of {counted(len(hosts), 'host')} would get no release", untouched="all others did")


@click.command(
    epilog=examples(
        "sealdex url acme/slack",
        "sealdex url 'acme/slack@^1' --environment robot-1.json --json",
        "sealdex url acme/slack --dependencies",
    )
)
@click.argument("plugins", nargs=-1, required=True, metavar="NS/NAME[@RANGE]...")
@click.option(
    "--environment", "file", metavar="FILE", help="For the host in this file instead of this one; - is stdin."
)
@click.option("--dependencies", is_flag=True, help="Also of the plugins that they depend on.")
@click.option("--offline", is_flag=True, help="Make no requests: use what was last verified.")
@policy_options
@client_command
def url(
    context: Context,
    plugins: tuple[str, ...],
    file: str | None,
    dependencies: bool,
    offline: bool,
    channel: str,
    pre: bool,
    yanked: bool,
    ignore_rollout: bool,
) -> None:
    """Print the address, size and SHA-256 of the file that would be installed, as signed; download nothing.

    For tools that fetch by themselves: they must compare the SHA-256. A container image is printed by its digest. With
    -q, only addresses.
    """
    from sealdex.locate import locate, locate_for  # noqa: PLC0415  # `--help` needn't wait for it

    requests = [*map(resolve.parse_request, plugins)]
    policy = policy_of(channel, pre, yanked, ignore_rollout)
    hosts = _hosts([file] if file is not None else [])
    if len(hosts) > 1:
        raise UsageError(
            f"{file} holds {len(hosts)} hosts, and addresses are printed for one",
            hint=f"sealdex resolve {' '.join(plugins)} --environment {file} --json",
        )
    with context.client("resolving", offline=offline) as client:
        if not hosts:
            found: Sequence[Located] = locate(client.queries, requests, policy, dependencies=dependencies)
        else:
            host = msgspec.structs.replace(hosts[0], requests=())  # what is asked for stands on the command line
            [answer] = locate_for(client.queries, [host], requests, policy, dependencies=dependencies)
            if answer.error is not None:
                raise answer.error
            found = answer.located
    out = context.out
    out.result({"files": [_located_plain(each) for each in found]})
    for each in found:
        where = each.address or each.image
        if where is None:
            out.note(f"{each.choice} has no file of its own; --dependencies shows what it depends on")
            continue
        out.answer(where)
        size = in_bytes(each.size) if each.size is not None else "size not stated"
        out.line(f"  {each.choice} · {size} · sha256 {each.sha256} · {each.trust}")
    if out.mode != "json" and not any(each.address or each.image for each in found):
        raise NotFoundError(  # or a script would go on with an empty address
            "none of these releases has a file of its own",
            untouched="nothing was downloaded",
            hint=f"sealdex url {' '.join(plugins)} --dependencies",
        )


def _hosts(files: Sequence[str]) -> list[OtherHost]:
    """Read files of hosts; every problem of all of them is named."""
    found: list[OtherHost] = []
    problems: list[ConfigError] = []
    for file in files:
        try:
            found += read_hosts(_read(file), "stdin" if file == "-" else file)
        except ConfigError as error:  # noqa: PERF203  # each file is named
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise ConfigError("\n".join(f"{e.subject}: {e.message}" for e in problems), hint=problems[0].hint)
    return found


def _read(file: str) -> bytes:
    try:
        data = sys.stdin.buffer.read(_MAX_BYTES + 1) if file == "-" else _file_bytes(Path(file))
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", subject=file, hint="sealdex env --json > host.json") from error
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror or error}", subject=file) from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"is larger than {in_bytes(_MAX_BYTES)}", subject=file, hint="split it")
    return data


def _file_bytes(path: Path) -> bytes:
    with path.open("rb") as reader:
        return reader.read(_MAX_BYTES + 1)


def _located_plain(each: Located) -> dict[str, Any]:
    choice, artifact = each.choice, each.choice.artifact
    return {
        "plugin": str(choice.plugin),
        "version": choice.release.version,
        "requested": choice.requested,
        "address": each.address,
        "image": each.image,
        "file": artifact.file if artifact is not None else None,
        "format": artifact.format if artifact is not None else None,
        "size": each.size,
        "sha256": each.sha256,
        "yanked": choice.release.yanked is not None,
        "deprecated": choice.document.deprecated is not None,
        "registry": each.trust.registry,
        "signed_by": each.trust.signed_by,
        "root_version": each.trust.root_version,
    }


def _answer_plain(answer: Answer) -> dict[str, Any]:
    error = answer.error
    said = {"error": {"code": error.code, "message": error.message, "hint": error.hint}} if error is not None else {}
    return {"host": answer.host.name, "files": [_located_plain(each) for each in answer.located], **said}


def _cells(each: Located) -> list[str]:
    size = in_bytes(each.size) if each.size is not None else "-"
    digest = each.sha256[:12] if each.sha256 else "-"
    return [str(each.choice.plugin), each.choice.release.version, size, digest, each.trust.registry]
