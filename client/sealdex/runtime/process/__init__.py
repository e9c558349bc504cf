"""Programs in their own process group, and restarts with back-off.

Its modules, both private to `sealdex.runtime`:

    _group      starts a program in its own process group, and ends the whole group
    _backoff    longer and longer pauses between starts, and giving up in the end; pure
"""
