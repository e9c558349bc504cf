"""The old systems' interfaces on a host, answered from verified documents: gRPC and REST. Wants ``sealdex[gateway]``.

    serving         listens, on Unix sockets or loopback, until it is stopped
    listening       which addresses it listens on, and sockets that only their owner can open
    host            what both interfaces ask: the verified client, and the store
    guard           which requests are let in, and which may change the host; pure
    _rest           the routes of Arcade's plugin engine
    _grpc_services  Agent and MarketplaceService, health and reflection
    _messages       the protobuf messages, from protos.binpb
    _engine         plugins and manifests as Arcade's engine writes them; pure
    _forms          fields of a request: JSON or a form

An adapter on a host, and no server of a registry. `protos.binpb` is what ``protos/`` compiles to (`tests/protos`).
"""
