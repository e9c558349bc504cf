"""``ceremony start|sign|show|take|finish|abort``: changes of root and targets, signed on different machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry_builder import authoring, ceremony, signing, source
from registry_builder.cli.ceremony_branch import refusals_in, take
from registry_builder.cli.markdown import ceremony_markdown
from registry_builder.cli.options import SUMMARY, append, example, prompt_for_passphrase, shown, tree_of
from registry_builder.cli.role_options import named_keys, named_number
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.errors import UsageError

if TYPE_CHECKING:
    from registry_builder.ceremony.ceremony import Ceremony
    from sealdex.cli.output import Output

_BY = click.option(
    "--by", metavar="WHO", help="Who does it; by default whom git names: GIT_COMMITTER_*, GIT_AUTHOR_*, user.name."
)


@click.group(
    name="ceremony",
    cls=LazyGroup,
    epilog=example(
        "sealdex-builder ceremony start new-root-key --keys root=root-1,root-3",
        "sealdex-builder ceremony sign new-root-key",
        "sealdex-builder ceremony finish new-root-key",
    ),
)
@output_options
def ceremony_group() -> None:
    """Change root or targets: plan it, collect signatures, finish when the threshold is met.

    All files are in ceremonies/NAME/ of the source tree: commit them, or exchange them as files. Each signer reads in
    plain language what changes and adds one file. registry.toml and trust/ don't change until `finish`.
    """


ceremony_group.add_command(take)


@ceremony_group.command(
    epilog=example(
        "sealdex-builder ceremony start rotate-online --keys timestamp=online-2 --keys snapshot=online-2",
        "sealdex-builder ceremony start claim-acme --claim acme=team-1,team-2 --claim-threshold acme=2",
        "sealdex-builder ceremony start yearly --renew root --renew targets",
        "sealdex-builder ceremony start renew-2027 --due",
    )
)
@click.argument("name")
@click.option("--keys", multiple=True, metavar="ROLE=KEY,...", help="All keys of a role after the change.")
@click.option("--threshold", multiple=True, metavar="ROLE=N", help="How many of them must sign.")
@click.option("--expiry-days", multiple=True, metavar="ROLE=N", help="Days until the role's metadata expires.")
@click.option(
    "--claim", multiple=True, metavar="NS=KEY,...", help="The team's keys; only they may sign for the namespace."
)
@click.option("--claim-threshold", multiple=True, metavar="NS=N", help="How many of them must sign.")
@click.option("--release-claim", multiple=True, metavar="NS", help="End the claim; the registry signs for it again.")
@click.option("--realm", default="public", show_default=True, help="The realm of the claims.")
@click.option("--renew", multiple=True, type=click.Choice(("root", "targets")), help="Re-sign unchanged.")
@click.option("--due", is_flag=True, help="Re-sign what expires soon; if nothing does, start nothing.")
@click.option("--why", default="", metavar="TEXT", help="The reason, shown to every signer.")
@_BY
@output_options
@click.pass_context
def start(
    ctx: click.Context,
    name: str,
    keys: tuple[str, ...],
    threshold: tuple[str, ...],
    expiry_days: tuple[str, ...],
    claim: tuple[str, ...],
    claim_threshold: tuple[str, ...],
    release_claim: tuple[str, ...],
    realm: str,
    renew: tuple[str, ...],
    due: bool,
    why: str,
    by: str | None,
) -> None:
    """Plan a change and write what has to be signed into ceremonies/NAME/."""
    tree, out = tree_of(ctx), output_of(ctx)
    if due:
        renew = tuple(dict.fromkeys((*renew, *ceremony.due_offline_roles(tree))))
        if not (renew or keys or threshold or expiry_days or claim or claim_threshold or release_claim):
            out.line("root and targets do not expire soon: no ceremony was started")
            out.result({"name": name, "started": False})
            return
    wanted = ceremony.Wanted(
        keys=dict(map(named_keys, keys)),
        thresholds=dict(map(named_number, threshold)),
        expiry_days=dict(map(named_number, expiry_days)),
        claims=dict(map(named_keys, claim)),
        claim_thresholds=dict(map(named_number, claim_threshold)),
        realm=realm,
        release=release_claim,
        renew=renew,
    )
    started = ceremony.start_ceremony(tree, name, wanted, by=_who(by, tree), why=why)
    out.line(f"started ceremony {name}: {shown(started.folder)}", style="bold")
    _show(out, tree, started)
    out.note(f"next: commit it; then each signer: sealdex-builder ceremony sign {name}")
    out.result({**_document(tree, started), "started": True})


@ceremony_group.command(epilog=example("sealdex-builder ceremony show", "sealdex-builder ceremony show new-root-key"))
@click.argument("name", required=False)
@SUMMARY
@output_options
@click.pass_context
def show(ctx: click.Context, name: str | None, summary: Path | None) -> None:
    """Show what a ceremony changes, who has signed and who has not. Without NAME, show all ceremonies."""
    out, tree = output_of(ctx), tree_of(ctx)
    if name is not None:
        with refusals_in(summary, name):
            found = ceremony.load_ceremony(tree, name)
        _show(out, tree, found)
        if summary is not None:
            missing = {f"{d.realm}/{d.name}": ceremony.missing_signatures(tree, d) for d in found.documents}
            names = {section.keyid: key for key, section in source.read_config(tree).keys.items()}
            append(summary, ceremony_markdown(found, _state(found), missing, names))
        out.result(_document(tree, found))
        return
    each = [ceremony.load_ceremony(tree, known) for known in ceremony.ceremonies(tree)]
    rows = [(c.name, _state(c), c.plan.by, _changed(c)) for c in each]
    out.table(("ceremony", "state", "by", "changes"), rows, worded=("state",))
    out.result({"ceremonies": [{"name": c.name, "state": _state(c), "by": c.plan.by} for c in each]})


@ceremony_group.command(
    epilog=example(
        "sealdex-builder ceremony sign new-root-key", "sealdex-builder ceremony sign yearly --key root-1 --yes"
    )
)
@click.argument("name")
@click.option("--key", "keys", multiple=True, help="Only this key; by default every available key that counts.")
@click.option("--yes", is_flag=True, help="Don't ask; for scripts, and after reading `ceremony show`.")
@_BY
@output_options
@click.pass_context
def sign(ctx: click.Context, name: str, keys: tuple[str, ...], yes: bool, by: str | None) -> None:
    """Show what changes, and sign it with the keys that are available here.

    Adds one file per key to ceremonies/NAME/REALM/signatures/: commit them, or send them to the person who finishes.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    _show(out, tree, ceremony.load_ceremony(tree, name))
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "signing must be confirmed, and there is no terminal to ask on",
                untouched="nothing was signed",
                hint="review it with ceremony show, then add --yes",
            )
        if not click.confirm(out.say("Sign this?"), err=True):
            raise UsageError("not confirmed", untouched="nothing was signed")
    keyring = signing.Keyring(source.read_config(tree), tree, prompt=prompt_for_passphrase())
    result = ceremony.sign_ceremony(tree, name, keyring, by=_who(by, tree), keys=keys)
    for path in result.written:
        out.line(f"wrote {shown(path)}")
    for key in result.already:
        out.note(f"key {key} has already signed")
    for key, reason in result.missing.items():
        out.note(f"key {key} is not available here: {reason}")
    after = ceremony.load_ceremony(tree, name)
    ready = f"sealdex-builder ceremony finish {name}" if after.is_complete else "the other signers"
    out.note(f"next: commit it; then {ready}")
    out.result({**_document(tree, after), "written": list(result.written), "already": list(result.already)})


@ceremony_group.command(epilog=example("sealdex-builder ceremony finish new-root-key"))
@click.argument("name")
@_BY
@output_options
@click.pass_context
def finish(ctx: click.Context, name: str, by: str | None) -> None:
    """Put the signed metadata into trust/ and registry.toml, once every threshold is met (for root: old and new)."""
    out, tree = output_of(ctx), tree_of(ctx)
    written = ceremony.finish_ceremony(tree, name, by=_who(by, tree))
    for path in written:
        out.line(f"wrote {shown(path)}")
    out.note("next: commit it, then: sealdex-builder publish")
    out.result({"name": name, "written": written})


@ceremony_group.command(epilog=example('sealdex-builder ceremony abort new-root-key --why "wrong key"'))
@click.argument("name")
@click.option("--why", default="", metavar="TEXT", help="The reason.")
@_BY
@output_options
@click.pass_context
def abort(ctx: click.Context, name: str, why: str, by: str | None) -> None:
    """Close a ceremony without applying it. Its signatures stay in its folder."""
    out, tree = output_of(ctx), tree_of(ctx)
    path = ceremony.abort_ceremony(tree, name, by=_who(by, tree), why=why)
    out.line(f"aborted ceremony {name}: {shown(path)}")
    out.result({"name": name, "written": [path]})


# --- what they share --------------------------------------------------------------------------------------------------


def _who(by: str | None, tree: Path) -> str:
    return by or authoring.committer(tree)


def _state(found: Ceremony) -> str:
    if found.closed is not None:
        return found.closed.outcome
    return "ready to finish" if found.is_complete else "waits for signatures"


def _changed(found: Ceremony) -> str:
    return ", ".join(f"{document.realm} {document.name}" for document in found.documents)


def _show(out: Output, tree: Path, found: Ceremony) -> None:
    plan = found.plan
    out.line(f"ceremony {found.name}: {_state(found)}; started by {plan.by} at {plan.at}", style="bold")
    if plan.why:
        out.line(f"  why: {plan.why}")
    for document in found.documents:
        out.line(f"  realm {document.realm}, {document.name}:")
        _lines(out, document.changes)
        for quorum in document.quorums:
            need = "needed" if quorum.is_needed else "wanted"
            out.line(f"    signed for {quorum.said}: {len(quorum.signed)} of the {quorum.threshold} {need}")
        if found.closed is None:
            _lines(out, [f"missing: {line}" for line in ceremony.missing_signatures(tree, document)])
        for line in document.ignored:
            out.warn(f"a signature doesn't count: {line}")


def _lines(out: Output, lines: Iterable[str]) -> None:
    for line in lines:
        out.line(f"    {line}")


def _document(tree: Path, found: Ceremony) -> dict[str, Any]:
    return {
        "name": found.name,
        "state": _state(found),
        "by": found.plan.by,
        "at": found.plan.at,
        "why": found.plan.why,
        "complete": found.is_complete,
        "wanted": [q.said for d in found.documents for q in d.quorums if not q.is_met and not q.is_needed],
        "documents": [
            {
                "realm": d.realm,
                "file": d.name,
                "changes": list(d.changes),
                "quorums": [
                    {
                        "for": q.said,
                        "threshold": q.threshold,
                        "needed": q.is_needed,
                        "keys": list(q.keyids),
                        "signed": list(q.signed),
                    }
                    for q in d.quorums
                ],
                "missing": ceremony.missing_signatures(tree, d),
                "ignored": list(d.ignored),
            }
            for d in found.documents
        ],
    }


__all__ = ["ceremony_group"]
