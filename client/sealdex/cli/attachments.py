"""``fetch --attachment``: which of a release's attachments are meant by a name or a kind, and fetching them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealdex import resolve
from sealdex.cli.progress import in_bytes
from sealdex.download.export import write_new
from sealdex.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealdex.cli.output import Output
    from sealdex.client import Client
    from sealdex.model.plugin import Attachment
    from sealdex.resolve import Policy

_KINDS = {"sbom": {"sbom", "cyclonedx", "spdx"}, "report": {"report", "evaluation"}}
"""What people call them: the kinds that these words stand for, in any case of letters."""


def meant(attachments: Sequence[Attachment], word: str) -> list[Attachment]:
    """Return the attachment of that name; if there is none, all of that kind: ``SBOM``, ``report``, ``in-toto``."""
    if named := [each for each in attachments if each.name == word]:
        return named
    kinds = _KINDS.get(word.lower(), {word.lower()})
    return [each for each in attachments if each.kind in kinds]


def fetch_attachments(
    out: Output, client: Client, plugins: Sequence[str], words: Sequence[str], folder: Path | None, policy: Policy
) -> None:
    """Download attachments of releases, verified, and write them into a folder; None: only into the cache.

    All are looked up before the first is downloaded.

    Raises:
        NotFoundError: a release hasn't such an attachment; those that it has are named.
        VerificationError, UnavailableError, InstallError: as `Client.attachment` and `write_new`.
    """
    found = [(asked, *_release(client, asked, policy)) for asked in plugins]
    wanted = {
        (plugin, version, each.name): each
        for asked, plugin, version, attached in found
        for word in words
        for each in _required(asked, plugin, version, attached, word)
    }
    rows: list[dict[str, Any]] = []
    for (plugin, version, name), each in wanted.items():
        data = client.attachment(plugin, version, name)
        path = write_new(data, folder, name, each.sha256) if folder is not None else None
        rows.append({
            "plugin": plugin, "version": version, "attachment": name, "kind": each.kind,
            "sha256": each.sha256, "size": each.size, "path": path,
        })  # fmt: skip
        where = f"{path}" if path is not None else "in the cache"
        out.line(f"fetched {each.kind} {name} of {plugin} {version} · {in_bytes(len(data))} · {where}")
        if out.mode == "quiet" and path is not None:
            out.answer_path(str(path))
    out.result({"fetched": rows})


def _release(client: Client, asked: str, policy: Policy) -> tuple[str, str, Sequence[Attachment]]:
    """Return plugin, version and attachments: of an exact version, whether it fits this host or not."""
    request = resolve.parse_request(asked)
    document = client.info(request.plugin).document
    release = document.release(request.range.removeprefix("=").strip())
    if release is None:
        release = client.resolve(request, policy=policy).requested[0].release
    return str(request.plugin), release.version, release.attachments


def _required(asked: str, plugin: str, version: str, attached: Sequence[Attachment], word: str) -> Sequence[Attachment]:
    if found := meant(attached, word):
        return found
    have = ", ".join(f"{each.name} ({each.kind})" for each in attached) or "none"
    raise NotFoundError(
        f"{plugin} {version} has no attachment '{word}'; it has {have}",
        subject=asked,
        untouched="nothing was fetched",
        hint="write the name of one of them, its kind, SBOM or report" if attached else f"sealdex info {plugin}",
    )
