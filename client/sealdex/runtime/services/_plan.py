"""Plans the start of a service before anything is started: command, folder, environment, health check."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from sealdex.errors import UsageError
from sealdex.model.ids import PluginId
from sealdex.model.release import HealthCheck, PublishedManifest
from sealdex.runtime._plugin_config import plugin_config
from sealdex.runtime.errors import PluginError
from sealdex.store.installations import Installation

HOST = "127.0.0.1"
CONFIG_VARIABLE = "SEALDEX_PLUGIN_CONFIG"


@dataclass(frozen=True, slots=True)
class ServiceWish:
    """The options for a service, whatever its version.

    Attributes:
        port: overrides the manifest's; 0 for any free port.
        env: variables that override or extend the manifest's.
        with_env: use a virtual environment from its ``requirements.txt``.
    """

    port: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    with_env: bool = False


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """How a service is started.

    Attributes:
        plugin, version: the release.
        folder: its installation, in which it runs.
        command: program and arguments.
        env: its whole environment.
        port: the port to listen on; None if it has none.
        health: its health check; None: it is healthy while it runs.
        health_port: the port of the health check.
        wish: the options it was made from, for the plan of another version.
    """

    plugin: PluginId
    version: str
    folder: Path
    command: tuple[str, ...]
    env: dict[str, str]
    port: int | None
    health: HealthCheck | None
    health_port: int | None
    wish: ServiceWish = field(default_factory=ServiceWish)

    def can_run_beside(self, other: ServicePlan) -> bool:
        """Return whether both can run at the same time: each on a port that we chose, and on no other known port."""
        return all(
            plan.wish.port == 0 and plan.health_port in {None, plan.port} and plan.port is not None
            for plan in (self, other)
        )  # fmt: skip

    @property
    def health_url(self) -> str | None:
        """The address of the health check, for people."""
        return None if self.health is None else f"http://{HOST}:{self.health_port}{self.health.endpoint}"


def plan_service(
    installation: Installation,
    manifest: PublishedManifest,
    environ: Mapping[str, str],
    *,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
    environment_folder: Path | None = None,
    kept: Mapping[str, Any] | None = None,
) -> ServicePlan:
    """Decide how an installed service is started.

    The environment is the caller's; then ``MODELS_DIR`` (the package's ``models``) and ``PORT``; then the manifest's;
    then ``env``. In the manifest's values and command, ``${PORT}``, ``${MODELS_DIR}`` and ``${SERVICE_DIR}`` are
    replaced. A relative ``MODELS_DIR`` is made absolute, since programs change folders.
    ``SEALDEX_PLUGIN_CONFIG`` is its configuration as JSON, if it has one, and never that of the caller.
    ``SEALDEX_PLUGIN`` and ``SEALDEX_VERSION`` name the release, whatever any of these say.

    Args:
        installation: what to start.
        manifest: its manifest.
        environ: the caller's environment.
        port: overrides the manifest's.
        env: overrides or extends the manifest's.
        environment_folder: the virtual environment whose programs come first in ``PATH``.
        kept: its configuration on this host.

    Raises:
        ConfigError: what is kept doesn't match its schema.
        PluginError: it is not a service. UsageError: a port is needed, but neither the manifest nor the caller has one.
    """
    name = f"{manifest.namespace}/{manifest.name} {manifest.version}"
    service = manifest.service
    if service is None or not service.command:
        raise PluginError(
            f"{name} is not a service: its manifest has no command to start",
            subject=name,
            hint="a host loads plugins with sealdex.runtime.PluginManager",
        )
    folder = installation.path
    own_port = port if port is not None else service.port
    health, health_port = service.health_check, None
    if health is not None:
        health_port = health.port if health.port not in {None, service.port} else own_port
        if health_port is None:
            raise UsageError(f"{name} has a health check but no port for it", hint="give one with --port")
    values = {
        "SERVICE_DIR": str(folder),
        "MODELS_DIR": str(folder / service.env.get("MODELS_DIR", "models")),
        **({"PORT": str(own_port)} if own_port is not None else {}),
    }
    made = {
        **{name: value for name, value in environ.items() if name != CONFIG_VARIABLE},
        "PYTHONDONTWRITEBYTECODE": "1",  # an installation must not be changed
        "PYTHONUNBUFFERED": "1",  # its output is shown when it is printed
        **values,
        **_configuration(manifest, kept),
        **{key: Template(value).safe_substitute(values) for key, value in service.env.items()},
        "MODELS_DIR": values["MODELS_DIR"],
        **(env or {}),
        # last: by these a later sealdex finds what a killed supervisor left behind
        "SEALDEX_PLUGIN": f"{manifest.namespace}/{manifest.name}",
        "SEALDEX_VERSION": manifest.version,
    }
    if environment_folder is not None:
        programs = environment_folder / ("Scripts" if os.name == "nt" else "bin")
        made["VIRTUAL_ENV"] = str(environment_folder)
        made["PATH"] = os.pathsep.join([str(programs), made.get("PATH", os.defpath)])
    first, *rest = (Template(word).safe_substitute(values) for word in service.command)
    if (folder / first).is_file():
        first = str(folder / first)
    plugin = PluginId(manifest.namespace, manifest.name)
    return ServicePlan(plugin, manifest.version, folder, (first, *rest), made, own_port, health, health_port)


def _configuration(manifest: PublishedManifest, kept: Mapping[str, Any] | None) -> dict[str, str]:
    if kept:
        return {CONFIG_VARIABLE: json.dumps(plugin_config(manifest, None, kept))}
    # nothing was set here: defaults are the author's own, and hosts without jsonschema have always run them
    return {CONFIG_VARIABLE: json.dumps(manifest.default_config)} if manifest.default_config else {}


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_taken(port: int) -> bool:
    """Return whether a process listens on a port of this host, which would answer instead of the service."""
    with socket.socket() as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only listeners count, not closing connections
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False
