"""The commands of ``sealdex``, one module for each group; `sealdex.cli.command_table` imports them when they run.

Its modules:

    registry         registry add, list, remove
    registry_auth    the options of registry add that say where credentials are kept
    search           search, info
    resolve          resolve, url
    install          install, uninstall, fetch
    project          lock, ensure, update
    switch           use, enable, disable, rollback, history
    installed        list, path, verify, env
    services         run, ps, stop, logs
    job              job run
    bundle           bundle create, install
    mirror           mirror create, verify, prune
    cache            cache list, gc, verify
    gateway          gateway
    config           config show
    plugin_config    config plugin
    doctor           doctor, status
"""
