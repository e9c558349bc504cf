"""Sealdex under load: many agents at once, and a soak with faults and a publisher at work; writes docs/load-report.md.

    python -m benchmarks.load --write                          # 1,000 agents, 30 minutes of soak
    python -m benchmarks.load --seconds 120 --agents 100       # less of it, printed

Everything is on loopback: nginx (or a server in Python), and before it a proxy that breaks some of the answers. Exits 1
if something went wrong that no fault explains: an installation that isn't whole, an old release where a newer one was
visible, a process that died, or memory or open files that grew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.fault_server import (
    Cut,
    EndsShort,
    Fault,
    FaultServer,
    Request,
    Silence,
    Slow,
    Status,
    Swap,
)  # needs the path

from benchmarks import peers
from benchmarks.harness import CommandFailedError, run
from benchmarks.load_report import Publish, Run, page, problems
from benchmarks.nginx import nginx
from benchmarks.scene import Registry, add_packed, make_registry
from benchmarks.slow_server import slow_server

PAGE = Path(__file__).parents[1] / "docs" / "load-report.md"
AGENTS = Path(__file__).with_name("load_agents.py")
PLUGINS = tuple(f"bench/plugin-{letter}" for letter in "abcde")
FILES, FILE_BYTES = 8, 16 << 10
REST_S = 3.0
SAMPLE_S = 5.0


_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Options:
    """How it is run; see ``--help``."""

    seconds: float = 1800.0
    agents: int = 1000
    alive: int = 50
    rate: float = 1.0
    hosts: int = 4
    interval: float = 2.0
    publish_every: float = 20.0
    faults: float = 0.03
    seed: int = 0
    plain_server: bool = False


class FaultyProxy(FaultServer):
    """A proxy that breaks a share of the answers, each in a way that is drawn."""

    def __init__(self, origin: str, seed: int) -> None:
        super().__init__(origin=origin)
        self.share = 0.0
        self.injected: Counter[str] = Counter()
        self.answered = 0
        self._chance = random.Random(seed)
        self._guard = threading.Lock()

    def __enter__(self) -> FaultyProxy:  # noqa: PYI034  # typing.Self came with Python 3.11
        super().__enter__()
        return self

    def _next(self, request: Request) -> tuple[bytes | None, Fault | None]:
        del request  # not kept: there are a hundred thousand
        with self._guard:
            self.answered += 1
            if self._chance.random() >= self.share:
                return None, None
            name, fault = self._chance.choice(FAULTS)
            self.injected[name] += 1
        return None, fault


FAULTS: tuple[tuple[str, Fault], ...] = (
    ("answered 500", Status(500)),
    ("answered 503", Status(503)),
    ("closed without an answer", Silence()),
    ("cut off", Cut(200)),
    ("reset", Cut(100, reset=True)),
    ("ended short", EndsShort(100)),
    ("with a byte changed", Swap(at=40)),
    ("slow", Slow(0.05, 4096)),
)


@dataclass
class Publisher:
    """Publishes a release now and then, each by commands as a person would."""

    registry: Registry
    payload: Path
    every: float
    published: list[Publish] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def first(self) -> None:
        """Publish the first release of each plugin."""
        for plugin in PLUGINS:
            self._add(plugin, "1.0.0")
        run(self.registry.command("publish"))
        self.published += [Publish(plugin, "1.0.0", time.time(), 0.0, 0) for plugin in PLUGINS]

    def work(self, stop: threading.Event) -> None:
        """Publish until told to stop."""
        number = 0
        while not stop.wait(self.every):
            plugin, version = PLUGINS[number % len(PLUGINS)], f"1.{number // len(PLUGINS) + 1}.0"
            try:
                self._add(plugin, version)
                sample = run(self.registry.command("publish", "--only", plugin))
            except CommandFailedError as error:
                self.failed.append(str(error)[-500:])
            else:
                self.published.append(Publish(plugin, version, time.time(), sample.wall_s, sample.rss_bytes))
            number += 1

    def _add(self, plugin: str, version: str) -> None:
        (self.payload / "00.bin").write_bytes(random.Random(plugin + version).randbytes(FILE_BYTES))
        add_packed(self.registry, plugin, version, self.payload)


def measure(options: Options, folder: Path, command: str) -> Run:
    """Run all of it below a folder."""
    registry = make_registry(folder / "tree")
    payload = folder / "payload"
    payload.mkdir()
    for number in range(FILES):
        (payload / f"{number:02d}.bin").write_bytes(random.Random(number).randbytes(FILE_BYTES))
    publisher = Publisher(registry, payload, options.publish_every)
    publisher.first()
    lines = (folder / "start.jsonl", folder / "soak.jsonl")
    for path in lines:
        path.touch()
    calm, proxy_sizes, loads = folder / "calm", list[int](), [os.getloadavg()[0]]
    with _origin(registry.published, folder, options) as origin, FaultyProxy(origin, options.seed) as proxy:
        client = registry.client(folder / "host", proxy.url("/"))
        stores = folder / "stores"
        stores.mkdir()
        shared: dict[str, Any] = {
            "config": str(client.folder / "config.toml"),
            "folder": str(stores),
            "alive": options.alive,
        }
        shared |= {"plugins": PLUGINS, "seed": options.seed}
        first = json.loads(_agents(dict(shared, out=str(lines[0]), agents=options.agents)).communicate()[0])
        _say(f"{options.agents} agents in {first['wall_s']:.1f} s")
        files_before = _files_at_rest()
        proxy.share, before, stop = options.faults, proxy.answered, threading.Event()
        publishing = threading.Thread(target=publisher.work, args=(stop,))
        of_hosts = {"hosts": options.hosts, "interval": options.interval, "calm": str(calm)}
        in_time = {"seconds": options.seconds, "rate": options.rate}
        soaking = _agents(dict(shared, out=str(lines[1]), **of_hosts, **in_time))
        publishing.start()
        end = time.monotonic() + options.seconds
        try:
            while time.monotonic() < end and soaking.poll() is None:
                time.sleep(min(SAMPLE_S, max(0.0, end - time.monotonic())))
                proxy_sizes.append(_own_kib())
                loads.append(os.getloadavg()[0])
        finally:
            stop.set()
            publishing.join()
            proxy.share = 0.0
            calm.touch()
            second = json.loads(soaking.communicate()[0] or b"{}")  # nothing, if it was ended
        requests, files = proxy.answered - before, (files_before, _files_at_rest())
    minutes = options.seconds / 60
    about = {
        "command": command,
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "machine": f"Measured on {peers.machine()}",
        "soak": (
            f"{minutes:.3g} minutes. {options.rate:g} agents a second start with an empty store; {options.hosts} hosts "
            f"live all the time and act every {options.interval:g} s; "
            f"a release is published every {options.publish_every:g} s."
        ),
    }
    return Run(
        start=_read(lines[0]),
        soak=_read(lines[1]),
        first=first,
        second=second,
        published=publisher.published,
        failed_publishes=publisher.failed,
        injected=dict(proxy.injected),
        requests=requests,
        proxy=proxy_sizes,
        proxy_files=files,
        loads=loads,
        hosts=options.hosts,
        about=about,
    )


@contextlib.contextmanager
def _origin(published: Path, folder: Path, options: Options) -> Iterator[str]:
    if options.plain_server or peers.find("nginx") is None:
        with slow_server(published, 0.0) as server:
            yield server.url
        return
    with nginx(published, folder / "nginx") as url:
        yield url


def _agents(plan: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start `benchmarks.load_agents` with the fields of its plan."""
    started = subprocess.Popen(
        [sys.executable, str(AGENTS), json.dumps(plan)], stdout=subprocess.PIPE, start_new_session=True
    )
    _started.append(started)
    return started


def _end_all() -> None:
    """End what was started and still runs, with all that it forked."""
    for process in _started:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _terminated(number: int, _: object) -> None:
    _end_all()  # first, since they are waited for on the way out
    sys.exit(128 + number)


def _own_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _files_at_rest() -> int:
    """Return how many files this process has open when nobody is served: once they haven't become fewer for a while."""
    fewest, since = sys.maxsize, time.monotonic()
    while time.monotonic() - since < REST_S:
        now = sum(1 for _ in Path("/proc/self/fd").iterdir())
        if now < fewest:
            fewest, since = now, time.monotonic()
        time.sleep(0.1)  # nothing tells when a connection's thread has closed it
    return fewest


def _read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _say(text: str) -> None:
    print(f"load: {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    usual = Options()
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="how long the soak is (%(default)g)")
    parser.add_argument("--agents", type=int, default=usual.agents, help="how many start at once (%(default)s)")
    parser.add_argument("--alive", type=int, default=usual.alive, help="how many processes at most (%(default)s)")
    parser.add_argument("--rate", type=float, default=usual.rate, help="agents a second in the soak (%(default)g)")
    parser.add_argument("--hosts", type=int, default=usual.hosts, help="processes that live on (%(default)s)")
    parser.add_argument("--interval", type=float, default=usual.interval, help="seconds between a host's acts")
    parser.add_argument("--publish-every", type=float, default=usual.publish_every, help="seconds (%(default)g)")
    parser.add_argument("--faults", type=float, default=usual.faults, help="share of answers broken (%(default)g)")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--plain-server", action="store_true", help="a server in Python in place of nginx")
    parser.add_argument("--write", action="store_true", help="write docs/load-report.md")
    parser.add_argument("--remark", default="", help="what else the reader should know of the machine")
    given = parser.parse_args()
    words = " ".join(word for word in sys.argv[1:] if word != "--write")
    words = words.replace(given.remark, "").replace("--remark", "").strip() if given.remark else words
    folder = Path(tempfile.mkdtemp(prefix="sealdex-load-"))
    signal.signal(signal.SIGTERM, _terminated)
    try:
        options = Options(**{name: getattr(given, name) for name in vars(usual)})
        done = measure(options, folder, f"python -m benchmarks.load {words}".strip())
    finally:
        _end_all()
        shutil.rmtree(folder, ignore_errors=True)
    text = page(done, remark=given.remark)
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    wrong = problems(done)
    for each in wrong:
        _say(each)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
