"""What holds for all tests: budgets of examples, and hypothesis measures no time, since these machines are noisy.

The profile is ``local``, or ``ci`` where the variable CI is set; ``pytest -m hypothesis --hypothesis-profile=long`` is
what the scheduled workflow runs. None has a fixed seed: a run that repeats the last one's examples finds nothing that
that one didn't. What any of them finds stays in its test as an ``@example``.
"""

from __future__ import annotations

import os

from hypothesis import settings
from support.budgets import PROFILES

for name, count in PROFILES.items():
    settings.register_profile(name, deadline=None, max_examples=count, print_blob=name != "local")
settings.load_profile("ci" if os.environ.get("CI") else "local")
