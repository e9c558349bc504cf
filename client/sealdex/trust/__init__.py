"""TUF for Sealdex: ``tuf.ngclient`` unforked, from a pinned root to verified index documents and catalog.

Importing this is cheap; using `TrustedRegistry` or `Registries` imports ``tuf`` and its cryptography, which commands
that ask no registry must not.

    registries          the configured registries of a host, and which of them a plugin is asked for in
    first_round         begins the first requests to a registry while tuf is imported
    registry            trust in one registry: from the pinned root to verified documents
    published           what a copy of a registry consists of, for mirrors
    catalog             the catalog of one registry: its shards, and the rows in them
    catalog_rows        the rows of catalogs, of a very large one a few shards at a time
    roots               the pinned root: its fingerprint, whether it is one, finding it by fingerprint
    errors              errors of tuf as errors of Sealdex
    role_marks          marks in signed metadata: the realm and role that it was signed for
    signed_time         when metadata was signed, and as of when it may be used: max_staleness, the floor of time
    metadata_bundle     metadata/recent.bundle, so that a cold client asks once
    sigstore_bundles    Sigstore bundles of releases, verified
    sigstore_key        Sigstore identities as TUF keys
    _session            one verified state of a registry: an updater, and what may be read from it afterwards
    _updater            ngclient's updater, judged as of the time that metadata states
    key_libraries       imports boto3, PKCS#11 and cloud SDKs only when a key needs them
    lean_imports        imports of libraries what a command needs
    _stand_ins          what these have in place of names that they don't import
    _clock_reset        the timestamp whose time a user doesn't believe
    _documents          signed files: from the cache if their digest holds, else fetched and verified
    _fetcher            where tuf.ngclient gets its bytes from
    _validators         by what the timestamp is asked for only if it changed
    _role_log           what the log says of verified metadata
    _lock_holder        who holds the lock of a trust folder

On disk (`sealdex.trust.registry` has the rules):

    <store>/trust/<registry>/metadata/      ngclient's cache of signed metadata; never an anchor
    <store>/trust/<registry>/documents/     the last verified index documents and catalog shards
    <store>/trust/<registry>/lock, holder   held while metadata is read or written, and by whom
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.trust._fetcher import stated_version
    from sealdex.trust.catalog import all_rows, row_parts
    from sealdex.trust.published import Published
    from sealdex.trust.registries import Registries
    from sealdex.trust.registry import Places, TrustedRegistry, TrustState
    from sealdex.trust.roots import check_root, fetch_root_by_fingerprint, fingerprint
    from sealdex.trust.sigstore_bundles import SIGSTORE_KIND, BundleRefusedError, BundleVerifier, SignedBy
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "_fetcher": ("stated_version",),
            "catalog": ("all_rows", "row_parts"),
            "published": ("Published",),
            "registries": ("Registries",),
            "registry": ("Places", "TrustState", "TrustedRegistry"),
            "roots": ("check_root", "fetch_root_by_fingerprint", "fingerprint"),
            "sigstore_bundles": ("BundleRefusedError", "BundleVerifier", "SIGSTORE_KIND", "SignedBy"),
        },
    )

__all__ = [
    "SIGSTORE_KIND",
    "BundleRefusedError",
    "BundleVerifier",
    "Places",
    "Published",
    "Registries",
    "SignedBy",
    "TrustState",
    "TrustedRegistry",
    "all_rows",
    "check_root",
    "fetch_root_by_fingerprint",
    "fingerprint",
    "row_parts",
    "stated_version",
]
