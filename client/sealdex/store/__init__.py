"""The store of a host: the cache of files, the installations, and their state.

Public are all modules. The first five are what `list`, `path` and a warm `ensure` import, so they import little:

    layout           the paths of a store, with a drawing of all of it
    installations    what is installed, read from the receipts
    plugin_status    the status and pin of each plugin, read from state.db
    plugin_config    what this host set for its plugins
    yanked           which installed releases were yanked since
    hashing          SHA-256 of files, read in small bites

    database         state.db: decisions about plugins, and every change of what is installed
    change           what a change is, as values; pure
    transaction      changes several plugins as one: everything of it, or nothing
    switch           switches, pins, enables and disables plugins, as one change
    rollback         takes changes back, as one change more
    activation       changes one plugin: one process at a time, each change visible at one instant
    dependants       which installed plugins depend on which, and what a change would break
    leases           who uses an installed version now
    tombstones       what is kept of a version that was taken out
    manifests        full manifests, beside the receipts
    verify           compares an installation with the list of files written when it was unpacked
    file_lock        locks between processes: the system's own, filelock's where the case is odd
    staging          folders for what is being made or thrown away
    ownership        who but its user may write to a place
    writable         whether a place can be written, and what serves in its stead
    host_id          the host's random id, for staged rollouts

    cache            the content-addressed cache of downloaded files
    cache_entry      the side files of a cached file: its part file, the record of its use
    cache_policy     which cached files go when the cache is over its limits; pure
    cache_gc         makes room in the cache while others install from it

On disk (`sealdex.store.layout` draws all of it):

    <store>/plugins/<namespace>/<name>/<version>/   one installation; `current` beside it names the one in use
    <store>/cache/sha256/<ab>/<digest>              downloaded files (`sealdex.store.cache`)
    <store>/state.db                                enabled, disabled, pins, history
    <store>/staging/, locks/, holds/, removed/      at work, being changed, in use, taken out
"""
