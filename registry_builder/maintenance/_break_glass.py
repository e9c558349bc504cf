"""Whether this machine may replace published files: `recover` finds out before it writes anything else.

The bucket's policy denies that to everybody except one role (`sealdex-builder access policy --for recovery`). Who isn't
that role would otherwise learn it in the middle of a recovery. The first root, which a recovery restores anyway, is
written over itself without a condition: nothing else tells what a policy allows.
"""

from __future__ import annotations

from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.publication.context import Publisher
from registry_builder.storage import AccessDeniedError, Body, ObjectMissingError, ObjectTooLargeError, headers_for
from sealdex.errors import ConfigError


def check_break_glass(publisher: Publisher) -> list[str]:
    """Make sure that published files may be replaced; return the keys of those that had other bytes.

    Raises:
        ConfigError: they may not; nothing was written.
        UnavailableError: the storage doesn't answer.
    """
    section = publisher.tree.config.realms[publisher.realm]
    if not section.is_s3:
        return []
    storage, first = publisher.storage, min(publisher.trust.roots)
    key, data = f"metadata/{first}.root.json", publisher.trust.roots[first]
    try:
        differs = storage.get(key, max_bytes=MAX_METADATA_BYTES).data != data
    except ObjectMissingError:
        differs = False
    except ObjectTooLargeError:
        differs = True
    try:
        storage.put_mutable(key, Body.of_bytes(data, headers_for(key)))
    except AccessDeniedError as error:
        role = section.recovery_role
        raise ConfigError(
            f"a recovery has to replace published files, which this role may not: {error.message}",
            subject=key,
            untouched="nothing was written",
            hint=f"assume {role} and run this again"
            if role is not None
            else "name a role as recovery_role of the realm in registry.toml, set its policy and the bucket's "
            "(`sealdex-builder access policy --for recovery`, and `--for bucket`), and run this as that role",
        ) from error
    return [key] if differs else []


__all__ = ["check_break_glass"]
