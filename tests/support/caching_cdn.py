"""nginx as a CDN before an S3 server: it caches what Cache-Control lets it, and for how long that a file is missing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from support.nginx_server import nginx

_LOCATIONS = """
        location / {{
            proxy_pass {origin};
            proxy_http_version 1.1;
            proxy_cache cdn;
            proxy_cache_key $uri;
            proxy_cache_revalidate on;
            proxy_cache_valid 404 {missing};
            add_header X-Cache $upstream_cache_status always;
            {directives}
        }}
        location @page {{ return 200 "a page that says that nothing is here"; }}
        location = /page.html {{ return 200 "a page that says that nothing is here"; }}
        location @missing {{ return 404 "nothing is here"; }}
"""


def caching_cdn(origin: str, state: Path, directives: str = "", *, missing: str = "1h") -> AbstractContextManager[str]:
    """Run it before ``origin`` while the context lasts; yields its address, without a slash at the end.

    ``directives`` of nginx say what is configured otherwise; ``error_page`` may name ``@page``, ``/page.html`` and
    ``@missing``. ``missing`` is how long it remembers that a file isn't there, in nginx's words: longer than any test
    takes, so that none of them depends on how fast the machine is.
    """
    cache = f"proxy_cache_path {state}/cache keys_zone=cdn:1m use_temp_path=off;"
    return nginx(state, server=_LOCATIONS.format(origin=origin, directives=directives, missing=missing), http=cache)
