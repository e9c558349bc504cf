"""Importers: other registries' metadata into a source tree, with what can't be represented listed."""
