"""Images of READMEs, from public addresses into the source tree: run by a person, never by a publish.

    update      which images are fetched, kept and stale, and writing them
    lint        what is wrong with the images of a tree
    _fetch      one image from a public https address, over a connection to the address that was checked

What is stored, and how its record is read, is in `registry_builder.source.readme_images`.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.site.images.lint import image_problems
    from registry_builder.site.images.update import NotStored, Updated, update_images
else:
    __getattr__, __dir__ = exports(__name__, {
        "lint": ("image_problems",),
        "update": ("NotStored", "Updated", "update_images"),
    })  # fmt: skip

__all__ = ["NotStored", "Updated", "image_problems", "update_images"]
