"""Maintains a published registry: status, audit, garbage collection, checks, and recovery after a theft.

    status              versions, expiries, thresholds, and which keys can sign here
    audit               accounts for every published file
    gc                  removes files that are no longer referenced, in two runs
    downloads/          downloads by release and day, counted from access logs
    access              the policies of a realm in S3, for those who read, publish, refresh, validate and recover it
    doctor              checks the publication target for problems
    recovery            republishes from the source tree, over what a thief wrote
    _break_glass        whether published files may be replaced, which recovery needs
    _store_conditions   whether the store looks at conditions, for doctor
    _answers            documents of api/, compared with what is made of the signed ones
    _finding            what doctor finds
    _untrusted_state    reads untrusted storage after a key compromise, to compare

On disk, beside what `baseline` remembers: <realm>-<storage>.json.gc, what `gc` found when.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.maintenance.access import AccessDocument, access_documents
    from registry_builder.maintenance.audit import audit_realm
    from registry_builder.maintenance.doctor import look_over
    from registry_builder.maintenance.downloads.stats import (
        Counted,
        LogError,
        count_downloads,
        merged,
        publish_stats,
        read_stats,
    )
    from registry_builder.maintenance.gc import apply_gc, plan_gc
    from registry_builder.maintenance.recovery import RecoveryResult, recover_realm
    from registry_builder.maintenance.status import RealmStatus, RoleStatus, realm_status
else:
    __getattr__, __dir__ = exports(__name__, {
        "access": ("AccessDocument", "access_documents"),
        "audit": ("audit_realm",),
        "doctor": ("look_over",),
        "downloads.stats": (
            "Counted", "LogError", "count_downloads", "merged", "publish_stats", "read_stats",
        ),
        "gc": ("apply_gc", "plan_gc"),
        "recovery": ("RecoveryResult", "recover_realm"),
        "status": ("RealmStatus", "RoleStatus", "realm_status"),
    })  # fmt: skip

__all__ = [
    "AccessDocument",
    "Counted",
    "LogError",
    "RealmStatus",
    "RecoveryResult",
    "RoleStatus",
    "access_documents",
    "apply_gc",
    "audit_realm",
    "count_downloads",
    "look_over",
    "merged",
    "plan_gc",
    "publish_stats",
    "read_stats",
    "realm_status",
    "recover_realm",
]
