"""``python -m sealdex``."""

import sys

from sealdex.cli.main import main

sys.exit(main())
