"""Running what is installed: plugins in a Python host, plugins of any language, services and jobs.

    from sealdex.runtime import PluginManager

    with PluginManager() as plugins:
        plugins.register("acme/console-notify", config={"prefix": "[build]"})
        plugins.init()
        plugins.watch()                       # a later `sealdex update` takes effect here, without a restart
        plugins.call("acme/console-notify", "send", "hello")

``docs/runtime.md`` describes plugins in a host, ``docs/process-protocol.md`` the protocol for other languages. Names
are imported when they are first used.

    manager              PluginManager: the plugins of a host process, whatever they are written in
    plugin               what the manager, its back ends and plugins agree on
    errors               what goes wrong when a plugin is loaded or used
    jobs                 jobs: their plugins are ensured and loaded, then their stages run
    job_schema           what a job is and how it ended
    configuration        what a host keeps of the configuration of its plugins
    services/            services, each kept running by a supervisor
    gateway/             the old systems' interfaces on a host: gRPC and REST (an extra)
    process/             programs in a process group of their own
    process_variables    environment variables of this process, for a block
    update_watcher       looks for updates in the background, and tells the host
    supervise            how version 0.1.0 started supervisors; now services
    _job_plugins         brings a job's plugins, and what it does without one of them
    _job_limits          time limits of a job's stages
    _loader              loads an installed version, by the kind of its runtime
    _python_plugin       plugins that are Python code in this process
    _process_plugin      plugins that are programs, talked to by JSON-RPC
    _protocol            the process protocol, without I/O
    _module_namespace    a module namespace for each loaded version
    _plugin_table        which version serves, and by how many it is used
    _plugin_config       a plugin's configuration, checked against its schema
    _schema_check        values against the JSON Schemas of a release
    _status_recorder     takes note of how plugins fare
    _virtualenv          a virtual environment from a release's requirements.txt
    _watcher             reloads a plugin when another version becomes the one in use
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
    from sealdex.runtime.update_watcher import UpdateWatcher
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
            "update_watcher": ("UpdateWatcher",),
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
    "UpdateWatcher",
    "Watcher",
    "load_job",
    "run_job",
]
