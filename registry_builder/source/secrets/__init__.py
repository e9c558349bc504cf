"""Keys and tokens in files that are about to be published: by name, by content, in archives.

    scan           single files, and the members of archives
    text           private keys and tokens in text
    _file_names    files that are keys by their name alone

All modules without an underscore are public.
"""
