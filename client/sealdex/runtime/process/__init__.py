"""Programs in a process group of their own, and how often they are started again.

Its modules, both private to `sealdex.runtime`:

    _group      starts a program in its own process group, and ends the whole group
    _backoff    longer and longer pauses between starts, and giving up in the end; pure
"""
