"""A notify plugin: `Notifier(config).send(message)` prints one line."""

import sys
from datetime import datetime, timezone


class Notifier:
    """Prints messages; `config` has `prefix` and `colour`."""

    def __init__(self, config=None):
        config = config or {}
        self.prefix = config.get("prefix", "[notify]")
        self.colour = config.get("colour", False)

    def send(self, message, stream=None):
        """Print `message` and return the line."""
        now = datetime.now(timezone.utc).strftime("%H:%M:%S")
        line = f"{now} {self.prefix} {message}"
        if self.colour:
            line = f"\033[36m{line}\033[0m"
        print(line, file=stream or sys.stdout)
        return line


if __name__ == "__main__":
    Notifier().send(" ".join(sys.argv[1:]) or "hello")
