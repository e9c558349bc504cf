"""The wheels of the client and of what it needs: from a folder, or made again from what is running.

A folder of wheels may serve several Pythons and platforms; what is running serves its like alone.
"""

from __future__ import annotations

import ast
import email
import hashlib
import importlib.metadata
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sealdex import __version__
from sealdex.download.bundle.container import CarriedClient, CarriedWheel
from sealdex.download.bundle.wheel_tags import (
    Host,
    WheelName,
    newest_first,
    normalized,
    parse_wheel_name,
    platforms_of,
    rank,
    this_host,
)
from sealdex.errors import UsageError

PYTHONS = tuple((3, minor) for minor in range(10, 20))
_NEWEST_LIBC = (99, 0)
_LEFT_OUT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}  # notes of pip, which say where and when it ran
_MAX_METADATA_BYTES = 8 << 20
_NOTHING = "no bundle was written"


class Wheel(NamedTuple):
    """One wheel: its name, its bytes, and what its metadata says."""

    file: str
    name: WheelName
    data: bytes
    requires: tuple[str, ...]
    python: str


def from_folder(folder: Path) -> list[Wheel]:
    """Read all wheels of a folder.

    Raises:
        UsageError: there is none, or one can't be read.
    """
    found = []
    for path in sorted(folder.glob("*.whl")):
        name = parse_wheel_name(path.name)
        try:
            data = path.read_bytes()
            found.append(_read(path.name, name, data) if name is not None else None)
        except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
            raise UsageError(
                f"{path} is not a valid wheel: {error}", subject=str(path), untouched=_NOTHING, hint="download it again"
            ) from error
    return [wheel for wheel in found if wheel is not None]


def running() -> list[Wheel]:
    """Make wheels of the client that runs this, and of what it needs.

    Raises:
        UsageError: something of it isn't installed in a way that can be read.
    """
    return [_packed(project, extras) for project, extras in _installed_closure().items()]


def chosen(wheels: Sequence[Wheel], platforms: Sequence[str]) -> tuple[CarriedClient, list[Wheel]]:
    """Return what a bundle says of the client that it carries, and the wheels that it needs for that.

    Args:
        wheels: all that there are.
        platforms: ``os/arch`` that the client has to run on; none: those that the wheels are for.

    Raises:
        UsageError: on a platform the client runs on no Python; what is lacking is named.
    """
    asked = list(platforms) or sorted({each for wheel in wheels for each in platforms_of(wheel.name)})
    asked = asked or [this_host().platform]
    hosts: dict[str, set[str]] = {}
    problems = []
    runs_on: list[str] = []
    for platform in asked:
        lacking: list[str] = []
        count = len(runs_on)
        for python in PYTHONS:
            host = Host(python, platform, f"cp{python[0]}{python[1]}", _NEWEST_LIBC, _NEWEST_LIBC)
            needed, missing = _closure(wheels, host)
            if missing:
                lacking = missing if not lacking or len(missing) < len(lacking) else lacking
                continue
            text = f"{python[0]}.{python[1]} {platform}"
            runs_on.append(text)
            for wheel in needed:
                hosts.setdefault(wheel.file, set()).add(text)
        if len(runs_on) == count:
            problems.append(f"for {platform} there is no wheel of {', '.join(lacking)}")
    if problems:
        raise UsageError(
            "\n".join(["the client can't be carried for all platforms", *problems]),
            untouched=_NOTHING,
            hint="collect wheels in a folder and give it with --wheels DIR, for each Python and platform: pip download "
            f"sealdex=={__version__} --only-binary :all: --python-version 3.12 --platform manylinux_2_28_x86_64 -d DIR",
        )
    kept = [wheel for wheel in wheels if wheel.file in hosts]
    carried = tuple(_carried(wheel, hosts[wheel.file]) for wheel in kept)
    version = next(wheel.name.version for wheel in kept if wheel.name.project == "sealdex")
    build = hashlib.sha256("\n".join(f"{each.file} {each.sha256}" for each in carried).encode()).hexdigest()
    return CarriedClient(version, build, tuple(sorted(runs_on, key=_by_python)), carried), kept


def _carried(wheel: Wheel, hosts: set[str]) -> CarriedWheel:
    return CarriedWheel(wheel.file, hashlib.sha256(wheel.data).hexdigest(), tuple(sorted(hosts, key=_by_python)))


def _by_python(text: str) -> tuple[str, tuple[int, ...]]:
    python, _, platform = text.partition(" ")
    return platform, newest_first(python)


def _closure(wheels: Sequence[Wheel], host: Host) -> tuple[list[Wheel], list[str]]:
    """Return the wheels that the client needs on a host, and the projects that have none for it."""
    by_project: dict[str, list[Wheel]] = {}
    for wheel in wheels:
        if rank(wheel.name, host) is not None and admits_python(wheel.python, host.python):
            by_project.setdefault(wheel.name.project, []).append(wheel)
    found: list[Wheel] = []
    missing: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [("sealdex", "")]
    while waiting:
        project, extra = waiting.pop()
        if (project, extra) in seen:
            continue
        seen.add((project, extra))
        there = by_project.get(project, [])
        if not there:
            missing.append(project)
            continue
        newest = max(newest_first(wheel.name.version) for wheel in there)
        best = [wheel for wheel in there if newest_first(wheel.name.version) == newest]  # for older and newer systems
        found += [wheel for wheel in best if wheel not in found]
        waiting += _needed(best[0].requires, host, extra)
    return found, sorted(set(missing))


def requirement(text: str, host: Host, extra: str) -> tuple[str, tuple[str, ...], bool]:
    """Read a ``Requires-Dist``: the project, its extras, and whether this host needs it for an extra ('' for none)."""
    wanted, _, marker = text.partition(";")
    found = re.match(r"\s*([A-Za-z0-9._-]+)\s*(\[([^\]]*)\])?", wanted)
    name = normalized(found[1]) if found else ""
    extras = tuple(each.strip() for each in (found[3] or "").split(",") if each.strip()) if found else ()
    return name, extras, not marker.strip() or _holds(marker.strip(), host, extra)


def _needed(requires: Iterable[str], host: Host, extra: str) -> Iterator[tuple[str, str]]:
    """Yield the projects, each with an extra or '', that a host needs by ``Requires-Dist`` lines."""
    for text in requires:
        name, extras, is_needed = requirement(text, host, extra)
        if is_needed:
            yield name, ""
            yield from ((name, each) for each in extras)


def _holds(marker: str, host: Host, extra: str) -> bool:
    """Evaluate an environment marker, whose grammar is that of an expression; one that isn't understood holds."""
    system, _, arch = host.platform.partition("/")
    version = f"{host.python[0]}.{host.python[1]}"
    values = {
        "python_version": version,
        "python_full_version": f"{version}.99",
        "extra": extra,
        "sys_platform": {"windows": "win32"}.get(system, system),
        "platform_system": system.capitalize(),
        "os_name": "nt" if system == "windows" else "posix",
        "platform_machine": {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(arch, arch),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    try:
        return _value(ast.parse(marker, mode="eval").body, values)
    except (SyntaxError, ValueError):
        return True


def _value(node: ast.expr, values: Mapping[str, str]) -> bool:
    if isinstance(node, ast.BoolOp):
        parts = [_value(each, values) for each in node.values]
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        raise ValueError("not a comparison")
    texts = []
    is_version = False
    for side in (node.left, node.comparators[0]):
        if isinstance(side, ast.Name):
            is_version = is_version or side.id.startswith("python_")
            texts.append(values[side.id] if side.id in values else _unknown(side.id))
        elif isinstance(side, ast.Constant) and isinstance(side.value, str):
            texts.append(side.value)
        else:
            raise ValueError("not a name or a text")  # noqa: TRY004  # caught above, as all that isn't understood
    left, right = texts
    operator = type(node.ops[0])
    if operator in {ast.In, ast.NotIn}:
        return (left in right) == (operator is ast.In)
    if is_version:
        one, other = newest_first(left), newest_first(right)
        if len(other) < len(one):
            other += (0,) * (len(one) - len(other))
        ordered = {ast.Lt: one < other, ast.LtE: one <= other, ast.Gt: one > other, ast.GtE: one >= other}
        if operator in ordered:
            return ordered[operator]
        left, right = str(one), str(other)
    if operator is ast.Eq:
        return left == right
    if operator is ast.NotEq:
        return left != right
    raise ValueError("not a comparison of texts")


def _unknown(name: str) -> str:
    raise ValueError(f"{name} isn't known here")


def admits_python(specifier: str, python: tuple[int, int]) -> bool:
    """Say whether a ``Requires-Python`` admits a minor version; what isn't understood does."""
    for part in filter(None, (each.strip() for each in specifier.split(","))):
        found = re.fullmatch(r"(>=|<=|<|>|!=|==|~=)\s*(\d+)(?:\.(\d+|\*))?(?:\.\S*)?", part)
        if found is None:
            continue
        operator, minor = found[1], found[3]
        bound = (int(found[2]), int(minor) if minor and minor != "*" else 0)
        is_whole = minor in {None, "*"}
        same = python[:1] == bound[:1] if is_whole else python == bound
        admitted = {
            ">=": python >= bound,
            "~=": python >= bound and python[0] == bound[0],
            ">": python > bound,
            "<": python < bound,
            "<=": python <= bound,
            "==": same,
            "!=": not (same and part.endswith("*")),
        }[operator]
        if not admitted:
            return False
    return True


def _read(file: str, name: WheelName, data: bytes) -> Wheel:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        inner = next(each for each in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each))
        if archive.getinfo(inner).file_size > _MAX_METADATA_BYTES:
            raise ValueError("its metadata is too large")
        metadata = email.message_from_bytes(archive.read(inner))
    return Wheel(file, name, data, tuple(metadata.get_all("Requires-Dist", [])), metadata.get("Requires-Python", ""))


def _installed_closure() -> dict[str, importlib.metadata.Distribution]:
    """Return what is installed of the client and its needs, by name."""
    host = this_host()
    found: dict[str, importlib.metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [("sealdex", "")]
    while waiting:
        project, extra = waiting.pop()
        if (project, extra) in seen:
            continue
        seen.add((project, extra))
        try:
            distribution = importlib.metadata.distribution(project)
        except importlib.metadata.PackageNotFoundError as error:
            raise _not_readable(project) from error
        found[project] = distribution
        waiting += _needed(distribution.requires or (), host, extra)
    return dict(sorted(found.items()))


def _packed(project: str, distribution: importlib.metadata.Distribution) -> Wheel:
    """Make a wheel of what is installed; the same files give the same bytes."""
    tags = [line[5:] for line in (distribution.read_text("WHEEL") or "").splitlines() if line.startswith("Tag: ")]
    files = dict(_files_of(project, distribution))
    if not tags or not any(name.endswith(".dist-info/METADATA") for name in files):
        raise _not_readable(project)
    parts = [".".join(sorted(set(part))) for part in zip(*(tag.split("-") for tag in tags), strict=True)]
    stem = re.sub(r"[-_.]+", "_", distribution.metadata["Name"])
    file = f"{stem}-{distribution.version}-{'-'.join(parts)}.whl"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    parsed = parse_wheel_name(file)
    if parsed is None:
        raise _not_readable(project)
    return _read(file, parsed, buffer.getvalue())


def _files_of(project: str, distribution: importlib.metadata.Distribution) -> Iterator[tuple[str, Path]]:
    """Yield name and path of what is installed; of a checkout, its package as it lies there."""
    listed: Iterable[importlib.metadata.PackagePath] = distribution.files or ()
    names = {path.as_posix() for path in listed}
    for each in listed:
        name = each.as_posix()
        if each.parts[0] == ".." or each.name in _LEFT_OUT or each.suffix in {".pyc", ".pth"} or name.startswith("/"):
            continue
        yield name, Path(str(each.locate()))
    if project == "sealdex" and "sealdex/__init__.py" not in names:
        package = Path(__file__).resolve().parents[2]
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                yield f"sealdex/{path.relative_to(package).as_posix()}", path


def _not_readable(project: str) -> UsageError:
    return UsageError(
        f"the files of {project}, as it is installed here, can't be listed",
        subject=project,
        untouched=_NOTHING,
        hint="give a folder of wheels: --wheels DIR",
    )


__all__ = ["Wheel", "admits_python", "chosen", "from_folder", "requirement", "running"]
