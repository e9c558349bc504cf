"""From a source tree to a published state: decide everything as a plan, then carry it out with one commit point.

    context              what a publish of one realm works with: storage, trust, keys, clock; and what it decides
    publish              publishing as a whole; once more when another publisher was faster
    refresh              re-signs what expires soon
    plan                 everything that a publish would write, as data
    planned_files        every file of a plan by name, with size, headers and why
    uploads              the files of plugins and releases, and where their bytes come from
    checks               lint of new releases, right before they are published
    commit               carries a plan out: immutable files first, timestamp.json last
    ingest               copies artifacts from their addresses into the store
    claims               claimed namespaces: what their own keys must sign, and what waits for them
    claim_files          the files in trust/ that teams of claimed namespaces signed
    claim_signing        a team's signature of its namespace, made elsewhere
    published_documents  what is published of a source tree's plugins, for comparing
    reachability         which published files signed metadata reaches
    store_proof          proves at each publish that the store looks at the conditions of a write
    bundle_update        writes metadata/recent.bundle
    site_journal         what changed since the pages were written
    site_update          writes the pages that a publish changes
    github_pages         GitHub Pages: a folder, deployed as a whole, on top of what is live
    pages_deployment     what may be deployed there, and remembering what was
    runner_disk          refuses a folder on a disk that is thrown away
    _cdn                 tells CloudFront what was replaced
    _hub_store           keeps CloudFront's key value store of the Model Hub's addresses as published
    _sigv4a              signs requests to it
    _expiry              whether an expired state may be signed again without a person
    _pages_live          what is live on GitHub Pages
    _progress            counts bytes on their way into the store
    _plan_log            what the log says of a plan
    _signing_time        when a publish says that it signed
    _tamper_report       how a published file differs from what was signed
    _upload_bodies       the bytes of each file that a publish creates

The published tree, under a folder, bucket or address (docs/format.md has all of it)::

    metadata/timestamp.json                                replaced at each publish: the commit point
    metadata/<N>.<role>.json                               immutable
    metadata/recent.bundle                                 copies of the newest of these
    targets/index/<namespace>/<sha256>.<name>.json         index documents
    targets/catalog/<sha256>.<shard>.json                  the catalog
    plugins/<namespace>/<name>/<version>/<file>            manifest.json, artifacts, attachments
    plugins/<namespace>/<name>/readme/<sha256>.md          READMEs
    index.html, assets/, search/, <namespace>/<name>/ ...  pages, which nothing trusts
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.publication.claim_signing import sign_claim
    from registry_builder.publication.context import Publisher, open_publisher
    from registry_builder.publication.pages_deployment import check_deployment, remember_deployment
    from registry_builder.publication.publish import NotAllPublishedError, PublishResult, publish_realm
    from registry_builder.publication.published_documents import Compared, compare
    from registry_builder.publication.refresh import refresh_realm
    from registry_builder.publication.runner_disk import check_disk
    from registry_builder.publication.site_update import is_stored
else:
    __getattr__, __dir__ = exports(__name__, {
        "claim_signing": ("sign_claim",),
        "context": ("Publisher", "open_publisher"),
        "pages_deployment": ("check_deployment", "remember_deployment"),
        "published_documents": ("Compared", "compare"),
        "publish": ("NotAllPublishedError", "PublishResult", "publish_realm"),
        "refresh": ("refresh_realm",),
        "runner_disk": ("check_disk",),
        "site_update": ("is_stored",),
    })  # fmt: skip

__all__ = [
    "Compared",
    "NotAllPublishedError",
    "PublishResult",
    "Publisher",
    "check_deployment",
    "check_disk",
    "compare",
    "is_stored",
    "open_publisher",
    "publish_realm",
    "refresh_realm",
    "remember_deployment",
    "sign_claim",
]
