"""Commands about what is installed on this host: list, path, verify, env."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sealdex.cli.completion import installed_plugin
from sealdex.cli.context import Context, client_command
from sealdex.cli.fast_list import not_installed_named, show_list, show_path
from sealdex.cli.group import examples
from sealdex.cli.list_filter import STATES, ListFilter
from sealdex.errors import SealdexError, VerificationError
from sealdex.model.ids import PluginId, normalise_type
from sealdex.store.installations import current_version_named
from sealdex.store.layout import Store
from sealdex.store.plugin_status import ENABLED, statuses
from sealdex.store.yanked import yanked_releases
from sealdex.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    from sealdex.client import Client
    from sealdex.install.attestations import Attested
    from sealdex.store.installations import Installation


@click.command(
    "list",
    epilog=examples(
        "sealdex list",
        "sealdex list acme/slack 'team-*/*'",
        "sealdex list --status error --status pinned",
        "sealdex list --type service --namespace acme --json",
        "sealdex list --outdated",
    ),
)
@installed_plugin("names", nargs=-1, metavar="[NAME[@VERSION]]...")
@click.option("--outdated", is_flag=True, help="Ask the registries and list plugins in use that have a newer release.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only plugins of this type; may be repeated.")
@click.option(
    "--status", "states", multiple=True, type=click.Choice(STATES), help="Only with this status; may be repeated."
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    metavar="NAMESPACE",
    help="Only plugins of this namespace, or of a pattern such as 'team-*'; may be repeated.",
)
@client_command
def list_(
    context: Context,
    names: tuple[str, ...],
    outdated: bool,
    types: tuple[str, ...],
    states: tuple[str, ...],
    namespaces: tuple[str, ...],
) -> None:
    """List installed plugins, their status and who signed them, or with --outdated those that have a newer release.

    A NAME is NAMESPACE/NAME, NAME alone, or a pattern such as 'acme/*'. The type of a plugin is known from its
    registry's metadata as it was last verified; no request is made for it.
    """
    if outdated:
        _show_outdated(context, names, types, states, namespaces)
    elif names or types or states or namespaces:
        chosen = ListFilter(names, namespaces, states, _of_types(context, types) if types else None)
        show_list(context.out, context.store, chosen)
    else:
        show_list(context.out, context.store)


def _of_types(context: Context, types: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """Return the installed plugins of some types, as far as their types are known without a request."""
    wanted = {normalise_type(each) for each in types}
    found, unknown = {}, []
    with context.client("looking", offline=True) as client:
        for plugin in dict.fromkeys(PluginId(*i.id) for i in client.list()):
            known = client.queries.known(plugin)
            if known is None:
                unknown.append(str(plugin))
            elif normalise_type(known.document.type) in wanted:
                found[(plugin.namespace, plugin.name)] = known.document.type
    if unknown:
        context.out.warn(f"the type of {', '.join(unknown)} is not known without a request; sealdex info {unknown[0]}")
    return found


def _show_outdated(
    context: Context,
    names: tuple[str, ...],
    types: tuple[str, ...],
    states: tuple[str, ...],
    namespaces: tuple[str, ...],
) -> None:
    from sealdex.update import outdated, yanked_in_use  # noqa: PLC0415  # all that installs: only `--outdated` asks

    out = context.out
    chosen = ListFilter(names, namespaces, states, _of_types(context, types) if types else None)
    with context.client("asking") as client:
        store = Store(client.config.store)
        known, marks_of = statuses(store), yanked_releases(store)
        shown = {
            i.id
            for i in client.list()
            if chosen.admits(
                i,
                known.get(i.id, ENABLED),
                is_current=current_version_named(store, i.id) == i.version,
                is_yanked=(*i.id, i.version) in marks_of,
            )
        }
        if missing := chosen.unseen():
            raise not_installed_named(store, missing[0])
        found = [each for each in outdated(client) if each.plugin in shown]
        yanked = [each for each in yanked_in_use(store) if each[0] in shown]
    out.result({
        "outdated": [
            {"plugin": str(o.plugin), "version": o.version, "newest": o.newest, "pinned": o.pinned, "yanked": o.yanked}
            for o in found
        ],
        "yanked": [{"plugin": str(plugin), "version": version, "why": why} for plugin, version, why in yanked],
    })  # fmt: skip
    marks = [", ".join(word for word, holds in (("pinned", o.pinned), ("yanked", o.yanked)) if holds) for o in found]
    out.table(
        ["PLUGIN", "IN USE", "NEWEST", ""],
        [[str(o.plugin), o.version, o.newest, mark] for o, mark in zip(found, marks, strict=True)],
        worded=("",),
    )
    for plugin, version, why in yanked:
        out.warn(f"{plugin} {version}, which is in use, was {why}")
    out.note("run sealdex update to bring them up to date" if found else "everything is up to date")


@click.command(epilog=examples("sealdex path acme/slack", 'cd "$(sealdex path acme/slack@1.2.0)"'))
@installed_plugin("plugin", metavar="NS/NAME[@VERSION]")
@client_command
def path(context: Context, plugin: str) -> None:
    """Print the folder of an installed plugin: the version in use, or the one named."""
    show_path(context.out, context.store, plugin)


@click.command(
    epilog=examples("sealdex verify", "sealdex verify acme/slack", "sealdex verify acme/slack@1.2.0 --attestations")
)
@installed_plugin("plugins", nargs=-1, metavar="[NS/NAME[@VERSION]]...")
@click.option(
    "--attestations", is_flag=True, help="Also verify that an identity in [attestations] has attested each plugin."
)
@client_command
def verify(context: Context, plugins: tuple[str, ...], attestations: bool) -> None:
    """Hash installed files and compare them with the digests recorded at installation.

    Everything is checked, or only the plugins named. Changed, missing and unreadable files fail with exit code 4.
    Additional files are listed but don't fail: the plugin may have written them.

    With --attestations the registries are asked for the Sigstore bundles of what is installed. One bundle must be
    signed by an identity that [attestations] in config.toml accepts, for exactly this artifact (needs
    sealdex[sigstore]).
    """
    out = context.out
    with context.client("verifying") as client:
        named = [plugin.partition("@") for plugin in plugins] or [("", "", "")]
        checked = [c for name, _, version in named for c in client.verify(name or None, version or None)]
        vouching = [
            _vouching(client, check.installation) if attestations and check.installation is not None else None
            for check in checked
        ]
    damaged = [check for check in checked if not check.is_whole]
    rows = []
    for check, vouched in zip(checked, vouching, strict=True):
        installation = check.installation
        rows.append({
            "plugin": str(check.plugin),
            "version": check.version,
            "path": os.fspath(check.path),
            "whole": check.is_whole,
            "findings": [{"path": f.path.as_posix(), "kind": f.kind, "detail": f.detail} for f in check.findings],
            **({} if vouched is None else {"attestation": vouched.as_plain()}),
        })  # fmt: skip
        state = "DAMAGED"
        if check.is_whole and installation is not None:
            state = f"{counted(installation.file_count, 'file')} as installed"
        out.line(f"{check.plugin} {check.version}: {state}", style=None if check.is_whole else "red")
        for finding in check.findings:
            out.line(f"  {finding}")
        if vouched is not None:
            out.line(f"  {vouched}", style="red" if vouched.error is not None else None)
    refused = next((v.error for v in vouching if v is not None and v.error is not None), None)
    if refused is not None and not damaged:
        raise refused.restated(details={"verified": rows}) from refused
    if not damaged:
        out.result({"verified": rows})
        out.note(f"verified {counted(len(checked), 'installation')}")
        return
    names = [f"{d.plugin}@{d.version}" for d in damaged]
    raise VerificationError(
        f"{len(damaged)} of {len(checked)} installations were changed or failed verification: {', '.join(names)}",
        subject=", ".join(names),
        untouched="nothing was changed",
        hint=f"find out what changed them; to repair them: sealdex install {' '.join(names)}",
        details={"verified": rows},
    )


class _Vouching(NamedTuple):
    """The identity that attested an installation, or why none did."""

    found: Attested | None
    error: SealdexError | None

    def as_plain(self) -> dict[str, Any]:
        """Return it as json mode shows it."""
        return {"error": self.error.message if self.error else None, **(self.found._asdict() if self.found else {})}

    def __str__(self) -> str:
        if self.found is None:
            return f"NOT ATTESTED: {self.error}"
        return f"attested by {self.found.identity} ({self.found.issuer})"


def _vouching(client: Client, installation: Installation) -> _Vouching:
    from sealdex.install.attestations import attested  # noqa: PLC0415  # all that verifies bundles: only `--attestations` asks

    plugin = PluginId(*installation.id)
    try:
        return _Vouching(attested(client.queries, plugin, installation.version, installation.artifact_sha256), None)
    except SealdexError as error:
        return _Vouching(None, error)


@click.command(epilog=examples("sealdex env", "sealdex env --json"))
@client_command
def env(context: Context) -> None:
    """Show this host's labels, tags and host version, and where its configuration and store are.

    Selectors of releases are matched against these. `[environment]` in config.toml adds to what is detected.
    """
    config = context.config()
    environment = config.environment
    out = context.out
    out.result({
        "labels": environment.labels,
        "tags": environment.tags,
        "host_version": environment.host_version,
        "host_id": _host_id(config.store),
        "config": config.path,
        "store": config.store,
        "registries": list(config.registries),
    })  # fmt: skip
    rows = [[out.say(f"label {key}"), value] for key, value in sorted(environment.labels.items())]
    rows += [[out.say("tag"), tag] for tag in sorted(environment.tags)]
    rows += [
        [out.say("host version"), environment.host_version or out.say("not set")],
        [out.say("config"), str(config.path)],
        [out.say("store"), str(config.store)],
    ]
    out.table(["", ""], rows)


def _host_id(store: Path) -> str | None:
    from sealdex.store.host_id import known_host_id  # noqa: PLC0415  # only `env` asks

    with suppress(OSError):
        return known_host_id(Store(store))
    return None
