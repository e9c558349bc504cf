"""The browse site: from signed documents to pages, decided purely, rendered alike each time, written where changed."""
