"""What a host keeps: the cache of files, the installations, and their state."""
