"""The commands of authors: init, new, pack and release. They print what was written and what to do next."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_builder import authoring, signing, source
from registry_builder.cli.archive_argument import parse_archive
from registry_builder.cli.options import ALLOW_FILE, PLUGIN_ID, example, shown, tree_of, typed
from sealdex.cli.group import output_of, output_options
from sealdex.errors import UsageError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.text import counted

if TYPE_CHECKING:
    from sealdex.cli.output import Output


_SHOWN = 20  # excluded files in the output


@click.command(
    epilog=example("sealdex-builder init my-registry --dev-keys", "sealdex-builder init my-registry --github")
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="The registry's name; by default derived from the folder's.")
@click.option("--dev-keys", is_flag=True, help="Create unencrypted development keys, so that publish works at once.")
@click.option("--github", is_flag=True, help="Write GitHub workflows; in an existing source tree, only these.")
@click.option(
    "--storage",
    metavar="PLACE",
    help="Where it is published: s3://BUCKET/PREFIX, pages (GitHub Pages) or folder:PATH; by default a folder.",
)
@click.option("--url", help="The public URL; for GitHub Pages by default derived from git's remote.")
@output_options
@click.pass_context
def init(
    ctx: click.Context,
    folder: Path,
    name: str | None,
    dev_keys: bool,
    github: bool,
    storage: str | None,
    url: str | None,
) -> None:
    """Create a source tree in FOLDER: registry.toml, .gitattributes, .gitignore, README.md, plugins/.

    Existing files are left alone. Keys are never created inside the tree: development keys go to
    $SEALDEX_KEYS or ~/.local/share/sealdex-builder/keys/, and keys for production are created with `keys create`.

    With --github it gets the workflows that validate pull requests, publish on merge and refresh every day, and
    action.yml, with which authors' repositories release to it; docs/publishing.md says what they need. What they
    install is pinned by version and digest in .github/sealdex/; `upgrade --github` adds the digests of our wheels.
    On a terminal, asks where to publish unless --storage is given: files in a workflow's folder are lost.
    """
    out = output_of(ctx)
    is_there = github and (folder / source.CONFIG_NAME).is_file()
    if is_there and (storage is not None or url is not None):
        raise UsageError(
            "registry.toml exists already",
            untouched="nothing was written",
            hint=f"write storage and url into registry.toml, then: sealdex-builder init {typed(folder)} --github",
        )
    if github and storage is None and not is_there:
        storage, url = _asked_for_storage(out, url)
    made = authoring.Made(folder, ())
    reused = signing.check_key_place(folder) if dev_keys else []  # before anything is written
    if not is_there:
        made = authoring.init_tree(folder, name=name, storage=storage, url=url, in_ci=github and storage is not None)
    if github:
        from importlib.metadata import version  # noqa: PLC0415  # brings `email`: only for --github

        flows = authoring.write_workflows(folder, version=version("sealdex-builder"))
        made = authoring.Made(folder, (*made.written, *flows.written), (*made.kept, *flows.kept))
        for realm, section in source.read_config(folder).realms.items():
            if section.storage.startswith("folder:") and not section.folder_in_ci:
                out.warn(
                    f"realm {realm} is published to {section.storage}, which is lost with the workflow's runner: "
                    'publish.yml will refuse. Write "s3://BUCKET/PREFIX" into registry.toml, or "pages:published" and '
                    "the url; or folder_in_ci = true if a later step takes the folder along"
                )
    for path in made.written:
        out.line(f"wrote {shown(path)}")
    for path in made.kept:
        out.warn(f"{shown(path)} exists already and was not changed")
    keys: Path | None = None
    if dev_keys:
        keys = signing.make_dev_trust(folder)
        if reused:
            out.warn(f"these keys were in {keys} already and are used: {', '.join(reused)}")
        out.line(f"created development keys in {keys} and signed trust/*/1.root.json and 1.targets.json")
        out.note(
            "development keys are unencrypted: for a registry that others rely on, see sealdex-builder keys --help"
        )
    out.note(f"next: cd {typed(folder)} && sealdex-builder new notify acme/slack")
    out.result({"tree": folder, "written": made.written, "kept": made.kept, "keys": keys})


@click.command(
    epilog=example(
        "sealdex-builder new notify acme/slack",
        'sealdex-builder new application-suite acme/cell --depends "acme/driver@^1.2"',
    )
)
@click.argument("plugin_type", metavar="TYPE")
@click.argument("plugin", metavar="NS/NAME", type=PLUGIN_ID)
@click.option("--summary", help="One line for lists.")
@click.option("--realm", default="public", show_default=True, help="The realm that it is published in.")
@click.option("--depends", multiple=True, metavar="NS/NAME@RANGE", help="For an application-suite: a dependency.")
@output_options
@click.pass_context
def new(
    ctx: click.Context, plugin_type: str, plugin: PluginId, summary: str | None, realm: str, depends: tuple[str, ...]
) -> None:
    """Create plugin NS/NAME of TYPE with a payload that runs, ready for pack and release.

    Types: hal-driver, acr-algorithm, training-script, application-suite, notify, build, service, model, and those
    that registry.toml adds. An application-suite depends on the plugins of --depends, else on the released plugins of
    its namespace.
    """
    out = output_of(ctx)
    wanted = dict(map(_parse_dependency, depends)) if depends else None
    made = authoring.new_plugin(tree_of(ctx), plugin_type, plugin, summary=summary, realm=realm, depends=wanted)
    for path in made.written:
        out.line(f"wrote {shown(path)}")
    out.note(f"next: edit src/, then: sealdex-builder pack {typed(made.folder)}")
    out.result({"plugin": str(plugin), "folder": made.folder, "written": made.written})


def _asked_for_storage(out: Output, url: str | None) -> tuple[str | None, str | None]:
    """Ask where the workflows publish; only at a terminal."""
    if out.mode == "json" or os.environ.get("CI") or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None, url
    click.echo("Where do the workflows publish? Files in a folder are lost with the runner.", err=True)
    kind = click.prompt("s3, pages (GitHub Pages) or folder", type=click.Choice(["s3", "pages", "folder"]), err=True)
    if kind == "s3":
        return click.prompt("Address, such as s3://bucket/prefix?region=eu-central-1", err=True), url
    return ("folder:published" if kind == "folder" else "pages"), url


def _parse_dependency(text: str) -> tuple[str, str]:
    plugin, _, wanted = text.partition("@")
    try:
        return str(parse_plugin_id(plugin)), wanted or "*"
    except ValueError as error:
        raise UsageError(
            str(error), hint="write --depends NS/NAME@RANGE, such as --depends 'acme/base@^1.2'"
        ) from error


@click.command(
    epilog=example(
        "sealdex-builder pack plugins/acme/slack",
        "sealdex-builder pack build/linux-arm64 -o tool-1.2.0-linux-arm64.zip",
    )
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The zip to write.")
@click.option("--for", "labels", metavar="LABELS", help="Which hosts it is for, as in release: os=linux,arch=arm64.")
@ALLOW_FILE
@output_options
@click.pass_context
def pack(
    ctx: click.Context, folder: Path, output: Path | None, labels: str | None, allow_files: tuple[str, ...]
) -> None:
    """Pack FOLDER into a zip whose bytes depend only on the files' names, contents and executable bits.

    FOLDER is a plugin's folder, whose src/ is packed to dist/VERSION/NAME-VERSION.zip as in release.yaml, or any
    other folder. Excluded are .git, caches, and what .sealdexignore lists; if there is none, what the repository's
    .gitignore files list, except for files that git tracks. A service gets service.json and checksum.sha256. Names
    that Windows can't hold are refused, unless release.yaml or --for limits the archive to other systems.
    """
    out = output_of(ctx)
    selector = parse_archive(f"archive:{labels}").selector if labels else None
    if labels and selector is None:
        raise UsageError(f"'{labels}' has no label: write key=value", hint="for example: --for os=linux,arch=arm64")
    packed = authoring.pack_folder(folder, output, allow_files=allow_files, selector=selector)
    out.line(f"wrote {shown(packed.path)}: {counted(len(packed.files), 'file')}, {packed.size} bytes")
    out.line(f"sha256 {packed.sha256}")
    if packed.left_out:
        more = f" and {len(packed.left_out) - _SHOWN} more" if len(packed.left_out) > _SHOWN else ""
        out.line(f"excluded by {packed.left_out_by}: {', '.join(packed.left_out[:_SHOWN])}{more}")
    for warning in packed.warnings:
        out.warn(warning)
    out.note(f"next: sealdex-builder release {typed(packed.path)}")
    out.result(
        {
            "path": packed.path,
            "size": packed.size,
            "sha256": packed.sha256,
            "files": packed.files,
            "warnings": packed.warnings,
            "left_out": packed.left_out,
        }
    )


@click.command(
    epilog=example(
        "sealdex-builder release plugins/acme/slack/dist/1.2.0/slack-1.2.0.zip",
        "sealdex-builder release --plugin acme/tool --version 1.2.0 \\",
        '  out/linux.zip:os=linux,arch=amd64 "out/mac.zip:os=darwin,arch=amd64|arm64"',
    )
)
@click.argument("archives", nargs=-1, metavar="[ARCHIVE[:LABELS]]...")
@click.option("--plugin", type=PLUGIN_ID, help="By default the plugin in whose folder the first archive is.")
@click.option("--version", help="By default the version in release.yaml.")
@click.option("--channel", help="By default the channel in release.yaml, else beta for a pre-release, else stable.")
@ALLOW_FILE
@click.option("--released-at", metavar="TIME", help="UTC, such as 2026-11-21T12:00:00Z; by default now.")
@output_options
@click.pass_context
def release(
    ctx: click.Context,
    archives: tuple[str, ...],
    plugin: PluginId | None,
    version: str | None,
    channel: str | None,
    released_at: str | None,
    allow_files: tuple[str, ...],
) -> None:
    """Write plugins/NS/NAME/releases/VERSION.json with size and SHA-256 of each ARCHIVE.

    The contents come from the plugin's release.yaml. Which hosts an archive is for comes from there too, or from
    LABELS: `os=linux,arch=arm64`, with `|` for one of several values and `+TAG` for a compatibility tag. Archives from
    outside the tree are copied to plugins/NS/NAME/dist/VERSION/. Repeating a release changes nothing; a different one
    with the same version is refused. Common spellings of os and arch (macos, x86_64) are normalised.
    """
    out = output_of(ctx)
    tree = tree_of(ctx)
    plan = authoring.write_release(
        tree,
        [parse_archive(text) for text in archives],
        plugin=plugin,
        version=version,
        channel=channel,
        released_at=released_at,
        allow_files=allow_files,
    )
    for _, target in plan.copies:
        out.line(f"copied to {shown(target)}")
    for note in plan.rewritten:
        out.note(note)
    for warning in plan.warnings:
        out.warn(warning)
    made = plan.release
    what = f"{plan.plugin} {made.version}"
    if plan.exists:
        out.line(f"{what} was already released, without differences: {shown(plan.file)}")
    else:
        out.line(f"released {what} on channel {made.channel}: {shown(plan.file)}")
        out.note("next: commit it, then: sealdex-builder validate && sealdex-builder publish")
    out.result(
        {
            "plugin": str(plan.plugin),
            "version": made.version,
            "channel": made.channel,
            "file": plan.file,
            "written": not plan.exists,
            "warnings": plan.warnings,
            "rewritten": plan.rewritten,
            "artifacts": [{"source": a.source, "size": a.size, "sha256": a.sha256} for a in made.artifacts],
        }
    )
