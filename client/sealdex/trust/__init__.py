"""TUF for Sealdex: ``tuf.ngclient`` unforked, from a pinned root to verified index documents and catalogue.

Importing this imports ``tuf`` and its cryptography; commands that ask no registry must not.
"""

from sealdex.trust.registry import Places, TrustedRegistry, TrustState
from sealdex.trust.roots import check_root, fetch_root_by_fingerprint, fingerprint

__all__ = [
    "Places",
    "TrustState",
    "TrustedRegistry",
    "check_root",
    "fetch_root_by_fingerprint",
    "fingerprint",
]
