"""New registries and plugins: they run, pack, release and validate as they are made."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from support.authoring import Bare

from registry_builder.authoring.payload import pack_folder
from registry_builder.authoring.release import Archive, write_release
from registry_builder.authoring.scaffold import init_tree, new_plugin
from registry_builder.source.config import find_tree, read_config
from sealdex.errors import ConfigError, NotFoundError, UsageError
from sealdex.model.ids import KNOWN_TYPES, PluginId

THING = PluginId("acme", "thing")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    init_tree(tmp_path / "registry")
    return tmp_path / "registry"


def test_a_new_registry_is_valid_and_keeps_keys_out(tmp_path: Path) -> None:
    made = init_tree(tmp_path / "My Registry!")
    config = read_config(made.folder)
    assert config.registry.name == "my-registry"
    assert (config.roles["root"].threshold, config.roles["targets"].threshold) == (2, 2)
    assert [config.roles[r].expiry_days for r in ("root", "targets", "packages", "snapshot", "timestamp")] == [
        365, 365, 90, 90, 7,
    ]  # fmt: skip
    ignored = (made.folder / ".gitignore").read_text().splitlines()
    assert {"*.pem", "*.key", "/keys/", "/published/"} <= set(ignored)
    assert find_tree(made.folder / "plugins") == made.folder.resolve()
    assert made.kept == ()


def test_two_registries_of_one_name_have_ids_of_their_own(tmp_path: Path) -> None:
    first, second = (init_tree(tmp_path / name, name="acme").folder for name in ("a", "b"))
    assert read_config(first).registry.id != read_config(second).registry.id


def test_init_leaves_alone_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    made = init_tree(tmp_path, name="acme")
    assert (tmp_path / "README.md").read_text() == "mine"
    assert made.kept == (tmp_path / "README.md",)
    before = (tmp_path / "registry.toml").read_bytes()
    for again in (tmp_path, tmp_path / "plugins"):
        with pytest.raises(ConfigError, match=r"registry\.toml exists already"):
            init_tree(again)
    assert (tmp_path / "registry.toml").read_bytes() == before


def test_init_wants_a_name_that_is_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        init_tree(tmp_path / "x", name="My Registry")
    assert not (tmp_path / "x").exists()
    with pytest.raises(NotFoundError, match="no registry"):
        find_tree(tmp_path)


@pytest.mark.parametrize("kind", KNOWN_TYPES)
def test_each_type_packs_releases_and_validates_at_once(tree: Path, kind: str) -> None:
    made = new_plugin(tree, kind, THING)
    packed = pack_folder(made.folder)
    plan = write_release(tree, [Archive(packed.path)])
    assert plan.release.version == "0.1.0"
    assert plan.release.entry_point
    bare = Bare.__new__(Bare)
    bare.root = tree
    assert bare.lint() == []


@pytest.mark.parametrize("kind", [kind for kind in KNOWN_TYPES if kind != "service"])
def test_each_payload_runs_and_answers_in_json(tree: Path, kind: str, tmp_path: Path) -> None:
    source = new_plugin(tree, kind, THING).folder / "src"
    (program,) = source.glob("*.py")
    done = subprocess.run([sys.executable, str(program)], cwd=tmp_path, capture_output=True, text=True, check=True)
    json.loads(done.stdout)
    assert done.stderr == ""


def test_the_service_answers_its_health_check(tree: Path) -> None:
    source = new_plugin(tree, "service", THING).folder / "src"
    command = [sys.executable, str(source / "service.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
                assert json.load(answer) == {"status": "ok"}
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", b"hello") as answer:
                assert json.load(answer) == {"text": "you said: hello"}
        finally:
            process.kill()


def test_the_types_of_the_seeds_and_of_the_registry(tmp_path: Path) -> None:
    tree = Bare(tmp_path / "r", config=[("types = []", 'types = ["shader"]')])
    new_plugin(tree.root, "HAL_DRIVER", THING)
    assert tree.load().plugins[THING].plugin.type == "hal-driver"
    made = new_plugin(tree.root, "shader", PluginId("acme", "glow"))
    write_release(tree.root, [Archive(pack_folder(made.folder).path)])
    assert tree.lint() == []


def test_what_new_refuses(tree: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'notify'"):
        new_plugin(tree, "notfy", THING)
    with pytest.raises(UsageError, match="no realm 'team'"):
        new_plugin(tree, "notify", THING, realm="team")
    with pytest.raises(UsageError, match="not a valid version"):
        new_plugin(tree, "application-suite", THING, depends={"acme/base": "what"})
    assert not (tree / "plugins/acme/thing").exists()
    new_plugin(tree, "notify", THING)
    with pytest.raises(ConfigError, match="exists already"):
        new_plugin(tree, "build", THING)
    assert [path.name for path in (tree / "plugins/acme").iterdir()] == ["thing"]


def test_a_suite_depends_on_the_released_plugins_of_its_namespace(tree: Path) -> None:
    for namespace, name in (("acme", "driver"), ("acme", "unreleased"), ("other", "driver")):
        made = new_plugin(tree, "hal-driver", PluginId(namespace, name))
        if name == "driver":
            write_release(tree, [Archive(pack_folder(made.folder).path)])
    suite = new_plugin(tree, "application-suite", PluginId("acme", "cell"))
    plan = write_release(tree, [Archive(pack_folder(suite.folder).path)])
    assert plan.release.dependencies == {"acme/driver": "^0.1.0"}
    named = new_plugin(tree, "application-suite", PluginId("acme", "line"), depends={"other/driver": ">=0.1 <2"})
    assert "other/driver: " in (named.folder / "release.yaml").read_text()


def test_a_summary_is_quoted_whatever_it_says(tmp_path: Path) -> None:
    tree = Bare(tmp_path / "r")
    summary = "Says: 'no' & \"yes\" — # {{ 7 * 7 }} %} \\n"
    new_plugin(tree.root, "notify", THING, summary=summary)
    plugin = tree.load().plugins[THING]
    assert plugin.plugin.summary == summary
    assert summary in (plugin.folder / "README.md").read_text()
