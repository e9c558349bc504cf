"""Services: a supervisor for each, the files that other processes read, and the programming interface."""
