"""``python -m registry_builder.trial_host PLAN``: a host for one plugin, in a process of its own.

A plugin may exit, crash or hang. So `registry_builder.trial` starts this, reads what it wrote line by line, and knows
which step it was in when it ended. Uses what hosts use, and nothing of the builder.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from sealdex.client import Client
from sealdex.config.config import Config, ConfigDocument
from sealdex.errors import SealdexError
from sealdex.model.decode import decode_as
from sealdex.model.ids import PluginId, parse_plugin_id
from sealdex.model.release import PublishedManifest
from sealdex.runtime import PluginManager, PluginStatus, Services, run_job
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store
from sealdex.store.manifests import installed_manifest

STARTED = "started"


class Plan(msgspec.Struct, frozen=True):
    """What to do.

    Attributes:
        store: where the plugin is installed.
        results: the file that outcomes are appended to, one JSON object a line.
        timeout: seconds for loading, and again for initializing.
        steps: of ``examples``, ``load``, ``job``, ``service``.
    """

    store: str
    plugin: str
    version: str
    results: str
    timeout: float
    steps: tuple[str, ...]

    @property
    def id(self) -> PluginId:
        """The plugin, parsed."""
        return parse_plugin_id(self.plugin)


class _FailedError(Exception):
    """A step failed; the text says why."""


def main(path: str) -> None:
    """Carry out a plan; every step stands for itself."""
    plan = decode_as(Path(path).read_bytes(), Plan)
    found = find_installation(Store(plan.store), plan.id, plan.version)
    if found is None:
        raise SystemExit("it is not installed")
    manifest = installed_manifest(found)
    for name in plan.steps:
        _tell(plan, name, STARTED)
        began = time.monotonic()
        try:
            detail = _STEPS[name](plan, manifest)
        except (_FailedError, SealdexError) as error:
            _tell(plan, name, "failed", str(error), time.monotonic() - began)
        except Exception as error:  # noqa: BLE001  # whatever a plugin's code raises
            _tell(plan, name, "failed", f"{type(error).__name__}: {error}", time.monotonic() - began)
        else:
            _tell(plan, name, "passed", detail, time.monotonic() - began)


def _tell(plan: Plan, step: str, outcome: str, detail: str = "", seconds: float = 0.0) -> None:
    with Path(plan.results).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "outcome": outcome, "detail": detail, "seconds": seconds}) + "\n")


# --- schemas and their examples --------------------------------------------------------------------------------------


def _examples(_: Plan, manifest: PublishedManifest) -> str:
    import jsonschema  # noqa: PLC0415  # the dependency of hosts that check
    import referencing  # noqa: PLC0415  # of the same

    checked, problems = 0, list[str]()
    for field in ("config_schema", "params_schema"):
        schema = getattr(manifest, field)
        if schema is None:
            continue
        kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        kind.check_schema(schema)
        validator = kind(schema, registry=referencing.Registry())
        for where, part in subschemas(schema, field):
            own = validator.evolve(schema=part)
            values = [(f"{where}.examples[{i}]", value) for i, value in enumerate(_listed(part.get("examples")))]
            if "default" in part:
                values.append((f"{where}.default", part["default"]))
            for name, value in values:
                checked += 1
                problems += [f"{name}: {error.json_path}: {error.message}" for error in own.iter_errors(value)]
    if problems:
        raise _FailedError("\n".join(problems))
    return f"{checked} examples and defaults fit their schemas" if checked else "the schemas have no examples"


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def subschemas(schema: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a schema and those within it, each with its place."""
    yield where, schema
    for name in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
        for key, part in (schema.get(name) or {}).items():
            if isinstance(part, dict):
                yield from subschemas(part, f"{where}.{name}.{key}")
    for name in ("items", "additionalProperties", "contains", "not", "if", "then", "else"):
        if isinstance(part := schema.get(name), dict):
            yield from subschemas(part, f"{where}.{name}")
    for name in ("allOf", "anyOf", "oneOf", "prefixItems"):
        for i, part in enumerate(_listed(schema.get(name))):
            if isinstance(part, dict):
                yield from subschemas(part, f"{where}.{name}[{i}]")


def _config(manifest: PublishedManifest) -> dict[str, Any]:
    """Return what a host would configure: the first example, since defaults alone may lack what is required."""
    first = next(iter(_listed((manifest.config_schema or {}).get("examples"))), None)
    return first if isinstance(first, dict) else {}


# --- as a host -------------------------------------------------------------------------------------------------------


def _load(plan: Plan, manifest: PublishedManifest) -> str:
    with PluginManager(plan.store, load_timeout=plan.timeout) as plugins:
        plugins.register(plan.id, version=plan.version, config=_config(manifest))
        plugins.init()
        state = plugins.state(plan.plugin)
        if state.status is not PluginStatus.ENABLED:
            raise _FailedError(f"its status is {state.status.name.lower()}")
    return f"{manifest.entry_point} is loaded and initialized"


def _job(plan: Plan, manifest: PublishedManifest) -> str:
    wanted = {"plugin_id": plan.plugin, "version": plan.version, "config": _config(manifest)}
    config = Config(Path(plan.store) / "config.toml", Path(plan.store), ConfigDocument(registries={}))
    with Client(config) as client:
        done = run_job({"job_id": "trial", "plugins": [wanted]}, client=client, load_timeout=plan.timeout)
    failed = [f"{each.stage}: {each.error_message}" for each in done.plugin_results if not each.success]
    if failed or not done.success:
        raise _FailedError("\n".join(failed) or done.error_message)
    stages = [each.stage for each in done.plugin_results]
    return f"stages {', '.join(stages)}" if stages else "it is installed for the job, and has no stages"


def _service(plan: Plan, manifest: PublishedManifest) -> str:
    services = Services(plan.store)
    service = manifest.service
    has_port = service is not None and (service.port is not None or service.health_check is not None)
    wanted = services.plan(plan.id, plan.version, port=0 if has_port else None)
    try:
        started = services.start(wanted)
        state = next((each for each in services.list() if each.plugin == plan.plugin), started)
        if state.state != "running" or state.health == "unhealthy":
            raise _FailedError(f"it is {state.state}, {state.health or 'without a health check'}: {state.error or ''}")
    finally:
        services.stop(plan.id)
    return f"running{f' on port {state.port}' if state.port else ''}, {state.health or 'without a health check'}"


_STEPS: dict[str, Callable[[Plan, PublishedManifest], str]] = {
    "examples": _examples,
    "load": _load,
    "job": _job,
    "service": _service,
}

if __name__ == "__main__":
    main(sys.argv[1])
