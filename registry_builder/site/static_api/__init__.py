"""``api/``: the registry as plain JSON at stable addresses, for programs that verify nothing. Nothing trusts it.

    answers              which documents a change of plugins touches, made one after the other
    keys                 where each document is in the published tree, and which of them belong to what is signed
    openapi              api/v1/openapi.json: the description of them all, made of the shapes
    model_hub            what nodes of the Model Hub ask for: services and models by their ids
    rewrites             the Model Hub's own addresses, and what answers them
    gone                 what stands where a document was, until `gc` removes it
    _shapes              the documents as structs
    _plugin_documents    the documents of one plugin; pure
    _registry_documents  the list of plugins, and what changed lately
    _hub_shapes          the Model Hub's documents as structs
    _hub_documents       the Model Hub's documents of one service or model; pure

Each document names the signed one that outranks it.
"""
