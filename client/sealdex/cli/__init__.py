"""The command line of the client; `output` and `errors` also serve the builder's command line."""
