"""Reading archives safely: what is in them, what of it is refused, and which files an installation takes.

Trusts nothing and asks nobody; the builder holds archives to the same rules before they are published. Public are all
modules:

    limits           how much an archive may hold
    entries          the entries of an archive and the rules they must keep; pure
    windows_names    names that only Windows can't hold; pure
    mapping          which entries an installation takes, and under which paths; pure
    reader           an archive file, opened once and read at any position
    zip              zip archives: a strict reader of the directory
    tar              tar archives, plain or under gzip or zstd
    unpack           looks at all of an archive, decides, then writes and hashes
    tree_writer      writes an unpacked tree into a folder of its own
"""
