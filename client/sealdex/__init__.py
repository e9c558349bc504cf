"""Sealdex: the thin client of a plugin registry without a server. Verifies every byte before it is used.

    from sealdex import Client

    with Client() as client:
        client.install("acme/slack@^1.2")
        print(client.path("acme/slack"))

Names are imported when they are first used, so that a program that asks for little waits for little.
"""

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

__version__ = "0.2.0"

_HOMES = {
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
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'sealdex' has no attribute '{name}'")
    from importlib import import_module  # noqa: PLC0415  # so that `import sealdex` costs next to nothing

    value: object = getattr(import_module(f"sealdex.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
