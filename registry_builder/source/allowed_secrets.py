"""Which secrets may be published, and the messages about all others.

``allow_files`` in ``[policy]`` of registry.toml, and ``--allow-file`` for one command, name files by patterns: in the
tree (``plugins/acme/tls/dist/*/a.zip``), inside an archive (``tests/a.pem``), or both (``…/a.zip:tests/a.pem``).
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

import msgspec

from registry_builder.source.config import RegistryConfig
from registry_builder.source.secrets.text import Secret


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


def refusal(place: str, secret: Secret) -> str:
    """Return the message for a secret that was found, with both ways to resolve it."""
    line = f", line {secret.line}" if secret.line else ""
    return (
        f"contains {secret.kind} ({secret.shown}) in '{place}'{line}: what is published can't be withdrawn. Remove it, "
        f"and replace the key if anybody has seen it. If it is meant to be public: --allow-file '{place}', or "
        "permanently allow_files in [policy] of registry.toml"
    )


def allowance(place: str, secret: Secret) -> str:
    """Return the note for reviewers that a secret is published on purpose."""
    return f"contains {secret.kind} ({secret.shown}) in '{place}', which is allowed: it will be public"


__all__ = ["allowance", "is_allowed", "refusal", "with_allowed"]
