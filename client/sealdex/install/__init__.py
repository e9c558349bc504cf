"""From chosen releases to installed ones, as one change: unpacked beside, switched by rename, rolled back."""
