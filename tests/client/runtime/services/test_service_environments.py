"""Virtual environments of services: on request only, whole or not there, and gone with their version."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from support.plugin_store import PluginStore

from sealdex.errors import InstallError
from sealdex.model.ids import PluginId
from sealdex.runtime import PluginError, Services
from sealdex.runtime.services.supervisor import RestartPolicy
from sealdex.store.transaction import remove_versions

ECHO = PluginId("speech", "echo")
QUICK = RestartPolicy(health=120, grace=5, first_delay=0.01, longest_delay=0.02, max_restarts=3)


def wheel(folder: Path) -> None:
    """Write a wheel of one module by hand: no index, no network."""
    import zipfile  # noqa: PLC0415  # only here

    with zipfile.ZipFile(folder / "saying-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("saying.py", "WORD = 'from the wheel'\n")
        info = "saying-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: saying\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"saying.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def test_an_environment_of_its_own_on_request_only(
    plugins: PluginStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    source = "import saying, sys; print(saying.WORD, sys.prefix, flush=True)"
    plugins.install(
        "speech/echo",
        "1.0.0",
        {"serve.py": source, "requirements.txt": "saying==1.0\n"},
        service={"command": ["python3", "serve.py"]},
    )
    services = Services(plugins.store)
    with pytest.raises(PluginError, match="No module named 'saying'"):
        services.supervisor(services.plan(ECHO), QUICK).run()
    printed: list[str] = []
    plan = services.plan(ECHO, with_env=True)
    with suppress(PluginError):  # where it ends before it counts as running, which depends on the machine
        services.supervisor(plan, QUICK, on_line=printed.append).run()
    assert printed == [f"from the wheel {plan.env['VIRTUAL_ENV']}"]
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert services.plan(ECHO, with_env=True).env["VIRTUAL_ENV"] == plan.env["VIRTUAL_ENV"]
    remove_versions(plugins.store, "uninstall", {ECHO: ("1.0.0",)})
    assert not Path(plan.env["VIRTUAL_ENV"]).exists()


def test_an_environment_that_fails_leaves_nothing(plugins: PluginStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealdex.runtime._virtualenv.sys.executable", "/bin/false")
    plugins.install("speech/echo", "1.0.0", {"requirements.txt": "x"}, service={"command": ["x"]})
    with pytest.raises(InstallError, match="creating the environment"):
        Services(plugins.store).plan(ECHO, with_env=True)
    left = [p for p in Path(plugins.store.root, "envs").rglob("*") if p.is_file() and p.suffix != ".lock"]
    assert left == []


def test_a_frozen_program_makes_it_with_the_hosts_python(
    plugins: PluginStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealdex.runtime._virtualenv.sys.frozen", True, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    plugins.install("speech/echo", "1.0.0", {"requirements.txt": "x"}, service={"command": ["x"]})
    with pytest.raises(InstallError, match="needs a Python") as caught:
        Services(plugins.store).plan(ECHO, with_env=True)
    assert "python3-venv" in (caught.value.hint or "")
    hosts = tmp_path / "python3"
    hosts.write_text('#!/bin/sh\n[ "$1" = -VV ] && echo 3.9.2 && exit\necho "asked: $1 $2"; exit 1\n')
    hosts.chmod(0o755)
    with pytest.raises(InstallError, match="creating the environment") as caught:
        Services(plugins.store).plan(ECHO, with_env=True)
    assert "asked: -m venv" in caught.value.message
