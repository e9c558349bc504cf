"""Charts in container registries that want a login: what docker keeps, tokens, and whose login is used for what."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.container_registry import USER, ContainerRegistry, container_registry
from support.import_scene import ImportScene, sha256

from registry_builder.importers.container_registry import RegistryLogins, challenges_in, image_of
from registry_builder.importers.docker_login import Login, login_for
from registry_builder.importers.foreign import SourceError
from sealdex.errors import SealdexError
from sealdex.transport import Grant, HttpStatusError, Sent, Transport

from .test_helm import ONE, TWO, entry, index

PASSWORD = secrets.token_urlsafe(24)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerRegistry]:
    with container_registry(tmp_path_factory.mktemp("closed") / "registry", password=PASSWORD) as running:
        running.push("team/web", "1.0.0", ONE)
        yield running


@pytest.fixture(scope="module")
def tokened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerRegistry]:
    with container_registry(tmp_path_factory.mktemp("tokened") / "registry", tokens=True) as running:
        running.push("public/web", "1.0.0", ONE)
        running.push("team/web", "2.0.0", TWO)
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that docker keeps its configuration in."""
    folder = tmp_path / "docker"
    folder.mkdir()
    for name in ("XDG_CONFIG_HOME", "HELM_REGISTRY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def log_in(home: Path, host: str, user: str, password: str) -> None:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (home / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def saved(tmp_path: Path, host: str, *names: str) -> Path:
    """An index that names charts in a registry: ``team/web:1.0.0``."""
    charts = [entry(name.rpartition(":")[2], f"oci://{host}/{name}") for name in names]
    path = tmp_path / "index.yaml"
    path.write_bytes(index(*charts))
    return path


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_registry_with_passwords(scene: ImportScene, tmp_path: Path, home: Path, closed: ContainerRegistry) -> None:
    args = ("helm", saved(tmp_path, closed.host, "team/web:1.0.0"), "--allow-host", "127.0.0.1")
    log_in(home, closed.host, USER, PASSWORD)
    unnamed = scene.run(*args)
    assert unnamed.code == 1
    assert f"--login {closed.host}" in unnamed.reasons["1.0.0"]
    ran = scene.run(*args, "--login", closed.host)
    assert (ran.code, ran.releases) == (0, ["helm/web@1.0.0"])
    assert scene.release("helm/web", "1.0.0").artifacts[0].sha256 == sha256(ONE)
    scene.assert_again_changes_nothing(*args, "--login", closed.host)
    encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, encoded):
        assert secret not in unnamed.said + ran.said
        assert secret.encode() not in everything(scene.tree)


def test_a_wrong_or_missing_login_is_told_without_its_secret(
    scene: ImportScene, tmp_path: Path, home: Path, closed: ContainerRegistry
) -> None:
    args = (
        "helm",
        saved(tmp_path, closed.host, "team/web:1.0.0"),
        *("--allow-host", "127.0.0.1", "--login", closed.host),
    )
    missing = scene.run(*args)
    assert missing.code == 1
    assert f"{closed.host} wants a login for team/web" in missing.reasons["1.0.0"]
    assert f"docker login {closed.host}" in missing.reasons["1.0.0"]
    wrong = secrets.token_urlsafe(24)
    log_in(home, closed.host, USER, wrong)
    refused = scene.run(*args)
    assert refused.code == 1
    assert "refuses the login that this machine has" in refused.reasons["1.0.0"]
    assert wrong not in refused.said
    assert base64.b64encode(f"{USER}:{wrong}".encode()).decode() not in refused.said


def test_what_anybody_may_read_wants_a_token_and_no_login(
    scene: ImportScene, tmp_path: Path, home: Path, tokened: ContainerRegistry
) -> None:
    assert tokened.tokens is not None
    tokened.tokens.asked.clear()
    log_in(home, tokened.host, USER, tokened.tokens.password)
    index_file = saved(tmp_path, tokened.host, "public/web:1.0.0", "team/web:2.0.0")
    ran = scene.run("helm", index_file, "--allow-host", "127.0.0.1")
    assert (ran.code, ran.releases) == (1, ["helm/web@1.0.0"])
    assert f"--login {tokened.host}" in ran.reasons["2.0.0"]
    assert {each["who"] for each in tokened.tokens.asked} == {"anybody"}


@pytest.mark.parametrize("kept", ["auths", "helper", "identity"])
def test_a_login_is_exchanged_for_a_token_that_only_reads(
    scene: ImportScene,
    tmp_path: Path,
    home: Path,
    tokened: ContainerRegistry,
    kept: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = tokened.tokens
    assert tokens is not None
    tokens.asked.clear()
    if kept == "auths":
        log_in(home, tokened.host, USER, tokens.password)
    elif kept == "identity":
        (home / "config.json").write_text(json.dumps({"auths": {tokened.host: {"identitytoken": tokens.identity}}}))
    else:
        answer = json.dumps({"ServerURL": tokened.host, "Username": USER, "Secret": tokens.password})
        helper = tmp_path / "bin" / "docker-credential-test"
        helper.parent.mkdir()
        helper.write_text(f"#!/bin/sh\n[ \"$1 $(cat)\" = 'get {tokened.host}' ] && echo '{answer}'\n")
        helper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
        (home / "config.json").write_text(json.dumps({"credHelpers": {tokened.host: "test"}}))
    index_file = saved(tmp_path, tokened.host, "team/web:2.0.0", "public/web:1.0.0")
    ran = scene.run("helm", index_file, "--allow-host", "127.0.0.1", "--login", tokened.host)
    assert (ran.code, ran.releases) == (0, ["helm/web@1.0.0", "helm/web@2.0.0"])
    # one token a repository, for reading alone
    assert sorted(each["scope"] for each in tokens.asked) == ["repository:public/web:pull", "repository:team/web:pull"]
    assert {each["who"] for each in tokens.asked} == {USER}
    assert all(secret not in ran.said for secret in (tokens.password, tokens.identity))


# --- what registries could make of it ------------------------------------------------------------------------------


class Answers:
    """Stands in for a transport, since the registry must have https and lie."""

    def __init__(self, challenge: str, token: bytes = b'{"token": "t0k3n"}') -> None:
        self.challenge, self.token = challenge, token
        self.sent: list[tuple[str, dict[str, str]]] = []

    def send(self, method: str, url: str, *, headers: dict[str, str], **_: Any) -> Sent:
        self.sent.append((url, dict(headers)))
        if method == "HEAD":
            return Sent(401, b"", challenge=self.challenge)
        return Sent(200, self.token)


BLOB = f"https://registry.example/v2/team/web/blobs/sha256:{'0' * 64}"


def logins(answers: Answers, *hosts: str) -> RegistryLogins:
    transport: Any = answers
    assert hasattr(Transport, "send")
    return RegistryLogins(transport, hosts, find=lambda _: Login(USER, PASSWORD))


def test_no_registry_can_ask_for_more_than_reading() -> None:
    answers = Answers('Bearer realm="https://t.example/",service="s",scope="repository:other/one:push,pull,delete"')
    granted = logins(answers, "registry.example").renewed(BLOB, Grant())
    assert granted is not None
    assert "scope=repository%3Ateam%2Fweb%3Apull" in answers.sent[1][0]
    assert "push" not in answers.sent[1][0]


@pytest.mark.parametrize("realm", ["http://t.example/", "ftp://t.example/", "https://u:p@t.example/", ""])
def test_a_login_is_never_sent_in_the_clear(realm: str) -> None:
    answers = Answers(f'Bearer realm="{realm}",service="s"')
    with pytest.raises(SealdexError) as caught:
        logins(answers, "registry.example").renewed(BLOB, Grant())
    assert len(answers.sent) == 1
    assert PASSWORD not in str(caught.value)


def test_a_login_is_for_registries_that_the_command_line_names() -> None:
    for challenge in ('Bearer realm="https://t.example/"', 'Basic realm="x"'):
        answers = Answers(challenge)
        granted = logins(answers, "other.example", "example").renewed(BLOB, Grant())
        assert granted is None or "Basic" not in granted.headers["Authorization"]
        assert all("Authorization" not in headers for _, headers in answers.sent)


def test_a_token_is_for_one_repository_of_one_host() -> None:
    asks = logins(Answers('Bearer realm="https://t.example/"'), "registry.example")
    assert asks.renewed(BLOB, Grant()) is not None
    assert asks.grant(BLOB).headers == {"Authorization": "Bearer t0k3n"}
    for other in (BLOB.replace("team/web", "team/other"), BLOB.replace("registry.example", "evil.example")):
        assert not asks.grant(other)
    assert not asks.grant("https://registry.example/")


@pytest.mark.parametrize(("status", "is_told"), [(401, False), (403, False), (404, True), (503, True)])
def test_a_token_server_that_fails_is_not_taken_for_a_refusal(status: int, is_told: bool) -> None:
    class Failing(Answers):
        def send(self, method: str, url: str, **options: Any) -> Sent:
            if method == "GET":
                raise HttpStatusError(url, status)
            return super().send(method, url, **options)

    asks = logins(Failing('Bearer realm="https://t.example/"'), "registry.example")
    if is_told:
        with pytest.raises(HttpStatusError, match=f"t.example answered {status}"):
            asks.renewed(BLOB, Grant())
    else:
        assert asks.renewed(BLOB, Grant()) is None


@pytest.mark.parametrize("token", [b"[]", b"{}", b'{"token": "a b"}', b'{"token": 5}', b"\xff"])
def test_an_answer_that_is_no_token(token: bytes) -> None:
    with pytest.raises(SealdexError, match="gave no token"):
        logins(Answers('Bearer realm="https://t.example/"', token), "registry.example").renewed(BLOB, Grant())


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Bearer realm="https://a/t",service=s', {"bearer": {"realm": "https://a/t", "service": "s"}}),
        ('basic Realm="a, \\"b\\""', {"basic": {"realm": 'a, "b"'}}),
        ('Basic realm="x", Bearer realm="y"', {"basic": {"realm": "x"}, "bearer": {"realm": "y"}}),
        ("Negotiate", {}),
    ],
)
def test_challenges(header: str, found: dict[str, dict[str, str]]) -> None:
    assert challenges_in(header) == found


# --- what docker keeps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "host", "found"),
    [
        ({"auths": {"https://ghcr.io/v2/": {"username": "a", "password": "b"}}}, "ghcr.io", Login("a", "b")),
        (
            {"auths": {"https://index.docker.io/v1/": {"auth": base64.b64encode(b"a:b:c").decode()}}},
            "registry-1.docker.io",
            Login("a", "b:c"),
        ),
        ({"auths": {"ghcr.io": {"identitytoken": "t", "auth": "YTo="}}}, "ghcr.io", Login("", "t", is_identity=True)),
        ({"auths": {"ghcr.io": {}}}, "ghcr.io", None),
        ({"auths": {"ghcr.io:5000": {"auth": "YTpi"}}}, "ghcr.io", None),
        ({}, "ghcr.io", None),
        ({"auths": []}, "ghcr.io", None),
    ],
)
def test_logins_in_the_file(home: Path, config: dict[str, Any], host: str, found: Login | None) -> None:
    (home / "config.json").write_text(json.dumps(config))
    assert login_for(host) == found


def test_helm_keeps_its_logins_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "nobody" / ".config" / "helm" / "registry"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"auths": {"ghcr.io": {"auth": "YTpi"}}}))
    assert login_for("ghcr.io") == Login("a", "b")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"auths": {"ghcr.io": {"auth": "s3cr3t"}}}', "not a user and password"),
        ('{"auths": {"ghcr.io": {"auth": "s3cr3t', "is not the configuration of docker"),
        ('["s3cr3t"]', "is not the configuration of docker"),
        ('{"credsStore": "../s3cr3t"}', "not the name of a program"),
        ('{"credHelpers": {"ghcr.io": "there-is-none"}}', "docker-credential-there-is-none"),
    ],
)
def test_what_cant_be_used_is_named_without_a_secret(home: Path, text: str, said: str) -> None:
    (home / "config.json").write_text(text)
    with pytest.raises(SourceError, match=said) as caught:
        login_for("ghcr.io")
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(Login("kim", "s3cr3t"))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("oci://ghcr.io/a/b:1.0", "https://ghcr.io/v2/a/b 1.0"),
        ("oci://docker.io/a/b", "https://registry-1.docker.io/v2/a/b 2.0_x"),
        (f"oci://localhost:5000/b@sha256:{'a' * 64}", f"http://localhost:5000/v2/b sha256:{'a' * 64}"),
        (f"oci://ghcr.io/a/b:1@sha256:{'a' * 64}", f"https://ghcr.io/v2/a/b sha256:{'a' * 64}"),
    ],
)
def test_addresses(url: str, place: str) -> None:
    assert " ".join(image_of(url, "2.0_x")) == place


@pytest.mark.parametrize("url", ["oci://ghcr.io", "oci:///a", "oci://u:p@ghcr.io/a", "oci://ghcr.io/a@sha256:1"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(SourceError, match="is not an address in a container registry"):
        image_of(url, "1")
