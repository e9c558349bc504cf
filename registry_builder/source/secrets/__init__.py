"""Keys and tokens in files that are about to be published: by name, by content, in archives.

    scan           single files, the members of archives, and archives in these
    text           private keys and tokens in text
    _file_names    files that are keys by their name alone
    _formats       archives and compressed files, recognised by their first bytes
    _containers    the files in a zip, tar or ar
    _decompress    gzip, bzip2, xz, LZMA and zstd, in pieces
    _bounds        how much is unpacked for it

All modules without an underscore are public.
"""
