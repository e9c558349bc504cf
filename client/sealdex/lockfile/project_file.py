"""``sealdex.toml``: the plugins that a project needs. Written by people, read strictly.

    [plugins]
    "acme/slack" = "^1.2"                                       # a range; "*" for any version
    "acme/mail" = { version = ">=2", channel = "beta", pre = true }

    [environment]                                               # added to the host's own
    labels = { gpu = "a100" }
    tags = ["cuda-11.8"]
    host_version = "3.2.0"

    [[platforms]]                                               # default: the host that locks
    labels = { os = "linux", arch = "arm64" }
    tags = ["jetpack-5"]

A lock holds only releases that fit every platform that is listed.
"""

# annotations are types here, not text (no __future__): msgspec evaluates each that is text, whenever a command starts

from pathlib import Path

from msgspec import Struct, field

from sealdex.config.config import EnvironmentSection
from sealdex.config.toml_reader import parse_toml, require_toml_text
from sealdex.errors import ConfigError
from sealdex.model.decode import DocumentError, FieldProblem, read_values
from sealdex.model.environment import Environment
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.ranges import parse_range
from sealdex.model.release import Channel
from sealdex.model.selectors import LabelKey, LabelValue, Tag
from sealdex.resolve import Request
from sealdex.resolve.requests import request_problem

WANTED_NAME = "sealdex.toml"
_EXAMPLE = '[plugins] and under it a line such as "acme/slack" = "^1.2"'


class WantedPlugin(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """One line of ``[plugins]`` in its long form."""

    version: str = "*"
    channel: Channel | None = None
    pre: bool = False


class PlatformSection(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """``[[platforms]]``."""

    labels: dict[LabelKey, LabelValue]
    tags: tuple[Tag, ...] = ()


class WantedDocument(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True, kw_only=True):
    """The whole of ``sealdex.toml``."""

    plugins: dict[str, str | WantedPlugin] = {}
    environment: EnvironmentSection = field(default_factory=EnvironmentSection)
    platforms: tuple[PlatformSection, ...] = ()

    @property
    def requests(self) -> dict[PluginId, Request]:
        """The requests, sorted by plugin name."""
        found: dict[PluginId, Request] = {}
        for name, wanted in sorted(self.plugins.items()):
            full = wanted if isinstance(wanted, WantedPlugin) else WantedPlugin(version=wanted)
            plugin = parse_plugin_id(name)
            found[plugin] = Request(plugin, str(parse_range(full.version)), full.channel, full.pre)
        return found

    def here(self, host: Environment) -> Environment:
        """Return a host's environment with what the project adds."""
        added = self.environment
        return host.with_additions(added.labels, frozenset(added.tags), added.host_version)

    def environments(self, host: Environment) -> tuple[Environment, ...]:
        """Return the environments that releases must fit: every listed platform, or the host."""
        listed = (Environment(dict(p.labels), frozenset(p.tags)) for p in self.platforms)
        return tuple(map(self.here, listed)) or (self.here(host),)


def read_wanted(path: Path) -> WantedDocument:
    """Read ``sealdex.toml``.

    Raises:
        NotFoundError: it isn't there.
        ConfigError: it can't be read or is invalid; every problem is named.
    """
    return parse_wanted(
        require_toml_text(path, f"write one: {_EXAMPLE}; or give its folder with --project DIR"), str(path)
    )


def parse_wanted(text: str, subject: str = WANTED_NAME) -> WantedDocument:
    """Read the text of a ``sealdex.toml`` strictly.

    Raises:
        ConfigError: not TOML, or fields are invalid; all of them are named.
    """
    try:
        document = read_values(parse_toml(text, subject, f"edit {subject}"), WantedDocument)
    except DocumentError as error:
        raise ConfigError("\n".join(map(str, error.problems)), subject=subject, hint=f"edit {subject}") from error
    problems = [
        FieldProblem(f'plugins."{name}"', problem)
        for name, wanted in document.plugins.items()
        if (problem := request_problem(name, wanted if isinstance(wanted, str) else wanted.version))
    ]
    if problems:
        raise ConfigError("\n".join(map(str, problems)), subject=subject, hint=f"edit {subject}")
    return document
