"""Programs in their own process group, and restarts with back-off.

Its modules; those with an underscore are private to `sealdex.runtime`:

    signals     signals that end this process, and then what it started
    _group      starts a program in its own process group, and ends the whole group
    _marked     processes with a variable in their environment, wherever they went
    _backoff    longer and longer pauses between starts, and giving up in the end; pure
"""
