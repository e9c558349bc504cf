"""Resolution: from requests, an environment and index documents to the releases to install, or why there are none.

Pure: documents come through a callback, and nothing here touches a network or a file.
"""

from sealdex.resolve._eligibility import Policy, Reason, Verdict, judge, newest_first, newest_in, reached
from sealdex.resolve.explain import (
    Explanation,
    NothingFitsError,
    PassedOver,
    StillSearchingError,
    UnknownPluginError,
    nearest,
)
from sealdex.resolve.requests import PINNED, Request, Want, parse_request
from sealdex.resolve.resolver import Choice, Documents, Keeping, Resolution, SearchBudget, resolve

__all__ = [
    "PINNED",
    "Choice",
    "Documents",
    "Explanation",
    "Keeping",
    "NothingFitsError",
    "PassedOver",
    "Policy",
    "Reason",
    "Request",
    "Resolution",
    "SearchBudget",
    "StillSearchingError",
    "UnknownPluginError",
    "Verdict",
    "Want",
    "judge",
    "nearest",
    "newest_first",
    "newest_in",
    "parse_request",
    "reached",
    "resolve",
]
