"""Checks values against the JSON Schemas of a release: a host's configuration, and the parameters of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sealdex.config.secret_references import holds_secret
from sealdex.errors import ConfigError, UsageError
from sealdex.log import Log
from sealdex.model.release import PublishedManifest

_MOST_SHOWN = 10
_STAGE = "stage"  # a job's call, whose parameters are the same for all plugins

_OF_KEYS = frozenset({"required", "dependentRequired"})  # their messages name keys alone

_log = Log("sealdex.runtime")


class Problem(NamedTuple):
    """What doesn't match: the path, the schema's keyword, why, and whether a secret is in the value."""

    path: str
    keyword: str
    why: str
    is_secret: bool

    @property
    def text(self) -> str:
        """Path and reason."""
        return f"{self.path}: {self.why}"


class SchemaCheck:
    """One schema of one release, prepared once.

    Args:
        schema: the JSON Schema; its ``$schema`` decides the draft, by default 2020-12. References to addresses are
            never fetched.
        field: the manifest's field that has it, for messages.
        name: plugin and version, for messages: ``acme/slack 1.2.0``.

    Raises:
        ImportError: `jsonschema` isn't installed. ConfigError: the schema is not a valid one.
    """

    def __init__(self, schema: dict[str, Any], field: str, name: str) -> None:
        import jsonschema  # noqa: PLC0415  # an extra: only plugins with a schema need it
        import referencing  # noqa: PLC0415  # of the same extra

        self._field, self._name = field, name
        self._unresolvable = referencing.exceptions.Unresolvable
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise self._unusable(error) from error
        # without a registry of its own, a "$ref" to an address would be fetched
        self._validator = kind(schema, registry=referencing.Registry())

    def problems(self, value: object) -> list[str]:
        """Return what doesn't match, each as path and reason, at most ten; no reason shows a secret.

        Raises:
            ConfigError: the schema has a reference that can't be resolved.
        """
        return [problem.text for problem in self.found(value)[:_MOST_SHOWN]]

    def found(self, value: object) -> list[Problem]:
        """Return all that doesn't match, by path; as `problems`."""
        try:
            found = sorted(self._validator.iter_errors(value), key=lambda problem: problem.json_path)
        except self._unresolvable as error:
            raise self._unusable(error) from error
        return [Problem(each.json_path, each.validator, _words(each), holds_secret(each.instance)) for each in found]

    def _unusable(self, error: Exception) -> ConfigError:
        return ConfigError(f"the {self._field} of {self._name} can't be used: {error}", subject=self._name)


def _words(error: Any) -> str:
    if not holds_secret(error.instance) or error.validator in _OF_KEYS:
        return str(error.message)
    return f"does not match the schema's {error.validator} (there is a secret in the value, which is not shown)"


class ParamsCheck:
    """Checks the parameters of calls against the ``params_schema`` of a release, if it has one.

    A schema names its parameters, so it holds for calls with named parameters, and for those with one object. Calls
    with positional parameters and ``stage(stage, job)``, whose parameters are a job's, aren't checked.

    Without `jsonschema` nothing is checked, which is logged once: hosts called such plugins before there was a check.
    """

    def __init__(self, manifest: PublishedManifest) -> None:
        self._name = f"{manifest.namespace}/{manifest.name} {manifest.version}"
        self._schema = manifest.params_schema
        self._check: SchemaCheck | None = None

    def require(self, method: str, params: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Refuse a call whose parameters don't match.

        Raises:
            UsageError: they don't; each is named with its path. ConfigError: the schema can't be used.
        """
        if self._schema is None or method == _STAGE:
            return
        if named and not params:
            value = dict(named)
        elif len(params) == 1 and not named and isinstance(params[0], dict):
            value = params[0]
        else:
            return
        if self._check is None:
            try:
                self._check = SchemaCheck(self._schema, "params_schema", self._name)
            except ImportError:
                self._schema = None
                _log.info(
                    "runtime.params_unchecked",
                    "{plugin} has a params_schema, which is not checked: jsonschema is not installed",
                    plugin=self._name,
                )
                return
        if problems := self._check.problems(value):
            raise UsageError(
                f"the parameters of '{method}' do not match the params_schema of {self._name}:\n" + "\n".join(problems),
                subject=self._name,
                untouched="the plugin was not called",
                hint=f"to see the schema: sealdex info {self._name.replace(' ', '@')}",
            )


__all__ = ["ParamsCheck", "Problem", "SchemaCheck"]
