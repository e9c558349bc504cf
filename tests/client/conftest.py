"""What the agent's tests share; see `support.agent_scene`."""

from support.agent_scene import bare, registry, run, server, want

__all__ = ["bare", "registry", "run", "server", "want"]
