"""Sealdex: the thin client of a plugin registry without a server. Verifies every byte before it is used.

    from sealdex import Client

    with Client() as client:
        client.install("acme/slack@^1.2")
        print(client.path("acme/slack"))

Names are imported when they are first used, so that a program that asks for little waits for little.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.client import Client
    from sealdex.config.config import Config, load_config
    from sealdex.config.host_facts import detect_environment
    from sealdex.errors import (
        ConfigError,
        InstallError,
        NoMatchError,
        NotFoundError,
        SealdexError,
        UnavailableError,
        UsageError,
        VerificationError,
    )
    from sealdex.events import Observer
    from sealdex.model.environment import Environment
    from sealdex.model.ids import PluginId
    from sealdex.resolve import Choice, Policy, Request, Resolution
    from sealdex.resolve.search import Query
    from sealdex.results import Checked, Fetched, Found, Installed, PluginInfo, Trust
    from sealdex.store.installations import Installation
else:
    __getattr__, __dir__ = exports(__name__, {
        "client": ("Client",),
        "config.config": ("Config", "load_config"),
        "config.host_facts": ("detect_environment",),
        "errors": (
            "ConfigError", "InstallError", "NoMatchError", "NotFoundError", "SealdexError", "UnavailableError",
            "UsageError", "VerificationError",
        ),
        "model.environment": ("Environment",),
        "model.ids": ("PluginId",),
        "events": ("Observer",),
        "resolve": ("Choice", "Policy", "Request", "Resolution"),
        "resolve.search": ("Query",),
        "results": ("Checked", "Fetched", "Found", "Installed", "PluginInfo", "Trust"),
        "store.installations": ("Installation",),
    })  # fmt: skip

__version__ = "0.2.0"

__all__ = [
    "Checked",
    "Choice",
    "Client",
    "Config",
    "ConfigError",
    "Environment",
    "Fetched",
    "Found",
    "InstallError",
    "Installation",
    "Installed",
    "NoMatchError",
    "NotFoundError",
    "Observer",
    "PluginId",
    "PluginInfo",
    "Policy",
    "Query",
    "Request",
    "Resolution",
    "SealdexError",
    "Trust",
    "UnavailableError",
    "UsageError",
    "VerificationError",
    "detect_environment",
    "load_config",
]
