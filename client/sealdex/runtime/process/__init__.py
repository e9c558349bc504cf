"""Programs in a process group of their own, and how often they are started again."""
