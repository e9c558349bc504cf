"""Whether a store looks at the conditions of a write in all the ways that publishing relies on, for `doctor`.

More than each publish proves (`registry_builder.publication.store_proof`): also for large files, whose condition is put
on CompleteMultipartUpload, and for a swap with nothing. The bundle's own bytes are written, which nothing trusts; a
store that refuses as it must isn't changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from registry_builder.baseline.fetcher import MAX_METADATA_BYTES
from registry_builder.maintenance._finding import Finding
from registry_builder.storage import AccessDeniedError, Body, Condition, ObjectMissingError, headers_for
from registry_builder.storage.headers import BUNDLE_KEY
from sealdex.errors import SealdexError

if TYPE_CHECKING:
    from registry_builder.storage.s3 import S3Storage

MISSING_KEY = "metadata/doctor.probe"  # which no publisher writes

_BOTH: tuple[Condition, ...] = ("If-None-Match", "If-Match")
_WEAKER = "exclusive = true: a lock stands in for conditions, which is weaker, so leave it out if you can"
_REMEDY = "use a store that has conditional writes, or remove the proxy that drops If-None-Match and If-Match"


def condition_findings(storage: S3Storage) -> Iterator[Finding]:
    """Yield what is found, or the first reason why it can't be found out."""
    if storage.lock is not None:
        yield Finding("conditions", "warning", _WEAKER, "")
        return
    try:
        data = storage.get(BUNDLE_KEY, max_bytes=MAX_METADATA_BYTES).data
        body = Body.of_bytes(data, headers_for(BUNDLE_KEY))
        ignored = [each for each in _BOTH if not storage.probe(BUNDLE_KEY, body, each)]
        if ignored:
            yield Finding(
                "conditions", "error", f"the store ignores {' and '.join(ignored)}: nothing can be published", _REMEDY
            )
            return
        in_parts, missing = storage.probe_parts(BUNDLE_KEY, body), storage.probe(MISSING_KEY, body, "If-Match")
        if not missing:
            with contextlib.suppress(SealdexError):  # whoever may publish may not delete
                storage.delete(MISSING_KEY)
    except ObjectMissingError:
        yield Finding("conditions", "unknown", "nothing is published yet", "sealdex-builder publish")
    except AccessDeniedError as error:
        yield Finding(
            "conditions", "unknown", f"this role may not write: {error.message}", "run it as the role that publishes"
        )
    except SealdexError as error:
        yield Finding("conditions", "error", error.message, error.hint or "")
    else:
        if not in_parts:
            said = (
                "CompleteMultipartUpload ignores If-None-Match: "
                "of two large files of one name, the second replaces the first"
            )
            yield Finding("conditions", "warning", said, "publish from one place at a time")
        if not missing:
            said = "If-Match on a missing file is ignored: a publish could bring back a registry that somebody removed"
            yield Finding("conditions", "warning", said, "publish from one place at a time")
        if in_parts and missing:
            yield Finding("conditions", "ok", "the store looks at the conditions of a write, of large files too", "")


__all__ = ["MISSING_KEY", "condition_findings"]
