"""The templates and assets of the site: where they come from, their hashed names, and rendering.

`site_templates/` of this program holds them all; a file of the same path in the source tree's ``site/`` folder is taken
instead, and further files in ``site/assets/`` are published too. Templates run in a sandbox: one that comes with a pull
request can lay out what a page shows, and do nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from registry_builder.site.addresses import address, link
from registry_builder.source.config import SiteSection
from sealdex.errors import ConfigError, SealdexError

OVERRIDES = "site"
LAYOUT = 3
"""Raised when this package lays pages out differently from the same templates, so that all are written anew."""

_ASSET_FOLDERS = ("assets", "vendor")
_ASSET_ENDINGS = frozenset({".css", ".js", ".svg", ".png", ".webp", ".woff2", ".txt"})
_THEME = "theme.css"
_HASH_LENGTH = 12


@dataclass(frozen=True)
class Asset:
    """A file that pages load: its key in the published tree has a digest of its bytes."""

    name: str
    key: str
    data: bytes


class Templates:
    """All templates and assets of one registry's site.

    Args:
        tree: the source tree, whose ``site/`` folder overrides.
        section: ``[site]`` of registry.toml, for logo and colours.
        more: further assets by name.

    Raises:
        ConfigError: the logo that registry.toml names isn't in ``site/``.
    """

    def __init__(self, tree: Path, section: SiteSection, more: Mapping[str, bytes] | None = None) -> None:
        folders = [folder for folder in (tree / OVERRIDES, own_folder()) if folder.is_dir()]
        self.assets = _assets(folders, tree, section, more or {})
        self.logo = section.logo
        self.fingerprint = _fingerprint(folders, self.assets)
        self._environment = _Sandbox(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
            autoescape=True,  # whatever the file is called
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
        )
        self._environment.globals["has_asset"] = self.assets.__contains__

    def render(self, template: str, page: str, values: Mapping[str, Any], *, base: str | None = None) -> bytes:
        """Render ``template`` as the file ``page`` of the published tree.

        Templates have ``to(key)``, the link to another file of the tree, and ``asset(name)``.

        Args:
            template: its name.
            page: the key that the result is stored under.
            values: what it shows.
            base: the path of the site, for a page that answers for any address and so can't have relative links.

        Raises:
            SealdexError: the template is wrong.
        """

        def to(key: str) -> str:
            return link(key, page=page) if base is None else base + address(key)

        def asset(name: str) -> str:
            return to(self._key_of(name))

        try:
            return self._environment.get_template(template).render(values, page=page, to=to, asset=asset).encode()
        except TemplateError as error:
            place = f", line {line}" if (line := getattr(error, "lineno", None)) else ""
            raise SealdexError(
                f"the template {template} can't be rendered for {page}{place}: {error}",
                subject=template,
                hint=f"if {OVERRIDES}/{template} of the source tree overrides it, compare it with the original",
            ) from error

    def _key_of(self, name: str) -> str:
        if name not in self.assets:
            raise TemplateError(f"there is no asset called {name}")
        return self.assets[name].key


class _Sandbox(ImmutableSandboxedEnvironment):
    """Remembers which attributes of which types are safe: nothing else decides, and a site asks millions of times."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._safe: dict[tuple[type, str], bool] = {}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """See `SandboxedEnvironment.is_safe_attribute`."""
        asked = (type(obj), attr)
        if asked not in self._safe:
            self._safe[asked] = super().is_safe_attribute(obj, attr, value)
        return self._safe[asked]


def own_folder() -> Path:
    """Return the folder of this program's own templates."""
    # beside the package in a checkout, inside it when installed
    here = Path(__file__).resolve().parent.parent
    return next(f for f in (here / "site_templates", here.parent / "site_templates") if f.is_dir())


def _assets(folders: list[Path], tree: Path, section: SiteSection, more: Mapping[str, bytes]) -> dict[str, Asset]:
    found = dict(more)
    for folder in reversed(folders):  # the source tree's files last, so that they win
        for part in _ASSET_FOLDERS:
            for path in sorted((folder / part).glob("*")):
                if path.is_file() and path.suffix in _ASSET_ENDINGS:
                    found[path.name] = path.read_bytes()
    if theme := _theme(section):
        found[_THEME] = theme
    if section.logo is not None:
        path = tree / OVERRIDES / section.logo
        if not path.is_file():
            raise ConfigError(
                f"site.logo is '{section.logo}', but there is no file {path}",
                subject=str(path),
                hint="put the image there, or remove the line from registry.toml",
            )
        found[section.logo] = path.read_bytes()
    return {name: _asset_of(name, data) for name, data in sorted(found.items())}


def _asset_of(name: str, data: bytes) -> Asset:
    stem, dot, ending = name.partition(".")
    digest = hashlib.sha256(data).hexdigest()[:_HASH_LENGTH]
    return Asset(name, f"assets/{stem}.{digest}{dot}{ending}", data)


def _theme(section: SiteSection) -> bytes:
    rules = []
    if section.accent:
        rules.append(f":root {{ --accent: {section.accent}; }}\n")
    if section.accent_dark or section.accent:
        rules.append(
            "@media (prefers-color-scheme: dark) {\n"
            f"  :root {{ --accent: {section.accent_dark or section.accent}; }}\n"
            "}\n"
        )
    return "".join(rules).encode()


def _fingerprint(folders: list[Path], assets: Mapping[str, Asset]) -> str:
    digest = hashlib.sha256(str(LAYOUT).encode())
    for number, folder in enumerate(folders):
        for path in sorted(folder.glob("*.j2")):
            data = path.read_bytes()
            digest.update(f"{number} {path.name} {len(data)}\n".encode() + data)
    for asset in assets.values():
        digest.update(f"{asset.key}\n".encode())
    return digest.hexdigest()
