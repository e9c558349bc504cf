"""The first second of a host that knows nothing but the trust root, against a script of stock python-tuf.

Nearly all of it is imports, so both run in an environment with the client's packages alone, and every round starts a
process. The script reads the same document from the same nginx, without delay and through a proxy with 20 ms a round
trip. Installing is compared with that script too, and with one that fetches, checks and unpacks the archive as well.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import peers
from benchmarks.alone import STOCK, client_alone
from benchmarks.bench import Bench, put_aside
from benchmarks.budgets import FIRST_DELAYED, FIRST_WALL, START_WALL
from benchmarks.delayed import delayed
from benchmarks.harness import Command, Row, Sample, Section, Side, alternate, cpu, run, wall
from benchmarks.nginx import nginx
from benchmarks.payload import write_files
from benchmarks.scene import Client, Registry, add_packed, check_prints, make_registry

PLUGIN = "bench/small"
FILES, FILE_BYTES = 16, 64 << 10  # a plugin of 1 MiB
ROUND_TRIP_S = 0.02
ROUNDS_FACTOR, START_FACTOR = 2, 8


def measure(bench: Bench) -> list[Section]:
    """Return the figures of each command, without delay and with."""
    peers.need("nginx")
    python, program = client_alone()
    folder = bench.folder("first-second")
    registry = make_registry(folder / "tree")
    write_files(folder / "payload", FILES, FILE_BYTES)
    add_packed(registry, PLUGIN, "1.0.0", folder / "payload")
    run(registry.command("publish"))
    with nginx(registry.published, folder / "nginx") as near, delayed(near, ROUND_TRIP_S) as far:
        scenes = [
            ("without delay", _Scene(bench, folder / "near", registry, near, python, program)),
            (
                f"with {ROUND_TRIP_S * 1000:.0f} ms a round trip",
                _Scene(bench, folder / "far", registry, far, python, program),
            ),
        ]
        rows = [row for name, scene in scenes for row in scene.rows(name, is_far=scene is scenes[1][1])]
        rows += scenes[0][1].starts()
    return [Section("The first second: a host that knows nothing but the trust root", tuple(rows))]


class _Scene:
    def __init__(self, bench: Bench, folder: Path, registry: Registry, url: str, python: Path, program: Path) -> None:
        self._bench, self._folder, self._url, self._root = bench, folder, url, registry.trust_root
        self._python, self._program = str(python), str(program)
        self._client: Client = registry.client(folder / "client", url)
        self._project = folder / "project"
        self._project.mkdir()
        (self._project / "sealdex.toml").write_text(f'[plugins]\n"{PLUGIN}" = "1.0.0"\n')
        run(self._ours("ensure", "--project", str(self._project)))
        self._number = 0

    def _ours(self, *arguments: str) -> Command:
        command = self._client.command(*arguments)
        return Command([self._program, *command.argv[1:]], command.cwd, command.env)

    def _stock(self, *more: str) -> Command:
        self._number += 1
        place = self._folder / f"stock-{self._number}"
        arguments = [self._python, str(STOCK), str(place), self._url, str(self._root), PLUGIN, *more]
        return Command(arguments, self._folder, self._client.command().env)

    def rows(self, name: str, *, is_far: bool) -> list[Row]:
        """Return the rows of the commands that start from nothing."""
        budget = FIRST_DELAYED if is_far else FIRST_WALL
        rows = []
        for arguments in (("info", PLUGIN), ("install", PLUGIN), ("ensure", "--project", str(self._project))):
            self._bench.say(f"first-second: {arguments[0]} {name}")
            ours, reads, installs = alternate(
                [
                    Side(lambda _, given=arguments: self._ours(*given), lambda _: self._client.forget(), _checked),  # type: ignore[misc]
                    Side(lambda _: self._stock(), after=_checked),
                    Side(lambda _: self._stock("install"), after=_checked),
                ],
                self._bench.rounds * ROUNDS_FACTOR,
            )
            label = f"{arguments[0]}, {name}"
            peer = "stock tuf.ngclient"
            rows.append(Row(f"{label}: wall", wall(ours, unit="ms"), wall(reads, unit="ms"), peer, budget))
            if not is_far:
                rows.append(Row(f"{label}: CPU", cpu(ours, unit="ms"), cpu(reads, unit="ms"), peer))
            if arguments[0] != "info":
                rows.append(
                    Row(f"{label}: wall", wall(ours, unit="ms"), wall(installs, unit="ms"), f"{peer}, unpacking too")
                )
        return rows

    def starts(self) -> list[Row]:
        """Return the rows of the commands that find everything in place."""
        nothing = Command([self._python, "-c", "pass"], self._folder)
        put_aside(self._client.store)
        run(self._ours("ensure", "--project", str(self._project)))
        rows = []
        for arguments in (("list",), ("ensure", "--project", str(self._project))):
            ours, idle = alternate(
                [Side(lambda _, given=arguments: self._ours(*given)), Side(lambda _: nothing)],  # type: ignore[misc]
                self._bench.rounds * START_FACTOR,
            )
            label = f"{arguments[0]}, everything in place: wall"
            rows.append(Row(label, wall(ours, unit="ms"), wall(idle, unit="ms"), "python -c pass", START_WALL))
        return rows


def _checked(_number: int, sample: Sample) -> None:
    check_prints(sample, "1" if "installed" in sample.output else "1.0.0")
