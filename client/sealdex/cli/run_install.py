"""What ``install`` does and shows; without click, see `sealdex.cli.plain_calls`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from sealdex import resolve
from sealdex.cli.update_check import say_what_is_outdated
from sealdex.errors import UsageError
from sealdex.install.archive_path import is_archive_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sealdex.cli.output import Output
    from sealdex.cli.session import Context
    from sealdex.resolve import Choice
    from sealdex.results import Installed

_VERBS = {"unpack": "installed", "repair": "repaired", "keep": "already installed:"}


def run_install(
    context: Context,
    plugins: tuple[str, ...],
    *,
    allow_unsigned: bool = False,
    identity: str | None = None,
    pin: bool | None = None,
    offline: bool = False,
    no_fallback: bool = False,
    cascade: bool = False,
    force: bool = False,
    dry_run: bool = False,
    require_attestation: bool = False,
    channel: str = "stable",
    pre: bool = False,
    yanked: bool = False,
    ignore_rollout: bool = False,
) -> None:
    """Install plugins, or an archive; the arguments are those of the command."""
    out = context.out
    policy = resolve.Policy(channel=channel, prereleases=pre, yanked=yanked, ignore_rollout=ignore_rollout)
    archives = [plugin for plugin in plugins if is_archive_path(plugin)]
    if archives and require_attestation:
        raise UsageError(
            "--require-attestation works only with releases of a registry: a local archive has no attestations"
        )
    if archives:
        _install_archives(
            context,
            plugins,
            archives,
            allow_unsigned=allow_unsigned,
            identity=identity,
            pin=pin,
            dry_run=dry_run,
            offline=offline,
        )
        return
    if identity is not None:
        raise UsageError(
            "--as can only be used with an archive", hint="sealdex install ./slack.zip --as acme/slack@1.2.0-dev"
        )
    with context.client("resolving", offline=offline, require_attestations=require_attestation) as client:
        asked: dict[str, Any] = {
            "policy": policy,
            "pin": pin,
            "on_resolved": lambda resolution: _say(out, resolution),
            "cascade": cascade,
            "force": force,
        }
        if dry_run:
            from sealdex.cli.dry_run import show_planned  # noqa: PLC0415  # few ask for it

            show_planned(out, client.preview(*plugins, **asked))
            attestations = client.config.document.attestations
            if attestations is not None and attestations.required:
                out.note("attestations are verified when it is installed")
            return
        done = client.install(*plugins, fallback=not no_fallback, **asked)
        if all(each.unreachable is None for each in done):
            say_what_is_outdated(client, out)
    for why, missing in dict.fromkeys((e.unreachable, e.undelivered) for e in done if e.unreachable is not None):
        what = f"{', '.join(missing)} could not be fetched" if missing else "no registry could be reached"
        out.warn(f"{what}, so what is installed or preinstalled is used: {why}")
    out.result({"installed": [_installed_plain(each) for each in done]})
    for each in done:
        out.line(_format_installed(each), style="green" if each.action in {"unpack", "repair"} else None)
    context.say_summary()


def _install_archives(
    context: Context,
    plugins: tuple[str, ...],
    archives: list[str],
    *,
    allow_unsigned: bool,
    identity: str | None,
    pin: bool | None,
    dry_run: bool,
    offline: bool,
) -> None:
    out = context.out
    if len(plugins) > 1:
        raise UsageError(
            "an archive can't be installed together with other plugins",
            subject=archives[0],
            untouched="nothing was installed",
            hint="install each archive separately: sealdex install ARCHIVE",
        )
    with context.client("installing", offline=offline) as client:
        if dry_run:
            from sealdex.cli.dry_run import show_planned  # noqa: PLC0415  # few ask for it

            show_planned(out, [client.preview_archive(archives[0], identity=identity, allow_unsigned=allow_unsigned)])
            return
        each = client.install_archive(archives[0], identity=identity, allow_unsigned=allow_unsigned, pin=pin)
    out.result({"installed": [_installed_plain(each)]})
    is_signed = each.trust.signed_by is not None
    if is_signed:
        _say(out, [each.choice])
    out.line(_format_installed(each), style="green" if is_signed else "yellow")
    needs = [f"{name} {wanted}" for name, wanted in each.choice.release.dependencies.items()]
    if needs and not is_signed:
        out.warn(f"{each.choice} depends on {', '.join(needs)}; install them: sealdex install NAMESPACE/NAME")
    context.say_summary()


def _say(out: Output, resolution: Iterable[Choice]) -> None:
    """Warn about deprecated, yanked and outdated releases among those chosen, before anything is downloaded."""
    for choice in resolution:
        mark = choice.document.deprecated
        if mark is not None:
            why = f": {mark.why}" if mark.why else ""
            use = f"; use {mark.use} instead" if mark.use else ""
            out.warn(f"{choice.plugin} is deprecated{why}{use}")
        if choice.document.moved_to is not None:
            out.warn(f"{choice.plugin} moved to {choice.document.moved_to}; later releases are only there")
        if choice.release.yanked is not None:
            why = f": {choice.release.yanked.why}" if choice.release.yanked.why else ""
            out.warn(f"{choice} was yanked by {choice.release.yanked.by}{why}")
        newer = [each for each in choice.newer if {reason.kind for reason in each.reasons} != {"mirror"}]
        if choice.requested and newer:  # what a partial mirror lacks is warned of by itself
            newest = newer[0]
            reasons = "; ".join(reason.words for reason in newest.reasons) or "its dependencies don't fit"
            out.note(f"{choice.plugin} {newest.version} is newer but was not chosen: {reasons}")


def _format_installed(each: Installed) -> str:
    choice = each.choice
    if each.image is not None:
        return f"{choice} is a container image, pinned by digest: docker pull {each.image} · {each.trust}"
    if each.action == "nothing":
        return f"{choice} has no files of its own, only {len(choice.dependencies)} dependencies · {each.trust}"
    if each.action == "fallback":
        return f"{choice} is installed and used · {each.trust}"
    if each.action == "keep":
        return f"{choice} is already installed · {each.trust}"
    was = f" (was {each.previous})" if each.previous else ""
    return f"{_VERBS[each.action]} {choice}{was} · {each.trust}"


def choice_plain(choice: Choice) -> dict[str, Any]:
    """Return a chosen release as shown in json mode."""
    mark = choice.document.deprecated
    return {
        "plugin": str(choice.plugin),
        "version": choice.release.version,
        "requested": choice.requested,
        "sha256": choice.artifact.sha256 if choice.artifact is not None else None,
        "yanked": choice.release.yanked is not None,
        "deprecated": mark is not None,
        **({"moved_to": msgspec.to_builtins(moved)} if (moved := choice.document.moved_to) is not None else {}),
    }


def _installed_plain(each: Installed) -> dict[str, Any]:
    return {
        **choice_plain(each.choice),
        "action": each.action,
        "path": os.fspath(each.installation) if each.installation is not None else None,
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
