"""What the agent's tests share; see `support.agent_scene`."""

from __future__ import annotations

import pytest
from support.agent_scene import bare, registry, run, server, want

__all__ = ["bare", "no_proxy", "registry", "run", "server", "want"]


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the proxies of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
