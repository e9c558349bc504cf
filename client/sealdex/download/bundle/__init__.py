"""Bundles: one file for one host, with the plugins of a lock, what proves them and, on request, the client itself.

    container      the file: a zip around archives of mirrors
    create         makes one
    anchor         which registry of this host an archive is of, and the root that it is verified from
    proof          proves what was carried
    wheel_tags     which wheels run on which host; carried along, so it imports the standard library alone (pure)
    client_wheels  the wheels of the client and of what it needs
    bootstrap      the program of a bundle that has the client; carried along as ``__main__.py``

`sealdex.bundle` decides what one has and makes it; `sealdex.bundle_install` installs it.
"""
