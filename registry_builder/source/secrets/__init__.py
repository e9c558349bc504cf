"""Keys and tokens in files that are about to be published: by name, by content, in archives."""
