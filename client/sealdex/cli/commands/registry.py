"""``sealdex registry``: add, list and remove."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import sealdex.config
from sealdex import trust
from sealdex.cli.commands.registry_auth import auth_of, auth_options
from sealdex.cli.context import Context, client_command
from sealdex.cli.group import LazyGroup, examples
from sealdex.config import MAX_ROOT_BYTES, ConfigDocument, auth_problem, credentials_for, url_problem
from sealdex.config.document import max_staleness_of, mirror_problems
from sealdex.errors import SealdexError, UnavailableError, UsageError
from sealdex.model.decode import DocumentError, read_values
from sealdex.transport import GENERAL_HINTS, Addresses, Transport

if TYPE_CHECKING:
    from sealdex.config.config import RegistrySection
    from sealdex.transport import Transport
    from sealdex.trust import TrustedRegistry, TrustState

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
    if (root is None) == (fingerprint is None):
        raise UsageError(
            "no trusted root: give either --root FILE or --fingerprint SHA256",
            subject=name,
            untouched="no registry was added",
            hint="get the file or its fingerprint from the registry's owners over a channel that you trust",
        )
    address, *mirrors = (_address(name, url) for url in urls)
    section = _section(name, address, mirrors, namespaces, auth_of(auth), max_staleness, partial=partial)
    written = config.path.read_text(encoding="utf-8") if config.path.exists() else ""
    sealdex.config.with_registry(written, name, section)  # or raise
    with (
        context.observer(f"contacting {address}") as observer,
        Transport(
            config.transport_settings,
            credentials=credentials_for(
                {name: section, **config.registries}, config.path.parent, config.document.auth, observer.waiting
            ),
            on_retry=observer.retrying,
        ) as transport,
    ):
        addresses = Addresses(section.addresses, lambda url, error: observer.left(name, url, error))
        data = _root_bytes(transport, addresses, root, fingerprint)
        version = trust.check_root(data)
        state = (
            None
            if no_check
            else _checked(
                trust.TrustedRegistry(
                    name,
                    addresses,
                    data,
                    config.trust_folder(name),
                    transport,
                    on_wait=observer.waiting,
                    max_staleness=max_staleness_of(section),
                )
            )
        )
    sealdex.config.add_registry(
        config, name, address, namespaces, data, section.auth, section.max_staleness, section.mirrors, partial=partial
    )
    digest = hashlib.sha256(data).hexdigest()
    out.result({
        "registry": name,
        "url": address,
        "mirrors": mirrors,
        "partial": partial,
        "namespaces": list(section.namespaces),
        "max_staleness": section.max_staleness,
        "root_version": version,
        "fingerprint": digest,
        "expires": _root_expiry(data),
        "checked": state is not None,
        "config": config.path,
    })  # fmt: skip
    if state is not None and state.age_note is not None:
        out.warn(state.age_note)
    checked = f"verified up to root v{state.root_version}" if state is not None else "not verified yet"
    out.line(f"added registry {name} · {address} · {checked}", style="green")
    for mirror in mirrors:
        out.line(f"  and at {mirror}")
    out.line(f"  root v{version}, expires {_root_expiry(data)}, fingerprint {digest}")
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
    section = sealdex.config.remove_registry(config, name)
    shutil.rmtree(config.trust_folder(name), ignore_errors=True)
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


def _address(name: str, url: str) -> str:
    if "://" not in url and Path(url).is_dir():
        url = Path(url).resolve().as_uri() + "/"
    if problem := url_problem(url):
        raise UsageError(
            f"'{url}' {problem}",
            subject=name,
            untouched="no registry was added",
            hint="use an address such as https://plugins.example.org/ or an existing folder",
        )
    return url


def _section(
    name: str,
    url: str,
    mirrors: list[str],
    namespaces: tuple[str, ...],
    auth: dict[str, Any] | None,
    max_staleness: str | None,
    *,
    partial: bool,
) -> RegistrySection:
    section: dict[str, Any] = {"url": url, "root": f"roots/{name}.root.json"}
    if mirrors:
        section["mirrors"] = mirrors
    if partial:
        section["partial"] = True
    if namespaces:
        section["namespaces"] = list(namespaces)
    if auth is not None:
        section["auth"] = auth
    if max_staleness is not None:
        section["max_staleness"] = max_staleness
    try:
        document = read_values({"registries": {name: section}}, ConfigDocument)
    except DocumentError as error:
        raise UsageError(
            "; ".join(f"{_option_of(problem.path)} {problem.message}" for problem in error.problems),
            subject=name,
            untouched="no registry was added",
            hint="sealdex registry add --help",
        ) from error
    made = document.registries[name]
    if made.auth is not None and (problem := auth_problem(made.auth, made.url)):
        raise UsageError(
            f"auth {problem}",
            subject=name,
            untouched="no registry was added",
            hint="sealdex registry add --help",
        )
    if problems := list(mirror_problems(name, made)):
        raise UsageError(
            "; ".join(f"an ADDRESS {problem.message}" for problem in problems),
            subject=name,
            untouched="no registry was added",
            hint="sealdex registry add --help",
        )
    return made


def _option_of(path: str) -> str:
    if path.endswith(".max_staleness"):
        return "--max-staleness"
    return "a --namespace" if ".namespaces" in path else "NAME"


def _root_bytes(transport: Transport, addresses: Addresses, root: Path | None, fingerprint: str | None) -> bytes:
    if root is None:
        return addresses.fetch(lambda url: trust.fetch_root_by_fingerprint(url, fingerprint or "", transport))
    with root.open("rb") as file:
        return file.read(MAX_ROOT_BYTES)


def _checked(registry: TrustedRegistry) -> TrustState:
    """Fetch and verify the registry's metadata before anything is written to the configuration."""
    was_there = registry.folder.exists()
    try:
        return registry.refresh()
    except SealdexError as error:
        if not was_there:
            shutil.rmtree(registry.folder, ignore_errors=True)
        hint = None
        if isinstance(error, UnavailableError):
            known = error.hint if error.hint is not None and error.hint not in GENERAL_HINTS else "check the address"
            hint = f"{known}; to add it without asking: --no-check"
        raise error.restated(untouched="no registry was added", hint=hint) from error


def _root_expiry(data: bytes) -> str:
    from tuf.api.metadata import Metadata, Root  # noqa: PLC0415  # tuf is slow to import

    return f"{Metadata[Root].from_bytes(data).signed.expires:%Y-%m-%d}"
