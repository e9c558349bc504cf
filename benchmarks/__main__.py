"""The command line: ``python -m benchmarks [NAME...] [--quick | --full] [--write] [--keep]``."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
from datetime import datetime, timezone
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.harness import Section
from benchmarks.report import begin_of, write_report

HERE = Path(__file__).parent
MODULES = {
    "build": "benchmarks.publish_all",
    "publish-one": "benchmarks.publish_one",
    "publish-one-s3": "benchmarks.publish_one_s3",
    "install": "benchmarks.install",
    "update": "benchmarks.update",
    "start": "benchmarks.start",
    "first-second": "benchmarks.first_second",
    "ensure": "benchmarks.ensure",
    "agents": "benchmarks.agents",
    "look-up": "benchmarks.look_up",
    "site": "benchmarks.site",
    "search": "benchmarks.search",
    "search-page": "benchmarks.search_page",
    "search-large": "benchmarks.search_large",
    "mirror": "benchmarks.mirror",
}
KREW_VARIABLE = "SEALDEX_BENCH_KREW"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=sys.modules["benchmarks"].__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(MODULES)} (all)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="smaller data and fewer rounds; not the figures to publish")
    size.add_argument("--full", action="store_true", help="the largest registries too (needs an hour and 30 GB)")
    parser.add_argument("--rounds", type=int, help="how often each side is run (5; 3 with --quick)")
    parser.add_argument("--krew", type=Path, help=f"krew-history.jsonl.xz, or ${KREW_VARIABLE}: adds the rows on it")
    parser.add_argument(
        "--write",
        action="store_true",
        help="put the tables into benchmarks/README.md, each in the place of its own last one",
    )
    parser.add_argument("--keep", action="store_true", help="leave benchmarks/work/ as it is afterwards")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MODULES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}")
    krew = options.krew or (Path(os.environ[KREW_VARIABLE]) if os.environ.get(KREW_VARIABLE) else None)
    bench = Bench(
        work=HERE / "work",
        rounds=options.rounds or (3 if options.quick else 5),
        quick=options.quick,
        full=options.full,
        krew=krew.resolve() if krew else None,
    )
    if krew is None:
        bench.say(f"without the kubectl plugin index: name krew-history.jsonl.xz with --krew or ${KREW_VARIABLE}")
    sizes = [f"--{size}" for size in ("quick", "full") if getattr(options, size)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as by Ctrl-C: what was started is ended, and work/ removed
    try:
        for name in options.names or MODULES:
            bench.say(f"{name} ...")
            load = os.getloadavg()[0]
            sections: list[Section] = importlib.import_module(MODULES[name]).measure(bench)
            command = " ".join(["python -m benchmarks", name, *sizes])
            heading = (
                f"Measured {datetime.now(timezone.utc):%Y-%m-%d} on {peers.machine()}; {peers.versions()}; "
                f"load {load:.1f} at the start; {bench.rounds} rounds, sides in turn: `{command}`"
            )
            text = "\n\n".join([*map(str, sections), heading]) + "\n"
            print(text, flush=True)
            if options.write:  # at once, so that what is measured stays when a later one fails
                write_report(HERE / "README.md", text, begin=begin_of(name))
    except peers.PeerMissingError as error:
        bench.say(str(error))
        return 1
    finally:
        if not options.keep:
            shutil.rmtree(bench.work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
