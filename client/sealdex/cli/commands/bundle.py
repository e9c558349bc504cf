"""``sealdex bundle``: create and install."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import msgspec

from sealdex.cli.context import Context, client_command, download_options
from sealdex.cli.group import LazyGroup, examples
from sealdex.cli.mirror_report import watch_of
from sealdex.cli.progress import in_bytes
from sealdex.text import counted

bundle = LazyGroup(
    name="bundle", help="One file for one host: the plugins of a lock, what proves them and, on request, the client."
)


@bundle.command(
    "create",
    epilog=examples(
        "sealdex bundle create robot.bundle --lock sealdex.lock",
        "sealdex bundle create robot.bundle --lock sealdex.lock --platform linux/arm64",
        "sealdex bundle create robot.pyz --lock sealdex.lock --with-client",
        "sealdex bundle create robot.pyz --lock sealdex.lock --platform linux/arm64 --wheels wheels",
    ),
)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--lock",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="What it is to have; a sealdex.toml beside it comes along.",
)
@click.option(
    "--platform", "platforms", multiple=True, metavar="OS/ARCH", help="For this platform only; may be repeated."
)
@click.option(
    "--with-client",
    is_flag=True,
    help="Carry the client as well: the one that runs this, for this Python and platform, or that of --wheels.",
)
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Carry the client from wheels of sealdex and what it needs, for all Pythons and platforms that they are for.",
)
@download_options
@client_command
def create(
    context: Context, out: Path, lock: Path, platforms: tuple[str, ...], with_client: bool, wheels: Path | None
) -> None:
    """Write one file with the plugins of a lock, the metadata that proves them and, on request, the client.

    A file with the client is a program: python3 OUT install --root FILE works on a host that has Python alone. Tell its
    SHA-256 to whoever installs it over another way than the medium: nothing else vouches for the program itself.
    """
    from sealdex.bundle import create_bundle  # noqa: PLC0415  # `--help` needn't wait for all that installs

    say, config = context.out, context.config()
    with say.progress(f"making {out.name}") as progress:
        made = create_bundle(
            config, lock, out, platforms=platforms, with_client=with_client, wheels=wheels,
            watch=watch_of(context, progress),
        )  # fmt: skip
    for warning in made.warnings:
        say.warn(warning)
    for image in made.images:
        say.note(f"not carried: the container image of {image.plugin} {image.version}: docker pull {image.reference}")
    client = made.head.client
    say.result({
        "bundle": made.path,
        "sha256": made.sha256,
        "bytes": made.size,
        "platforms": list(made.head.platforms),
        "registries": msgspec.to_builtins(made.head.registries),
        "client": {"version": client.version, "runs_on": list(client.runs_on)} if client is not None else None,
        "images": msgspec.to_builtins(made.images),
        "warnings": made.warnings,
    })  # fmt: skip
    say.line(f"wrote {made.path} · {in_bytes(made.size)}", style="green")
    say.line(f"  SHA-256 {made.sha256}")
    if client is None:
        say.note(f"on the other side: sealdex bundle install {made.path.name} --root FILE --sha256 {made.sha256}")
        return
    say.line(f"  client {client.version} for Python {', '.join(client.runs_on)}")
    say.note(f"on the other side, after its SHA-256 was compared: python3 {made.path.name} install --root FILE")


@bundle.command(
    "install",
    epilog=examples(
        "sealdex bundle install /media/stick/robot.bundle --root root.json",
        "sealdex bundle install robot.bundle --fingerprint 4f2a... --name public --address https://plugins.site/",
        "sealdex bundle install robot.bundle --project /srv/robot --json",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--root",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The root metadata that you trust; default: that of the configured registry.",
)
@click.option("--fingerprint", metavar="SHA256", help="Instead: the root whose SHA-256 the owners told you.")
@click.option("--sha256", metavar="SHA256", help="Refuse FILE unless it has this digest.")
@click.option(
    "--project",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Record the lock there; default: in the store.",
)
@click.option("--name", metavar="NAME", help="Of a registry that isn't configured yet; default: as the bundle has it.")
@click.option("--address", metavar="URL", help="Where that registry is from here; default: as the bundle has it.")
@click.option("--allow-downgrade", is_flag=True, help="Replace plugins in use by older releases.")
@client_command
def install(
    context: Context,
    file: Path,
    *,
    root: Path | None,
    fingerprint: str | None,
    sha256: str | None,
    folder: Path | None,
    name: str | None,
    address: str | None,
    allow_downgrade: bool,
) -> None:
    """Install what a bundle carries: verified from the root that this host trusts, without any request.

    FILE is never written to. Either all of its lock is installed or nothing; the same bundle again changes nothing. A
    registry that isn't configured is added with the root given, so that later bundles and commands go on from it.
    """
    from sealdex.bundle_install import install_bundle  # noqa: PLC0415  # `--help` needn't wait for all that installs

    say, config = context.out, context.config()
    with context.observer(f"verifying {file.name}") as observer:
        done = install_bundle(
            config, file, root=root, root_fingerprint=fingerprint, sha256=sha256, folder=folder, name=name,
            address=address, allow_downgrade=allow_downgrade, observer=observer,
            on_yanked=lambda plugin, version, mark: say.warn(
                f"{plugin} {version}, which is locked, was yanked by {mark.by}" + (f": {mark.why}" if mark.why else "")
            ),
        )  # fmt: skip
    rows = [_row(each) for each in done.ensured.installed]
    say.result({
        "bundle": file,
        "sha256": done.sha256,
        "changed": done.changed,
        "plugins": rows,
        "registries": dict(done.registries),
        "added_registry": {"name": done.added.name, "url": done.added.url} if done.added is not None else None,
        "passed_over": {str(plugin): version for plugin, version in done.passed_over.items()},
        "lock": done.folder / "sealdex.lock",
    })  # fmt: skip
    for each in done.ensured.installed:
        if each.action not in {"keep", "nothing"} or each.previous:
            was = f" (was {each.previous})" if each.previous else ""
            say.line(f"{_VERBS.get(each.action, each.action)} {each.choice}{was} · {each.trust}", style="green")
    for image in filter(None, (each.image for each in done.ensured.installed)):
        say.note(f"a container image is not carried: docker pull {image}")
    for plugin, version in done.passed_over.items():
        say.note(f"{plugin} {version} is signed as well, and newer than what the bundle's lock names")
    if done.kept_wanted:
        say.note(f"{done.folder / 'sealdex.toml'} is another than the bundle's, and was left as it is")
    if done.added is not None:
        say.line(f"added registry {done.added.name} · {done.added.url} · its root is the one given")
    if done.changed:
        say.line(f"{counted(len(rows), 'plugin')} in place · lock in {done.folder}")
        say.note(f"to check it later: sealdex ensure --project {done.folder}")
    else:
        say.line(f"everything of {file.name} is in place already", style="green")


_VERBS = {"unpack": "installed", "repair": "repaired", "keep": "switched to"}


def _row(each: Any) -> dict[str, Any]:
    return {
        "plugin": str(each.choice.plugin),
        "version": each.choice.release.version,
        "action": each.action,
        "path": os.fspath(each.installation) if each.installation is not None else None,
        "previous": each.previous,
        "signed_by": each.trust.signed_by,
    }
