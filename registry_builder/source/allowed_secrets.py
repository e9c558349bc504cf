"""Which secrets may be published, and the messages about all others.

``allow_files`` in ``[policy]`` of registry.toml, and ``--allow-file`` for one command, name files by patterns: in the
tree (``plugins/acme/tls/dist/*/a.zip``), inside an archive (``tests/a.pem``), or both (``…/a.zip:tests/a.pem``).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection
from fnmatch import fnmatchcase

import msgspec

from registry_builder.source.config import RegistryConfig
from registry_builder.source.secrets.scan import FoundSecret, Unsearched
from registry_builder.source.secrets.text import Secret

_OF_PLUGIN = re.compile(r"plugins/[^/]+/[^/]+/")


def is_allowed(patterns: Collection[str], file: str, member: str = "") -> bool:
    """Return whether a file, or a member of an archive, may hold secrets.

    Args:
        patterns: of ``allow_files``, as shell patterns.
        file: its path as shown; for a member, the archive's path.
        member: the path inside the archive, with a colon before that in an archive in it; empty for the file itself.
    """
    names = [file]
    if member:
        # of an archive in the archive: lib/tool.whl:tool/key.pem is allowed by lib/tool.whl, too
        parts = member.split(":")
        inside = [":".join(parts[: count + 1]) for count in range(len(parts))]
        names += [*inside, *(f"{file}:{each}" for each in inside)]
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def with_allowed(config: RegistryConfig, patterns: Collection[str]) -> RegistryConfig:
    """Return a configuration that also allows these files: what ``--allow-file`` does, for one command."""
    if not patterns:
        return config
    policy = msgspec.structs.replace(config.policy, allow_files=(*config.policy.allow_files, *patterns))
    return msgspec.structs.replace(config, policy=policy)


class Verdicts:
    """Judges what a search finds, and collects the messages.

    Attributes:
        refused: about secrets that nobody allowed.
        permitted: about those that are published on purpose.
        unsearched: about what couldn't be looked into, and isn't allowed either.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self.refused: list[str] = []
        self.permitted: list[str] = []
        self.unsearched: list[str] = []

    def add(self, file: str, found: FoundSecret | Unsearched, *, archive: str = "") -> None:
        """Judge one finding.

        Args:
            file: the path of the file that was searched.
            found: what was found in it.
            archive: the archive that it is about to be packed into; ``file`` is then its path in there.
        """
        place = f"{file}:{found.member}" if found.member else file
        allowed = is_allowed(self._allowed, file, found.member)
        allowed = allowed or (bool(archive) and is_allowed(self._allowed, archive, place))
        if isinstance(found, Unsearched):
            if not allowed:
                self.unsearched.append(f"'{place}' {found.reason}: not all of it was searched for secrets")
        elif allowed:
            self.permitted.append(allowance(place, found.secret))
        else:
            lasting = _lasting(archive, place) if archive else _lasting(file, found.member)
            self.refused.append(refusal(place, found.secret, lasting))


def refusal(place: str, secret: Secret, lasting: str | None = None) -> str:
    """Return the message for a secret that was found, with both ways to resolve it.

    Args:
        place: the file, and the member of it.
        secret: what was found there.
        lasting: the pattern that allows it in later releases, too; by default that of the place.
    """
    line = f", line {secret.line}" if secret.line else ""
    return (
        f"contains {secret.kind} ({secret.shown}) in '{place}'{line}: what is published can't be withdrawn. Remove it, "
        "and replace the key if anybody has seen it. If it is meant to be public: "
        f"--allow-file {shlex.quote(_pattern(place))}, or for good, below [policy] in registry.toml: "
        f"allow_files = [{json.dumps(lasting or _pattern(place), ensure_ascii=False)}]"
    )


def allowance(place: str, secret: Secret) -> str:
    """Return the note for reviewers that a secret is published on purpose."""
    return f"contains {secret.kind} ({secret.shown}) in '{place}', which is allowed: it will be public"


def _lasting(file: str, member: str) -> str:
    """Return a pattern of a member that holds for the archives of a plugin's next releases: their names differ."""
    if not member:
        return _pattern(file)
    home = _OF_PLUGIN.match(file)
    return f"{_pattern(home.group())}*:{_pattern(member)}" if home else _pattern(member)


def _pattern(path: str) -> str:
    """Return the pattern that matches a path alone, whatever characters are in it."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)


__all__ = ["Verdicts", "allowance", "is_allowed", "refusal", "with_allowed"]
