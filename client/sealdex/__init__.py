"""Sealdex: the thin client of a plugin registry without a server. Verifies every byte before it is used."""

__version__ = "0.1.0"
