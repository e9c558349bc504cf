"""Private registries: who is shown credentials, who never is, and what is said where they are missing."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import convert
from support.commands import Ran, captured
from support.components import missing
from support.fault_server import FaultServer, Redirect, Status
from support.plugin_registry import PluginRegistry
from support.s3_server import S3Server, WeedMissingError, s3_server

from sealdex import Client
from sealdex.cli.main import main
from sealdex.config.config import Config, ConfigDocument, DownloadSection, RegistrySection, parse_config
from sealdex.config.credentials import covering, credentials_for
from sealdex.config.document import AuthSection, auth_problem
from sealdex.errors import ConfigError, NotFoundError, UnavailableError
from sealdex.transport import CredentialsRefusedError, Grant, Refusal, Transport

SECRET = "hush-4711"
BEARER = AuthSection(type="bearer", token_env="TEAM_TOKEN")
ZIP = "/team/plugins/acme/tool/1.0.0/tool.zip"


@pytest.fixture(autouse=True)
def surroundings(no_proxy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", SECRET)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def thief() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def serve(registry: PluginRegistry, server: FaultServer, prefix: str) -> None:
    registry.publish()
    for name, data in registry.files.items():
        server.put(f"{prefix}{name}", data)


def private(**artifact: object) -> PluginRegistry:
    registry = PluginRegistry()
    registry.release("acme/tool", "1.0.0", artifact=artifact)
    return registry


def client(tmp_path: Path, root: bytes, url: str, auth: AuthSection | None = BEARER) -> Client:
    (tmp_path / "root.json").write_bytes(root)
    section = RegistrySection(url=url, root="root.json", auth=auth)
    download = DownloadSection(retry=1)
    document = ConfigDocument(registries={"team": section}, download=download)
    return Client(Config(tmp_path / "config.toml", tmp_path / "store", document))


def shown(server: FaultServer) -> set[str | None]:
    """What the server was shown, over all requests."""
    assert server.requests
    return {request.headers.get("authorization") for request in server.requests}


def test_every_request_of_a_private_registry_has_them(tmp_path: Path, server: FaultServer) -> None:
    registry = private()
    serve(registry, server, "/team/")
    with client(tmp_path, registry.root, server.url("/team")) as team:
        assert team.install("acme/tool")[0].action == "unpack"
    assert shown(server) == {f"Bearer {SECRET}"}
    assert SECRET not in "".join(
        path.read_text(errors="replace") for path in (tmp_path / "store").rglob("*") if path.is_file()
    )


def test_an_artifact_at_another_address_is_asked_for_without_them(
    tmp_path: Path, server: FaultServer, thief: FaultServer
) -> None:
    """Attack: who may publish into the registry names an address of his own, to read the token of all who install."""
    registry = private()
    data = registry.files[ZIP.removeprefix("/team/")]
    elsewhere = private(url=thief.put("/tool.zip", data))
    serve(elsewhere, server, "/team/")
    with client(tmp_path, elsewhere.root, server.url("/team/")) as team:
        assert team.install("acme/tool")[0].action == "unpack"
    assert shown(thief) == {None}


@pytest.mark.parametrize("how", ["port", "host", "back"])
def test_a_redirect_to_elsewhere_is_followed_without_them(
    tmp_path: Path, server: FaultServer, thief: FaultServer, how: str
) -> None:
    """Attack: an open redirect below the registry's address leads to another host, and perhaps back."""
    registry = private()
    serve(registry, server, "/team/")
    data = registry.files[ZIP.removeprefix("/team/")]
    if how == "port":
        server.always(ZIP, Redirect(thief.put("/stolen", data)))
    elif how == "host":
        server.put("/team/stolen", data)
        server.always(ZIP, Redirect(server.url("/team/stolen", host="localhost")))
    else:
        server.put("/team/stolen", data)
        server.always(ZIP, Redirect(thief.url("/bounce")))
        thief.always("/bounce", Redirect(server.url("/team/stolen")))
    with client(tmp_path, registry.root, server.url("/team/")) as team:
        assert team.install("acme/tool")[0].action == "unpack"
    taken = [request for request in (*server.requests, *thief.requests) if request.path in {"/stolen", "/team/stolen"}]
    assert [request.headers.get("authorization") for request in taken] == [None]


def test_another_registry_of_the_same_host_is_shown_none(tmp_path: Path, server: FaultServer) -> None:
    """Attack: who runs the neighbour's tree on a shared host reads its log. Not even a redirect there brings them."""
    registry = private()
    serve(registry, server, "/team/")
    server.put("/other/tool.zip", registry.files[ZIP.removeprefix("/team/")])
    server.always(ZIP, Redirect("/other/tool.zip"))
    with client(tmp_path, registry.root, server.url("/team/")) as team:
        assert team.install("acme/tool")[0].action == "unpack"
    assert "authorization" not in server.asked("/other/tool.zip")[0].headers


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h.example/team/metadata/timestamp.json", "team"),
        ("https://H.example:443/team/x", "team"),
        ("https://h.example/team/inner/x", "inner"),
        ("https://h.example/team/inner", "team"),
        ("https://h.example/team", None),
        ("https://h.example/teamwork/x", None),
        ("https://h.example/team/../other/x", None),
        ("https://h.example/team/%2e%2e/other/x", None),
        ("https://h.example/team/..%2Fother/x", None),
        ("https://h.example/team/..%5cother/x", None),
        ("https://h.example/TEAM/x", None),
        ("http://h.example/team/x", None),
        ("https://h.example:8443/team/x", None),
        ("https://h.example.evil.example/team/x", None),
        ("https://h.example@evil.example/team/x", None),
        ("https://evil.example/https://h.example/team/x", None),
        ("https://h.example:port/team/x", None),
        ("file:///team/x", None),
    ],
)
def test_below_which_registry_an_address_lies(url: str, name: str | None) -> None:
    sections = {
        "team": RegistrySection(url="https://h.example/team", root="r", auth=BEARER),
        "inner": RegistrySection(url="https://h.example/team/inner/", root="r", namespaces=("inner",)),
    }
    names = {section.url: name for name, section in sections.items()}
    assert names.get(covering(names, url) or "") == name
    assert bool(credentials_for(sections, Path()).grant(url)) == (
        name == "team"
    )  # the inner one has none, and isn't given its neighbour's


def test_without_credentials_there_is_nobody_to_give_any() -> None:
    credentials = credentials_for({"a": RegistrySection(url="https://h.example/", root="r")}, Path())
    assert not credentials.grant("https://h.example/x")


def headers_of(folder: Path, **auth: str) -> dict[str, str]:
    section = RegistrySection(url="https://h.example/t/", root="r", auth=convert(auth, AuthSection))
    return dict(credentials_for({"team": section}, folder).grant("https://h.example/t/x").headers)


def test_where_they_are_read_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(b"kai:p:w \xc3\xa4").decode()}
    (tmp_path / "token").write_text(f"{SECRET}\n")
    entries = ["machine other.example login x password y", "machine h.example login kai password pw"]
    (tmp_path / "netrc").write_text("\n".join(entries))
    monkeypatch.setenv("PASSWORD", "p:w ä")
    assert headers_of(tmp_path, type="bearer", token_file="token") == {"Authorization": f"Bearer {SECRET}"}
    assert headers_of(tmp_path, type="basic", user="kai", password_env="PASSWORD") == basic
    netrc = {"Authorization": "Basic " + base64.b64encode(b"kai:pw").decode()}
    assert headers_of(tmp_path, type="netrc", netrc_file="netrc") == netrc
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert headers_of(tmp_path, type="netrc") == netrc
    (tmp_path / "token").write_text("renewed")
    assert headers_of(tmp_path, type="bearer", token_file="token") == {"Authorization": "Bearer renewed"}


@pytest.mark.parametrize(
    ("content", "auth", "message"),
    [
        (None, {"type": "bearer", "token_env": "NOT_SET"}, "NOT_SET is not set"),
        (None, {"type": "bearer", "token_file": "secret"}, "can't be read: No such file"),
        (b"", {"type": "bearer", "token_file": "secret"}, "is empty"),
        (b"hush" * 20_000, {"type": "bearer", "token_file": "secret"}, "is larger than 65536 bytes"),
        (b"hush\r\nX-Evil: 1", {"type": "bearer", "token_file": "secret"}, "does not hold a valid token"),
        (b"\xffhush", {"type": "basic", "user": "kai", "password_file": "secret"}, "is not a text file"),
        (b"machine h.example login kai pass hush", {"type": "netrc", "netrc_file": "secret"}, "not a valid netrc file"),
        (b"machine x.example login kai password hush", {"type": "netrc", "netrc_file": "secret"}, "no entry"),
    ],
)
def test_what_cannot_be_had_is_said_without_showing_it(
    tmp_path: Path, content: bytes | None, auth: dict[str, str], message: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        headers_of(tmp_path, **auth)
    assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__} {caught.value.subject}"


def test_a_missing_secret_ends_an_install_with_what_is_missing(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = private()
    serve(registry, server, "/team/")
    monkeypatch.delenv("TEAM_TOKEN")
    with (
        client(tmp_path, registry.root, server.url("/team/")) as team,
        pytest.raises(ConfigError, match="TEAM_TOKEN is not set"),
    ):
        team.install("acme/tool")
    assert server.requests == []


@pytest.mark.parametrize(
    ("auth", "status", "problem", "said"),
    [
        (None, 401, "missing", "registry 'team' wants credentials, and none are configured"),
        (None, 403, "missing", "registry 'team' may want credentials"),
        (BEARER, 401, "wrong", "refuses the token in the environment variable TEAM_TOKEN"),
        (BEARER, 403, "forbidden", "refuses the token in the environment variable TEAM_TOKEN"),
    ],
)
def test_what_a_server_refuses_names_the_registry_what_was_tried_and_the_option(
    tmp_path: Path, server: FaultServer, auth: AuthSection | None, status: int, problem: str, said: str
) -> None:
    server.always("/team/metadata/timestamp.json", Status(status))
    with (
        client(tmp_path, private().root, server.url("/team/"), auth) as team,
        pytest.raises(CredentialsRefusedError, match=said) as caught,
    ):
        team.install("acme/tool")
    assert caught.value.problem == problem
    assert caught.value.exit_code == 5
    assert "[registries.team]" in (caught.value.hint or "")
    details = {"problem": problem, "registry": "team", "auth": auth and auth.type, "status": status}
    assert caught.value.details == {"credentials": details}
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value.details}"


def test_a_token_that_says_when_it_ends_is_told_from_a_wrong_one(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = base64.urlsafe_b64encode(b'{"exp": 1500000000}').decode().rstrip("=")
    monkeypatch.setenv("TEAM_TOKEN", f"eyJhbGciOiJub25lIn0.{claims}.c2ln")
    server.always("/team/metadata/timestamp.json", Status(401))
    with (
        client(tmp_path, private().root, server.url("/team/")) as team,
        pytest.raises(CredentialsRefusedError, match="expired at 2017-07-14 02:40 UTC") as caught,
    ):
        team.install("acme/tool")
    assert caught.value.problem == "expired"


@pytest.mark.parametrize(
    ("alert", "verb"),
    [("TLSV13_ALERT_CERTIFICATE_REQUIRED", "wants"), ("SSLV3_ALERT_HANDSHAKE_FAILURE", "may want")],
)
def test_a_handshake_that_failed_for_any_reason_is_not_said_to_want_a_certificate(alert: str, verb: str) -> None:
    url = "https://team.example.org/"
    refused = credentials_for({"team": RegistrySection(url=url, root="r")}, Path("/")).explained(
        Refusal(f"{url}metadata/timestamp.json", 0, Grant(), alert)
    )
    assert refused is not None
    assert f"registry 'team' {verb} a client certificate" in refused.message
    assert alert in refused.message


def test_an_artifact_elsewhere_gets_what_its_own_address_has(
    tmp_path: Path, server: FaultServer, thief: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address of its own in config.toml, and no word of the registry, says what is sent there."""
    monkeypatch.setenv("FILES_TOKEN", "other-4711")
    registry = private()
    data = registry.files[ZIP.removeprefix("/team/")]
    elsewhere = private(url=thief.put("/files/tool.zip", data))
    serve(elsewhere, server, "/team/")
    with client(tmp_path, elsewhere.root, server.url("/team/")) as team:
        thief.always("/files/tool.zip", Status(401))
        with pytest.raises(CredentialsRefusedError, match="no credentials are configured for this address") as caught:
            team.install("acme/tool")
        assert f'[auth."{thief.url("/files/")}"]' in (caught.value.hint or "")
        config = team.config
    thief.put("/files/tool.zip", data)
    thief.always("/files/tool.zip", None)
    auth = {thief.url("/files"): AuthSection(type="bearer", token_env="FILES_TOKEN")}
    changed = Config(config.path, config.store, msgspec.structs.replace(config.document, auth=auth))
    with Client(changed) as team:
        assert team.install("acme/tool")[0].action == "unpack"
    assert shown(server) == {f"Bearer {SECRET}"}
    assert [request.headers.get("authorization") for request in thief.requests] == [None, "Bearer other-4711"]


def test_a_mirror_gets_nothing_of_the_registrys(tmp_path: Path) -> None:
    """Attack: whoever runs a mirror that the user added reads the registry's token."""
    mirror = "https://mirror.example/team/"
    section = RegistrySection(url="https://h.example/team/", root="r", auth=BEARER, mirrors=(mirror,))
    credentials = credentials_for({"team": section}, tmp_path)
    assert credentials.grant("https://h.example/team/x")
    assert not credentials.grant(f"{mirror}x")
    refused = credentials.explained(Refusal(f"{mirror}x", 401, Grant()))
    assert refused is not None
    assert f"the mirror {mirror} of registry 'team' wants credentials" in str(refused)
    assert f'[auth."{mirror}"]' in (refused.hint or "")
    own = credentials_for({"team": section}, tmp_path, {"https://mirror.example": BEARER})
    assert own.grant(f"{mirror}x")


HTTPS = "https://h.example/"


@pytest.mark.parametrize(
    ("auth", "url", "problem"),
    [
        ({"type": "bearer", "token_env": "T"}, HTTPS, None),
        ({"type": "bearer", "token_env": "T"}, "http://127.0.0.1:8000/", None),
        ({"type": "bearer", "token_env": "T"}, "http://h.example/", "unencrypted"),
        ({"type": "netrc"}, "http://h.example/", "unencrypted"),
        ({"type": "sigv4", "region": "eu-west-1"}, "http://h.example/", None),
        ({"type": "netrc"}, "file:///srv/published/", "needs no authentication"),
        ({"type": "bearer"}, HTTPS, "needs token_env or token_file"),
        ({"type": "bearer", "token_env": "T", "token_file": "t"}, HTTPS, "one of both"),
        ({"type": "bearer", "token_env": "T", "user": "kai"}, HTTPS, "has no user"),
        ({"type": "basic", "password_env": "P"}, HTTPS, "needs user"),
        ({"type": "sigv4"}, HTTPS, "needs region"),
        ({"type": "netrc", "netrc_file": "n"}, HTTPS, None),
    ],
)
def test_what_a_configuration_may_say(auth: dict[str, str], url: str, problem: str | None) -> None:
    found = auth_problem(convert(auth, AuthSection), url)
    assert (found is None) if problem is None else (found is not None and problem in found)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('[auth."https://files.example/team/"]\ntype = "netrc"', None),
        ('[auth."files.example"]\ntype = "netrc"', "must be an https"),
        ('[auth."https://files.example/?sig=hush"]\ntype = "netrc"', "must not have a query"),
        ('[auth."http://files.example/"]\ntype = "netrc"', "unencrypted"),
        ('[auth."https://h.example"]\ntype = "netrc"', "is the address of registry 'team', which has an auth"),
        ('[auth."https://f.example"]\ntype = "netrc"\n[auth."https://f.example/"]\ntype = "netrc"', "is there twice"),
        ('[auth."https://f.example"]\ntype = "certificate"', "needs cert_file"),
        ('[auth."https://f.example"]\ntype = "netrc"\nkey_file = "k"', "has key_file without cert_file"),
        ('[auth."http://127.0.0.1:1"]\ntype = "certificate"\ncert_file = "c"', "can't be shown over http"),
    ],
)
def test_what_the_tables_of_addresses_may_say(table: str, problem: str | None) -> None:
    text = f"""[registries.team]\nurl = "https://h.example/"\nroot = "r"\nauth = {{ type = "netrc" }}\n{table}\n"""
    if problem is None:
        assert parse_config(text).auth["https://files.example/team/"].type == "netrc"
    else:
        with pytest.raises(ConfigError, match=problem):
            parse_config(text)


def test_the_secret_itself_has_no_place_in_a_configuration() -> None:
    text = '[registries.team]\nurl = "https://h.example/"\nroot = "r"\nauth = { type = "bearer", token = "hush" }\n'
    with pytest.raises(ConfigError, match="token"):
        parse_config(text)


def test_on_the_command_line(
    tmp_path: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = private()
    serve(registry, server, "/team/")
    (tmp_path / "root.json").write_bytes(registry.root)
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "c/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))

    def run(*args: str) -> Ran:
        capsys.readouterr()
        code = main(list(args))
        told = capsys.readouterr()
        assert SECRET not in told.out + told.err
        return Ran(code, told.out, told.err)

    adding = ("registry", "add", "team", server.url("/team/"), "--root", str(tmp_path / "root.json"))
    assert run(*adding, "--token-env", "TEAM_TOKEN").code == 2
    assert run(*adding, "--auth", "bearer").code == 2
    assert server.requests == []
    assert run(*adding, "--auth", "bearer", "--token-env", "TEAM_TOKEN").code == 0
    assert shown(server) == {f"Bearer {SECRET}"}
    path = tmp_path / "c/config.toml"
    assert 'auth = { type = "bearer", token_env = "TEAM_TOKEN" }' in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("registry", "list", "--json").document["registries"][0]["auth"] == "bearer"
    assert run("install", "acme/tool").code == 0
    assert run("doctor").code == 0
    assert shown(server) == {f"Bearer {SECRET}"}
    assert run("registry", "remove", "team").code == 0
    assert "auth" not in path.read_text()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    try:
        with s3_server(tmp_path_factory.mktemp("s3")) as running:
            yield running
    except WeedMissingError as error:
        missing("weed", str(error))


def test_a_private_bucket_is_read_signed(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """SeaweedFS lets nobody read this bucket unsigned: with keys a plugin is installed, without nothing is."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    registry = private()
    registry.release("acme/tool", "1.1.0+build.5")
    registry.publish()
    s3.client().create_bucket(Bucket="private")
    for name, data in registry.files.items():
        s3.client().put_object(Bucket="private", Key=f"team/{name}".replace("%2B", "+"), Body=data)
    url = f"{s3.endpoint}/private/team/"
    signed = AuthSection(type="sigv4", region="us-east-1")
    with client(tmp_path, registry.root, url, signed) as team:
        assert str(team.install("acme/tool")[0].choice) == "acme/tool 1.1.0+build.5"
        with (
            Transport(credentials=credentials_for(team.config.registries, tmp_path)) as transport,
            transport.stream(f"{url}metadata/timestamp.json", start=1, end=5) as part,
        ):
            assert (part.status, b"".join(part.chunks())) == (206, registry.files["metadata/timestamp.json"][1:5])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with client(tmp_path / "store", registry.root, url, signed) as team, pytest.raises(UnavailableError, match="403"):
        team.install("acme/tool")
    with client(tmp_path / "store", registry.root, url, None) as team, pytest.raises((UnavailableError, NotFoundError)):
        team.install("acme/tool")


def test_signing_without_keys_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigError, match="no AWS credentials were found"):
        headers_of(tmp_path, type="sigv4", region="us-east-1")
    with pytest.raises(ConfigError, match="nobody"):
        headers_of(tmp_path, type="sigv4", region="us-east-1", profile="nobody")


class Two:
    """A host with a public registry, which needs nothing, and a team's, which does."""

    def __init__(self, folder: Path, public: FaultServer, team: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.team = team
        for name, server, plugin in (("public", public, "acme/slack"), ("team", team, "team/tool")):
            registry = PluginRegistry()
            registry.release(plugin, "1.0.0")
            serve(registry, server, "/")
            (folder / f"{name}.json").write_bytes(registry.root)
        auth = 'namespaces = ["team"]\nauth = { type = "bearer", token_env = "TEAM_TOKEN" }'
        text = "".join(
            f'[registries.{name}]\nurl = "{server.url("/")}"\nroot = "{name}.json"\n{more}\n'
            for name, server, more in (("public", public, ""), ("team", team, auth))
        )
        (folder / "config.toml").write_text(text)
        monkeypatch.setenv("SEALDEX_CONFIG", str(folder / "config.toml"))
        monkeypatch.setenv("SEALDEX_STORE", str(folder / "store"))

    def refuse(self, status: int) -> None:
        self.team.always("/metadata/timestamp.json", Status(status))


@pytest.fixture
def two(tmp_path: Path, server: FaultServer, thief: FaultServer, monkeypatch: pytest.MonkeyPatch) -> Two:
    return Two(tmp_path, server, thief, monkeypatch)


@pytest.mark.parametrize("how", ["missing", "refused", "forbidden"])
def test_a_search_goes_on_without_a_registry_and_names_it(
    two: Two, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if how == "missing":
        monkeypatch.delenv("TEAM_TOKEN")
    else:
        two.refuse(401 if how == "refused" else 403)
    run = captured(capsys)
    told = run("search")
    assert (told.code, "acme/slack" in told.out, "team/tool" in told.out) == (0, True, False)
    assert "searched without registry 'team'" in told.err
    assert "TEAM_TOKEN" in told.err
    document = run("search", "slack", "--json").document
    assert [row["plugin"] for row in document["plugins"]] == ["acme/slack"]
    assert [(each["registry"], "team" in each["message"]) for each in document["skipped"]] == [("team", True)]
    none = run("search", "nothing-like-this", "--json")
    assert (none.code, none.document["error"]["details"]["skipped"][0]["registry"]) == (3, "team")
    asked = run("search", "--registry", "team", "--json")
    assert asked.code == (1 if how == "missing" else 5)
    assert asked.document["error"]["details"]["credentials"]["registry"] == "team"


def test_resolving_a_name_that_is_mapped_to_it_stops(
    two: Two, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attack: who takes the token away, or has it refused, gets no other registry asked for the team's names."""
    run = captured(capsys)
    two.refuse(401)
    for command in ("install", "info"):
        assert run(command, "team/tool", "--json").document["error"]["details"]["credentials"]["problem"] == "wrong"
    monkeypatch.delenv("TEAM_TOKEN")
    for command in ("install", "info"):
        ran = run(command, "team/tool")
        assert (ran.code, "TEAM_TOKEN is not set" in ran.err) == (1, True)
    assert run("install", "acme/slack").code == 0


def test_a_search_goes_on_without_a_registry_that_refuses_at_all_its_addresses(
    two: Two, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer() as mirror:
        for path in ("timestamp.json", "2.root.json", "recent.bundle"):
            mirror.always(f"/metadata/{path}", Status(401))
        config = tmp_path / "config.toml"
        config.write_text(
            config.read_text().replace('root = "team.json"', f'root = "team.json"\nmirrors = ["{mirror.url("/")}"]')
        )
        two.refuse(401)
        document = captured(capsys)("search", "--json").document
    assert [row["plugin"] for row in document["plugins"]] == ["acme/slack"]
    assert [each["registry"] for each in document["skipped"]] == ["team"]
