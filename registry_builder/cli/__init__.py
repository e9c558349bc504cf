"""The command line of the builder: click commands that call the library and say what happened."""
