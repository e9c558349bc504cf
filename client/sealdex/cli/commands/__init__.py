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
    mirror           the group mirror
    mirror_create    mirror create
    mirror_import    mirror import
    mirror_state     mirror state
    mirror_verify    mirror verify
    mirror_prune     mirror prune
    cache            cache list, gc, verify
    gateway          gateway
    config           config show
    plugin_config    config plugin
    doctor           doctor, status
"""
