"""Resolution: chooses releases for requests, an environment and index documents, or explains why none fit.

Pure: documents come through a callback, and nothing here touches a network or a file.

    requests        what is asked for: NS/NAME[@RANGE] from a person, a range from another release
    resolver        requests to releases, with their dependencies
    universe        the plugins that a search may reach, and what is demanded of them
    _solver         a search that learns from conflicts
    _conflicts      from facts that exclude each other to the plugins in conflict
    _ab_tests       which side of an A/B test a host is on
    _eligibility    whether one release fits, and if not why
    explain         why nothing fits: data first, text second
    search          search in the catalog
    _search_index   which rows match a text, and how closely
    _search_text    texts as search sees them: folded, split into tokens
    _search_filters  what a search asks for, and whether a row passes its filters
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.resolve._eligibility import Lacking, Policy, Reason, Verdict, judge, newest_first, newest_in, reached
    from sealdex.resolve.explain import (
        Explanation,
        NothingFitsError,
        PassedOver,
        StillSearchingError,
        UnknownPluginError,
        describe,
        nearest,
    )
    from sealdex.resolve.requests import PINNED, Request, Want, parse_request
    from sealdex.resolve.resolver import Choice, Documents, Keeping, Resolution, SearchBudget, in_order, resolve
    from sealdex.resolve.search import MetricBound, Query, Sort, parse_metric
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "_eligibility": ("Lacking", "Policy", "Reason", "Verdict", "judge", "newest_first", "newest_in", "reached"),
            "explain": (
                "Explanation",
                "NothingFitsError",
                "PassedOver",
                "StillSearchingError",
                "UnknownPluginError",
                "describe",
                "nearest",
            ),
            "requests": ("PINNED", "Request", "Want", "parse_request"),
            "resolver": ("Choice", "Documents", "Keeping", "Resolution", "SearchBudget", "in_order", "resolve"),
            "search": ("MetricBound", "Query", "Sort", "parse_metric"),
        },
    )

__all__ = [
    "PINNED",
    "Choice",
    "Documents",
    "Explanation",
    "Keeping",
    "Lacking",
    "MetricBound",
    "NothingFitsError",
    "PassedOver",
    "Policy",
    "Query",
    "Reason",
    "Request",
    "Resolution",
    "SearchBudget",
    "Sort",
    "StillSearchingError",
    "UnknownPluginError",
    "Verdict",
    "Want",
    "describe",
    "in_order",
    "judge",
    "nearest",
    "newest_first",
    "newest_in",
    "parse_metric",
    "parse_request",
    "reached",
    "resolve",
]
