"""What a host is told: ``config.toml``, variables and options, credentials, and the facts that selectors see."""
