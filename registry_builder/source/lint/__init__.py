"""Every problem of a source tree at once, each with its file, its place and what to write instead."""
