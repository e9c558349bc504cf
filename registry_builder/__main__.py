"""``python -m registry_builder``."""

from registry_builder.cli.main import main

main()
