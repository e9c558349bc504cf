"""The whole way on one machine: make a registry from examples/, publish, serve, install, and refuse a forgery.

Every line that starts with ``$`` is a command that was run as it stands; what follows is what it printed. All files go
to ``demo/``; keys are development keys made for this run. At a terminal it ends by serving the browse site, elsewhere
with the command that does.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
DEMO = HERE / "demo"
TREE = DEMO / "registry"
BIN = Path(sys.executable).parent
SECURITY_EXIT_CODE = 4

# what the examples' releases are made of: arguments of `pack`, then of `release`, both in the source tree
RELEASES: list[tuple[list[list[str]], list[str]]] = [
    ([["plugins/acme/console-notify"]], ["plugins/acme/console-notify/dist/1.2.0/console-notify-1.2.0.zip"]),
    ([["plugins/acme/shell-step"]], ["plugins/acme/shell-step/dist/0.3.0/shell-step-0.3.0.zip"]),
    ([["plugins/acme/journal-notify"]], ["plugins/acme/journal-notify/dist/1.0.0/journal-notify-1.0.0.zip"]),
    ([["plugins/acme/host-report"]], ["plugins/acme/host-report/dist/1.0.0/host-report-1.0.0.zip"]),
    (
        [
            ["plugins/robotics/hal-motor/src/jetpack", "-o", "../build/hal-motor-2.1.0-jetpack.zip"],
            ["plugins/robotics/hal-motor/src/simulated", "-o", "../build/hal-motor-2.1.0-simulated.zip"],
        ],
        [
            "--plugin",
            "robotics/hal-motor",
            "../build/hal-motor-2.1.0-jetpack.zip",
            "../build/hal-motor-2.1.0-simulated.zip",
        ],
    ),
    (
        [["plugins/robotics/kalman/src/1.0", "-o", "../build/kalman-1.0.0.zip"]],
        ["--plugin", "robotics/kalman", "--version", "1.0.0", "../build/kalman-1.0.0.zip"],
    ),
    (
        [["plugins/robotics/kalman/src/1.1", "-o", "../build/kalman-1.1.0.zip"]],
        ["--plugin", "robotics/kalman", "../build/kalman-1.1.0.zip"],
    ),
    ([["plugins/vision/train-blobs"]], ["plugins/vision/train-blobs/dist/1.0.0/train-blobs-1.0.0.zip"]),
    ([["plugins/vision/blob-model"]], ["plugins/vision/blob-model/dist/1.0.0/blob-model-1.0.0.zip"]),
    ([["plugins/speech/echo-service"]], ["plugins/speech/echo-service/dist/1.0.0/echo-service-1.0.0.zip"]),
    ([], ["--plugin", "robotics/pick-and-place"]),
]


def environment() -> dict[str, str]:
    """Return the environment of all commands: everything they keep is kept under demo/."""
    places = {
        "SEALDEX_KEYS": DEMO / "keys",
        "SEALDEX_CONFIG": DEMO / "agent" / "config.toml",
        "SEALDEX_STORE": DEMO / "agent" / "store",
        "XDG_STATE_HOME": DEMO / "state",
        "PYTHONUNBUFFERED": "1",  # notes on stderr stay where they belong between the lines
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    return {**os.environ, **{name: str(value) for name, value in places.items()}}


def run(*command: str, expect: int = 0, cwd: Path = TREE, notes: bool = True) -> None:
    """Run a command as a person would and show it with what it prints, or without the notes that say what comes next.

    Raises:
        SystemExit: it ended with another code than expected; the demo stops there.
    """
    sys.stdout.write(f"$ {shlex.join(command)}\n")
    sys.stdout.flush()
    stderr = subprocess.STDOUT if notes else subprocess.PIPE
    done = subprocess.run(command, cwd=cwd, env=environment(), check=False, stderr=stderr, text=True)
    if done.returncode != expect:
        sys.stdout.write(done.stderr or "")
        sys.exit(f"demo: this ended with {done.returncode}, expected {expect}")
    sys.stdout.write("\n")


def say(text: str) -> None:
    """Print a heading."""
    sys.stdout.write(f"--- {text}\n")
    sys.stdout.flush()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a published folder in a process of its own and yield its address."""
    command = ["sealdex-builder", "--quiet", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True, cwd=TREE) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
            if address is None:
                sys.exit("demo: the web server did not start")
            yield f"{address[0]}/"
        finally:
            server.terminate()
            server.wait()


def make_registry() -> None:
    """Make the source tree, its keys, and every release of the examples."""
    say("a registry with development keys (two of each offline role must sign), and the plugins of examples/")
    run("sealdex-builder", "init", str(TREE), "--dev-keys", cwd=HERE)
    shutil.copytree(HERE / "examples" / "plugins", TREE / "plugins", dirs_exist_ok=True)
    for number, (packs, release) in enumerate(RELEASES):
        for arguments in packs:
            subprocess.run(["sealdex-builder", "--quiet", "pack", *arguments], cwd=TREE, env=environment(), check=True)
        run("sealdex-builder", "release", *release, notes=number == 0)  # the others' note would be the same


def agent(address: str) -> None:
    """Do what an agent does, then meet a forged artifact."""
    say("an agent on another host: it has the address and the root, nothing else")
    run("sealdex", "registry", "add", "demo", address, "--root", "trust/public/1.root.json")
    run("sealdex", "search", "filter")
    run("sealdex", "info", "robotics/kalman")
    run("sealdex", "install", "acme/console-notify", "acme/shell-step", "robotics/kalman@^1.0")
    run("sealdex", "list")
    run("sealdex", "path", "robotics/kalman")
    kalman = DEMO / "agent" / "store" / "plugins" / "robotics" / "kalman" / "current" / "kalman.py"
    run("python3", str(kalman.relative_to(DEMO)), cwd=DEMO)

    say("somebody who can write to the store swaps an artifact for one of the same length")
    victim = next((TREE / "published" / "plugins" / "speech" / "echo-service").rglob("*.zip"))
    original = victim.read_bytes()
    victim.write_bytes(original[:-30] + bytes(30))
    run("sealdex", "install", "speech/echo-service", expect=SECURITY_EXIT_CODE)
    run("sealdex", "list")
    say("the honest bytes again")
    victim.write_bytes(original)
    run("sealdex", "install", "speech/echo-service")
    run("sealdex", "verify")


def browse() -> None:
    """Serve the registry and its pages to the person at this terminal, until Ctrl-C."""
    with served(TREE / "published") as address:
        sys.stdout.write(f"  the browse site: {address}     Ctrl-C ends it\n")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


def main() -> None:
    """Run the demo from nothing."""
    began = time.monotonic()
    shutil.rmtree(DEMO, ignore_errors=True)
    (DEMO / "build").mkdir(parents=True)
    make_registry()
    say("check everything, then publish: one commit point")
    run("sealdex-builder", "validate")
    run("sealdex-builder", "publish")
    run("sealdex-builder", "status")
    with served(TREE / "published") as address:
        agent(address)
    say(f"done in {time.monotonic() - began:.0f} s")
    if os.isatty(0) and os.isatty(1):
        browse()
        return
    say("to browse it and install from it:")
    sys.stdout.write(f"  {BIN.relative_to(HERE)}/sealdex-builder --tree {TREE.relative_to(HERE)} serve --port 8000\n")
    sys.stdout.write("  then open http://127.0.0.1:8000/, or in another terminal:\n")
    root = (TREE / "trust" / "public" / "1.root.json").relative_to(HERE)
    sys.stdout.write(f"  {BIN.relative_to(HERE)}/sealdex registry add demo http://127.0.0.1:8000/ --root {root}\n")


if __name__ == "__main__":
    main()
