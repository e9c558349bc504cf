"""The client as users have it: with its own packages and no others, in an environment that `make bench` makes.

The environment of the tests has boto3 and more, which python-tuf imports where it finds them: every start would take
longer, the peer's most of all.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.peers import PeerMissingError

REPOSITORY = Path(__file__).resolve().parent.parent
STOCK = Path(__file__).with_name("stock_client.py")


def client_alone() -> tuple[Path, Path]:
    """Return the Python of that environment and its ``sealdex``, which runs this tree.

    Raises:
        PeerMissingError: it hasn't been made.
    """
    environment = Path(sys.prefix) / "client-alone"
    python = environment / "bin" / "python"
    if not python.exists():
        raise PeerMissingError("missing: the client's own environment. Make it with: scripts/setup.sh bench")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = environment / "lib" / version / "site-packages"
    (site / "sealdex-here.pth").write_text(f"{REPOSITORY / 'client'}\n")
    program = environment / "bin" / "sealdex"  # as pip writes it
    program.write_text(
        f"#!{python}\nimport sys\nfrom sealdex.cli.main import program\n"
        "if __name__ == '__main__':\n    sys.exit(program())\n"
    )
    program.chmod(0o755)
    return python, program
