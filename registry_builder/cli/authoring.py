"""The commands of authors: new, pack and release. They print what was written and what to do next."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import click

from registry_builder import authoring
from registry_builder.cli.archive_argument import parse_archive, parse_image
from registry_builder.cli.options import ALLOW_FILE, PLUGIN_ID, example, shown, tree_of, typed
from registry_builder.cli.plugin_argument import named_plugin, names_plugin, plugin_folder
from sealdex.cli.group import output_of, output_options
from sealdex.errors import UsageError
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.text import counted

_SHOWN = 20  # excluded files in the output


@click.command(
    epilog=example(
        "sealdex-builder new notify acme/slack",
        "sealdex-builder new notify acme/journal --runtime process",
        'sealdex-builder new application-suite acme/cell --depends "acme/driver@^1.2"',
    )
)
@click.argument("plugin_type", metavar="TYPE")
@click.argument("plugin", metavar="NS/NAME", type=PLUGIN_ID)
@click.option("--summary", help="One line for lists.")
@click.option("--realm", default="public", show_default=True, help="The realm that it is published in.")
@click.option("--depends", multiple=True, metavar="NS/NAME@RANGE", help="For an application-suite: a dependency.")
@click.option(
    "--runtime",
    type=click.Choice(authoring.RUNTIMES),
    help="What runs it: a program that hosts talk to, Python in the host, a service, or a program that is started.",
)
@output_options
@click.pass_context
def new(
    ctx: click.Context,
    plugin_type: str,
    plugin: PluginId,
    summary: str | None,
    realm: str,
    depends: tuple[str, ...],
    runtime: authoring.RuntimeKind | None,
) -> None:
    """Create plugin NS/NAME of TYPE with a payload that runs, ready for pack and release.

    Types: hal-driver, acr-algorithm, training-script, application-suite, notify, build, service, model, and those
    that registry.toml adds. An application-suite depends on the plugins of --depends, else on the released plugins of
    its namespace.
    """
    out = output_of(ctx)
    wanted = dict(map(_parse_dependency, depends)) if depends else None
    made = authoring.new_plugin(
        tree_of(ctx), plugin_type, plugin, summary=summary, realm=realm, depends=wanted, runtime=runtime
    )
    for path in made.written:
        out.line(f"wrote {shown(path)}")
    out.note(f"next: edit src/, then: sealdex-builder pack {typed(made.folder)}")
    out.result({"plugin": str(plugin), "folder": made.folder, "written": made.written})


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
@click.argument("plugin", metavar="FOLDER|NS/NAME")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The zip to write.")
@click.option("--for", "labels", metavar="LABELS", help="Which hosts it is for, as in release: os=linux,arch=arm64.")
@ALLOW_FILE
@output_options
@click.pass_context
def pack(
    ctx: click.Context, plugin: str, output: Path | None, labels: str | None, allow_files: tuple[str, ...]
) -> None:
    """Pack a folder into a zip whose bytes depend only on the files' names, contents and executable bits.

    It is a plugin's folder, given by NS/NAME or its path, whose src/ is packed to dist/VERSION/NAME-VERSION.zip as in
    release.yaml, or any other folder. Excluded are .git, caches, and what .sealdexignore lists; if there is none, what
    the repository's .gitignore files list, except for files that git tracks. A service gets service.json, the README
    and checksum.sha256. Names that Windows can't hold are refused, unless release.yaml or --for limits the archive to
    other systems.
    """
    out = output_of(ctx)
    selector = parse_archive(f"archive:{labels}").selector if labels else None
    if labels and selector is None:
        raise UsageError(f"'{labels}' has no label: write key=value", hint="for example: --for os=linux,arch=arm64")
    folder = plugin_folder(plugin, ctx.meta.get("registry_builder.tree"))
    if output is None and authoring.names_images_alone(folder):
        out.note("release.yaml names container images alone, so there is nothing to pack")
        out.result({"path": None, "size": 0, "sha256": None, "files": [], "warnings": [], "left_out": []})
        return
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
        "sealdex-builder release --plugin acme/tool out/tool.zip \\",
        "  --at https://github.com/acme/tool/releases/download/v1.2.0",
        "sealdex-builder release --plugin acme/box --version 1.0.0 --image harbor.example/acme/box@sha256:0123…",
    )
)
@click.argument("archives", nargs=-1, metavar="[NS/NAME|ARCHIVE[:LABELS]]...")
@click.option("--plugin", type=PLUGIN_ID, help="By default the plugin in whose folder the first archive is.")
@click.option("--version", help="By default the version in release.yaml.")
@click.option("--channel", help="By default the channel in release.yaml, else beta for a pre-release, else stable.")
@ALLOW_FILE
@click.option("--at", metavar="URL", help="The folder at which the archives are: named there, not copied.")
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="REPOSITORY@sha256:DIGEST[:LABELS]",
    help="A container image of the release, beside archives or alone; may be repeated.",
)
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
    at: str | None,
    images: tuple[str, ...],
    allow_files: tuple[str, ...],
) -> None:
    """Write plugins/NS/NAME/releases/VERSION.json with size and SHA-256 of each ARCHIVE.

    In place of archives NS/NAME or a plugin's folder may be given: those in its dist/VERSION/ are taken.
    The contents come from the plugin's release.yaml. Which hosts an archive is for comes from there too, or from
    LABELS: `os=linux,arch=arm64`, with `|` for one of several values and `+TAG` for a compatibility tag. Archives from
    outside the tree are copied to plugins/NS/NAME/dist/VERSION/; with --at the release names them at an address, such
    as the assets of a GitHub release. Repeating a release changes nothing; a different one with the same version is
    refused. Common spellings of os and arch (macos, x86_64) are normalised.
    """
    out = output_of(ctx)
    named_tree = ctx.meta.get("registry_builder.tree")
    if len(archives) == 1 and names_plugin(archives[0]):
        named = named_plugin(archives[0], named_tree)
        tree, plugin = named.tree, named.id
        given = [authoring.Archive(path) for path in authoring.archives_of(named.folder)]
    else:
        tree, given = tree_of(ctx), [parse_archive(text) for text in archives]
    plan = authoring.write_release(
        tree,
        given,
        plugin=plugin,
        version=version,
        channel=channel,
        released_at=released_at,
        allow_files=allow_files,
        at=at,
        images=[parse_image(text) for text in images],
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
            "artifacts": [
                {"source": a.source, "size": a.size, "sha256": a.sha256, "archive": each.path if each else None}
                for a, each in zip_longest(made.artifacts, given)  # container images follow, which have no archive
            ],
        }
    )
