"""Mirrors: copies of a registry, or of a part of it, that need nothing signed again and set no trust.

Public are all modules without ``_``:

    selection   which releases and artifacts: the filters (pure)
    contents    which files these are (pure)
    record      ``mirror.json``, and the layout of a mirror's folder
    holdings    what the mirrors that a host reads have, by their mirror.json
    sigstore_root   Sigstore's trusted_root.json, which travels along and is trusted by nobody by itself
    source      the registry that is copied, and the root that the user trusts
    plan        the files of a selection, asked of the registry batch by batch
    transfer    bringing files into the folder
    keys        a set of many keys in little memory
    bucket      an S3 bucket: GET and conditional PUT
    bucket_place    a mirror in a bucket: its lists, and its commit
    create      making a mirror and bringing it up to date
    options     how one is made, who is told meanwhile, and what a run did (pure)
    lock        one process at a time changes a mirror
    volumes     archives of a mirror, in one volume or several
    state       what a mirror has, as a small file
    carry       across a gap: an archive of what the far side lacks
    tree        what lies in a mirror's folder or bucket
    verify      proving it complete and intact
    prune       removing what isn't selected any more
    _fetch_all  all that a mirror lacks, with several processes where it is much
    _workers    something for each of many files, in threads
    _forked     work on many files, shared out over processes
"""
