"""The protobuf messages, from ``protos.binpb``: no generated code, which would be tied to one version of protobuf."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

AGENT = "agent.v1.Agent"
MARKETPLACE = "arf.cloud.v1.MarketplaceService"
TYPES = "arf.cloud.v1.PluginType"
LOCATION_REGISTRY = 3

_pool = descriptor_pool.DescriptorPool()
for _file in descriptor_pb2.FileDescriptorSet.FromString(files(__package__).joinpath("protos.binpb").read_bytes()).file:
    _pool.Add(_file)

POOL = _pool


def message(name: str) -> Any:
    """Return the class of a message by its full name."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))


def method(service: str, name: str) -> tuple[Any, Any]:
    """Return the classes of a method's request and response."""
    found = POOL.FindServiceByName(service).methods_by_name[name]
    return message_factory.GetMessageClass(found.input_type), message_factory.GetMessageClass(found.output_type)


def type_number(plugin_type: str) -> int:
    """Return the number of a plugin's type; 0 for one that the marketplace doesn't know."""
    value = POOL.FindEnumTypeByName(TYPES).values_by_name.get(plugin_type.upper().replace("-", "_"))
    return value.number if value is not None else 0


__all__ = ["AGENT", "LOCATION_REGISTRY", "MARKETPLACE", "POOL", "message", "method", "type_number"]
