"""``python -m sealdex.runtime.supervise``: the supervisor of one service in the background.

Its order comes as JSON on stdin. Started by `sealdex.runtime.services.Services.start`. How the service fares stands in
its state file.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace

from sealdex.manifests import installed_manifest
from sealdex.model.ids import PluginId
from sealdex.runtime.errors import PluginError
from sealdex.runtime.service_plan import plan_service
from sealdex.runtime.service_state import ServiceFolder
from sealdex.runtime.supervisor import Patience, Supervisor
from sealdex.store.changes import require_installed
from sealdex.store.layout import Store


def main() -> int:
    """Supervise until the service is over."""
    order = json.load(sys.stdin)
    store, plugin = Store(order["store"]), PluginId(*order["plugin"])
    installation = require_installed(store, plugin, order["version"])
    plan = replace(
        plan_service(installation, installed_manifest(installation), order["env"], port=order["port"]),
        command=tuple(order["command"]),
        env=order["env"],
    )
    supervisor = Supervisor(ServiceFolder(store, plugin), plan, Patience(**order["patience"]))
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), lambda *_: supervisor.request_stop())
    try:
        supervisor.run()
    except PluginError:
        return 1  # the state file says why
    return 0


if __name__ == "__main__":
    sys.exit(main())
