"""What the project asks of itself, once: every budget that a benchmark here measures. Ratios are ours to the peer's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """A limit on a figure, or (``on_ratio``) on the ratio of ours to the peer's.

    Attributes:
        limit: the limit, in ``unit``.
        strict: the limit itself is too much ("under", "faster than").
    """

    limit: float
    unit: str
    strict: bool = False

    @property
    def on_ratio(self) -> bool:
        """Whether the limit is on the ratio."""
        return self.unit == "ratio"

    def allows(self, value: float) -> bool:
        """Return whether a figure is within the budget."""
        return value < self.limit if self.strict else value <= self.limit

    def __str__(self) -> str:
        unit = "" if self.on_ratio else f" {self.unit}"
        return f"{'<' if self.strict else '≤'} {self.limit:g}{unit}"


INSTALL_WALL = Budget(1.0, "ratio")
"""Install a 1 GiB package from a local nginx: no slower than curl + sha256sum + unzip."""
INSTALL_RSS = Budget(80, "MiB")
"""The same: peak memory of the client."""

UPDATE_SHARE = Budget(2.0, "%")
"""Update a 1 GiB package in which files with 1 % of the bytes changed: at most 2 % of the bytes."""

LOOKUP_ROUNDS = Budget(4, "rounds")
"""Look up one plugin cold among 1,000,000: sequential round trips."""
LOOKUP_BYTES = Budget(200, "KB")
"""The same: bytes on the wire (1 KB is 1,000 bytes)."""
LOOKUP_RSS = Budget(100, "MiB")
"""The same: peak memory."""

START_WALL = Budget(1.9, "ratio")
"""`ensure` of installed, locked plugins: at most 1.9 times ``python -c pass``; `list` is held to the same."""
FIRST_WALL = Budget(1.1, "ratio")
"""`info`, `install`, `ensure` on a host that knows only the root: a script of stock tuf.ngclient that reads as much."""
FIRST_DELAYED = Budget(1.0, "ratio", strict=True)
"""The same with 20 ms a round trip: ahead of it."""

AGENTS_UV = Budget(2.0, "ratio")
"""50 processes at once that install 1 MiB cold: at most twice the time of `uv pip install`."""
AGENTS_PIP = Budget(0.5, "ratio")
"""The same: at most half that of `pip install`."""

PUBLISH_ONE_PUTS = Budget(12, "PUTs")
"""Publish one release into 100,000 plugins / 1,000,000 releases: requests that write."""
PUBLISH_ONE_TRIALS = 2
"""In S3, beside those: writes that must be refused, which proves that the store looks at conditions."""
PUBLISH_ONE_CPU = Budget(3.0, "s", strict=True)
"""The same: CPU time."""
PUBLISH_ONE_FLAT = Budget(1.25, "ratio")
"""The same: CPU time and memory, against a registry of 1,000 plugins; "flat" with what a machine's noise takes."""

BUILD_PER_PACKAGE = Budget(1.0, "ratio", strict=True)
"""Build the whole of 20,000 plugins / 100,000 releases: faster than createrepo_c and apt-ftparchive a package."""

SITE_ALL_WALL = Budget(600, "s")
"""Build the browse site of 20,000 plugins: minutes."""
SITE_ONE_WALL = Budget(10, "s")
"""Publish one release more, by name, with the pages that it changes: seconds."""

SEARCH_QUERY = Budget(100, "ms", strict=True)
"""Search 20,000 plugins in the browser: a query, once loaded."""

SEARCH_NAME_BYTES = Budget(150, "KB")
"""Search 20,000 plugins in the browser by name: page, scripts and rows together, compressed."""
SEARCH_NAME_MEMORY = Budget(60, "MB")
"""The same: the renderer's own memory after it (`benchmarks.renderer.Memory`), with what an empty page takes."""

SEARCH_NOT_FIRST = Budget(10, "%")
"""Search real packages by name, on pages and on the command line: how often the meant one isn't first."""
SEARCH_NOT_AMONG_FIVE = Budget(2, "%")
"""The same: how often it isn't among the first five."""

MIRROR_FIRST = Budget(1.3, "ratio")
"""Mirror a registry into an empty folder, with every byte verified: at most 1.3 times `rclone copy`."""
MIRROR_RSS = Budget(100, "MiB", strict=True)
"""The same, and proving it: peak memory."""
MIRROR_REQUESTS = Budget(4, "requests")
"""Bring a mirror up to date where nothing has changed."""
MIRROR_VERIFY = Budget(1.0, "ratio")
"""Prove a mirror: no slower than `sha256sum -c` on all cores."""

ALL = {
    "install: wall": INSTALL_WALL,
    "install: memory": INSTALL_RSS,
    "update: bytes": UPDATE_SHARE,
    "look-up: rounds": LOOKUP_ROUNDS,
    "look-up: bytes": LOOKUP_BYTES,
    "look-up: memory": LOOKUP_RSS,
    "start: wall": START_WALL,
    "first second: wall": FIRST_WALL,
    "first second: delayed": FIRST_DELAYED,
    "agents: uv": AGENTS_UV,
    "agents: pip": AGENTS_PIP,
    "publish one: PUTs": PUBLISH_ONE_PUTS,
    "publish one: CPU": PUBLISH_ONE_CPU,
    "publish one: flat": PUBLISH_ONE_FLAT,
    "build: time a package": BUILD_PER_PACKAGE,
    "site: all pages": SITE_ALL_WALL,
    "site: one release": SITE_ONE_WALL,
    "search page: a query": SEARCH_QUERY,
    "search page: bytes by name": SEARCH_NAME_BYTES,
    "search page: memory by name": SEARCH_NAME_MEMORY,
    "search: not first": SEARCH_NOT_FIRST,
    "search: not among five": SEARCH_NOT_AMONG_FIVE,
    "mirror: first run": MIRROR_FIRST,
    "mirror: memory": MIRROR_RSS,
    "mirror: no change": MIRROR_REQUESTS,
    "mirror: verify": MIRROR_VERIFY,
}
