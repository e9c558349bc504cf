"""Commands that bring plugins to the host or take them away: install, uninstall, fetch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sealdex.cli.completion import installed_plugin
from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.group import examples
from sealdex.cli.output import Output
from sealdex.cli.progress import in_bytes
from sealdex.cli.update_check import say_what_is_outdated
from sealdex.errors import UsageError

if TYPE_CHECKING:
    from sealdex.resolve import Choice, Policy, Resolution
    from sealdex.results import Fetched, Installed

F = TypeVar("F", bound=Callable[..., Any])

_VERBS = {"unpack": "installed", "repair": "repaired", "keep": "is installed already:"}


def _policy_options(command: F) -> F:
    for option in (
        click.option("--ignore-rollout", is_flag=True, help="Admit releases that were rolled out to other hosts only."),
        click.option("--yanked", is_flag=True, help="Admit yanked releases; an exact version admits one as well."),
        click.option("--pre", is_flag=True, help="Admit pre-releases."),
        click.option("--channel", default="stable", show_default=True, help="The channel of what is asked for."),
    ):
        command = option(command)
    return command


def _policy(channel: str, pre: bool, yanked: bool, ignore_rollout: bool) -> Policy:
    from sealdex.resolve import Policy  # noqa: PLC0415  # a command imports when it runs

    return Policy(channel=channel, prereleases=pre, yanked=yanked, ignore_rollout=ignore_rollout)


@click.command(
    epilog=examples(
        "sealdex install acme/slack",
        "sealdex install 'acme/slack@^1.2' acme/mail@2.0.0",
        "sealdex install acme/slack --channel beta --json",
        "sealdex install acme/slack@1.2.0 --pin",
        "sealdex install acme/slack --require-attestation",
        "sealdex install ./slack.zip --as acme/slack@1.2.0-dev --allow-unsigned",
    )
)
@click.argument("plugins", nargs=-1, required=True, metavar="NS/NAME[@RANGE]|ARCHIVE...")
@click.option("--allow-unsigned", is_flag=True, help="Install archives that nobody signed, if config.toml lets you.")
@click.option("--as", "identity", metavar="NS/NAME@VERSION", help="What an archive is, if no manifest in it says so.")
@click.option("--pin/--unpin", "pin", default=None, help="Keep what is asked for at this version; or take pins away.")
@click.option("--offline", is_flag=True, help="Make no request: what is cached or preinstalled must do.")
@click.option("--no-fallback", is_flag=True, help="Fail if the registry can't be reached, whatever is installed.")
@click.option("--cascade", is_flag=True, help="Bring installed plugins along that need another version of it.")
@click.option("--force", is_flag=True, help="Install it whatever other installed plugins need.")
@click.option(
    "--require-attestation", is_flag=True, help="Refuse what nobody in [attestations] vouches for, dependencies too."
)
@_policy_options
@download_options
@client_command
def install(
    context: Context,
    plugins: tuple[str, ...],
    allow_unsigned: bool,
    identity: str | None,
    pin: bool | None,
    offline: bool,
    no_fallback: bool,
    cascade: bool,
    force: bool,
    require_attestation: bool,
    channel: str,
    pre: bool,
    yanked: bool,
    ignore_rollout: bool,
) -> None:
    """Install plugins and what they depend on: the newest releases that fit this host.

    Everything is downloaded and verified before the first file is put in place, and everything is in place before the
    first plugin is switched: all of it happens, or nothing. A container image is not pulled: it is named with the
    digest that the registry signs, for your container runtime. Where the registry can't be reached, installed versions
    that satisfy what is asked for serve, and it is said so.

    What other installed plugins need goes on being met: a version that would break one is refused. --cascade updates
    those plugins as well, --force insists.

    An ARCHIVE is a file of this host (./slack.zip). Nobody signed it, so it is refused unless config.toml says
    require_signed = false under [install] and --allow-unsigned is given.
    """
    from sealdex.install.local_archive import is_archive_path  # noqa: PLC0415  # a command imports when it runs

    out = context.out
    archives = [plugin for plugin in plugins if is_archive_path(plugin)]
    if archives and require_attestation:
        raise UsageError("--require-attestation is for releases of a registry: nobody vouches for an archive")
    if archives:
        _install_archives(context, plugins, archives, allow_unsigned=allow_unsigned, identity=identity, pin=pin)
        return
    if identity is not None:
        raise UsageError("--as is for archives", hint="sealdex install ./slack.zip --as acme/slack@1.2.0-dev")
    with context.client("resolving", offline=offline, require_attestations=require_attestation) as client:
        done = client.install(
            *plugins,
            policy=_policy(channel, pre, yanked, ignore_rollout),
            pin=pin,
            fallback=not no_fallback,
            on_resolved=lambda resolution: _say(out, resolution),
            cascade=cascade,
            force=force,
        )
        if all(each.unreachable is None for each in done):
            say_what_is_outdated(client, out)
    for why, missing in dict.fromkeys((e.unreachable, e.undelivered) for e in done if e.unreachable is not None):
        what = f"{', '.join(missing)} could not be fetched" if missing else "no registry could be asked"
        out.warn(f"{what}, so what is installed or preinstalled serves: {why}")
    out.result({"installed": [_installed_plain(each) for each in done]})
    for each in done:
        out.line(_in_words(each), style="green" if each.action in {"unpack", "repair"} else None)


def _install_archives(
    context: Context,
    plugins: tuple[str, ...],
    archives: list[str],
    *,
    allow_unsigned: bool,
    identity: str | None,
    pin: bool | None,
) -> None:
    out = context.out
    if len(plugins) > 1:
        raise UsageError(
            "an archive is installed by itself",
            subject=archives[0],
            untouched="nothing was installed",
            hint="for each archive: sealdex install ARCHIVE; and a call more for what comes from registries",
        )
    with context.client("installing") as client:
        each = client.install_archive(archives[0], identity=identity, allow_unsigned=allow_unsigned, pin=pin)
    out.result({"installed": [_installed_plain(each)]})
    out.line(_in_words(each), style="yellow")
    needs = [f"{name} {wanted}" for name, wanted in each.choice.release.dependencies.items()]
    if needs:
        out.warn(f"{each.choice} says that it needs {', '.join(needs)}; sealdex install NAMESPACE/NAME brings them")


def _say(out: Output, resolution: Resolution) -> None:
    """Warn of what people should know of the releases that were chosen, before anything is downloaded."""
    for choice in resolution:
        mark = choice.document.deprecated
        if mark is not None:
            why = f": {mark.why}" if mark.why else ""
            use = f"; use {mark.use} instead" if mark.use else ""
            out.warn(f"{choice.plugin} is deprecated{why}{use}")
        if choice.release.yanked is not None:
            why = f": {choice.release.yanked.why}" if choice.release.yanked.why else ""
            out.warn(f"{choice} was yanked by {choice.release.yanked.by}{why}")
        if choice.requested and choice.newer:
            newest = choice.newer[0]
            reasons = "; ".join(reason.words for reason in newest.reasons) or "what it depends on doesn't fit"
            out.note(f"{choice.plugin} {newest.version} is newer and was passed over: {reasons}")


def _in_words(each: Installed) -> str:
    choice = each.choice
    if each.action == "image":
        return f"{choice} is a container image, pinned by digest: docker pull {each.image} · {each.trust}"
    if each.action == "nothing":
        return f"{choice} has no files of its own, only {len(choice.dependencies)} dependencies · {each.trust}"
    if each.action == "fallback":
        return f"{choice} is installed and serves · {each.trust}"
    if each.action == "keep":
        return f"{choice} is installed already · {each.trust}"
    was = f" (was {each.previous})" if each.previous else ""
    return f"{_VERBS[each.action]} {choice}{was} · {each.trust}"


def _choice_plain(choice: Choice) -> dict[str, Any]:
    mark = choice.document.deprecated
    return {
        "plugin": str(choice.plugin),
        "version": choice.release.version,
        "requested": choice.requested,
        "sha256": choice.artifact.sha256 if choice.artifact is not None else None,
        "yanked": choice.release.yanked is not None,
        "deprecated": mark is not None,
    }


def _installed_plain(each: Installed) -> dict[str, Any]:
    return {
        **_choice_plain(each.choice),
        "action": each.action,
        "path": each.installation.path if each.installation is not None else None,
        "previous": each.previous,
        "image": each.image,
        **({"unreachable": each.unreachable} if each.unreachable is not None else {}),
        **({"undelivered": list(each.undelivered)} if each.undelivered else {}),
        "bytes_fetched": each.bytes_fetched,
        "bytes_reused": each.bytes_reused,
        "registry": each.trust.registry,
        "signed_by": each.trust.signed_by,
        "root_version": each.trust.root_version,
    }


@click.command(
    epilog=examples(
        "sealdex uninstall acme/slack", "sealdex uninstall acme/slack@1.2.0", "sealdex uninstall acme/base --cascade"
    )
)
@installed_plugin("plugins", nargs=-1, required=True, metavar="NS/NAME[@VERSION]...")
@click.option("--cascade", is_flag=True, help="Whatever depends on them as well.")
@click.option("--force", is_flag=True, help="Whatever depends on them.")
@client_command
def uninstall(context: Context, plugins: tuple[str, ...], cascade: bool, force: bool) -> None:
    """Remove installed plugins, all versions or the one named: all of them, or nothing.

    What another installed plugin needs stays, unless --cascade takes that one along or --force insists.
    """
    out = context.out
    removed: list[dict[str, Any]] = []
    asked = [(name, version or None) for name, _, version in (plugin.partition("@") for plugin in plugins)]
    with context.client("uninstalling") as client:
        gone = client.uninstall(*asked[0], *asked[1:], cascade=cascade, force=force)
        for number, each in enumerate(gone):
            name = f"{each.namespace}/{each.name}"
            removed.append({"plugin": name, "version": each.version, "path": each.path})
            out.line(f"uninstalled {name} {each.version}")
            is_last = each.id not in {other.id for other in gone[number + 1 :]}
            if is_last and (left := client.current(name)) is not None:
                out.line(f"  {left.version} is in use now")
    out.result({"uninstalled": removed})


@click.command(
    epilog=examples(
        "sealdex fetch acme/slack",
        "sealdex fetch acme/slack@1.2.0 --to downloads --dependencies",
        "sealdex fetch acme/slack --cache-only",
    )
)
@click.argument("plugins", nargs=-1, required=True, metavar="NS/NAME[@RANGE]...")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where to put the files; the current folder when left out.",
)
@click.option("--cache-only", is_flag=True, help="Only into the cache, so that a later install needs no download.")
@click.option("--dependencies", is_flag=True, help="What the plugins depend on as well.")
@_policy_options
@download_options
@client_command
def fetch(
    context: Context,
    plugins: tuple[str, ...],
    to: Path,
    cache_only: bool,
    dependencies: bool,
    channel: str,
    pre: bool,
    yanked: bool,
    ignore_rollout: bool,
) -> None:
    """Download the artifacts for this host, verified, without installing them."""
    out = context.out
    with context.client("resolving") as client:
        fetched = client.fetch(
            *plugins,
            to=None if cache_only else to,
            policy=_policy(channel, pre, yanked, ignore_rollout),
            dependencies=dependencies,
        )
    out.result({"fetched": [{**_choice_plain(f.choice), "path": f.path, "image": f.image} for f in fetched]})
    for each in fetched:
        out.line(_fetched_in_words(each))
        if out.mode == "quiet" and each.path is not None:
            out.answer_path(str(each.path))
    if not fetched:
        out.note("these releases have no files of their own; --dependencies fetches what they depend on")


def _fetched_in_words(each: Fetched) -> str:
    if each.path is None:
        return f"{each.choice} is a container image, pinned by digest: docker pull {each.image} · {each.trust}"
    return f"fetched {each.choice} · {in_bytes(each.path.stat().st_size)} · {each.path} · {each.trust}"
