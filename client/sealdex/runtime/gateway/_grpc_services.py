"""Agent and MarketplaceService, health and reflection, as handlers of a gRPC server. They change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from sealdex.errors import SealdexError
from sealdex.runtime.gateway import _messages as messages
from sealdex.runtime.gateway.host import Host

MAX_REQUEST_BYTES = 1 << 20
_PUBLISH = (
    "plugins are published by a pull request to the registry's source tree, or with sealdex-builder release: the "
    "registry's keys sign them, and no gateway has these"
)
_CODES = {
    2: grpc.StatusCode.INVALID_ARGUMENT,
    3: grpc.StatusCode.NOT_FOUND,
    4: grpc.StatusCode.DATA_LOSS,
    5: grpc.StatusCode.UNAVAILABLE,
}


class AgentService:
    """What agents ask; a failure is part of the answer, as in the design.

    Args:
        host: the host.
        limit: how many bytes of a plugin fit into a message.
    """

    def __init__(self, host: Host, limit: int) -> None:
        self._host, self._limit = host, limit
        self._download = messages.message("agent.v1.DownloadPluginResponse")
        self._list = messages.message("agent.v1.ListAvailablePluginsResponse")
        self._info = messages.message("agent.v1.PluginInfo")

    def download_plugin(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Return a plugin's verified bytes, or where they are."""
        try:
            found = self._host.deliver(request.plugin_id, request.version, self._limit)
        except SealdexError as error:
            return self._download(success=False, message=_words(error))
        located = found.located
        what = f"{located.choice.plugin} {located.choice.release.version}"
        said = {"checksum": located.sha256 or "", "size": located.size or 0}
        if found.data is not None:
            return self._download(success=True, message=f"{what}, verified", plugin_data=found.data, **said)
        if located.image is not None:
            return self._download(success=False, message=f"{what} is a container image: {located.image}", **said)
        size = f"has {located.size} bytes" if located.size is not None else "has no stated size"
        message = (
            f"{what} {size}, and a message has room for {self._limit}: download it from {located.address} and compare "
            f"its SHA-256 with {located.sha256}; or run: sealdex fetch {located.choice.plugin}"
        )
        return self._download(success=False, message=message, **said)

    def list_available_plugins(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Return what the registries offer."""
        try:
            found = self._host.available(request.plugin_type)
        except SealdexError as error:
            return self._list(success=False, message=_words(error))
        plugins = [
            self._info(
                plugin_id=str(each.plugin),
                name=each.plugin.name,
                version=each.version,
                checksum=each.sha256,
                size=each.size,
                location=messages.LOCATION_REGISTRY,
            )
            for each in found
        ]
        return self._list(success=True, message=f"{len(plugins)} plugins", plugins=plugins)


class MarketplaceService:
    """What fleet managers ask; a failure is a status."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._details = messages.message("arf.cloud.v1.PluginDetails")
        self._download = messages.message("arf.cloud.v1.DownloadPluginResponse")

    def register_plugin(self, _request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Say how plugins are published."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, _PUBLISH)
        raise AssertionError  # abort raises

    def get_plugin(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return what is signed about a plugin."""
        try:
            document = self._host.info(f"{request.namespace}/{request.name}").document
        except SealdexError as error:
            return _abort(context, error)
        return self._details(
            id={"namespace": document.namespace, "name": document.name},
            type=messages.type_number(document.type),
            description=document.description or document.summary,
            versions=[release.version for release in document.releases if release.yanked is None],
        )

    def download_plugin(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the verified address of a plugin's file."""
        try:
            located = self._host.locate(f"{request.namespace}/{request.name}", request.version)
        except SealdexError as error:
            return _abort(context, error)
        where = located.image or located.address
        if where is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{located.choice.plugin} has no file of its own")
        context.set_trailing_metadata((("sealdex-sha256", located.sha256 or ""),))
        return self._download(download_url=where)


def _abort(context: grpc.ServicerContext, error: SealdexError) -> NoReturn:
    context.abort(_CODES.get(error.exit_code, grpc.StatusCode.INTERNAL), _words(error))
    raise AssertionError  # abort raises


def _words(error: SealdexError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def add_services(server: grpc.Server, host: Host, *, limit: int) -> None:
    """Add all services to a server; ``limit`` is how many bytes of a plugin fit into a message."""
    agent, market = AgentService(host, limit), MarketplaceService(host)
    table: dict[str, dict[str, Callable[..., Any]]] = {
        messages.AGENT: {
            "DownloadPlugin": agent.download_plugin,
            "ListAvailablePlugins": agent.list_available_plugins,
        },
        messages.MARKETPLACE: {
            "RegisterPlugin": market.register_plugin,
            "GetPlugin": market.get_plugin,
            "DownloadPlugin": market.download_plugin,
        },
    }
    for service, methods in table.items():
        handlers = {}
        for name, answer in methods.items():
            asked, answered = messages.method(service, name)
            handlers[name] = grpc.unary_unary_rpc_method_handler(
                answer, request_deserializer=asked.FromString, response_serializer=answered.SerializeToString
            )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    checks = health.HealthServicer()
    for service in ("", *table):
        checks.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    messages.POOL.AddSerializedFile(health_pb2.DESCRIPTOR.serialized_pb)
    names = (*table, health.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=messages.POOL)


__all__ = ["MAX_REQUEST_BYTES", "AgentService", "MarketplaceService", "add_services"]
