"""The paths of the configuration file and the store: options, environment variables, then platform defaults.

Imports next to nothing: `sealdex list` needs only this and the store.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as type checkers read it: `typing` itself costs a third of the time that `list` has
if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_VARIABLE = "SEALDEX_CONFIG"
STORE_VARIABLE = "SEALDEX_STORE"


def config_file(environ: Mapping[str, str] | None = None) -> str:
    """Return the path of ``config.toml``: ``$SEALDEX_CONFIG``, or under the user's configuration folder."""
    environ = os.environ if environ is None else environ
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return os.path.abspath(named)  # noqa: PTH100  # pathlib is not imported on the way to `list`
    return os.path.join(_home(environ, "XDG_CONFIG_HOME", ".config", "APPDATA"), "sealdex", "config.toml")  # noqa: PTH118  # the same


def store_folder(environ: Mapping[str, str] | None = None) -> str:
    """Return the path of the store: ``$SEALDEX_STORE``, or under the user's data folder."""
    environ = os.environ if environ is None else environ
    named = environ.get(STORE_VARIABLE)
    if named:
        return os.path.abspath(named)  # noqa: PTH100  # the same
    return os.path.join(_home(environ, "XDG_DATA_HOME", os.path.join(".local", "share"), "LOCALAPPDATA"), "sealdex")  # noqa: PTH118  # the same


def _home(environ: Mapping[str, str], variable: str, under_home: str, windows_variable: str) -> str:
    # the XDG base directory specification: a relative path is invalid and to be ignored
    for name in (variable, windows_variable) if sys.platform == "win32" else (variable,):
        folder = environ.get(name, "")
        if os.path.isabs(folder):  # noqa: PTH117  # the same
            return folder
    return os.path.join(home_folder(environ), under_home)  # noqa: PTH118  # the same


def home_folder(environ: Mapping[str, str] | None = None) -> str:
    """Return the user's home: ``$HOME`` or what the system knows of the user.

    Never a relative path: a folder named ``~`` in the current one could be somebody else's configuration.

    Raises:
        ConfigError: there is none.
    """
    stated = (os.environ if environ is None else environ).get("HOME", "")
    if os.path.isabs(stated):  # noqa: PTH117  # the same
        return stated
    found = _home_of_user()
    if os.path.isabs(found):  # noqa: PTH117  # the same
        return found
    from sealdex.errors import ConfigError  # noqa: PLC0415  # only when it fails

    raise ConfigError(
        f"HOME is '{stated}', which is not an absolute path" if stated else "this user has no home folder",
        subject="HOME",
        untouched="nothing was read or written",
        hint=f"set HOME, or set the paths directly: {CONFIG_VARIABLE}=FILE and {STORE_VARIABLE}=DIR",
    )


def _home_of_user() -> str:
    if sys.platform == "win32":
        return os.path.expanduser("~")  # noqa: PTH111  # the same
    import pwd  # noqa: PLC0415  # only without HOME

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container user that the system doesn't know
        return ""
