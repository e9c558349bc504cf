"""Keys, the folder they live in, and the construction and signing of TUF roles."""
