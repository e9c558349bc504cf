"""What a ceremony and a check of keys found, as Markdown for a workflow's summary, a pull request or an issue. Pure.

Names and reasons in a ceremony come from whoever pushed its branch: see `registry_builder.cli.markdown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from registry_builder.ceremony.ceremony import Ceremony
from registry_builder.cli.markdown import code, escaped
from registry_builder.signing.key_check import RoleKeys


def ceremony_markdown(
    found: Ceremony, state: str, missing: Mapping[str, Iterable[str]], names: Mapping[str, str]
) -> str:
    """Return what a ceremony changes, who has signed, and whose signature is missing.

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
            f"| {len(quorum.signed)} of {quorum.threshold} {'needed' if quorum.is_needed else 'wanted'} "
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
    """Return why a ceremony's branch isn't taken, or can't be read."""
    lines = [f"## Ceremony {escaped(name)}: refused", "", escaped(message), ""]
    return "\n".join([*lines, *([escaped(hint), ""] if hint else [])])


def keys_markdown(found: Iterable[RoleKeys]) -> str:
    """Return which online roles can't be signed where publishing runs, and why; nothing when all can."""
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


__all__ = ["ceremony_markdown", "keys_markdown", "refusal_markdown"]
