"""The old systems' interfaces on a host, answered from verified documents: gRPC and REST. Wants ``sealdex[gateway]``.

`protos.binpb` is what ``protos/`` compiles to; `tests/protos` says how.
"""
