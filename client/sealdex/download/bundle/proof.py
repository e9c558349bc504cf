"""Proves what a bundle carries: all that a selection needs is there, as signed, and nothing is older than known."""

from __future__ import annotations

import shutil
from pathlib import Path

from sealdex.config.config import Config
from sealdex.config.document import max_staleness_of
from sealdex.download.bundle.container import damaged
from sealdex.download.mirror._workers import each_of
from sealdex.download.mirror.contents import MirrorFile
from sealdex.download.mirror.plan import Found, Target, plan_files
from sealdex.download.mirror.selection import Selection
from sealdex.errors import NotFoundError, UnavailableError, VerificationError
from sealdex.store.hashing import hash_of_regular
from sealdex.transport import Transport
from sealdex.trust import TrustedRegistry

_NOTHING = "nothing was installed"
_THREADS = 4


def prove(
    config: Config,
    name: str,
    url: str,
    root: bytes,
    tree: Path,
    selection: Selection,
    transport: Transport,
    path: Path,
) -> None:
    """Verify everything of one archive, from the root and from what this host verified last, of which a copy is used.

    Raises:
        VerificationError: something is missing, isn't as signed, or is older than what is known.
    """
    memory = tree.with_name(f"{tree.name}.trust")
    known = config.trust_folder(name) / "metadata"
    if known.is_dir():
        shutil.copytree(known, memory / "metadata")
    section = config.registries.get(name)
    limit = max_staleness_of(section) if section is not None else None
    registry = TrustedRegistry(name, url, root, memory, transport, max_staleness=limit)
    wrong: list[str] = []

    def check(file: MirrorFile) -> None:
        if hash_of_regular(tree / file.key) != file.sha256:
            wrong.append(file.key)

    try:
        registry.refresh()
        files = (each for each in plan_files(registry, selection, Found()) if not isinstance(each, Target))
        each_of(files, check, _THREADS)
    except (NotFoundError, UnavailableError) as error:
        raise damaged(path, error.message) from error
    if wrong:
        raise VerificationError(
            f"{path} lacks files, or has others than were signed: {', '.join(sorted(wrong)[:10])}",
            subject=str(path),
            untouched=_NOTHING,
            hint="copy it again, or have it made again: somebody may have written to the medium",
        )


__all__ = ["prove"]
