"""The site on a web server of this machine, made again when its source changes."""
