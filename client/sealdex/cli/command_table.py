"""All commands of ``sealdex``, by name: imported one by one when they run."""

from __future__ import annotations

import click

from sealdex import __version__
from sealdex.cli.group import LazyCommand, LazyGroup

COMMANDS = {
    "registry": LazyCommand("sealdex.cli.commands.registry:registry", "Add, list and remove registries."),
    "search": LazyCommand("sealdex.cli.commands.search:search", "Search the catalogs."),
    "info": LazyCommand("sealdex.cli.commands.search:info", "Show a plugin's releases, or one release's manifest."),
    "resolve": LazyCommand("sealdex.cli.commands.resolve:resolve_", "Show which releases hosts would take."),
    "url": LazyCommand("sealdex.cli.commands.resolve:url", "Print where a release's file is, and its digest."),
    "install": LazyCommand("sealdex.cli.commands.install:install", "Install plugins and what they depend on."),
    "uninstall": LazyCommand("sealdex.cli.commands.install:uninstall", "Remove installed plugins."),
    "lock": LazyCommand("sealdex.cli.commands.project:lock", "Resolve sealdex.toml into sealdex.lock."),
    "ensure": LazyCommand("sealdex.cli.commands.project:ensure", "Install exactly what sealdex.lock says."),
    "update": LazyCommand(
        "sealdex.cli.commands.project:update", "Bring the project, or what is installed, up to date."
    ),
    "use": LazyCommand("sealdex.cli.commands.switch:use", "Switch to an installed version; pin or unpin it."),
    "enable": LazyCommand("sealdex.cli.commands.switch:enable", "Allow hosts to load plugins again."),
    "disable": LazyCommand("sealdex.cli.commands.switch:disable", "Stop hosts from loading plugins."),
    "rollback": LazyCommand("sealdex.cli.commands.switch:rollback", "Return to the state before the last change."),
    "history": LazyCommand("sealdex.cli.commands.switch:history", "Show what was changed, newest first."),
    "list": LazyCommand("sealdex.cli.commands.installed:list_", "List what is installed."),
    "path": LazyCommand("sealdex.cli.commands.installed:path", "Print the folder of an installed plugin."),
    "fetch": LazyCommand("sealdex.cli.commands.install:fetch", "Download artifacts, verified, without installing."),
    "verify": LazyCommand("sealdex.cli.commands.installed:verify", "Compare installed files with their digests."),
    "run": LazyCommand("sealdex.cli.commands.services:run", "Start a service and keep it running."),
    "ps": LazyCommand("sealdex.cli.commands.services:ps", "List services."),
    "stop": LazyCommand("sealdex.cli.commands.services:stop", "Stop services."),
    "logs": LazyCommand("sealdex.cli.commands.services:logs", "Show what a service printed."),
    "mirror": LazyCommand("sealdex.cli.commands.mirror:mirror", "Copy a registry for places that can't reach it."),
    "bundle": LazyCommand("sealdex.cli.commands.bundle:bundle", "Carry a lock's plugins to a host without a network."),
    "cache": LazyCommand("sealdex.cli.commands.cache:cache", "List, clean up and verify the download cache."),
    "job": LazyCommand("sealdex.cli.commands.job:job", "Run jobs: commands with plugins around them."),
    "gateway": LazyCommand(
        "sealdex.cli.commands.gateway:gateway", "Answer clients of older plugin systems on this host."
    ),
    "config": LazyCommand("sealdex.cli.commands.config:config", "Show settings; keep the configuration of plugins."),
    "status": LazyCommand("sealdex.cli.commands.doctor:status", "Show what is in order here and what is not."),
    "doctor": LazyCommand("sealdex.cli.commands.doctor:doctor", "Diagnose problems on this host and suggest fixes."),
    "env": LazyCommand("sealdex.cli.commands.installed:env", "Show the labels and tags of this host."),
    "completion": LazyCommand("sealdex.cli.completion:completion", "Print a completion script for a shell."),
}

ALIASES = {
    "remove": ("uninstall",),
    "upgrade": ("update",),
    "outdated": ("list", "--outdated"),
    "show": ("info",),
}
"""Names that people try who know other package managers."""

_GROUPS = ("registry", "mirror", "bundle", "cache", "job", "config")
ADVISED = rf"\bsealdex (?:(?:{'|'.join(_GROUPS)}) [a-z]+|(?:{'|'.join(n for n in COMMANDS if n not in _GROUPS)})\b)"
"""A command in a text, up to where the options of the current call can be inserted."""

_HELP = """Find, verify and install plugins from registries without a server.

Every byte is checked against signed metadata before it is used; trust starts from the root that you add a registry
with.

\b
  sealdex registry add public https://plugins.example.org/ --root root.json
  sealdex search slack
  sealdex install acme/slack
  sealdex path acme/slack

Also: remove (uninstall), upgrade (update), outdated (list --outdated), show (info).

\b
Exit codes: 0 done · 1 failed · 2 usage · 3 not found or nothing matches ·
4 verification failed · 5 network or storage unavailable
"""

cli = LazyGroup(
    name="sealdex",
    lazy=COMMANDS,
    advised=ADVISED,
    aliases=ALIASES,
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        help="Print the version.",
        callback=lambda ctx, _param, value: _print_version(ctx) if value else None,
    )
)


def _print_version(ctx: click.Context) -> None:
    click.echo(f"sealdex {__version__}")
    ctx.exit()
