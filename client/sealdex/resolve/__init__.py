"""Resolution: from requests, an environment and index documents to the releases to install, or why there are none.

Pure: documents come through a callback, and nothing here touches a network or a file.
"""

from sealdex.resolve.choosing import Policy, Reason, Verdict, judge, newest_first, reached
from sealdex.resolve.explaining import Explanation, NothingFitsError, PassedOver, UnknownPluginError, nearest
from sealdex.resolve.requests import PINNED, Request, Want, parse_request
from sealdex.resolve.solving import Choice, Documents, Keeping, Resolution, resolve

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
    "UnknownPluginError",
    "Verdict",
    "Want",
    "judge",
    "nearest",
    "newest_first",
    "parse_request",
    "reached",
    "resolve",
]
