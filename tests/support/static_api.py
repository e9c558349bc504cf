"""Reads the documents of ``api/v1/`` as a program would that knows nothing but their description."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

ROOT = "api/v1/"


def _validate(description: Any) -> None:
    """Hold a description to OpenAPI 3.1; not beside the oldest packages that we work with."""
    try:
        from openapi_spec_validator import OpenAPIV31SpecValidator  # noqa: PLC0415  # it may not be there
    except ImportError:
        if os.environ.get("PINS") == "lowest":
            return
        raise
    OpenAPIV31SpecValidator(description).validate()


class Documents:
    """The documents of a published folder, each held to the description that lies beside them."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self.description = self.plain(f"{ROOT}openapi.json")
        _validate(self.description)
        resource = Resource.from_contents(self.description, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("urn:description", resource)
        self._paths = {
            re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))): path for path in self.description["paths"]
        }

    def keys(self, root: str = ROOT) -> list[str]:
        return sorted(path.relative_to(self.site).as_posix() for path in (self.site / root).rglob("*.json"))

    def plain(self, key: str) -> Any:
        return json.loads((self.site / key).read_bytes())

    def read(self, key: str) -> Any:
        """Return a document that is as the description says."""
        found = [path for pattern, path in self._paths.items() if pattern.fullmatch(f"/{key}")]
        assert len(found) == 1, key
        pointer = f"paths/{found[0].replace('/', '~1')}/get/responses/200/content/application~1json/schema"
        quoted = pointer.replace("{", "%7B").replace("}", "%7D")
        document = self.plain(key)
        Draft202012Validator({"$ref": f"urn:description#/{quoted}"}, registry=self._registry).validate(document)
        return document

    def file(self, key: str, address: str, base: str = "https://plugins.example/") -> Path:
        """Return the file that an address in a document means."""
        return self.site / unquote(urljoin(f"{base}{key}", address).removeprefix(base))


__all__ = ["ROOT", "Documents"]
