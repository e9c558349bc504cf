"""Changes of root and targets that people on different machines sign, one after the other."""
