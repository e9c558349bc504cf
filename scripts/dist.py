"""Builds both distributions reproducibly, and tries the wheels in clean environments: `make dist`, and a release.

    python scripts/dist.py build [--out dist]               sdists, wheels and SHA256SUMS; each built twice and compared
    python scripts/dist.py try [--dist dist] [PYTHON...]    with each Python given, else with each supported one here
    python scripts/dist.py notes                            what CHANGELOG.md says of this version, for the release page

What is built is what git tracks, as it is here; the time inside is that of the last commit (SOURCE_DATE_EPOCH). The
Python that runs this needs hatchling, as pins/build.txt has it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
VERSION_FILE = REPOSITORY / "client" / "sealdex" / "__init__.py"
PROJECTS = {"sealdex": "client", "sealdex_builder": "."}
"""Each distribution, as its files are named, and the folder of its pyproject.toml."""

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

_ENDS = (".tar.gz", "-py3-none-any.whl")

# Two builds that differ in all that a reproducible build must not depend on.
_SURROUNDINGS: tuple[dict[str, str], ...] = (
    {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},
    {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
)


class DistError(Exception):
    """What prevents a release."""


def version() -> str:
    """Return the version of both distributions, from the one place where it stands."""
    for line in VERSION_FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("__version__ = "):
            return line.partition('"')[2].rstrip('"')
    raise DistError(f"{VERSION_FILE} states no __version__")


def build(out: Path) -> list[Path]:
    """Build sdists and wheels into a folder, which is made empty first.

    Returns:
        The four files, and SHA256SUMS.

    Raises:
        DistError: two builds differ, or the wheel made from the sdist does.
    """
    with tempfile.TemporaryDirectory(prefix="sealdex-dist-") as temporary:
        work = Path(temporary)
        builds = [_build_once(work / str(number), number) for number in (0, 1)]
        differing = [name for name in builds[0] if builds[0][name].read_bytes() != builds[1][name].read_bytes()]
        if differing:
            raise DistError(f"two builds differ: {', '.join(differing)}")
        for name in PROJECTS:
            _compare_wheel_of_sdist(builds[0], name, work)
        out.mkdir(parents=True, exist_ok=True)
        # of another version too; what other targets have put there stays
        for earlier in {path for end in _ENDS for name in PROJECTS for path in out.glob(f"{name}-*{end}")}:
            earlier.unlink()
        made = [Path(shutil.copyfile(path, out / name)) for name, path in sorted(builds[0].items())]
    sums = out / "SHA256SUMS"
    sums.write_text("".join(f"{_digest(path)}  {path.name}\n" for path in made), encoding="utf-8")
    return [*made, sums]


def _build_once(folder: Path, number: int) -> dict[str, Path]:
    """Build from a copy of what git tracks, and return the files by name."""
    source, out = folder / "source", folder / "out"
    _export(source, umask=(0o022, 0o077)[number])
    for project in PROJECTS.values():
        _hatchling(source / project, out, _SURROUNDINGS[number], "sdist", "wheel")
    found = {path.name: path for path in out.iterdir()}
    expected = {f"{name}-{version()}{end}" for name in PROJECTS for end in _ENDS}
    if set(found) != expected:
        raise DistError(f"built were {', '.join(sorted(found))} instead of {', '.join(sorted(expected))}")
    return found


def _export(target: Path, *, umask: int) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, stdout=subprocess.PIPE, check=True).stdout
    before = os.umask(umask)
    try:
        for name in filter(None, listed.decode().split("\0")):
            source, copy = REPOSITORY / name, target / name
            if source.is_file():  # what was removed and not yet committed is tracked still
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
    finally:
        os.umask(before)


def _compare_wheel_of_sdist(files: dict[str, Path], name: str, work: Path) -> None:
    """Build the wheel from the sdist, as someone who installs it would: it is complete, and the result is the same."""
    unpacked = work / f"{name}-sdist"
    with tarfile.open(files[f"{name}-{version()}.tar.gz"]) as archive:
        # our own archive; Python before 3.11.4 and 3.10.12 has no filters
        archive.extractall(unpacked, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # noqa: S202
    _hatchling(unpacked / f"{name}-{version()}", work / f"{name}-out", _SURROUNDINGS[0], "wheel")
    wheel = f"{name}-{version()}-py3-none-any.whl"
    if (work / f"{name}-out" / wheel).read_bytes() != files[wheel].read_bytes():
        raise DistError(f"{wheel} is another one when it is built from the sdist")


def _hatchling(project: Path, out: Path, surroundings: dict[str, str], *targets: str) -> None:
    epoch = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    options = [word for target in targets for word in ("--target", target)]
    environment = {**os.environ, **surroundings, "SOURCE_DATE_EPOCH": epoch}
    _run([sys.executable, "-m", "hatchling", "build", "--directory", out, *options], cwd=project, env=environment)


def try_wheels(dist: Path, python: str, work: Path) -> None:
    """Install the wheels with one Python and walk the whole way: the builder publishes, the client alone installs.

    Raises:
        DistError: a command failed, or did what it must not.
    """
    wheels = [dist / f"{name}-{version()}-py3-none-any.whl" for name in PROJECTS]
    client = _environment(python, work / "client", "client", wheels[:1])
    builder = _environment(python, work / "builder", "builder", wheels)
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(work / "home"),
        "SEALDEX_KEYS": str(work / "keys"),
        "SEALDEX_CONFIG": str(work / "config.toml"),
        "SEALDEX_STORE": str(work / "store"),
        "XDG_STATE_HOME": str(work / "state"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def run(environment: Path, *words: str | Path, code: int = 0) -> str:
        return _run([environment / "bin" / words[0], *words[1:]], cwd=work, env=variables, code=code)

    def build_with(*words: str | Path) -> str:
        return run(builder, "sealdex-builder", "--tree", "registry", *words)

    _same(run(client, "sealdex", "--version"), f"sealdex {version()}\n")
    _same(run(builder, "sealdex-builder", "--version"), f"sealdex-builder {version()}\n")
    run(client, "python", "-c", "import registry_builder", code=1)

    run(builder, "sealdex-builder", "init", "registry", "--dev-keys")
    plugin = Path("registry", "plugins", "acme", "slack")
    build_with("new", "notify", "acme/slack")
    build_with("pack", plugin)
    build_with("release", plugin / "dist" / "0.1.0" / "slack-0.1.0.zip")
    build_with("validate")
    build_with("publish")
    if not (work / "registry" / "published" / "index.html").is_file():
        raise DistError("the builder's wheel wrote no browse site")
    _install_with(lambda *words, code=0: run(client, *words, code=code), work / "registry")


def _install_with(client: Callable[..., str], registry: Path) -> None:
    published, root = registry / "published", registry / "trust" / "public" / "1.root.json"
    client("sealdex", "registry", "add", "acme", published.as_uri() + "/", "--root", root)
    client("sealdex", "install", "acme/slack")
    installed = Path(client("sealdex", "path", "acme/slack").strip())
    if not any(installed.iterdir()):
        raise DistError("nothing was installed")
    client("sealdex", "verify")
    client("python", "-c", "from sealdex import Client\nwith Client() as c: c.install('acme/slack')")
    for archive in published.rglob("*.zip"):
        archive.write_bytes(archive.read_bytes() + b"forged")
    # what was changed on its way is refused; in another store, since the first has the true one in its cache
    client("sealdex", "install", "acme/slack", "--store", "other-store", code=4)


def _environment(python: str, folder: Path, pins: str, wheels: list[Path]) -> Path:
    """Make an environment of pinned packages and our wheels, and let pip check that nothing is missing."""
    _run([python, "-m", "venv", folder])
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run([*pip, "install", "--only-binary", ":all:", "--require-hashes", "-r", REPOSITORY / "pins" / f"{pins}.txt"])
    _run([*pip, "install", "--no-index", "--no-deps", *wheels])
    _run([*pip, "check"])
    return folder


def _run(
    command: list[str | Path] | list[str],
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    code: int = 0,
) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != code:
        raise DistError(f"{' '.join(words)}\nexit code {done.returncode} instead of {code}\n{done.stdout}{done.stderr}")
    return done.stdout


def _same(found: str, expected: str) -> None:
    if found != expected:
        raise DistError(f"{found!r} instead of {expected!r}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _pythons() -> list[str]:
    """Return the supported Pythons that start here."""
    programs = [shutil.which(f"python{each}") for each in PYTHONS]
    return [each for each in programs if each and not subprocess.run([each, "-c", ""], check=False).returncode]


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    builds = commands.add_parser("build")
    builds.add_argument("--out", type=Path, default=REPOSITORY / "dist")
    builds.add_argument(
        "--tag", help="fail unless this is the tag of the version, such as v1.2.3, and nothing is uncommitted"
    )
    tries = commands.add_parser("try")
    tries.add_argument("--dist", type=Path, default=REPOSITORY / "dist")
    tries.add_argument("pythons", nargs="*", metavar="PYTHON")
    commands.add_parser("notes")
    asked = parser.parse_args()
    try:
        if asked.command == "build":
            if asked.tag:
                _check_tag(asked.tag)
            sums = build(asked.out)[-1]
            print(sums.read_text(encoding="utf-8"), end="")
        for python in (asked.pythons or _pythons()) if asked.command == "try" else ():
            with tempfile.TemporaryDirectory(prefix="sealdex-try-") as work:
                try_wheels(asked.dist.resolve(), python, Path(work))
            print(f"the wheels of {version()} work with {python}")
        if asked.command == "notes":
            print(notes((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), version()))
    except DistError as failure:
        print(f"dist: {failure}", file=sys.stderr)
        return 1
    return 0


def _check_tag(tag: str) -> None:
    if tag != f"v{version()}":
        raise DistError(f"the tag is {tag}, the version {version()}")
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"], cwd=REPOSITORY, stdout=subprocess.PIPE, check=True
    ).stdout
    if changed:
        raise DistError(f"not committed:\n{changed.decode()}")
    notes((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), version())


def notes(changelog: str, of: str) -> str:
    """Return what the change log says of a version, without its head.

    Raises:
        DistError: there is no section with a date for it.
    """
    found = re.search(
        rf"^## \[{re.escape(of)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE
    )
    if found is None:
        raise DistError(f"CHANGELOG.md has no dated section for {of}")
    return re.sub(r"^\[[^]]+\]: .*\n?", "", found[1], flags=re.MULTILINE).strip()


if __name__ == "__main__":
    sys.exit(main())
