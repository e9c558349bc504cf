"""Projects: what is wanted (``sealdex.toml``), what that was resolved to (``sealdex.lock``), and bringing it here."""
