"""The browse site: from signed documents to pages, decided purely, rendered alike each time, written where changed."""

from registry_builder.site.old_page import render_index

__all__ = ["render_index"]
