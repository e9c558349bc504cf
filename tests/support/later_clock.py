"""A `sitecustomize` for programs that a test starts: the builder's clock, `$TEST_DAYS` days on.

The builder's module is changed when a program imports it, so that programs which don't are begun as fast as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CODE = """\
import os, sys

class Later:
    def find_spec(self, name, path=None, target=None):
        if name != "registry_builder.signing.metadata":
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(name)
        load = spec.loader.exec_module

        def changed(module):
            from datetime import timedelta

            load(module)
            now, days = module.utc_now, timedelta(days=int(os.environ["TEST_DAYS"]))
            module.utc_now = lambda: now() + days

        spec.loader.exec_module = changed
        return spec

sys.meta_path.insert(0, Later())
"""


def later_clock(folder: Path) -> dict[str, str]:
    """Write it into a new folder; return the variables of programs that are to have it, besides `TEST_DAYS`."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_CODE)
    return {"PYTHONPATH": str(folder)}
