"""Running what is installed: plugins in a Python host, plugins of any language, services and jobs.

    from sealdex.runtime import PluginManager

    with PluginManager() as plugins:
        plugins.register("acme/console-notify", config={"prefix": "[build]"})
        plugins.init()
        plugins.watch()                       # a later `sealdex update` takes effect here, without a restart
        plugins.call("acme/console-notify", "send", "hello")

``docs/runtime.md`` says what a plugin may expect, ``docs/process-protocol.md`` how one of another language talks. Names
are imported when they are first used.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.runtime._watcher import Watcher
    from sealdex.runtime.errors import MethodNotFoundError, PluginError, PluginTimeoutError
    from sealdex.runtime.job_schema import Job, JobResult, PluginExecutionResult, load_job
    from sealdex.runtime.jobs import run_job
    from sealdex.runtime.manager import PluginManager
    from sealdex.runtime.plugin import PluginContext, PluginState, PluginStatus
    from sealdex.runtime.services.api import Services
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "errors": ("MethodNotFoundError", "PluginError", "PluginTimeoutError"),
            "job_schema": ("Job", "JobResult", "PluginExecutionResult", "load_job"),
            "jobs": ("run_job",),
            "manager": ("PluginManager",),
            "plugin": ("PluginContext", "PluginState", "PluginStatus"),
            "services.api": ("Services",),
            "_watcher": ("Watcher",),
        },
    )

__all__ = [
    "Job",
    "JobResult",
    "MethodNotFoundError",
    "PluginContext",
    "PluginError",
    "PluginExecutionResult",
    "PluginManager",
    "PluginState",
    "PluginStatus",
    "PluginTimeoutError",
    "Services",
    "Watcher",
    "load_job",
    "run_job",
]
