"""Results of commands as Markdown, for the summary of a workflow run, a pull request or an issue. Pure.

Names, messages, reasons and paths may come from anyone's pull request, or from anyone who pushed a ceremony's branch.
They are put in code spans or escaped, so that none of it becomes a heading, a link, an image or HTML of the summary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sealdex.errors import SealdexError
from sealdex.text import counted

if TYPE_CHECKING:
    from registry_builder.ceremony.ceremony import Ceremony
    from registry_builder.compile.removed_events import Older
    from registry_builder.maintenance.status import RealmStatus
    from registry_builder.publication.claims import Waiting
    from registry_builder.publication.plan import PublishPlan
    from registry_builder.signing.key_check import RoleKeys
    from registry_builder.source.tree import Problem

_SHOWN = 200  # a summary may have 1 MiB at most
_MAX_TEXT = 500
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~$@:-])")


def code(text: str) -> str:
    """Return text as a code span that nothing in it can end, not even inside a table."""
    flat = _flat(text).replace("|", "\u2502")  # a pipe ends a table's cell even in a code span
    ticks = max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1
    return f"{'`' * ticks} {flat} {'`' * ticks}" if ticks > 1 else f"`{flat}`"


def escaped(text: str) -> str:
    """Return text with everything escaped that Markdown, GitHub's mentions or HTML would interpret."""
    return _SPECIAL.sub(r"\\\1", _flat(text)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\@", "&#64;")


def problems_markdown(problems: Sequence[Problem], plugins: int, releases: int, waiting: Iterable[Waiting] = ()) -> str:
    """Return the problems of a source tree, preceded by what waits for a team's signature."""
    errors = sum(problem.severity == "error" for problem in problems)
    held = f"{counted(plugins, 'plugin')}, {counted(releases, 'release')}"
    head = f"{held}: {counted(errors, 'error')}, {counted(len(problems) - errors, 'warning')}"
    lines = ["## Source tree", "", f"{'❌' if errors else '✅'} {head}", "", *_waiting(waiting)]
    if problems:
        lines += ["| | file | where | |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {problem.severity} | {code(problem.file)} | {code(problem.where) if problem.where else ''} "
            f"| {escaped(problem.message)} |"
            for problem in problems[:_SHOWN]
        ]
        lines += _more(len(problems))
    return "\n".join([*lines, ""])


def plan_markdown(plan: PublishPlan, title: str) -> str:
    """Return what a publish of a realm would change, or changed."""
    lines = [f"## {escaped(title)}: realm {escaped(plan.realm)}", ""]
    if plan.held:
        lines += [
            "❌ Left as published, because the source tree lacks published events of them; is it an older checkout?",
            "",
        ]
        lines += [*_bullets(_removed(each) for each in plan.older if each.plugin in plan.held), ""]
    lines += _waiting(plan.waiting)
    if plan.is_empty:
        lines += [
            f"{code(plan.storage)} is up to date" + (" except for that." if plan.held or plan.waiting else "."),
            "",
        ]
        return "\n".join([*lines, *_not_in_tree(plan)])
    lines += [f"Written to {code(plan.storage)}:", ""]
    new = set(plan.new_plugins)
    released = {plugin for plugin, _ in plan.new_releases}
    changes = [f"new release {code(f'{plugin} {version}')}" for plugin, version in plan.new_releases]
    changes += [f"new plugin {code(str(plugin))}" for plugin in plan.new_plugins]
    changes += [f"changed {code(str(p))}" for p in plan.changed_plugins if p not in released and p not in new]
    lines += _bullets(changes)
    lines += ["", "| | files | bytes |", "| --- | ---: | ---: |"]
    lines += [
        f"| {kind} | {len(uploads)} | {sum(upload.size for upload in uploads)} |"
        for kind, uploads in plan.uploads
        if uploads
    ]
    lines += [f"| signed roles | {len(plan.reasons)} | |", ""]
    lines += _bullets(f"copied into the store: {code(artifact.url)}" for artifact in plan.ingest)
    return "\n".join([*lines, *_not_in_tree(plan)])


def _waiting(waiting: Iterable[Waiting]) -> list[str]:
    """Return what isn't published until a claimed namespace's team has signed."""
    lines = []
    for each in waiting:
        what = ", ".join(code(str(plugin)) for plugin in each.plugins) or f"namespace {code(each.namespace)}"
        missing = f"{each.threshold} signature(s) of {', '.join(map(code, each.missing))} ({escaped(each.reason)})"
        command = code(f"sealdex-builder namespace sign {each.namespace}")
        lines += [f"⏳ **Not published: {what} waits for {missing}.** The team signs it with {command}.", ""]
    return lines


def _not_in_tree(plan: PublishPlan) -> list[str]:
    """Return what is published but not in the source tree: it stays, except for events that were removed on purpose."""
    gone = [str(plugin) for plugin in plan.carried]
    gone += [f"{plugin} {version}" for plugin, version in plan.kept]
    lines = _bullets(f"published but not in the source tree: {code(each)}" for each in gone)
    taken_back = [each for each in plan.older if each.events and each.plugin not in plan.held]
    lines += _bullets(f"removed, as requested: {_removed(each)}" for each in taken_back)
    return [*lines, ""]


def _removed(lacking: Older) -> str:
    return f"{code(str(lacking.plugin))}: {', '.join(escaped(str(event)) for event in lacking.events)}"


def status_markdown(statuses: Iterable[RealmStatus]) -> str:
    """Return when each role expires and who must sign."""
    lines: list[str] = []
    for status in statuses:
        lines += [f"## Realm {escaped(status.realm)}", "", code(status.storage), ""]
        if not status.is_published:
            lines += ["Nothing is published yet.", ""]
        lines += ["| role | version | expires | signed by | keys | |", "| --- | ---: | --- | --- | --- | --- |"]
        lines += [
            f"| {role.role} | {role.version or ''} | {f'{role.expires:%Y-%m-%d}' if role.expires else ''} "
            f"| {role.threshold} of {len(role.keys)} | {', '.join(code(key.name) for key in role.keys)} "
            f"| {f'**{role.when}**' if role.when else ''} |"
            for role in status.roles
        ]
        if status.expired_text:
            lines += ["", f"❌ {escaped(status.expired_text)}"]
        lines += ["", f"Root {status.newest_root[0]}: SHA-256 {code(status.newest_root[1])}", ""]
    return "\n".join(lines)


def ceremony_markdown(
    found: Ceremony, state: str, missing: Mapping[str, Iterable[str]], names: Mapping[str, str]
) -> str:
    """Return what a ceremony changes, who has signed, and whose signatures are missing.

    Args:
        found: the ceremony.
        state: in a few words.
        missing: for each document, by ``realm/file``, whose signatures it needs.
        names: keyid to a key's name.
    """
    lines = [f"## Ceremony {escaped(found.name)}: {escaped(state)}", ""]
    lines += [f"Started by {escaped(found.plan.by)} at {escaped(found.plan.at)}.", ""]
    if found.plan.why:
        lines += [f"Why: {escaped(found.plan.why)}", ""]
    for document in found.documents:
        lines += [f"### Realm {escaped(document.realm)}, {code(document.name)}", "", "What a signature says:", ""]
        lines += [f"- {escaped(change)}" for change in document.changes]
        lines += ["", "| threshold | signed | by |", "| --- | --- | --- |"]
        lines += [
            f"| {escaped(quorum.said)} "
            f"| {len(quorum.signed)} of {quorum.threshold} {'required' if quorum.is_needed else 'optional'} "
            f"| {', '.join(code(names.get(keyid, keyid[:12])) for keyid in quorum.signed)} |"
            for quorum in document.quorums
        ]
        lines.append("")
        wanted = [f"- missing: {escaped(line)}" for line in missing.get(f"{document.realm}/{document.name}", ())]
        wanted += [f"- a signature doesn't count: {escaped(line)}" for line in document.ignored]
        lines += [*wanted, ""] if wanted else []
    if found.closed is None and not all(q.is_met for document in found.documents for q in document.quorums):
        lines += [f"To sign: check this branch out, {code(f'sealdex-builder ceremony sign {found.name}')}, push.", ""]
    return "\n".join(lines)


def refusal_markdown(name: str, message: str, hint: str) -> str:
    """Return why a ceremony's branch isn't imported, or can't be read."""
    lines = [f"## Ceremony {escaped(name)}: refused", "", escaped(message), ""]
    return "\n".join([*lines, *([escaped(hint), ""] if hint else [])])


def keys_markdown(found: Iterable[RoleKeys]) -> str:
    """Return which online roles can't be signed where publishing runs, and why; empty if all can."""
    lacking = [role for role in found if not role.can_sign]
    if not lacking:
        return ""
    lines = ["## Keys that are missing where publishing runs", ""]
    lines += [
        f"- realm {escaped(role.realm)}, {code(role.role)} needs {role.threshold} key(s), {len(role.able)} can sign: "
        + " ".join(f"{code(name)}: {escaped(reason)}." for name, reason in role.missing.items())
        for role in lacking
    ]
    return "\n".join([*lines, ""])


def error_markdown(error: SealdexError, realm: str) -> str:
    """Return the error that stopped a command, and its hint."""
    said = [error.message, *([error.hint] if error.hint else [])]
    return "\n\n".join([f"❌ Realm {escaped(realm)}", *map(_long, said), ""])


def _long(text: str) -> str:
    return "\n".join(map(escaped, text.splitlines()))


def _flat(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= _MAX_TEXT else shown[:_MAX_TEXT] + "…"


def _bullets(items: Iterable[str]) -> list[str]:
    listed = list(items)
    return [*(f"- {item}" for item in listed[:_SHOWN]), *_more(len(listed))]


def _more(count: int) -> list[str]:
    return ["", f"… and {count - _SHOWN} more"] if count > _SHOWN else []


__all__ = [
    "ceremony_markdown",
    "error_markdown",
    "keys_markdown",
    "plan_markdown",
    "problems_markdown",
    "refusal_markdown",
    "status_markdown",
]
