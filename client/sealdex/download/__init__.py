"""Fetches what signed entries pin into the cache, verified: whole files, or only the parts that differ.

Its modules; ``_`` marks what is private to the room:

    fetcher          the files of chosen releases: preinstalled, cached, pieced together or downloaded
    copies           mirrors' copies of what stays at an author's address; asked for first
    locations        the address and pin of an artifact; pure
    download         downloads one file into the cache: resumed, bounded, hashed as it arrives
    delta            puts a release together from installed files and ranges of its archive
    ready_tree       what that results in, or why it was given up
    preinstalled     a folder of archives that a host or image comes with
    export           copies a verified artifact out of the cache
    bundle/          one file for one host: a lock's plugins, what proves them, the client
    mirror/          copies of a registry, or of a part of it, in folders and archives
    _ranges          big files in several ranges at once
    _spans           what of a file is there already, and what is missing
    _delta_plan      which bytes of an archive to fetch; pure
    _disk_space      whether there is room, before the first byte
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.download.download import Pin
    from sealdex.download.export import copy_verified
    from sealdex.download.fetcher import ArtifactFetcher, NotHereError, Obtained
    from sealdex.download.locations import MANIFEST_NAME, attachment_url, image_reference
    from sealdex.download.preinstalled import Builtin
    from sealdex.download.ready_tree import ReadyTree
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "ready_tree": ("ReadyTree",),
            "download": ("Pin",),
            "export": ("copy_verified",),
            "fetcher": ("ArtifactFetcher", "NotHereError", "Obtained"),
            "locations": ("MANIFEST_NAME", "attachment_url", "image_reference"),
            "preinstalled": ("Builtin",),
        },
    )

__all__ = [
    "MANIFEST_NAME",
    "ArtifactFetcher",
    "Builtin",
    "NotHereError",
    "Obtained",
    "Pin",
    "ReadyTree",
    "attachment_url",
    "copy_verified",
    "image_reference",
]
