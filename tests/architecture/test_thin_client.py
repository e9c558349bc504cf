"""What the wire format may not touch, who decodes documents, and how little the client needs and loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.places import REPOSITORY

from sealdex.config.document import ConfigDocument
from sealdex.lockfile.lock_file import LockDocument
from sealdex.lockfile.project_file import WantedDocument
from sealdex.model.files import FileList
from sealdex.model.index import IndexDocument

CLIENT = REPOSITORY / "client" / "sealdex"
MAX_CLIENT_PACKAGES = 14

PURE = {"sealdex.errors", "sealdex.lazy", "sealdex.similar"}
# what reading and writing files, sockets or clocks begins with
IO_MODULES = {"os", "io", "pathlib", "socket", "subprocess", "shutil", "tempfile", "time", "urllib3", "requests", "tuf"}


def imports_of(file: Path) -> Iterator[str]:
    """Yield the full name of every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_wire_format_does_no_io_and_knows_nothing_of_the_rest() -> None:
    offenders = []
    for file in (CLIENT / "model").rglob("*.py"):
        for module in imports_of(file):
            inside = module.startswith("sealdex.model") or module in PURE
            if module.split(".")[0] in IO_MODULES or (module.startswith("sealdex") and not inside):
                offenders.append(f"{file.name}: {module}")
    assert offenders == []


def test_only_one_module_decodes_to_types() -> None:
    """msgspec's first use of a type is not safe in threads, which `sealdex.model.decode` sees to."""
    files = [*CLIENT.rglob("*.py"), *(REPOSITORY / "registry_builder").rglob("*.py")]
    offenders = [
        f"{file.relative_to(REPOSITORY)}:{node.lineno}"
        for file in files
        if file != CLIENT / "model" / "decode.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            ast.unparse(node.func) in {"msgspec.convert", "msgspec.json.Decoder"}
            or (ast.unparse(node.func) == "msgspec.json.decode" and node.keywords)
        )
    ]
    assert offenders == []


@pytest.mark.parametrize("decoded", [IndexDocument, ConfigDocument, WantedDocument, LockDocument, FileList])
def test_what_a_start_decodes_has_annotations_that_need_no_evaluation(decoded: type[msgspec.Struct]) -> None:
    """msgspec compiles and evaluates each that is text: 2 % of a first installation."""
    structs: set[type[msgspec.Struct]] = set()
    queue: list[object] = [inspect.type_info(decoded)]
    while queue:
        info = queue.pop()
        if isinstance(info, inspect.StructType) and info.cls not in structs:
            structs.add(info.cls)
            queue += [field.type for field in info.fields]
        elif isinstance(info, inspect.Type) and not isinstance(info, inspect.StructType):
            queue += [getattr(info, name) for name in info.__struct_fields__]
        elif isinstance(info, tuple):
            queue += info
    annotations = {(kind, name): value for kind in structs for name, value in kind.__annotations__.items()}
    assert len(annotations) > 2
    assert [where for where, value in annotations.items() if isinstance(value, str)] == []


def closure(distribution: str, environment: dict[str, str]) -> set[str]:
    """Return all distributions that one needs, without extras of its own, in an environment described by markers."""
    found: set[str] = set()
    queue: list[tuple[str, frozenset[str]]] = [(distribution, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        name, extras = queue.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another Python only: a leaf as far as can be told here, and counted all the same
        for line in requirements:
            requirement = Requirement(line)
            wanted = requirement.marker is None or any(
                requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras)
            )
            if wanted:
                found.add(canonicalize_name(requirement.name))
                queue.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_the_client_needs_few_packages_on_every_python(python: str) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    needed = closure("sealdex", environment)
    assert {"tuf", "securesystemslib", "cryptography", "msgspec", "click"} <= needed
    assert len(needed) <= MAX_CLIENT_PACKAGES, sorted(needed)


CLICK = {"click", "argparse"}
ARCHIVES = {"tarfile", "sealdex.archive.unpack", "sealdex.archive.tar", "sealdex.archive.zip"}
INSTALLING = {"sqlite3", "sealdex.install.installer", "sealdex.download.fetcher", "sealdex.store.cache_gc"}
CLOUDS = {"boto3", "botocore", "pkcs11", "sigstore", "keyring", "prometheus_client", "jsonschema", "socks"}
HTTP = {"tuf", "urllib3", "cryptography", "ssl", "http.client", "sealdex.trust.registry"}
TYPES = {"msgspec", "dataclasses", "inspect", "typing", "pathlib", "logging", "difflib"}


@pytest.mark.parametrize(
    ("command", "left_out"),
    [
        (["list"], CLICK | ARCHIVES | INSTALLING | CLOUDS | HTTP | TYPES | {"re", "enum", "json", "contextlib"}),
        (
            ["path", "acme/slack"],
            CLICK | ARCHIVES | INSTALLING | CLOUDS | HTTP | TYPES - {"typing", "pathlib", "msgspec"},
        ),
        (["info", "acme/slack"], CLICK | ARCHIVES | INSTALLING | CLOUDS | {"difflib", "asyncio"}),
        (["install", "acme/slack"], CLICK | CLOUDS | {"difflib", "asyncio"}),
        (["info", "--help"], ARCHIVES | INSTALLING | CLOUDS | HTTP | {"msgspec", "sealdex.client"}),
        (["install", "--help"], ARCHIVES | INSTALLING | CLOUDS | HTTP | {"msgspec", "sealdex.client"}),
        (["ensure", "--help"], ARCHIVES | INSTALLING | CLOUDS | HTTP | {"msgspec", "sealdex.client"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_light_commands_load_nothing_heavy(command: list[str], left_out: set[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        f"sys.argv = ['sealdex', *{command!r}]\n"
        "from sealdex.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(' '.join(sorted(sys.modules)))"
    )
    config = tmp_path / "config.toml"
    config.write_text(f'[registries.here]\nurl = "{(tmp_path / "published").as_uri()}"\n')
    environment = {"SEALDEX_STORE": str(tmp_path / "store"), "SEALDEX_CONFIG": str(config), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded & left_out == set()
