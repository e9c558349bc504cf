"""``sealdex registry``: add, list and remove."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sealdex import trust
from sealdex.cli.commands.registry_auth import auth_of, auth_options
from sealdex.cli.context import Context, client_command
from sealdex.cli.group import LazyGroup, examples
from sealdex.transport import Transport

if TYPE_CHECKING:
    from sealdex.transport import Transport

registry = LazyGroup(name="registry", help="Add, list and remove registries.")


@registry.command(
    epilog=examples(
        "sealdex registry add public https://plugins.example.org/ --root root.json",
        "sealdex registry add team https://team.example.org/ --fingerprint 4f2a... --namespace 'team-*'",
        "sealdex registry add local ./published --root ./published/metadata/1.root.json",
        "sealdex registry add team https://team.example.org/ --root team.json --auth bearer --token-env TEAM_TOKEN",
        "sealdex registry add public http://mirror.lan/public/ https://plugins.example.org/ --root root.json",
        "sealdex registry add site file:///srv/mirror/ --partial --root root.json",
        "sealdex registry add cell https://s3.example.org/cell/ --root cell.json --auth sigv4 --region eu-west-1",
    )
)
@click.argument("name")
@click.argument("urls", nargs=-1, required=True, metavar="ADDRESS...")
@click.option(
    "--root",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The registry's root metadata, obtained from its owners over a channel that you trust.",
)
@click.option(
    "--fingerprint",
    metavar="SHA256",
    help="Instead of --root: fetch the root with this SHA-256, as told by the owners.",
)
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    metavar="PATTERN",
    help="Look up these namespaces in this registry only ('acme', 'team-*'); may be repeated. "
    "Default: all namespaces that no other registry claims.",
)
@click.option(
    "--max-staleness",
    metavar="AGE",
    help="Use expired metadata up to this age, such as 90d: for mirrors across a gap. Default: refuse it.",
)
@click.option(
    "--partial",
    is_flag=True,
    help="It is a mirror of a part: choose among the releases that it has, and name the newer ones that it lacks. "
    "Default: a release that isn't there is an error.",
)
@click.option("--no-check", is_flag=True, help="Don't contact the registry before adding it.")
@auth_options
@client_command
def add(
    context: Context,
    name: str,
    urls: tuple[str, ...],
    root: Path | None,
    fingerprint: str | None,
    namespaces: tuple[str, ...],
    max_staleness: str | None,
    partial: bool,
    no_check: bool,
    **auth: Any,
) -> None:
    """Add a registry by its address and its trusted root.

    Several addresses of one registry are asked in the given order. What the registry has is read from the first whose
    metadata is valid and hasn't expired; files come from any of them.

    The root is stored beside the configuration and is the trust anchor on every run. Before anything is written, the
    registry's metadata is fetched and verified with that root.

    Don't give a private registry's credentials here: the options only say where they are kept, and the configuration
    records that.
    """  # fmt: skip
    out, config = context.out, context.config()
    with context.observer(f"contacting {urls[0]}") as observer:
        from sealdex.registration import add_registry  # noqa: PLC0415  # tuf, which completing needn't wait for

        added = add_registry(
            config,
            name,
            urls,
            root=root,
            fingerprint=fingerprint,
            namespaces=namespaces,
            auth=auth_of(auth),
            max_staleness=max_staleness,
            partial=partial,
            check=not no_check,
            observer=observer,
        )
    section, state, version, digest = added.section, added.state, added.root_version, added.fingerprint
    address, mirrors, expires = section.url, list(section.mirrors), _root_expiry(added.root)
    out.result({
        "registry": name,
        "url": address,
        "mirrors": mirrors,
        "partial": partial,
        "namespaces": list(section.namespaces),
        "max_staleness": section.max_staleness,
        "root_version": version,
        "fingerprint": digest,
        "expires": expires,
        "checked": state is not None,
        "config": config.path,
    })  # fmt: skip
    if state is not None and state.age_note is not None:
        out.warn(state.age_note)
    checked = f"verified up to root v{state.root_version}" if state is not None else "not verified yet"
    out.line(f"added registry {name} · {address} · {checked}", style="green")
    for mirror in mirrors:
        out.line(f"  and at {mirror}")
    out.line(f"  root v{version}, expires {expires}, fingerprint {digest}")
    out.line(f"  namespaces looked up there: {', '.join(section.namespaces)}")
    out.note(f"written to {config.path}; next: sealdex search WORD")


@registry.command("list", epilog=examples("sealdex registry list", "sealdex registry list --json"))
@client_command
def list_(context: Context) -> None:
    """List the configured registries with their namespaces and pinned roots."""
    out, config = context.out, context.config()
    rows: list[dict[str, Any]] = []
    for name, section in config.registries.items():
        data = config.root_bytes(name)
        rows.append({
            "registry": name,
            "url": section.url,
            "mirrors": list(section.mirrors),
            "partial": section.partial,
            "namespaces": list(section.namespaces),
            "auth": section.auth.type if section.auth is not None else None,
            "max_staleness": section.max_staleness,
            "fingerprint": hashlib.sha256(data).hexdigest(),
            "expires": _root_expiry(data),
        })  # fmt: skip
    out.result({"registries": rows, "config": config.path})
    out.table(
        ["NAME", "NAMESPACES", "ROOT EXPIRES", "FINGERPRINT", "URL"],
        [[r["registry"], ", ".join(r["namespaces"]), r["expires"], r["fingerprint"][:16], r["url"]] for r in rows],
    )
    for row in rows:
        for mirror in row["mirrors"]:
            out.line(f"  {row['registry']}: and at {mirror}")
        if row["partial"]:
            out.line(f"  {row['registry']}: a mirror of a part; what it lacks is passed over, and named")
        if row["max_staleness"] is not None:
            out.line(f"  {row['registry']}: expired metadata is used up to an age of {row['max_staleness']}")
    if not rows:
        out.note(f"no registry in {config.path}; add one: sealdex registry add NAME URL --root FILE")


@registry.command(epilog=examples("sealdex registry remove team"))
@click.argument("name")
@client_command
def remove(context: Context, name: str) -> None:
    """Remove a registry, its root and its cached metadata. Plugins installed from it are kept."""
    out, config = context.out, context.config()
    from sealdex.registration import remove_registry  # noqa: PLC0415  # tuf, which completing needn't wait for

    section = remove_registry(config, name)
    out.result({"removed": name, "url": section.url})
    out.line(f"removed registry {name} · {section.url}")
    out.note("plugins installed from it are kept: sealdex list")


@registry.command("reset-clock", epilog=examples("sealdex registry reset-clock public"))
@click.argument("name")
@client_command
def reset_clock(context: Context, name: str) -> None:
    """Stop believing the time that a registry's newest metadata states, after a wrong clock signed it.

    A host takes the newest signed time as the earliest present, whatever its own clock says. If somebody signed with a
    clock in the future, what is signed later looks older and is refused. After this command the host goes on from the
    next metadata. Versions still can't go back, and max_staleness doesn't apply until then.
    """
    out, config = context.out, context.config()
    with Transport(config.transport_settings) as transport:
        said = trust.TrustedRegistry(
            name, config.section(name).url, config.root_bytes(name), config.trust_folder(name), transport
        ).reset_clock()
    version, when = said if said is not None else (None, None)
    stated = f"{when:%Y-%m-%dT%H:%M:%SZ}" if when is not None else None
    out.result({"registry": name, "timestamp_version": version, "signed_at": stated, "reset": said is not None})
    if said is None:
        out.line(f"registry {name} has no signed time on this host: nothing to reset")
    else:
        out.line(f"registry {name}: the time of timestamp {version}, {stated}, isn't believed any more")
        out.note("the next metadata of the registry is taken as ever, if its version is newer")


def _root_expiry(data: bytes) -> str:
    from tuf.api.metadata import Metadata, Root  # noqa: PLC0415  # tuf is slow to import

    return f"{Metadata[Root].from_bytes(data).signed.expires:%Y-%m-%d}"
