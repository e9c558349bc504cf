"""What holds for all tests: hypothesis measures no time, since these machines are noisy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("sealdex", deadline=None)
settings.load_profile("sealdex")
