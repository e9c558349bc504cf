"""Looking after a registry that is published: status, audit, clearing up, checks, and recovery after a theft."""
