"""The site on a local web server, rebuilt when its source changes.

    server            a web server for a published folder, with the headers of a bucket behind a CDN
    live              the site of a source tree, rebuilt when a file changes
    _http_response    how a file answers a GET or HEAD: preconditions, ranges, headers

For local previews: a registry needs no server.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.site.preview.live import LiveSite
    from registry_builder.site.preview.server import serve
else:
    __getattr__, __dir__ = exports(__name__, {
        "live": ("LiveSite",),
        "server": ("serve",),
    })  # fmt: skip

__all__ = [
    "LiveSite",
    "serve",
]
