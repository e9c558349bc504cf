"""Compiles the source tree to what is published: index documents, manifests, catalog. Pure, deterministic.

    index             a plugin to its index document
    manifest          a release to its published manifest and README
    catalog           the catalog: one row per plugin, in shards
    catalog_names     shards of the catalog by name: what a search page fetches for what is typed
    removed_events    which published events the source tree lacks

All modules are public.
"""
