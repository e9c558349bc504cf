"""Images of READMEs, from public addresses into the source tree: run by a person, never by a publish.

    update      which images are fetched, kept and stale, and writing them
    lint        what is wrong with the images of a tree
    _fetch      one image from a public https address, over a connection to the address that was checked

What is stored, and how its record is read, is in `registry_builder.source.readme_images`.
"""
