"""`ensure` of 20 locked plugins that are in place, against `uv pip sync` of as many locked packages that are.

Both read what is locked, with digests, look at what is installed, find nothing to do, and ask nobody.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Bench
from benchmarks.budgets import START_WALL
from benchmarks.harness import Command, Row, Section, Side, alternate, cpu, rss, run, wall
from benchmarks.scene import Client, add_packed, check_prints, make_registry
from benchmarks.wheelfile import write_wheel

PLUGINS = 20
ROUNDS_FACTOR = 8  # each takes milliseconds, so there can be many


def measure(bench: Bench) -> list[Section]:
    """Return the figures of wall time, CPU time and memory."""
    peers.need("uv")
    folder = bench.folder("ensure")
    bench.say(f"ensure: installing {PLUGINS} plugins and as many packages")
    ensure, sync = _ours(folder), _theirs(folder / "uv")
    check_prints(run(ensure), f"all {PLUGINS} plugins are in place")
    check_prints(run(sync), f"Checked {PLUGINS} packages")
    nothing = Command([sys.executable, "-c", "pass"], folder)
    ours, theirs, idle = alternate(
        [Side(lambda _: ensure), Side(lambda _: sync), Side(lambda _: nothing)], bench.rounds * ROUNDS_FACTOR
    )
    rows = (
        Row("wall", wall(ours, unit="ms"), wall(theirs, unit="ms"), "uv pip sync"),
        Row("wall", wall(ours, unit="ms"), wall(idle, unit="ms"), "python -c pass", START_WALL),
        Row("CPU", cpu(ours, unit="ms"), cpu(theirs, unit="ms"), "uv pip sync"),
        Row("peak memory", rss(ours), rss(theirs), "uv pip sync"),
    )
    return [Section(f"Ensure {PLUGINS} locked plugins that are in place", rows)]


def _ours(folder: Path) -> Command:
    """Install the plugins by a lock; return the command that finds them in place."""
    registry = make_registry(folder / "tree")
    names = [f"bench/tool-{number:02d}" for number in range(PLUGINS)]
    for name in names:
        payload = folder / "payload" / name
        payload.mkdir(parents=True)
        (payload / "main.py").write_text(f"print('{name}')\n")
        add_packed(registry, name, "1.0.0", payload)
    run(registry.command("publish"))
    client: Client = registry.client(folder / "client", registry.published.as_uri())
    project = folder / "project"
    project.mkdir()
    (project / "sealdex.toml").write_text("[plugins]\n" + "".join(f'"{name}" = "1.0.0"\n' for name in names))
    ensure = client.command("ensure", "--project", str(project))
    check_prints(run(ensure), f"{PLUGINS} installed")
    return ensure


def _theirs(folder: Path) -> Command:
    """Install as many packages; return the command that finds them in place."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    lines = []
    for number in range(PLUGINS):
        name = f"bench_tool_{number:02d}"
        digest = write_wheel(wheels, name, "1.0.0", f"print('{name}')\n".encode())
        lines.append(f"{name}==1.0.0 --hash=sha256:{digest}\n")
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(lines))
    uv, environment = peers.find("uv") or "uv", folder / "venv"
    variables = {"UV_CACHE_DIR": str(folder / "cache"), "UV_NO_CONFIG": "1", "UV_OFFLINE": "1"}
    run(Command([uv, "venv", "--python", sys.executable, str(environment)], folder, variables))
    sync = [uv, "pip", "sync", "--python", str(environment / "bin" / "python"), "--require-hashes"]
    command = Command([*sync, "--no-index", "--find-links", str(wheels), str(requirements)], folder, variables)
    check_prints(run(command), f"Installed {PLUGINS} packages")
    return command
