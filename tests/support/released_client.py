"""What a released version makes on a host, and in a bucket: a registry, a store, a project with its lock.

    <folder>/published/        the published tree, without pages
    <folder>/root.json         its trust root
    <folder>/store/            of a client that has installed, updated, pinned, disabled and uninstalled from it
    <folder>/project/          sealdex.toml and sealdex.lock, which are in place in the store

`python tests/support/released_client.py 0.1.0` made `tests/fixtures/released/0.1.0/host.tar.gz`, once: its metadata
expires after ten years, and its keys are gone.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from support.plugin_registry import zip_of
from support.released import WHEELS, Released, unpack_release
from support.source_trees import Tree

BY = ("--by", "Kim <kim@example.org>")
WANTED = '[plugins]\n"acme/slack" = "^1"\n"acme/tool" = { version = "*" }\n\n[environment]\nlabels = { gpu = "a100" }\n'
TREES = ("metadata", "targets", "plugins")
HOST = "host.tar.gz"


def variables(folder: Path) -> dict[str, str]:
    """Return the environment of the builder and the client of a folder."""
    return {
        "SEALDEX_KEYS": str(folder / "keys"),
        "XDG_STATE_HOME": str(folder / "state"),
        "SEALDEX_STORE": str(folder / "store"),
        "SEALDEX_CONFIG": str(folder / "config/config.toml"),
        "SEALDEX_DEBUG": "",
    }


def make_host(released: Released, folder: Path) -> None:
    """Make all of it by the commands of a released version."""
    env = variables(folder)

    def builder(*arguments: str | Path) -> None:
        released.run("sealdex-builder", *arguments, cwd=folder / "source", env=env)

    def client(*arguments: str | Path) -> None:
        released.run("sealdex", *arguments, cwd=folder / "project", env=env)

    (folder / "project").mkdir(parents=True)
    released.run("sealdex-builder", "init", folder / "source", "--dev-keys", cwd=folder, env=env)
    tree = Tree(folder / "source")
    for plugin in ("acme/base", "acme/slack", "acme/tool", "acme/gone"):
        tree.plugin(plugin, readme=f"# {plugin}\n")
    for version in ("1.0.0", "1.1.0"):
        tree.release("acme/base", version, artifacts=_artifacts(tree, "acme/base", version))
        tree.release("acme/slack", version, dependencies={"acme/base": f"^{version}"})
    tree.release("acme/slack", "2.0.0-rc.1", channel="beta", dependencies={"acme/base": "*"})
    tree.release("acme/tool", "0.9.0+build.3", selector={"match_labels": {"gpu": "a100"}})
    tree.release("acme/gone", "1.0.0")
    builder("yank", "acme/slack@1.0.0", "--why", "leaks", *BY)
    builder("publish")
    published = folder / "source/published"
    for name in TREES:
        shutil.copytree(published / name, folder / "published" / name)
    shutil.copyfile(folder / "source/trust/public/1.root.json", folder / "root.json")

    client("registry", "add", "public", (folder / "published").as_uri(), "--root", folder / "root.json")
    client("install", "acme/slack@1.0.0", "acme/gone")
    client("uninstall", "acme/gone")
    (folder / "project/sealdex.toml").write_text(WANTED)
    client("lock")
    client("ensure", "--locked")
    client("use", "acme/tool", "0.9.0+build.3", "--pin")
    client("disable", "acme/base")


def _zip(version: str) -> bytes:
    return zip_of({"plugin.py": f"VERSION = {version!r}\n".encode(), "data/größe.txt": b"x" * 300})


def _artifacts(tree: Tree, plugin: str, version: str) -> list[dict[str, object]]:
    """Return two artifacts: for a machine that nobody has, and for every other."""
    made = []
    for name, data, selector in (
        ("plan9", zip_of({"plugin.py": b"plan 9"}), {"match_labels": {"os": "plan9"}}),
        ("any", _zip(version), {"match_expressions": [{"key": "os", "operator": "NotIn", "values": ["plan9"]}]}),
    ):
        path = tree.root / "plugins" / plugin / "dist" / f"base-{version}-{name}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        source = str(path.relative_to(tree.root))
        digest = hashlib.sha256(data).hexdigest()
        made.append({"source": source, "sha256": digest, "size": len(data), "format": "zip", "selector": selector})
    return made


def unpack_host(version: str, folder: Path) -> None:
    """Unpack what a released version made once, and configure its client for where it lies now."""
    with tarfile.open(WHEELS / version / HOST) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="fully_trusted")  # noqa: S202  # our own: modes and links as they were
        else:
            archive.extractall(folder)  # noqa: S202  # the same
    configure(folder)


def configure(folder: Path) -> None:
    """Write the configuration of a host whose registry lies beside it."""
    (folder / "config").mkdir(exist_ok=True)
    url = (folder / "published").as_uri()
    (folder / "config/config.toml").write_text(f'[registries.public]\nurl = "{url}/"\nroot = "../root.json"\n')


def main(version: str) -> None:
    """Make the archive of a version."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        released = unpack_release(version, folder / "released")
        template = released.folder / "registry_builder/source/templates/registry/registry.toml.j2"
        template.write_text(re.sub(r"expiry_days = \d+", "expiry_days = 3650", template.read_text()))
        make_host(released, folder / "host")
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as archive:
            for name in ("published", "root.json", "project", "store"):
                archive.add(folder / "host" / name, name, filter=_anonymous)
        (WHEELS / version / HOST).write_bytes(data.getvalue())


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if member.name.startswith("store/ensured") or member.name.endswith("lock"):
        return member if member.name.endswith("sealdex.lock") else None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(sys.argv[1])
