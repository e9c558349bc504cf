"""``python -m sealdex``."""

import sys

from sealdex.cli.main import program

sys.exit(program())
