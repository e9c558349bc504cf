"""The published state, verified before it is built on, and how the source tree differs from it.

    state        the published state of a realm, verified as a client would
    fetcher      answers ngclient's requests for metadata from a storage
    documents    documents that signed metadata pins: length and digest first, then the format
    last_seen    what this machine saw last, so that the storage can't be rolled back
    diff         which plugins of the source tree differ from what is published
    json_diff    how two JSON values differ, in lines for people

On disk, what this machine last saw of each realm (~/.local/state without XDG_STATE_HOME)::

    $XDG_STATE_HOME/sealdex-builder/seen/<registry.name>-<registry.id>/
        <realm>-<12 digits of the SHA-256 of the storage's name>.json

All modules are public; publication and maintenance build on them.
"""
