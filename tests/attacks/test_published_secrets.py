"""Secrets in what is about to be published: found where they lie, refused before they are public, never shown whole."""

from __future__ import annotations

import gzip
import io
import json
import secrets
import string
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from support.authoring import builder
from support.places import REPOSITORY
from support.source_trees import Tree

from registry_builder.authoring.pack import pack
from registry_builder.authoring.release import Archive, write_release
from registry_builder.publication.context import open_publisher
from registry_builder.publication.publish import publish_realm
from registry_builder.signing.metadata import realm_marker
from registry_builder.signing.offline_metadata import load_trust
from registry_builder.site.from_tree import site_from_tree
from registry_builder.site.lint import site_problems
from registry_builder.source.lint.tree import lint_tree
from registry_builder.source.load import load_tree
from registry_builder.source.secrets import scan
from registry_builder.source.secrets.scan import secrets_of_bytes
from registry_builder.source.secrets.text import secrets_in
from registry_builder.source.tree import Problem
from sealdex.errors import ConfigError, SealdexError
from sealdex.model.ids import PluginId

ALNUM = string.ascii_letters + string.digits
BASE32 = string.ascii_uppercase + "234567"


def drawn(count: int, characters: str = ALNUM) -> str:
    return "".join(secrets.choice(characters) for _ in range(count))


def pem(form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def all_kinds() -> dict[str, str]:
    """One of each, made now: none of them opens anything."""
    old = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    traditional = old.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return {
        "PKCS #8": pem(),
        "OpenSSH": pem(PrivateFormat.OpenSSH),
        "RSA": traditional,
        "inside JSON": json.dumps({"type": "service_account", "private_key": traditional}),
        "PGP": f"-----BEGIN PGP PRIVATE KEY {'BLOCK'}-----\nVersion: 1\n\n{drawn(64)}\n",
        "PuTTY": "PuTTY-User-Key-" + f"File-3: ssh-ed25519\nEncryption: none\n{drawn(64)}\nPrivate-Lines: 1\n",
        "age": "AGE-SECRET-KEY-" + "1" + drawn(58, BASE32),
        "JWK": json.dumps({"kty": "EC", "crv": "P-256", "x": drawn(43), "y": drawn(43), "d": drawn(43)}),
        "AWS": "AKIA" + drawn(16, BASE32),
        "AWS secret": "aws_secret_access_key = " + drawn(40),
        "GitHub": "ghp" + "_" + drawn(36),
        "GitHub fine": "github" + "_pat_" + drawn(22) + "_" + drawn(59),
        "GitLab": "glpat" + "-" + drawn(20),
        "npm": "//registry.example/:_auth" + "Token=" + drawn(36),
        "PyPI": "pypi-" + "AgEIcHlwaS5vcmc" + drawn(80),
        "Slack": "xoxb" + "-555555555555-777777777777-" + drawn(24),
        "Stripe": "sk" + "_live_" + drawn(24),
        "Google": "AIza" + drawn(35),
        "Azure": "AccountKey=" + drawn(86) + "==",
        "SendGrid": "SG" + "." + drawn(22) + "." + drawn(43),
        "Twilio": "SK" + drawn(32, "0123456789abcdef"),
        "Hugging Face": "hf" + "_" + drawn(34),
        "kubeconfig": "    client-key-data: " + drawn(80),
        "docker": json.dumps({"auths": {"registry.example": {"auth": drawn(24)}}}),
    }


@pytest.mark.parametrize("kind", sorted(all_kinds()))
def test_each_kind_is_found_and_not_shown(kind: str) -> None:
    text = all_kinds()[kind]
    found = secrets_in(f"first line\n{text}\n".encode())
    assert len(found) >= 1
    assert found[0].line == 2
    for line in text.splitlines():
        for word in line.split():
            assert len(word) < 30 or word not in found[0].shown


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7" + "EXAMPLE",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
        "if line.startswith('-----BEGIN RSA PRIVATE KEY-----'):\n    return\n",
        "//registry.example/:_authToken=${NPM_TOKEN}",
        "AWS_SECRET_ACCESS_KEY=$(aws configure get secret)",
        "ghp_REPLACE_ME and hf_xxx",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        json.dumps({"kty": "EC", "crv": "P-256", "x": "a" * 43, "y": "b" * 43}),
    ],
)
def test_what_only_looks_like_one_is_not(text: str) -> None:
    assert secrets_in(text.encode()) == []


def test_public_keys_and_certificates_are_none() -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    assert secrets_in(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)) == []


def test_none_in_our_own_sources() -> None:
    """The whole of this repository, its tests' keys included: the list has to be fit for sources about keys."""
    root = REPOSITORY
    texts = [
        path
        for folder in ("registry_builder", "client", "docs", "keys", "tests")
        for path in (root / folder).rglob("*")
    ]
    found = {
        str(path): secrets_in(data)
        for path in texts
        if path.suffix in {".py", ".md", ".json", ".toml", ".j2", ".yml"} and (data := path.read_bytes())
    }
    assert {path: each for path, each in found.items() if each} == {}


# --- archives ---------------------------------------------------------------------------------------------------------

SLACK = PluginId("acme", "slack")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("SEALDEX_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Tree.make(tmp_path / "source")
    made.plugin("acme/slack", readme="# Slack\n")
    return made


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def tarred(files: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue())


def place(tree: Tree, name: str, data: bytes) -> Path:
    path = tree.root / "plugins/acme/slack/dist/1.0.0" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def errors_of(problems: list[Problem]) -> list[str]:
    return [str(problem) for problem in problems if problem.severity == "error"]


MAKERS = {"slack.zip": zipped, "slack.tar.gz": tarred}


def inner(*names: str, text: str) -> tuple[str, bytes]:
    """Return archives in one another, as the last of which a text lies; ``lib.whl``, ``a.tar.gz``, ``key.pem``."""
    *outer, name = names
    data = text.encode()
    for archive in reversed(outer):
        data = MAKERS["slack.zip" if archive.endswith(("whl", "jar")) else "slack.tar.gz"]({name: data})
        name = archive
    return name, data


INNER = [
    ("lib/tool.whl", "tool/server.pem"),
    ("context.tar.gz", "app/server.pem"),
    ("lib/a.jar", "b.tar.gz", "c.whl", "server.pem"),
]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("places", INNER, ids=":".join)
def test_attack_a_secret_in_an_archive_in_the_archive(tree: Tree, name: str, places: tuple[str, ...]) -> None:
    """Attacker: whoever reads what is published. What is wrong: a wheel, or a build's context, was packed with a key in
    it. Refusal: as for a key that lies in the archive itself, naming both.
    """
    member, data = inner(*places, text=pem())
    archive = place(tree, name, MAKERS[name]({member: data, "last.py": b"print(2)"}))
    with pytest.raises(ConfigError) as caught:
        write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0")
    assert f"{name}:{':'.join(places)}" in str(caught.value)
    for allowed in (":".join(places), places[0], f"*{name}:{places[0]}"):
        write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0", allow_files=[allowed])
        (tree.root / "plugins/acme/slack/releases/1.0.0.json").unlink()


def test_attack_archives_in_an_archive_are_opened_within_bounds(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacker: opens a pull request with archives that unpack to a thousand times their size, or lie in one another
    without end. They are data to hosts, so none is refused for it; what lies beside them is still searched.
    """
    monkeypatch.setattr(scan, "MAX_ARCHIVE_BYTES", 1 << 20)
    monkeypatch.setattr(scan, "MAX_INNER_BYTES", 1 << 16)
    read: list[int] = []
    real = tarfile.TarFile.next

    def counted(self: tarfile.TarFile) -> tarfile.TarInfo | None:
        found = real(self)
        read.append(found.size if found is not None else 0)
        return found

    monkeypatch.setattr(tarfile.TarFile, "next", counted)
    bomb = tarred({f"{number}.bin": b"\0" * 400_000 for number in range(20)})
    assert len(bomb) < 1 << 16
    deep = inner(*[f"{number}.whl" for number in range(8)], "key.pem", text=pem())
    huge = ("huge.whl", zipped({"a.bin": secrets.token_bytes(1 << 17), "key.pem": pem().encode()}))
    broken = ("broken.whl", zipped({"key.pem": pem().encode()})[:-30])
    files = dict([*((f"{number}.tgz", bomb) for number in range(9)), deep, huge, broken])
    archive = place(tree, "slack.zip", zipped(files))
    write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0")
    assert sum(read) < 2 << 20
    beside = place(tree, "other.zip", zipped({**files, "zz.pem": pem().encode()}))
    with pytest.raises(ConfigError, match=r"other\.zip:zz\.pem"):
        write_release(tree.root, [Archive(beside)], plugin=SLACK, version="2.0.0")


def test_a_key_in_a_text_as_powershell_writes_it_is_found() -> None:
    for encoding in ("utf-16", "utf-16-be"):
        text = ("" if encoding == "utf-16" else "\ufeff") + f"key:\n{pem()}"
        assert [each.line for each in secrets_of_bytes("a.txt", text.encode(encoding))] == [2]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("where", ["deploy/server.key", ".env", "lib/store.p12"])
def test_attack_a_secret_in_an_archive(tree: Tree, name: str, where: str) -> None:
    """Attacker: whoever reads what is published. What is wrong: a key was packed by mistake. Refusal: at `release`,
    `validate` and `publish`, naming the member; nothing of the key is shown, and nothing is published.
    """
    key = pem() if where.endswith(".key") else "A=1\n"
    filler = {"big.bin": "\0" * 3_000_000, "big.txt": "words and words\n" * 300_000, "main.py": "print(1)\n"}
    data = MAKERS[name]({**filler, where: key, "last.py": "print(2)\n"})
    archive = place(tree, name, data)
    with pytest.raises(ConfigError) as caught:
        write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0")
    assert f"{name}:{where}" in str(caught.value)
    assert "--allow-file" in str(caught.value)
    assert not list((tree.root / "plugins/acme/slack/releases").iterdir())
    write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0", allow_files=[where])
    found = errors_of(lint_tree(tree.load()))
    assert len(found) == 1
    assert where in found[0]
    with pytest.raises(SealdexError, match="contains"):
        publish_realm(open_publisher(tree.load(), "public"))
    for line in key.splitlines():
        assert len(line) < 20 or line not in f"{caught.value}{found}" or line.startswith("-----")
    assert not (tree.root.parent / "published/public/metadata/timestamp.json").exists()


def test_what_is_meant_for_everybody_is_allowed_for_good_and_shown(tree: Tree) -> None:
    archive = place(tree, "slack.zip", zipped({"tests/server.pem": pem(), "main.py": "1"}))
    (tree.root / "registry.toml").write_text(
        (tree.root / "registry.toml").read_text() + '\n[policy]\nallow_files = ["*/slack.zip:tests/*.pem"]\n'
    )
    write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0")
    problems = lint_tree(tree.load())
    assert errors_of(problems) == []
    assert ["which is allowed: it will be public" in str(problem) for problem in problems].count(True) == 1
    assert publish_realm(open_publisher(tree.load(), "public")).committed


def test_a_published_release_is_not_looked_at_again(tree: Tree) -> None:
    """No registry is locked out by what it has published already."""
    archive = place(tree, "slack.zip", zipped({"tests/server.pem": pem()}))
    write_release(tree.root, [Archive(archive)], plugin=SLACK, version="1.0.0", allow_files=["tests/*"])
    publish_realm(open_publisher(load_tree(tree.root, allow_files=["tests/*"]), "public"))
    tree.release("acme/slack", "1.1.0")
    assert publish_realm(open_publisher(tree.load(), "public")).committed


def test_the_commands_take_allow_file(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    (tree.root / "payload").mkdir()
    (tree.root / "payload/server.pem").write_text(pem())
    archive = tree.root / "plugins/acme/slack/dist/1.0.0/slack.zip"
    allow = ("--allow-file", "server.pem")
    at = ("--tree", tree.root)
    assert builder("pack", tree.root / "payload", "-o", archive) == 1
    assert not archive.exists()
    assert builder("pack", tree.root / "payload", "-o", archive, *allow) == 0
    one = ("release", archive, "--plugin", "acme/slack", "--version", "1.0.0")
    assert builder(*at, *one) == 1
    assert builder(*at, *one, *allow) == 0
    assert builder(*at, "validate", "--offline") == 1
    assert builder(*at, "validate", "--offline", *allow) == 0
    assert "it will be public" in capsys.readouterr().out
    assert builder(*at, "publish") == 1
    assert builder(*at, "publish", *allow) == 0


# --- everything else that is published --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["README.md", "plugin.json", "releases/1.0.0.json", "status.json"])
def test_attack_a_token_in_what_people_write(tree: Tree, name: str) -> None:
    token = "ghp" + "_" + drawn(36)
    changelog = f"use {token}" if name.startswith("releases") else "none"
    tree.release("acme/slack", "1.0.0", changelog=changelog)
    if name == "README.md":
        tree.plugin("acme/slack", readme=f"# Slack\n\nexport TOKEN={token}\n")
    elif name == "plugin.json":
        tree.plugin("acme/slack", description=f"with {token}")
    elif name == "status.json":
        event = {
            "action": "yank",
            "version": "1.0.0",
            "at": "2026-11-21T12:00:00Z",
            "by": "a",
            "why": f"leaked {token}",
        }
        tree.status("acme/slack", event)
    found = errors_of(lint_tree(tree.load()))
    assert len(found) == 1, found
    assert "a GitHub token" in found[0]
    assert token not in found[0]
    with pytest.raises(SealdexError, match="GitHub token"):
        publish_realm(open_publisher(tree.load(), "public"))


@pytest.mark.parametrize("name", ["homepage", "links", "status"])
def test_attack_an_address_with_a_password(tree: Tree, name: str) -> None:
    """The page of a private server, copied with the login that a clone had put into it."""
    password = drawn(20)
    address = f"https://robot:{password}@git.example/acme/slack"
    tree.release("acme/slack", "1.0.0")
    if name == "status":
        event = {"action": "attest", "version": "1.0.0", "at": "2026-11-21T12:00:00Z", "by": "a", "kind": "in-toto"}
        file = {"name": "build.json", "sha256": "0" * 64, "size": 1, "url": f"{address}/build.json"}
        tree.status("acme/slack", event | file)
    elif name == "homepage":
        tree.plugin("acme/slack", homepage=address)
    else:
        tree.plugin("acme/slack", links={"Mirror": address})
    (found,) = errors_of(lint_tree(tree.load()))
    assert "the password of an address (https://robot:...@git.example)" in found
    assert password not in found
    with pytest.raises(SealdexError, match="the password of an address"):
        publish_realm(open_publisher(tree.load(), "public"))
    publish_realm(open_publisher(load_tree(tree.root, allow_files=["*"]), "public"))
    tree.release("acme/slack", "1.1.0")  # what is published can't be withdrawn: a warning from now on
    assert publish_realm(open_publisher(tree.load(), "public")).committed


@pytest.mark.parametrize(
    "text",
    [
        "see https://user:password@host.example for its form",
        "https://git@git.example/acme/slack",
        "https://host.example:8443/@acme:slack@1",
        "https://host.example:8443?from=a@b.example",
    ],
)
def test_no_password_is_found_where_there_is_none(tree: Tree, text: str) -> None:
    tree.plugin("acme/slack", description=text)
    tree.release("acme/slack", "1.0.0")
    assert errors_of(lint_tree(tree.load())) == []


def test_a_token_that_is_published_in_a_document_is_a_warning(tree: Tree) -> None:
    token = "ghp" + "_" + drawn(36)
    tree.plugin("acme/slack", readme=f"# {token}\n", summary=f"with {token}")
    tree.release("acme/slack", "1.0.0")
    publish_realm(open_publisher(load_tree(tree.root, allow_files=["*"]), "public"))
    tree.release("acme/slack", "1.1.0")
    assert publish_realm(open_publisher(tree.load(), "public")).committed
    assert builder("--tree", tree.root, "validate") == 0


@pytest.mark.parametrize("name", ["site/assets/app.js", "site/home.html.j2"])
def test_attack_a_token_in_the_site(tree: Tree, name: str) -> None:
    token = "ghp" + "_" + drawn(36)
    path = tree.root / name
    path.parent.mkdir(parents=True)
    path.write_text(f"// {token}\n")
    tree.release("acme/slack", "1.0.0")
    loaded = tree.load()
    assert len(errors_of(site_problems(loaded))) == 1
    trust = load_trust(tree.root, "public", realm_marker(loaded.config, "public"))
    with pytest.raises(SealdexError, match="GitHub token"):
        list(site_from_tree(loaded, "public", trust).common())
    result = publish_realm(open_publisher(loaded, "public"))
    assert any("GitHub token" in warning for warning in result.warnings)
    published = tree.root.parent / "published"
    assert not any(token.encode() in each.read_bytes() for each in published.rglob("*") if each.is_file())


def test_an_asset_that_is_published_already_stays(tree: Tree) -> None:
    path = tree.root / "site/assets/app.js"
    path.parent.mkdir(parents=True)
    path.write_text("// ghp" + "_" + drawn(36) + "\n")
    tree.release("acme/slack", "1.0.0")
    publish_realm(open_publisher(load_tree(tree.root, allow_files=["site/*"]), "public"))
    tree.release("acme/slack", "1.1.0")
    assert publish_realm(open_publisher(tree.load(), "public")).warnings == []
    assert builder("--tree", tree.root, "validate") == 0


def test_a_key_in_a_folder_that_is_packed_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "id_ed25519").write_text(pem(PrivateFormat.OpenSSH))
    (folder / "notes.txt").write_text(f"see\n{pem()}")
    with pytest.raises(ConfigError) as caught:
        pack(folder, tmp_path / "out.zip")
    assert "an SSH private key" in str(caught.value)
    assert "'notes.txt', line 2" in str(caught.value)
    assert not (tmp_path / "out.zip").exists()
    allowed = pack(folder, tmp_path / "out.zip", allow_files=["id_*", "notes.txt"])
    assert len(allowed.warnings) == 2
    (folder / "id_ed25519").unlink()
    (folder / "notes.txt").write_bytes(zipped({"deploy.pem": pem()}))  # whatever its name says
    with pytest.raises(ConfigError, match=r"'notes\.txt:deploy\.pem', line 1"):
        pack(folder, tmp_path / "inner.zip")
    assert not (tmp_path / "inner.zip").exists()
