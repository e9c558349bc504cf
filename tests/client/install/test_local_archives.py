"""Archives from the disk: refused by default, installed when both the host and the caller say so, named unsigned."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from support.commands import Run
from support.plugin_registry import zip_of

MANIFEST = json.dumps({"format": 1, "namespace": "me", "name": "tool", "version": "1.0.0"}).encode()


@pytest.fixture
def lenient(run: Run, tmp_path: Path) -> Run:
    config = tmp_path / "config/config.toml"
    config.write_text(config.read_text() + "\n[install]\nrequire_signed = false\n")
    return run


def archive(tmp_path: Path, manifest: bytes | None = MANIFEST, **files: bytes) -> Path:
    path = tmp_path / "project/my tool.zip"
    inside = {"plugin.py": b"x = 1\n", **files}
    path.write_bytes(zip_of(inside if manifest is None else {"manifest.json": manifest, **inside}))
    return path


@pytest.mark.parametrize("flags", [[], ["--allow-unsigned"]])
def test_refused_by_default(run: Run, tmp_path: Path, flags: list[str]) -> None:
    """Power: who can put a file on the host. Refused: by configuration, whatever the command line says."""
    refused = run("install", archive(tmp_path), *flags)
    assert (refused.code, "SECURITY" in refused.err, "require_signed = false" in refused.err) == (4, True, True)
    assert run("list", "--json").document["installed"] == []


def test_installed_when_both_say_so(lenient: Run, tmp_path: Path) -> None:
    path = archive(tmp_path)
    refused = lenient("install", path)
    assert (refused.code, "--allow-unsigned" in refused.err) == (4, True)
    done = lenient("install", f"./{path.name}", "--allow-unsigned")
    assert done.out == "installed me/tool 1.0.0 · unsigned\n"
    assert "unsigned" in lenient("list").out
    listed = lenient("list", "--json").document["installed"][0]
    assert (listed["registry"], listed["signed_by"], listed["root_version"]) == ("local", None, None)
    assert lenient("verify").code == 0
    assert lenient("update").code == 0
    assert lenient("rollback").code == 0
    assert lenient("list", "--json").document["installed"] == []
    staging = tmp_path / "store/staging"
    assert [path.name for path in staging.iterdir() if path.name != "guard"] == []


def test_what_it_is_can_be_said(lenient: Run, tmp_path: Path) -> None:
    path = archive(tmp_path, None)
    nameless = lenient("install", path, "--allow-unsigned")
    assert (nameless.code, "--as NAMESPACE/NAME@VERSION" in nameless.err) == (2, True)
    assert lenient("install", path, "--allow-unsigned", "--as", "me/tool").code == 2
    assert (
        lenient("install", path, "--allow-unsigned", "--as", "me/tool@2.0.0", "--json").document["installed"][0][
            "version"
        ]
        == "2.0.0"
    )
    other = lenient("install", archive(tmp_path), "--allow-unsigned", "--as", "me/other@1.0.0")
    assert (other.code, "says that it is me/tool 1.0.0" in other.err) == (2, True)


def test_a_tar_with_dependencies(lenient: Run, tmp_path: Path) -> None:
    needing = json.dumps({**json.loads(MANIFEST), "dependencies": {"acme/base": "^1"}}).encode()
    path = tmp_path / "tool.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        for name, data in {"manifest.json": needing, "x": b"1"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    done = lenient("install", path, "--allow-unsigned")
    assert (done.code, "depends on acme/base ^1" in done.err) == (0, True)


def test_it_does_not_replace_what_is_signed(lenient: Run, tmp_path: Path) -> None:
    """Power: an archive that calls itself a signed release. What is installed stays."""
    lenient("install", "acme/mail")
    false = json.dumps({"format": 1, "namespace": "acme", "name": "mail", "version": "1.0.0"}).encode()
    refused = lenient("install", archive(tmp_path, false), "--allow-unsigned")
    assert (refused.code, "is installed from another file" in refused.err) == (1, True)
    assert "signed by packages" in lenient("list").out


def test_archives_are_judged(lenient: Run, tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    path.write_bytes(zip_of({"manifest.json": MANIFEST, "../../evil": b"x"}))
    assert lenient("install", path, "--allow-unsigned").code == 4
    assert lenient("install", tmp_path / "nothing.zip", "--allow-unsigned").code == 3
    assert lenient("install", "./README", "--allow-unsigned").code == 2
    assert lenient("install", path, "acme/mail", "--allow-unsigned").code == 2
    assert lenient("install", "acme/mail", "--as", "a/b@1.0.0").code == 2
    assert lenient("list", "--json").document["installed"] == []
