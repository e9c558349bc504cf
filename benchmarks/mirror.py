"""Mirroring a registry from a local nginx, against rclone copying the same files, and proving it against sha256sum.

rclone is told the names of all files, so it neither lists nor hashes. Ours runs in an environment with the client's own
packages, as users have it.
Ours verifies every signature and every byte. Both sides end with ``sync``. What a run asks of nginx is counted from its
log. ``sha256sum -c`` gets a list of all artifacts and manifests in as many pieces as there are cores.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import peers
from benchmarks.alone import client_alone
from benchmarks.bench import Bench, put_aside
from benchmarks.budgets import MIRROR_FIRST, MIRROR_REQUESTS, MIRROR_RSS, MIRROR_VERIFY
from benchmarks.harness import Command, Row, Section, Series, Side, alternate, cpu, rss, run, wall
from benchmarks.nginx import nginx
from benchmarks.scene import PROGRAMS, Client, Registry, make_registry
from benchmarks.synthetic import plugin_name, version_name
from sealdex.store.hashing import hash_of_regular

ARTIFACT_BYTES = 100 << 10
RELEASES_PER_PLUGIN = 10
_CONNECTIONS = 4
_TREES = ("metadata", "targets", "plugins")


def measure(bench: Bench) -> list[Section]:
    """Return the figures of the krew registry, if its history is there, and of the synthetic one."""
    peers.need("nginx", "rclone", "sha256sum")
    sections: list[Section] = []
    if bench.krew is not None:
        krew = bench.krew

        def import_krew(registry: Registry) -> None:
            run(registry.command("import", "krew", str(krew), "--skip-invalid"))

        sections.append(_section(bench, "kubectl plugin index", import_krew, ("--artifacts", "store")))
    artifacts = 2_000 if bench.quick else 10_000
    sections.append(
        _section(
            bench,
            f"synthetic, {artifacts:,} artifacts of {ARTIFACT_BYTES >> 10} KiB",
            lambda registry: write_artifacts(registry, artifacts, ARTIFACT_BYTES),
            (),
        )
    )
    return sections


def write_artifacts(registry: Registry, artifacts: int, size: int) -> None:
    """Write releases of one artifact each, of bytes that don't compress; the same for the same numbers."""
    for number in range(artifacts):
        write_artifact(registry, *divmod(number, RELEASES_PER_PLUGIN), size)


def write_artifact(registry: Registry, plugin: int, release: int, size: int) -> None:
    """Write one release with its artifact."""
    namespace, name = plugin_name(plugin)
    home, version = registry.folder / "plugins" / namespace / name, version_name(release)
    (home / "releases").mkdir(parents=True, exist_ok=True)
    (home / "dist").mkdir(exist_ok=True)
    if not (home / "plugin.yaml").exists():
        (home / "plugin.yaml").write_text("type: model\nsummary: Made for a benchmark\nlicense: Apache-2.0\n")
    path = home / "dist" / f"{name}-{version}.bin"
    path.write_bytes(random.Random(f"{plugin} {release}").randbytes(size))
    source = path.relative_to(registry.folder).as_posix()
    artifact = {"source": source, "size": size, "sha256": hash_of_regular(path)}
    values = {"format": 1, "version": version, "artifacts": [artifact]}
    (home / "releases" / f"{version}.json").write_bytes(msgspec.json.encode(values))


def _section(bench: Bench, what: str, fill: Callable[[Registry], None], options: tuple[str, ...]) -> Section:
    folder = bench.folder("mirror")
    registry = make_registry(folder / "tree")
    bench.say(f"mirror: publishing ({what})")
    fill(registry)
    run(registry.command("publish", "--no-site"))
    keys = _keys(registry.published)
    (folder / "keys.txt").write_text("".join(f"{key}\n" for key in keys))
    log = folder / "requests.log"
    with nginx(registry.published, folder / "nginx", log=log) as url:
        host = Alone(registry.client(folder / "host", url), client_alone()[1])
        ours_in, theirs_in, again = folder / "ours", folder / "theirs", folder / "again"
        bench.say(f"mirror: {bench.rounds} rounds of {len(keys):,} files")
        ours, theirs = alternate(
            [
                Side(lambda _: _mirror(host, ours_in, options), before=lambda _: put_aside(ours_in)),
                Side(lambda _: _rclone(url, folder, theirs_in), before=lambda _: put_aside(theirs_in)),
            ],
            bench.rounds,
        )
        if missing := [key for key in keys if not (ours_in / key).is_file()]:
            raise RuntimeError(f"the mirror lacks {len(missing)} files, {missing[0]} first")
        _sums(keys, ours_in, folder)
        proved, summed = alternate(
            [
                Side(lambda _: host.command("mirror", "verify", str(ours_in), "--registry", "bench")),
                Side(lambda _: _sha256sum(folder, ours_in)),
            ],
            bench.rounds,
        )
        before = _asked(log)
        nothing = run(_mirror(host, ours_in, options))
        unchanged = _asked(log) - before
        put_aside(again)
        write_artifact(registry, 0, RELEASES_PER_PLUGIN, ARTIFACT_BYTES)
        run(registry.command("publish", "--no-site"))
        before = _asked(log)
        one = run(_mirror(host, ours_in, options))
        one_more = _asked(log) - before
    size = sum((ours_in / key).stat().st_size for key in keys)
    rows = (
        Row("first run, with sync: wall", wall(ours), wall(theirs), "rclone copy", MIRROR_FIRST),
        Row("first run, with sync: CPU", cpu(ours), cpu(theirs), "rclone copy"),
        Row("first run: peak memory", rss(ours), rss(theirs), "rclone copy", None),
        Row("first run: peak memory", rss(ours), budget=MIRROR_RSS),
        Row("no change: requests", Series((float(unchanged),), "requests"), budget=MIRROR_REQUESTS),
        Row("no change: wall", wall([nothing])),
        Row("one release more: requests", Series((float(one_more),), "requests")),
        Row("one release more: wall", wall([one])),
        Row("verify: wall", wall(proved), wall(summed), "sha256sum -c, all cores", MIRROR_VERIFY),
        Row("verify: CPU", cpu(proved), cpu(summed), "sha256sum -c, all cores"),
        Row("verify: peak memory", rss(proved), budget=MIRROR_RSS),
    )
    return Section(f"Mirror: {what}, {len(keys):,} files, {size / 2**20:,.0f} MiB", rows)


@dataclass(frozen=True)
class Alone:
    """A host with the client's own packages and no others."""

    client: Client
    program: Path

    def command(self, *arguments: str) -> Command:
        """Return a ``sealdex`` command on this host."""
        said = self.client.command(*arguments)
        return Command([str(self.program), *arguments], said.cwd, said.env)


def _mirror(host: Alone, dest: Path, options: tuple[str, ...]) -> Command:
    command = host.command("mirror", "create", "bench", str(dest), *options)
    return Command(["sh", "-c", '"$@" && sync', "sh", *command.argv], command.cwd, command.env)


def _rclone(url: str, folder: Path, dest: Path) -> Command:
    copy = [
        peers.find("rclone") or "rclone", "copy", "--config", os.devnull, "--http-url", url, "--files-from-raw",
        str(folder / "keys.txt"), "--no-traverse", "--transfers", str(_CONNECTIONS), "--checkers", str(_CONNECTIONS),
        ":http:", str(dest),
    ]  # fmt: skip
    return Command(["sh", "-c", '"$@" && sync', "sh", *copy], folder)


def _keys(published: Path) -> list[str]:
    """Return what a mirror has: no pages, no bundle, nothing that is made again from the rest."""
    found = (path for tree in _TREES for path in (published / tree).rglob("*") if path.is_file())
    keys = sorted(path.relative_to(published).as_posix() for path in found)
    return [key for key in keys if key.endswith(".json") or key.startswith("plugins/")]


def _sums(keys: list[str], dest: Path, folder: Path) -> None:
    """Write a list of digests for each core; the lists are of equal length."""
    files = [key for key in keys if key.startswith("plugins/")]
    for core in range(cores := len(os.sched_getaffinity(0))):
        lines = [f"{hash_of_regular(dest / key)}  {key}\n" for key in files[core::cores]]
        (folder / f"sums.{core}").write_text("".join(lines))


def _sha256sum(folder: Path, dest: Path) -> Command:
    script = 'ls "$0"/sums.* | xargs -P 64 -n 1 sha256sum --quiet -c'
    return Command(["sh", "-c", script, str(folder)], dest)


def _asked(log: Path) -> int:
    return log.read_bytes().count(b"\n")


def main() -> None:
    """Write a registry of N artifacts of BYTES and publish it: ``python -m benchmarks.mirror FOLDER N BYTES``."""
    folder, artifacts, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    registry = make_registry(folder)
    write_artifacts(registry, artifacts, size)
    run(registry.command("publish", "--no-site"))
    print(registry.published, registry.trust_root, PROGRAMS)


if __name__ == "__main__":
    main()
