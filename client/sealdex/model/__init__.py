"""The wire format of Sealdex: identifiers, versions, ranges, selectors and documents. Pure: no I/O anywhere below.

The specification is ``docs/format.md``; JSON Schemas generated from these structs are in ``docs/schema/``.
"""
