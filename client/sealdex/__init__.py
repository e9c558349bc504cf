"""Sealdex: the thin client of a plugin registry without a server. Verifies every byte before it is used.

    from sealdex import Client

    with Client() as client:
        client.install("acme/slack@^1.2")
        print(client.path("acme/slack"))

Names are imported when they are first used, so that a program loads only what it needs. What is in
``__all__`` here and in `sealdex.runtime` stays as it is; the rooms change as they need to:

    api           the Python API: all that the command line does
    async_api     the same as coroutines
    client        the floor below: what an installation asks its registries, and installing
    arguments     what programs give: plugins, requests and paths, as texts or objects
    queries       what a host asks its registries
    locate        which releases a host would take, and where their files are; for other hosts too
    project       a project: what it wants, resolved, locked and installed
    bundle        one file with a lock's plugins, for a host without a network
    bundle_install    installs it there
    registration  adds and removes registries
    update        what is outdated, and bringing it up to date
    doctor        what is wrong on this host, and what helps
    results       what questions are answered with: plain data
    events        how a caller follows long work
    metrics       Prometheus metrics (an extra)
    testing       a pytest plugin for authors of plugins; its fixtures are the builder's

    cli/          the command line
    runtime/      plugins in a Python host, services, jobs
    install/      from chosen releases to installed ones
    lockfile/     sealdex.toml and sealdex.lock
    download/     from a signed entry to a verified file
    trust/        TUF: from a pinned root to verified documents
    config/       what a host was told
    store/        what a host keeps
    resolve/      from requests to releases; pure
    transport/    bytes from URLs
    archive/      reading archives safely
    model/        the wire format; pure

    paths         the paths of configuration and store
    errors        the error types
    text          text for people
    similar       the names most similar to a mistyped one; pure
    log           what was decided and why
    disk          what Windows and macOS want otherwise of files: flushing, replacing, removing
    log_level     how much is logged, and where to
    _host_checks  the doctor's checks of this host alone
    _redaction    what of a text may be logged
    _arguments    arguments of the Python API, checked by their annotations
    lazy          what is put off until it is used: modules behind a package's names, regular expressions
    record        what is given to programs as a dataclass is
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.api import Client
    from sealdex.async_api import AsyncClient
    from sealdex.config.config import Config, load_config
    from sealdex.config.host_facts import detect_environment
    from sealdex.errors import (
        CancelledError,
        ConfigError,
        CredentialsError,
        InstallError,
        NoMatchError,
        NotFoundError,
        SealdexError,
        TimedOutError,
        UnavailableError,
        UsageError,
        VerificationError,
    )
    from sealdex.events import Observer, Progress
    from sealdex.model.environment import Environment
    from sealdex.model.ids import PluginId
    from sealdex.resolve import Choice, Policy, Request, Resolution
    from sealdex.resolve.search import Query
    from sealdex.results import Checked, Fetched, Found, Installed, Located, Planned, PluginInfo, Trust
    from sealdex.store.installations import Installation
else:
    __getattr__, __dir__ = exports(__name__, {
        "api": ("Client",),
        "async_api": ("AsyncClient",),
        "config.config": ("Config", "load_config"),
        "config.host_facts": ("detect_environment",),
        "errors": (
            "CancelledError", "ConfigError", "CredentialsError", "InstallError", "NoMatchError", "NotFoundError",
            "SealdexError", "TimedOutError", "UnavailableError", "UsageError", "VerificationError",
        ),
        "model.environment": ("Environment",),
        "model.ids": ("PluginId",),
        "events": ("Observer", "Progress"),
        "resolve": ("Choice", "Policy", "Request", "Resolution"),
        "resolve.search": ("Query",),
        "results": ("Checked", "Fetched", "Found", "Installed", "Located", "Planned", "PluginInfo", "Trust"),
        "store.installations": ("Installation",),
    })  # fmt: skip

__version__ = "0.2.0"

__all__ = [
    "AsyncClient",
    "CancelledError",
    "Checked",
    "Choice",
    "Client",
    "Config",
    "ConfigError",
    "CredentialsError",
    "Environment",
    "Fetched",
    "Found",
    "InstallError",
    "Installation",
    "Installed",
    "Located",
    "NoMatchError",
    "NotFoundError",
    "Observer",
    "Planned",
    "PluginId",
    "PluginInfo",
    "Policy",
    "Progress",
    "Query",
    "Request",
    "Resolution",
    "SealdexError",
    "TimedOutError",
    "Trust",
    "UnavailableError",
    "UsageError",
    "VerificationError",
    "detect_environment",
    "load_config",
]
