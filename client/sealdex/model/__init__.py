"""The wire format of Sealdex: identifiers, versions, ranges, selectors and documents. Pure: no I/O anywhere below.

The specification is ``docs/format.md``; JSON Schemas generated from these structs are in ``docs/schema/``. Public are
all modules:

    index           the index document: all releases of one plugin
    release         the manifest of one release
    plugin          what holds for all releases of a plugin, and the events that came later
    catalog         the catalog: one row per plugin, in shards, for search
    files           the list of files of one archive
    downloads       stats.json: downloads by release and day, unsigned

    wording         titles, keywords and tags of languages, in any script
    ids             identifiers: namespaces, plugin names, file names, digests
    versions        semantic versions
    precedence      the order of versions, as a sort key
    ranges          version ranges with npm's semantics
    selectors       label selectors with Kubernetes' semantics, plus Gt and Lt
    platforms       the usual spellings of os and arch
    environment     the labels and tags of a host
    sizes           sizes as people write them in options and settings

    decode          reads documents: strictly or leniently, with every problem named by its path
    foreign_json    JSON from somebody else, to plain values
    foreign_fields  its fields, one by one: what is wrong goes to a list
    foreign_release  what the manifests of Arcade and the Model Hub say of a release
    schema          JSON Schemas of the documents
"""
