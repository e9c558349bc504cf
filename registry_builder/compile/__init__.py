"""Compiles the source tree to what is published: index documents, manifests, catalog, bundle. Pure, deterministic.

    index             a plugin to its index document
    manifest          a release to its published manifest and README
    catalog           the catalog: one row per plugin, in shards
    bundle            metadata/recent.bundle: copies of metadata for a client's first round
    removed_events    which published events the source tree lacks

All modules are public.
"""
