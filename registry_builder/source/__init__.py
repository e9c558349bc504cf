"""The source tree that people edit: its configuration, loading, lint and the edits that commands make."""
