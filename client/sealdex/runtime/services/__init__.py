"""Services: a supervisor for each, its state and log files for other processes, and the API.

``python -m sealdex.runtime.services`` is the supervisor of one service in the background.

    api             run, start, list and stop the services of a store, read their logs
    dependencies    the services that a service depends on
    state           what is known of a service across processes
    supervisor      keeps one service running
    _plan           what starting a service means, decided before anything is started
    _program        how a module of ours is started in a process of its own
    _process        one run of a service, told as events
    _health         asks a service whether it is healthy
    _log            the log of a service: bounded, and read while it is written
    _report         what a supervisor tells of its service
    _errors         what both of these refuse alike
    _store_view     what a supervisor asks of the store

On disk:

    <store>/run/<namespace>/<name>/     state, log and lock of a service (`sealdex.runtime.services.state`)
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.runtime.services.api import Services, asked_release
    from sealdex.runtime.services.dependencies import in_stopping_order, needed_services, see_to, unmet
    from sealdex.runtime.services.state import OVER
    from sealdex.runtime.services.supervisor import RestartPolicy
else:
    __getattr__, __dir__ = exports(__name__, {
        "api": ("Services", "asked_release"),
        "dependencies": ("in_stopping_order", "needed_services", "see_to", "unmet"),
        "state": ("OVER",),
        "supervisor": ("RestartPolicy",),
    })  # fmt: skip

__all__ = [
    "OVER",
    "RestartPolicy",
    "Services",
    "asked_release",
    "in_stopping_order",
    "needed_services",
    "see_to",
    "unmet",
]
