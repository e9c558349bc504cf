"""``python -m sealdex.runtime.supervise``, as version 0.1.0 started supervisors; now `sealdex.runtime.services`."""

from __future__ import annotations

from sealdex.runtime.services.__main__ import main

if __name__ == "__main__":
    main()
