"""Lint of ``config_schema``, ``params_schema`` and ``default_config``, in a child process with a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from sealdex.model.release import Release

SECONDS_A_SCHEMA = 10.0

# -I: neither the current folder, which may be a pull request's, nor the environment decides what is imported.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from registry_builder.source.lint.schema_worker import main; main(float(sys.argv[2]))"
)


class SchemaChecks:
    """Collects the schemas of many releases and checks each distinct one once.

    Args:
        seconds: the time limit for one schema.
    """

    def __init__(self, seconds: float = SECONDS_A_SCHEMA) -> None:
        self._seconds = seconds
        self._wanted: dict[str, list[tuple[str, str, str]]] = {}

    def add(self, file: str, release: Release) -> None:
        """Add a release's schemas."""
        if release.config_schema is not None:
            self._add(file, "config_schema", release.config_schema, release.default_config)
        if release.params_schema is not None:
            self._add(file, "params_schema", release.params_schema, None)

    def _add(self, file: str, field: str, schema: dict[str, Any], default: dict[str, Any] | None) -> None:
        self._wanted.setdefault(json.dumps([schema, default]), []).append((file, field, "default_config"))

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """Check everything; yield (file, field path, message)."""
        for request, answer in zip(self._wanted, _answers(list(self._wanted), self._seconds), strict=True):
            for file, schema_field, default_field in self._wanted[request]:
                for part, path, message in answer:
                    field = schema_field if part == "schema" else default_field
                    yield file, _join(field, path), message


def _join(field: str, path: str) -> str:
    return f"{field}{path}" if path.startswith("[") else f"{field}.{path}".rstrip(".")


def _answers(requests: list[str], seconds: float) -> Iterator[list[tuple[str, str, str]]]:
    done = 0
    while done < len(requests):
        answered = _run(requests[done:], seconds)
        yield from answered
        done += len(answered)
        if done < len(requests):
            yield [("schema", "", f"takes more than {seconds:g} s to check: simplify its patterns and references")]
            done += 1


def _run(requests: Iterable[str], seconds: float) -> list[list[tuple[str, str, str]]]:
    """Return the answers, up to the request, if any, during which the process was ended."""
    search_path = json.dumps([folder for folder in sys.path if os.path.isabs(folder)])  # noqa: PTH117  # text throughout
    process = subprocess.run(
        [sys.executable, "-I", "-c", _PROGRAM, search_path, str(seconds)],
        input="".join(request + "\n" for request in requests),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if process.returncode != 0 and "Traceback" in process.stderr:
        raise RuntimeError(f"the schema check failed: {process.stderr.strip().splitlines()[-1]}")
    return [[(part, path, message) for part, path, message in json.loads(line)] for line in process.stdout.splitlines()]
