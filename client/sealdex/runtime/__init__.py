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

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.runtime._watcher import Watcher
    from sealdex.runtime.errors import MethodNotFoundError, PluginError, PluginTimeoutError
    from sealdex.runtime.job_schema import Job, JobResult, PluginExecutionResult, load_job
    from sealdex.runtime.jobs import run_job
    from sealdex.runtime.manager import PluginManager
    from sealdex.runtime.plugin import PluginContext, PluginState, PluginStatus
    from sealdex.runtime.services.api import Services

_HOMES = {
    "errors": ("MethodNotFoundError", "PluginError", "PluginTimeoutError"),
    "job_schema": ("Job", "JobResult", "PluginExecutionResult", "load_job"),
    "jobs": ("run_job",),
    "manager": ("PluginManager",),
    "plugin": ("PluginContext", "PluginState", "PluginStatus"),
    "services.api": ("Services",),
    "_watcher": ("Watcher",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'sealdex.runtime' has no attribute '{name}'")
    from importlib import import_module  # noqa: PLC0415  # so that a service needn't wait for jobs, nor a job for services

    value: object = getattr(import_module(f"sealdex.runtime.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
