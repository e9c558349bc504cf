"""Commands that bring plugins to the host or take them away: install, uninstall, fetch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sealdex.cli.completion import installed_plugin
from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.group import examples
from sealdex.cli.policy_options import policy_of, policy_options
from sealdex.cli.progress import in_bytes
from sealdex.errors import UsageError

if TYPE_CHECKING:
    from sealdex.results import Fetched

F = TypeVar("F", bound=Callable[..., Any])


@click.command(
    epilog=examples(
        "sealdex install acme/slack",
        "sealdex install 'acme/slack@^1.2' acme/mail@2.0.0",
        "sealdex install acme/slack --channel beta --json",
        "sealdex install acme/slack@1.2.0 --pin",
        "sealdex install acme/slack --dry-run",
        "sealdex install acme/slack --require-attestation",
        "sealdex install ./slack.zip --as acme/slack@1.2.0-dev --allow-unsigned",
    )
)
@click.argument("plugins", nargs=-1, required=True, metavar="NS/NAME[@RANGE]|ARCHIVE...")
@click.option("--allow-unsigned", is_flag=True, help="Install an unsigned archive, if config.toml allows it.")
@click.option(
    "--as", "identity", metavar="NS/NAME@VERSION", help="The plugin and version of an archive without a manifest."
)
@click.option("--pin/--unpin", "pin", default=None, help="Pin the requested plugins to these versions, or unpin them.")
@click.option("--offline", is_flag=True, help="Make no requests; use only what is cached or preinstalled.")
@click.option(
    "--no-fallback", is_flag=True, help="Fail if the registry can't be reached, even if an installed version would do."
)
@click.option("--cascade", is_flag=True, help="Also update installed plugins that need another version of it.")
@click.option("--force", is_flag=True, help="Install it even if that breaks other installed plugins.")
@click.option("--dry-run", is_flag=True, help="Show what would be installed and downloaded; change nothing.")
@click.option(
    "--require-attestation",
    is_flag=True,
    help="Require an attestation by an identity in [attestations], for dependencies too.",
)
@policy_options
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
    dry_run: bool,
    require_attestation: bool,
    channel: str,
    pre: bool,
    yanked: bool,
    ignore_rollout: bool,
) -> None:
    """Install plugins and their dependencies: the newest releases that fit this host.

    Everything is downloaded and verified before the first file is put in place, and everything is in place before the
    first plugin is switched: either all of it happens or nothing. A container image is not pulled: its name and signed
    digest are printed for your container runtime. If the registry is unreachable, installed versions that satisfy the
    request are used and a note says so.

    A version that would break another installed plugin is refused. --cascade updates those plugins too; --force
    installs anyway.

    An ARCHIVE is a file on this host (./slack.zip). If a configured registry has signed its digest, it is installed as
    that release. Otherwise it is refused unless config.toml says require_signed = false under [install] and
    --allow-unsigned is given; what it is stands in its manifest.json or service.json, or in --as.
    """
    from sealdex.cli.run_install import run_install  # noqa: PLC0415  # `--help` needn't wait for all that installs

    run_install(
        context,
        plugins,
        allow_unsigned=allow_unsigned,
        identity=identity,
        pin=pin,
        offline=offline,
        no_fallback=no_fallback,
        cascade=cascade,
        force=force,
        dry_run=dry_run,
        require_attestation=require_attestation,
        channel=channel,
        pre=pre,
        yanked=yanked,
        ignore_rollout=ignore_rollout,
    )


@click.command(
    epilog=examples(
        "sealdex uninstall acme/slack", "sealdex uninstall acme/slack@1.2.0", "sealdex uninstall acme/base --cascade"
    )
)
@installed_plugin("plugins", nargs=-1, required=True, metavar="NS/NAME[@VERSION]...")
@click.option("--cascade", is_flag=True, help="Also remove the plugins that depend on them.")
@click.option("--force", is_flag=True, help="Remove them even if other plugins depend on them.")
@client_command
def uninstall(context: Context, plugins: tuple[str, ...], cascade: bool, force: bool) -> None:
    """Remove installed plugins: all versions, or the one named. Either all are removed or none.

    A plugin that another installed plugin needs is kept, unless --cascade removes that one too or --force is given.
    """
    out = context.out
    removed: list[dict[str, Any]] = []
    asked = [(name, version or None) for name, _, version in (plugin.partition("@") for plugin in plugins)]
    with context.client("uninstalling") as client:
        gone = client.uninstall(*asked[0], *asked[1:], cascade=cascade, force=force)
        for number, each in enumerate(gone):
            name = f"{each.namespace}/{each.name}"
            removed.append({"plugin": name, "version": each.version, "path": os.fspath(each)})
            out.line(f"uninstalled {name} {each.version}")
            is_last = each.id not in {other.id for other in gone[number + 1 :]}
            if is_last and (left := client.current(name)) is not None:
                out.line(f"  {left.version} is now in use")
    out.result({"uninstalled": removed})


@click.command(
    epilog=examples(
        "sealdex fetch acme/slack",
        "sealdex fetch acme/slack@1.2.0 --to downloads --dependencies",
        "sealdex fetch acme/slack --cache-only",
        "sealdex fetch acme/slack@1.2.0 --attachment SBOM --attachment report",
    )
)
@click.argument("plugins", nargs=-1, required=True, metavar="NS/NAME[@RANGE]...")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where to put the files; default: the current folder.",
)
@click.option(
    "--cache-only", is_flag=True, help="Download into the cache only, so that a later install needs no download."
)
@click.option("--dependencies", is_flag=True, help="Also fetch the plugins' dependencies.")
@click.option(
    "--attachment",
    "attachments",
    multiple=True,
    metavar="SBOM|report|NAME",
    help="Fetch what is attached to the releases instead, by name or kind; may be repeated.",
)
@policy_options
@download_options
@client_command
def fetch(
    context: Context,
    plugins: tuple[str, ...],
    to: Path,
    cache_only: bool,
    dependencies: bool,
    attachments: tuple[str, ...],
    channel: str,
    pre: bool,
    yanked: bool,
    ignore_rollout: bool,
) -> None:
    """Download and verify the artifacts for this host without installing them.

    With --attachment, the files that are attached to the releases: SBOMs, reports of evaluations, attestations. A kind
    fetches all of that kind. An exact version needn't fit this host.
    """
    out = context.out
    if attachments:
        from sealdex.cli.attachments import fetch_attachments  # noqa: PLC0415  # few ask for it

        if dependencies:
            raise UsageError("--attachment and --dependencies exclude each other: name the plugins that are meant")
        policy = policy_of(channel, pre, yanked, ignore_rollout)
        with context.client("resolving") as client:
            fetch_attachments(out, client, plugins, attachments, None if cache_only else to, policy)
        return
    with context.client("resolving") as client:
        fetched = client.fetch(
            *plugins,
            to=None if cache_only else to,
            policy=policy_of(channel, pre, yanked, ignore_rollout),
            dependencies=dependencies,
        )
    out.result({"fetched": [_fetched_plain(each) for each in fetched]})
    for each in fetched:
        out.line(_format_fetched(each))
        if out.mode == "quiet" and each.path is not None:
            out.answer_path(str(each.path))
    if not fetched:
        out.note("these releases have no files of their own; use --dependencies to fetch their dependencies")


def _fetched_plain(each: Fetched) -> dict[str, Any]:
    from sealdex.cli.run_install import choice_plain  # noqa: PLC0415  # `--help` needn't wait for it

    artifact = each.choice.artifact
    return {
        **choice_plain(each.choice),
        "path": each.path,
        "image": each.image,
        "address": each.address,
        "size": artifact.size if artifact is not None else None,
        "registry": each.trust.registry,
        "signed_by": each.trust.signed_by,
        "root_version": each.trust.root_version,
    }


def _format_fetched(each: Fetched) -> str:
    if each.path is None:
        return f"{each.choice} is a container image, pinned by digest: docker pull {each.image} · {each.trust}"
    return f"fetched {each.choice} · {in_bytes(each.path.stat().st_size)} · {each.path} · {each.trust}"
