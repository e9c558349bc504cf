"""The ``import`` commands: print what was read, what was written, and what couldn't be represented, and why."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from registry_builder import importers
from registry_builder.cli._importing import import_options, run, transport_for
from registry_builder.cli.options import example, tree_of
from registry_builder.source import read_config
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.cli.output import Output
from sealdex.errors import UsageError
from sealdex.model.ids import namespace_problem
from sealdex.text import counted


@click.group(
    name="import",
    cls=LazyGroup,
    epilog=example("sealdex-builder import krew krew-history.jsonl.xz --skip-invalid"),
)
def import_group() -> None:
    """Import the metadata of another registry into the source tree."""


@import_group.command(
    epilog=example("sealdex-builder import krew krew-history.jsonl.xz --skip-invalid"),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--namespace", default="krew", show_default=True, help="Namespace of the imported plugins.")
@click.option("--type", "plugin_type", default="kubectl-plugin", show_default=True, help="Their type.")
@click.option("--skip-invalid", is_flag=True, help="Import everything else if some entries can't be represented.")
@output_options
@click.pass_context
def krew(ctx: click.Context, file: Path, namespace: str, plugin_type: str, skip_invalid: bool) -> int:
    """Import kubectl plugins from FILE, JSON lines of {"published": TIME, "manifest": {...}}, plain or .xz.

    Every version becomes a release whose artifacts stay at their URLs, pinned by SHA-256. Entries that can't be a
    release, and fields that don't exist in one, are listed with their reason. If there are any, nothing is written
    and the exit code is 1, unless --skip-invalid is given. Repeating an import changes nothing. A type that the
    registry doesn't know is added to registry.toml.
    """
    out = output_of(ctx)
    if problem := namespace_problem(namespace):
        raise UsageError(f"namespace '{namespace}' {problem}", untouched="nothing was imported")
    tree = tree_of(ctx)
    history = importers.read_history(file, plugin_type=plugin_type)
    for entry in history.not_imported:
        place = f"{file.name}:{entry.line}: " if entry.line else ""
        out.answer(
            f"{'skipped' if entry.whole else 'field skipped'}: {place}{entry.name} {entry.version}: {entry.reason}"
        )
    for note in history.rewritten:
        out.note(note)
    releases = sum(len(plugin.releases) for plugin in history.plugins.values())
    whole = sum(entry.whole for entry in history.not_imported)
    fields = len(history.not_imported) - whole
    found = (
        f"{counted(history.entries, 'entry', 'entries')}: {counted(releases, 'release')} "
        f"of {counted(len(history.plugins), 'plugin')}; "
        f"{counted(whole, 'entry', 'entries')} and {counted(fields, 'field')} can't be represented"
    )
    document = {
        "entries": history.entries,
        "plugins": len(history.plugins),
        "releases": releases,
        "rewritten": history.rewritten,
        "not_imported": [
            {"file": str(file), "line": e.line or None, "name": e.name, "version": e.version, "reason": e.reason,
             "whole": e.whole}
            for e in history.not_imported
        ],
    }  # fmt: skip
    if history.not_imported and not skip_invalid:
        out.result({**document, "written": None})
        out.line(found)
        out.warn("nothing was written; --skip-invalid imports the rest")
        return 1
    added = importers.register_type(tree, plugin_type)
    written = importers.write_import(tree, history, namespace=namespace)
    _say(out, found, plugin_type if added else None)
    for plugin, version, why in written.conflicts:
        out.warn(f"{plugin} {version} was not changed: {why}")
    out.line(
        f"wrote {counted(written.plugins, 'plugin')} and {counted(written.releases, 'release')} "
        f"to plugins/{namespace}/; unchanged: {written.unchanged}"
    )
    out.result(
        {
            **document,
            "written": {"plugins": written.plugins, "releases": written.releases, "unchanged": written.unchanged},
            "type_added": plugin_type if added else None,
            "conflicts": [{"plugin": str(p), "version": v, "reason": why} for p, v, why in written.conflicts],
        }
    )
    return 1 if written.conflicts else 0


@import_group.command(
    epilog=example(
        "sealdex-builder import arcade slack-notify.zip",
        "sealdex-builder import arcade t_plugin.csv --files https://minio.example/arcade",
    )
)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--files", metavar="DIR|URL", help="The engine's storage (plugins/ID/VERSION/...), for a plugin table.")
@import_options
@click.pass_context
def arcade(ctx: click.Context, /, sources: tuple[Path, ...], files: str | None, **given: Any) -> int:
    """Import from the Arcade plugin engine: SOURCES are packages (zip or folder) and exported plugin tables.

    A package has manifest.json. A table is the engine's t_plugin as JSON or CSV; its files are at --files, in the
    engine's layout, and their checksums are checked. A folder with plugins/ is such a storage itself. Libraries (.so)
    get the runtime 'native', and a selector from their own header. The rest is as for `import list`.
    """
    is_address = files is not None and files.startswith(("http://", "https://"))
    where = importers.ArcadeFiles(
        folder=Path(files) if files is not None and not is_address else None, address=files if is_address else None
    )
    found = importers.read_arcade(sources, where, plugin_type=given["plugin_type"])
    with transport_for(given, *([files] if files is not None and is_address else [])) as transport:
        return run(ctx, "arcade", found, transport, default_namespace="arcade", given=given)


@import_group.command(
    name="model-hub",
    epilog=example(
        "sealdex-builder import model-hub /srv/model-hub --namespace speech",
        "sealdex-builder import model-hub /srv/model-hub --as-services services.toml",
    ),
)
@click.argument("source", metavar="DIR|URL")
@click.option(
    "--as-services",
    "service_map",
    metavar="MAP.toml",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Make one service package of a service's code and the models that it names; see docs/migrating.md.",
)
@import_options
@click.pass_context
def model_hub(ctx: click.Context, /, source: str, service_map: Path | None, **given: Any) -> int:
    """Import from a Model Hub: its folder with storage/, or its address.

    Service packages become plugins of type service, models plugins of type model, packed into one zip a version. The
    hub's 'stable' and 'latest' become channels. Checksums are checked: of packages, and of the files in them. Packages
    stay at the hub's address, or are copied with --ingest; what comes from a folder is copied.
    """
    is_address = source.startswith(("http://", "https://"))
    with transport_for(given, *([source] if is_address else [])) as transport, TemporaryDirectory() as scratch:
        if is_address:
            tree = tree_of(ctx)
            found = importers.read_hub_address(
                source,
                transport,
                Path(scratch),
                max_bytes=read_config(tree).registry.max_artifact_size,
                known=importers.known_digests(tree, "model-hub", given["names"]),
            )
        else:
            found = importers.read_hub_folder(Path(source))
        if service_map is not None:
            found = importers.as_services(found, service_map)
        return run(ctx, "model-hub", found, transport, default_namespace="model-hub", given=given)


@import_group.command(
    epilog=example(
        "sealdex-builder import marketplace plugins.json --downloads 'https://nexus.example/{name}/{version}.zip'"
    )
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--downloads", "template", metavar="TEMPLATE", help="Where to find files that no message names.")
@import_options
@click.pass_context
def marketplace(ctx: click.Context, /, file: Path, template: str | None, **given: Any) -> int:
    """Import from the marketplace: FILE has PluginDetails and RegisterPluginRequest as JSON.

    Each version needs a download address: in the file ('downloads': plugin to version to download_url), or by a
    template with {namespace}, {name} and {version}. Container images are taken by digest (REPOSITORY@sha256:DIGEST).
    Files in Harbor, and at addresses that are signed for a time, are copied.
    """
    found = importers.read_marketplace(file, template=template, plugin_type=given["plugin_type"])
    with transport_for(given, *([template] if template is not None else [])) as transport:
        return run(ctx, "marketplace", found, transport, default_namespace="marketplace", given=given)


@import_group.command(
    name="github-releases",
    epilog=example(
        "sealdex-builder import github-releases acme/tool",
        "sealdex-builder import github-releases releases.json --asset '*.tar.gz' --ingest",
    ),
)
@click.argument("source", metavar="FILE|OWNER/REPO")
@click.option(
    "--asset", "assets", multiple=True, metavar="PATTERN", help="Files that are artifacts; archives by default."
)
@click.option("--api", default=importers.GITHUB_API, show_default=True, help="The address of the API.")
@import_options
@click.pass_context
def github_releases(ctx: click.Context, /, source: str, assets: tuple[str, ...], api: str, **given: Any) -> int:
    """Import the releases of a repository on GitHub, from its API or a saved answer of it.

    Platforms are read from the names of files, checksum files are paired by exact name and checked, and signatures,
    SBOMs and attestations become attachments. Source archives that GitHub generates are refused. Files of releases that
    aren't immutable may be replaced there: --ingest copies them. $GITHUB_TOKEN is sent to the API alone.
    """
    token = os.environ.get("GITHUB_TOKEN")
    credentials = importers.GitHubToken(token, api) if token else None
    with transport_for(given, api, credentials=credentials) as transport:
        found = importers.read_github(
            source,
            transport,
            api=api,
            assets=assets,
            plugin_type=given["plugin_type"] or importers.DEFAULT_GITHUB_TYPE,
            ingests=bool(given["ingest"]),
        )
        return run(ctx, "github-releases", found, transport, default_namespace=None, given=given)


@import_group.command(
    epilog=example(
        "sealdex-builder import helm https://charts.example/stable",
        "sealdex-builder import helm index.yaml --url https://charts.example/stable",
    )
)
@click.argument("source", metavar="INDEX.yaml|URL")
@click.option(
    "--url", "base", metavar="URL", help="The repository's address, for a saved index with relative addresses."
)
@click.option(
    "--login",
    "login_hosts",
    multiple=True,
    metavar="HOST",
    help="A container registry to be read with the login that docker keeps; may be repeated.",
)
@import_options
@click.pass_context
def helm(ctx: click.Context, /, source: str, base: str | None, login_hosts: tuple[str, ...], **given: Any) -> int:
    """Import the charts of a Helm repository.

    Charts stay where they are, pinned by the digest of the index, which is computed where it has none. Charts in a
    container registry or in Harbor's chart repository are copied, since their addresses don't last. Where a registry
    wants a login, --login HOST uses what `docker login` or `helm registry login` keeps: nobody else's index can.
    """
    named = [
        address for address in (source, base) if address is not None and address.startswith(("http://", "https://"))
    ]
    with transport_for(given, *named) as plain:
        logins = importers.RegistryLogins(plain, [*login_hosts, *map(importers.host_in, named)])
        with transport_for(given, *named, credentials=logins) as transport:
            registries = importers.ContainerRegistries(transport, logins)
            found = importers.read_helm(source, transport, registries, base=base)
            return run(ctx, "helm", found, transport, default_namespace="helm", given=given)


@import_group.command(
    epilog=example(
        "sealdex-builder import huggingface openai/whisper-base@e37978b90ca9030d5170a5c07aadb050351a65bb "
        "--version-map e37978b90ca9030d5170a5c07aadb050351a65bb=1.0.0"
    )
)
@click.argument("source", metavar="REPO@COMMIT|FILE|DIR")
@click.option("--file", "files", multiple=True, metavar="PATTERN", help="Files that are taken; all by default.")
@click.option("--endpoint", default=importers.HUGGINGFACE, show_default=True, help="The address of the Hub.")
@import_options
@click.pass_context
def huggingface(ctx: click.Context, /, source: str, files: tuple[str, ...], endpoint: str, **given: Any) -> int:
    """Import one commit of a model on the Hugging Face Hub: from it, from a saved answer of its API, or a cache folder.

    All files become one zip in the registry; a single one stays at its address. Files in LFS are checked by their
    SHA-256, others by git's digest. Commits have no versions: --version-map COMMIT=1.0.0 says what one becomes.
    """
    with transport_for(given, endpoint) as transport:
        found = importers.read_huggingface(source, transport, endpoint=endpoint, files=files)
        return run(ctx, "huggingface", found, transport, default_namespace=None, given=given)


@import_group.command(name="list", epilog=example("sealdex-builder import list plugins.jsonl --namespace acme"))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@import_options
@click.pass_context
def list_(ctx: click.Context, /, file: Path, **given: Any) -> int:
    """Import from FILE, JSON lines that a five-line script prints: name, version, address, digest, selector, license.

    Lines of one name and version are one release. An address is https:// or a path below the list's folder; where the
    digest isn't SHA-256, the file is read once and both are checked. What can't be represented is listed with its
    reason, the rest is imported, and the exit code is 1. Repeating an import changes nothing.
    """
    found = importers.read_list(file, plugin_type=given["plugin_type"] or importers.DEFAULT_LIST_TYPE)
    with transport_for(given) as transport:
        return run(ctx, "list", found, transport, default_namespace="imported", given=given)


def _say(out: Output, found: str, added_type: str | None) -> None:
    out.line(found)
    if added_type is not None:
        out.line(f"added the type '{added_type}' to registry.toml")
