"""Errors of loading and using plugins."""

from __future__ import annotations

from sealdex.errors import SealdexError


class PluginError(SealdexError):
    """A plugin can't be loaded, or failed while it was used."""

    code = "plugin"


class MethodNotFoundError(PluginError):
    """A plugin has no method of that name."""


class PluginTimeoutError(PluginError):
    """A plugin exceeded a time limit."""

    code = "plugin-timeout"
