"""What stands where a document of ``api/`` was. Pure.

Who publishes can't delete anything, on purpose, and a document that nobody updates would be believed for ever. So it is
written over at once; `gc` removes it later.
"""

from __future__ import annotations

from registry_builder.site.pages import Page
from registry_builder.site.static_api import _shapes as shapes
from registry_builder.storage.headers import TIMESTAMP_KEY
from sealdex.model.decode import encode_json

SWITCHED_OFF = "the registry doesn't answer here any more: [api] is switched off; the signed documents go on"
NO_LONGER = "nothing has this id any more; the signed documents say what there is"


def gone_document(key: str, why: str) -> Page:
    """Return what is written over a document."""
    return Page(key, encode_json(shapes.Gone(shapes.API_FORMAT, why, shapes.Signed(TIMESTAMP_KEY))))


__all__ = ["NO_LONGER", "SWITCHED_OFF", "gone_document"]
