"""Checks JSON Schemas and defaults in a separate process, to contain hostile schemas.

A schema comes from the author of a pull request. Its patterns may take exponential time in any backtracking regular
expression engine, and references may multiply work similarly; neither can be interrupted from inside Python. So a
watchdog ends this process when one check takes too long, and `registry_builder.source.lint.schemas` names that schema.

Reads JSON lines ``[schema, default or null]`` from standard input; for each writes one line, a list of
``[part, path, message]`` with ``part`` either ``schema`` or ``default``.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # ships no type information
from referencing.exceptions import Unresolvable

MAX_SHOWN = 10


def check(schema: dict[str, Any], default: dict[str, Any] | None) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with a schema; if nothing, with a default that must satisfy it as far as it goes."""
    kind = _dialect(schema)
    if kind is None:
        yield (
            "schema",
            "$schema",
            "names an unknown dialect: write https://json-schema.org/draft/2020-12/schema",
        )
        return
    # REGISTRY holds the meta-schemas and, unlike jsonschema's default registry, never fetches anything
    meta = kind(kind.META_SCHEMA, registry=REGISTRY, format_checker=kind.FORMAT_CHECKER)
    problems = [
        ("schema", _path(error), f"is not a valid JSON Schema: {_said(error)}") for error in meta.iter_errors(schema)
    ]
    if problems or default is None:
        yield from problems[:MAX_SHOWN]
        return
    lenient = validators.extend(kind, dict.fromkeys(("required", "dependentRequired", "minProperties"), _nothing))
    try:
        errors = list(lenient(schema, registry=REGISTRY).iter_errors(default))
    except Unresolvable as error:
        yield "schema", "", f"refers to '{error.ref}', which is outside the schema: only references inside it work"
    except RecursionError:
        yield "schema", "", "contains an endless reference to itself"
    else:
        for unmet in errors[:MAX_SHOWN]:
            yield "default", _path(unmet), f"doesn't satisfy config_schema: {_said(unmet)}"


def _dialect(schema: dict[str, Any]) -> Any:
    if "$schema" not in schema:
        return Draft202012Validator
    named = schema["$schema"]
    return validators.validator_for(schema, default=None) if isinstance(named, str) else None


def _nothing(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001  # the signature of a keyword
    """Replace a keyword about presence: a default may have only some of the properties."""
    return iter(())


def _path(error: ValidationError) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")


def _said(error: ValidationError) -> str:
    message = " ".join(error.message.split())
    return message if len(message) <= 200 else message[:197] + "..."


def main(seconds: float) -> None:
    """Answer line by line; a check that takes longer than ``seconds`` ends the process without an answer."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a file descriptor for the watchdog
        for line in sys.stdin:
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            schema, default = json.loads(line)
            try:
                answer = list(check(schema, default))
            except RecursionError:
                answer = [("schema", "", "is nested too deep to be checked")]
            faulthandler.cancel_dump_traceback_later()
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
