"""Reading archives safely: what is in them, what of it is refused, and which files an installation takes.

Nothing here writes; `sealdex.archive.unpack` does. The rules are pure functions in `entries` and `mapping`;
`zip_reader` and `tar_reader` turn bytes into `ArchiveEntry` values and hand out the content of those that were
accepted.
"""
