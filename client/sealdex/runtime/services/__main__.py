"""``python -m sealdex.runtime.services``: the supervisor of one service in the background.

It reads its request as JSON from stdin. Started by `sealdex.runtime.services.api.Services.start`. The status of the
service is in its state file.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import Any

from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.runtime.process.signals import on_signals
from sealdex.runtime.services._plan import ServiceWish
from sealdex.runtime.services.api import LOG_FILE, Services
from sealdex.runtime.services.supervisor import RestartPolicy


def main() -> int:
    """Supervise the service until it ends."""
    if file := os.environ.get(LOG_FILE):
        # without a file there is none: what is said here goes into the service's own log
        from sealdex.log_level import log_to_file  # noqa: PLC0415  # `logging`, for who asked for it

        log_to_file(file, lambda problem: print(f"sealdex: {problem}", file=sys.stderr))  # noqa: T201  # into the service's log
    order = json.load(sys.stdin)
    try:
        _supervise(order)
    except SealdexError as error:
        sys.stderr.write(f"sealdex: {error}\n")  # into the log; also in the state file, if there is one yet
        return 1
    return 0


def _supervise(order: dict[str, Any]) -> None:
    services, wish = Services(order["store"]), ServiceWish(**order["wish"])
    plan = services.plan(
        PluginId(*order["plugin"]), order["version"], port=order["port"], env=wish.env, with_env=wish.with_env
    )
    supervisor = services.supervisor(
        replace(plan, wish=wish), RestartPolicy(**order["patience"]), follows=order["follows"]
    )  # fmt: skip
    with on_signals(("SIGTERM", "SIGINT", "SIGHUP"), lambda _: supervisor.request_stop()):
        supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
