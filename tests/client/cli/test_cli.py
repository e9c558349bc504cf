"""The command line of the client, end to end: what it prints, in each mode, and its exit codes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from support.commands import Run, captured
from support.plugin_registry import YANKED, PluginRegistry
from support.plugin_store import PluginStore
from support.tree_server import TreeServer

from sealdex.cli.command_table import COMMANDS, cli
from sealdex.model.index import ArtifactEntry
from sealdex.model.plugin import Mark


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("SEALDEX_CONFIG", str(tmp_path / "config/config.toml"))
    monkeypatch.setenv("SEALDEX_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("SEALDEX_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    return captured(capsys)


@pytest.fixture
def registry() -> PluginRegistry:
    made = PluginRegistry()
    made.plugin("acme/slack", summary="Sends messages", keywords=("chat",), license="MIT")
    made.release("acme/slack", "1.0.0", yanked=YANKED)
    made.release("acme/slack", "1.1.0", caveats="Mind the step", dependencies={"acme/base": "^1"})
    made.release("acme/slack", "1.2.0", selector={"match_labels": {"os": "plan9"}})
    made.release("acme/slack", "2.0.0", channels=("beta",))
    made.release("acme/base", "1.0.0")
    made.plugin("acme/old", deprecated=Mark(at="2026-01-01T00:00:00Z", by="kai", why="tired", use="acme/slack"))
    made.release("acme/old", "1.0.0")
    made.release(
        "acme/image", "1.0.0", artifacts=(ArtifactEntry("x", "ab" * 32, "oci", url=f"h.example/x@sha256:{'ab' * 32}"),)
    )
    made.publish()
    return made


@pytest.fixture
def server(registry: PluginRegistry) -> Iterator[TreeServer]:
    with TreeServer(registry.files) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path, registry: PluginRegistry) -> Path:
    path = tmp_path / "given-root.json"
    path.write_bytes(registry.root)
    return path


@pytest.fixture
def ready(run: Run, server: TreeServer, root: Path) -> Run:
    assert run("registry", "add", "public", server.url, "--root", root).code == 0
    return run


# --- registries ------------------------------------------------------------------------------------------------------


def test_registry_add_list_remove(run: Run, server: TreeServer, root: Path, tmp_path: Path) -> None:
    fingerprint = hashlib.sha256(root.read_bytes()).hexdigest()
    added = run("registry", "add", "public", server.url, "--root", root)
    assert added.code == 0
    assert f"added registry public · {server.url} · verified up to root v1" in added.out
    assert fingerprint in added.out
    assert "expires" in added.out
    listed = run("registry", "list", "--json").document
    assert [(r["registry"], r["fingerprint"], r["namespaces"]) for r in listed["registries"]] == [
        ("public", fingerprint, ["*"])
    ]
    again = run("registry", "add", "public", server.url, "--root", root, "--namespace", "acme")
    assert (again.code, "registry remove public" in again.err) == (2, True)
    other = run("registry", "add", "team", server.url, "--root", root)
    assert (other.code, "--namespace" in other.err) == (1, True)
    assert run("registry", "add", "team", server.url, "--root", root, "--namespace", "team-*").code == 0
    assert (run("registry", "remove", "taem").code, run("registry", "remove", "team").code) == (3, 0)
    assert not (tmp_path / "config/roots/team.root.json").exists()
    assert not (tmp_path / "store/trust/team").exists()
    assert (tmp_path / "store/trust/public").exists()


def test_registry_add_by_fingerprint(run: Run, server: TreeServer, registry: PluginRegistry) -> None:
    fingerprint = hashlib.sha256(registry.root).hexdigest()
    added = run("registry", "add", "public", server.url, "--fingerprint", fingerprint, "--json")
    assert added.document["fingerprint"] == fingerprint
    wrong = run("registry", "add", "other", server.url, "--fingerprint", "0" * 64, "--namespace", "x")
    assert wrong.code == 4
    assert wrong.err.startswith("SECURITY: ")
    assert run("registry", "list", "--json").document["registries"][0]["registry"] == "public"


@pytest.mark.parametrize("options", [[], ["--root", "given-root.json", "--fingerprint", "0" * 64]])
def test_trust_starts_from_exactly_one_root(run: Run, server: TreeServer, root: Path, options: list[str]) -> None:
    refused = run("registry", "add", "public", server.url, *options)
    assert refused.code == 2
    assert "--root FILE or --fingerprint SHA256" in refused.err
    assert "--insecure" not in run("registry", "add", "--help").out


def test_attack_a_root_that_is_not_the_registry_s(run: Run, server: TreeServer, tmp_path: Path) -> None:
    """Attacker: hands out a root of keys of its own. Change: the user adds the real address with that root. Refused:
    what the registry signs doesn't verify with it; no registry was added, no cache was left.
    """
    (tmp_path / "evil.json").write_bytes(PluginRegistry().root)
    refused = run("registry", "add", "public", server.url, "--root", tmp_path / "evil.json")
    assert refused.code == 4
    assert "SECURITY" in refused.err
    assert "no registry was added" in refused.err
    assert not (tmp_path / "config/config.toml").exists()
    assert not (tmp_path / "store/trust/public").exists()


def test_attack_a_root_that_does_not_sign_itself(run: Run, server: TreeServer, root: Path, tmp_path: Path) -> None:
    """Attacker: edits root.json on its way. Change: another expiry, signatures kept. Refused before it is stored."""
    values = json.loads(root.read_bytes())
    values["signed"]["expires"] = "2099-01-01T00:00:00Z"
    (tmp_path / "edited.json").write_text(json.dumps(values))
    refused = run("registry", "add", "public", server.url, "--root", tmp_path / "edited.json", "--no-check")
    assert refused.code == 4
    assert not (tmp_path / "config/config.toml").exists()


def test_an_address_that_does_not_answer_is_not_added_unless_unchecked(run: Run, root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused = run("registry", "add", "public", "./empty", "--root", root)
    assert refused.code == 5
    assert "--no-check" in refused.err
    assert run("registry", "list", "--json").document["registries"] == []
    assert run("registry", "add", "public", "./empty", "--root", root, "--no-check").code == 0


def test_registry_add_keeps_the_advice_of_who_knows_more(
    run: Run, server: TreeServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.instead = dict.fromkeys(server.files, 401)
    refused = run("registry", "add", "team", server.url, "--root", root)
    assert (refused.code, "registry 'team' wants credentials" in refused.err) == (5, True)
    assert "--auth" in refused.err
    assert "--no-check" in refused.err
    assert "check the address" not in refused.err
    asked = [*server.files, "metadata/2.root.json"]
    server.instead = dict.fromkeys([f"http://registry.test/{path}" for path in asked], 407)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hush@{server.url.partition('://')[2]}")
    refused = run("registry", "add", "team", "http://registry.test/", "--root", root)
    assert (refused.code, "correct HTTP_PROXY" in refused.err, "hush" in refused.err) == (5, True, False)
    assert "--no-check" in refused.err


@pytest.mark.parametrize("url", ["ftp://x/", "nowhere", "https://u:p@example.org/"])
def test_addresses_are_checked(run: Run, root: Path, url: str) -> None:
    assert run("registry", "add", "public", url, "--root", root).code == 2
    assert run("registry", "add", "Not a name", "https://example.org", "--root", root).code == 2


def test_config_and_store_can_be_named(run: Run, server: TreeServer, root: Path, tmp_path: Path) -> None:
    where = ["--config", str(tmp_path / "other.toml"), "--store", str(tmp_path / "other-store")]
    assert run("registry", "add", "public", server.url, "--root", root, *where).code == 0
    assert run("install", "acme/base", *where).code == 0
    assert run("list", "--json", "--store", tmp_path / "other-store").document["installed"][0]["plugin"] == "acme/base"
    assert run("list", *where).out == run("list", "--store", tmp_path / "other-store").out
    assert run("list", "--json").document["installed"] == []


# --- search and info -------------------------------------------------------------------------------------------------


def test_search(ready: Run) -> None:
    shown = ready("search", "slack")
    assert shown.out.splitlines()[1].split() == ["acme/slack", "2.0.0", "notify", "Sends", "messages"]
    assert "[deprecated, use acme/slack]" in ready("search", "old").out
    everything = ready("search", "--json", "--limit", "2").document
    assert (len(everything["plugins"]), everything["total"]) == (2, 4)
    assert ready("search", "--keyword", "chat", "-q").out.split("\t")[0] == "acme/slack"
    nothing = ready("search", "zzzz")
    assert (nothing.code, "no plugin matches" in nothing.err) == (3, True)
    assert ready("search", "--label", "linux").code == 2
    mistyped = ready("search", "slakc", "--json").document
    assert (mistyped["did_you_mean"], mistyped["plugins"][0]["plugin"]) == ("slack", "acme/slack")
    assert "nothing matches 'slakc'; did you mean 'slack'?" in ready("search", "slakc").err


@pytest.mark.parametrize(
    ("options", "is_found"),
    [
        (("--type", "NOTIFY", "--type", "build"), True),
        (("--type", "build"), False),
        (("--namespace", "acme"), True),
        (("--namespace", "other"), False),
        (("--license", "mit"), True),
        (("--licence", "Apache-2.0"), False),
        (("--channel", "stable"), True),
        (("--channel", "nightly"), False),
        (("--no-deprecated",), True),
        (("--deprecated",), False),
        (("--metric", "top1>=0.8"), False),
        (("--sort", "used"), True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_search_has_the_filters_of_the_page(ready: Run, options: tuple[str, ...], is_found: bool) -> None:
    found = ready("search", "slack", *options, "--json")
    assert (found.code == 0 and "acme/slack" in {row["plugin"] for row in found.document["plugins"]}) == is_found


def test_search_refuses_filters_that_it_cannot_read(ready: Run) -> None:
    assert "write NAME>=NUMBER" in ready("search", "--metric", "top1").err
    assert ready("search", "--metric", "top1=>3").code == 2
    assert "write OS or OS/ARCH" in ready("search", "--platform", "linux/arm/64").err
    assert ready("search", "--platform", "/arm64").code == 2


def test_info_shows_releases_and_what_fits_here(ready: Run) -> None:
    shown = ready("info", "acme/slack")
    assert "acme/slack · notify · MIT · signed by packages, root v1" in shown.out
    assert "for this host: 1.1.0" in shown.out
    assert "1.0.0 YANKED" in shown.out
    assert "os=plan9" in shown.out
    assert "acme/base ^1" in shown.out
    assert "DEPRECATED: tired; use acme/slack instead" in ready("info", "acme/old").out
    assert ready("info", "acme/slack", "--json").document["fits_here"] == "1.1.0"


def test_info_of_a_version_is_its_manifest(ready: Run) -> None:
    assert ready("info", "acme/slack@1.1.0", "--json").document["manifest"]["caveats"] == "Mind the step"
    assert "Mind the step" in ready("info", "acme/slack@=1.1.0").out
    assert "YANKED by kai: leaks tokens" in ready("info", "acme/slack@1.0.0").out
    assert ready("info", "acme/slack@7.0.0").code == 3


def test_typos_get_the_nearest_name(ready: Run) -> None:
    assert "did you mean acme/slack" in ready("info", "acme/slck").err
    assert "did you mean acme/slack" in ready("install", "acme/slck").err
    assert "did you mean 'install'" in ready("instal", "x").err
    assert "did you mean 'public'" in ready("search", "--registry", "pubic").err


# --- install and what follows ----------------------------------------------------------------------------------------


def test_install_list_path_verify_uninstall(ready: Run, tmp_path: Path) -> None:
    done = ready("install", "acme/slack")
    assert done.code == 0
    assert done.out.splitlines() == [
        "installed acme/base 1.0.0 · signed by packages, root v1",
        "installed acme/slack 1.1.0 · signed by packages, root v1",
    ]
    assert "acme/slack 2.0.0 is newer but was not chosen: only in channel beta, not stable" in done.err
    assert ready("list").out.splitlines()[2].split() == [
        "acme/slack", "1.1.0", "(current)", "enabled", "public", "signed", "by", "packages,", "root", "v1",
    ]  # fmt: skip
    folder = tmp_path / "store/plugins/acme/slack/1.1.0"
    assert ready("path", "acme/slack").out == f"{folder}\n"
    assert ready("path", "acme/slack@1.1.0", "--json").document["path"] == str(folder)
    assert ready("path", "acme/slack@9.0.0").code == 3
    assert "did you mean acme/slack" in ready("path", "acme/slak").err
    assert ready("path", "slack").code == 2
    assert ready("path", "../etc@passwd").code == 2
    assert ready("verify").code == 0
    assert "is already installed" in ready("install", "acme/slack").out
    upgraded = ready("install", "acme/slack", "--channel", "beta")
    assert "installed acme/slack 2.0.0 (was 1.1.0)" in upgraded.out
    removed = ready("uninstall", "acme/slack@2.0.0")
    assert removed.out.splitlines() == ["uninstalled acme/slack 2.0.0", "  1.1.0 is now in use"]
    assert ready("uninstall", "acme/slack", "acme/base", "--json").document["uninstalled"][1]["plugin"] == "acme/base"
    assert ready("list", "--json").document == {"installed": []}
    assert ready("uninstall", "acme/slack").code == 3


def test_json_of_install_is_one_document_with_the_trust(ready: Run) -> None:
    first = ready("install", "acme/slack", "--json").document["installed"]
    assert [(i["plugin"], i["action"], i["requested"], i["signed_by"]) for i in first] == [
        ("acme/base", "unpack", False, "packages"),
        ("acme/slack", "unpack", True, "packages"),
    ]
    assert Path(first[1]["path"]).is_dir()


def test_damage_shouts_and_fails_with_4(ready: Run, tmp_path: Path) -> None:
    ready("install", "acme/slack")
    (tmp_path / "store/plugins/acme/slack/1.1.0/plugin.py").write_text("evil")
    shown = ready("verify")
    assert shown.code == 4
    assert "SECURITY: 1 of 2 installations" in shown.err
    assert "sealdex install acme/slack@1.1.0" in shown.err
    data = ready("verify", "acme/slack", "--json").document["error"]
    assert data["details"]["verified"][0]["findings"][0]["kind"] == "changed"
    assert "repaired acme/slack" in ready("install", "acme/slack").out
    assert ready("verify").code == 0


def test_yanked_and_deprecated_are_said(ready: Run) -> None:
    pinned = ready("install", "acme/slack@=1.0.0")
    assert pinned.code == 0
    assert "acme/slack 1.0.0 was yanked by kai: leaks tokens" in pinned.err
    assert "acme/old is deprecated: tired; use acme/slack instead" in ready("install", "acme/old").err


def test_nothing_fits_says_what_exists_and_which_flag_helps(ready: Run) -> None:
    refused = ready("install", "acme/slack@>=1.2")
    assert refused.code == 3
    assert "1.2.0: needs os=plan9" in refused.err
    assert "--channel beta would choose 2.0.0" in refused.err
    details = ready("install", "acme/slack@>=1.2", "--json").document["error"]["details"]
    assert details["explanations"][0]["plugin"] == "acme/slack"


def test_an_image_is_named_for_the_container_runtime(ready: Run) -> None:
    shown = ready("install", "acme/image").out
    pull = f"docker pull h.example/x@sha256:{'ab' * 32}"
    assert f"{pull} · signed by packages, root v1" in shown
    assert f"{pull} · signed by packages, root v1" in ready("install", "acme/image").out
    assert pull in ready("info", "acme/image").out
    assert pull in ready("path", "acme/image").err
    [listed] = ready("list", "acme/image", "--json").document["installed"]
    assert listed["image"] == pull.removeprefix("docker pull ")
    assert ready("verify", "acme/image").code == 0
    assert ready("uninstall", "acme/image").code == 0


def test_attack_swapped_artifact_shouts_and_installs_nothing(ready: Run, server: TreeServer, tmp_path: Path) -> None:
    """Attacker: writes to the bucket. Change: other bytes of the same length. Refused with 4, in words that say it."""
    path = "plugins/acme/base/1.0.0/base.zip"
    server.instead[path] = b"x" * len(server.files[path])
    refused = ready("install", "acme/slack")
    assert refused.code == 4
    assert refused.err.splitlines()[-4].startswith("SECURITY: ") or "SECURITY: " in refused.err
    assert refused.out == ""
    assert not (tmp_path / "store/plugins").exists()
    assert ready("install", "acme/slack", "--json").document["error"]["code"] == "verification"


def test_attack_escape_sequences_in_metadata(run: Run, tmp_path: Path) -> None:
    """Attacker: publishes a plugin. Change: a summary, owner and caveats that would redraw the terminal. Refused: none
    of it reaches stdout or stderr, in any mode.
    """
    evil = "\x1b[2J\x1b]0;owned\x07fine\rinstalled acme/good 1.0.0"
    registry = PluginRegistry()
    registry.plugin("acme/evil", summary=evil, license=evil, homepage=evil)
    registry.release("acme/evil", "1.0.0", caveats=evil)
    registry.plugin("acme/evil", deprecated=Mark(at="x", by=evil, why=evil, use=evil))
    registry.publish()
    url = registry.write(tmp_path / "published")
    (tmp_path / "root.json").write_bytes(registry.root)
    run("registry", "add", "p", url, "--root", tmp_path / "root.json")
    for command in (["search", "evil"], ["info", "acme/evil"], ["info", "acme/evil@1.0.0"], ["install", "acme/evil"]):
        for mode in ([], ["--json"], ["-q"]):
            ran = run(*command, *mode)
            assert ran.code == 0
            text = (ran.out + ran.err).replace("\n", "").replace("\t", "")
            assert text.isprintable(), command


def test_fetch(ready: Run, tmp_path: Path) -> None:
    shown = ready("fetch", "acme/slack", "--to", "d")
    assert "fetched acme/slack 1.1.0" in shown.out
    assert "signed by packages, root v1" in shown.out
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["slack.zip"]
    both = ready("fetch", "acme/slack", "--to", "e", "--dependencies", "-q")
    assert both.out.splitlines() == ["e/base.zip", "e/slack.zip"]
    assert (
        ready("fetch", "acme/slack", "--cache-only", "--json").document["fetched"][0]["path"].startswith(str(tmp_path))
    )
    assert "docker pull" in ready("fetch", "acme/image").out


def test_an_empty_store_is_no_error(run: Run) -> None:
    shown = run("list")
    assert (shown.code, shown.out) == (0, "")
    assert "nothing is installed" in shown.err
    assert run("verify").code == 0
    assert run("search", "x").code == 3


# --- env, completion, help -------------------------------------------------------------------------------------------


def test_env(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.toml").write_text('[environment]\nlabels = { gpu = "a100" }\ntags = ["cuda-12"]\n')
    assert "a100" in run("env").out
    shown = run("env", "--json").document
    assert shown["labels"]["gpu"] == "a100"
    assert shown["tags"] == ["cuda-12"]
    assert shown["store"] == str(tmp_path / "store")


def test_a_broken_configuration_names_every_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.toml").write_text("[download]\nconcurrent = 0\ntimeuot = 3\n")
    shown = run("env")
    assert shown.code == 1
    assert "concurrent" in shown.err
    assert "did you mean 'timeout'" in shown.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, shell: str) -> None:
    assert "_SEALDEX_COMPLETE" in run("completion", shell).out


def test_completion_completes(run: Run) -> None:
    code = "import sys; from sealdex.cli.main import main; sys.argv = ['sealdex']; sys.exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"_SEALDEX_COMPLETE": "bash_complete", "COMP_WORDS": "sealdex inst", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "install" in ran.stdout


@pytest.mark.parametrize("command", ["uninstall", "path", "use", "disable", "verify"])
def test_completion_knows_what_is_installed(tmp_path: Path, command: str) -> None:
    store = PluginStore(tmp_path)
    for plugin in ("acme/slack", "acme/mail", "other/thing"):
        store.python(plugin, "1.0.0", "")
    context = ShellComplete(cli, {}, "sealdex", "_SEALDEX_COMPLETE")
    found = context.get_completions([command, "--store", str(tmp_path / "store")], "acme/")
    assert [item.value for item in found] == ["acme/mail", "acme/slack"]
    assert context.get_completions([command, "--store", str(tmp_path / "elsewhere")], "acme/") == []


def test_group_help_is_not_cut_off(run: Run) -> None:
    shown = " ".join(run("registry", "--help").out.split())
    assert "add Add a registry by its address and its trusted root." in shown
    assert "..." not in shown.partition("Commands:")[2]


def all_commands() -> list[list[str]]:
    import click  # noqa: PLC0415  # only here

    context = click.Context(cli)
    found: list[list[str]] = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            found += [[name, sub] for sub in command.list_commands(context)]
        else:
            found.append([name])
    return found


@pytest.mark.parametrize("command", all_commands(), ids=" ".join)
def test_every_command_has_an_example_and_json(run: Run, command: list[str]) -> None:
    shown = run(*command, "--help")
    assert shown.code == 0
    assert f"sealdex {' '.join(command)}" in shown.out.split("Examples:")[1]
    assert "--json" in shown.out


def test_help_and_version(run: Run) -> None:
    shown = run("--help")
    assert all(name in shown.out for name in COMMANDS)
    assert "Exit codes" in shown.out
    assert run("--version").out.startswith("sealdex ")
    assert run().code == 2


# --- the quick way ---------------------------------------------------------------------------------------------------

HEAVY = {"click", "msgspec", "typing", "pathlib", "tuf", "dataclasses", "urllib3", "logging"}


@pytest.mark.parametrize(
    "args", [["list"], ["list", "--json"], ["path", "acme/slack"], ["path", "acme/slack@1.1.0", "-q"]]
)
def test_the_quick_way_imports_nothing_heavy_and_says_the_same(ready: Run, tmp_path: Path, args: list[str]) -> None:
    ready("install", "acme/slack")
    quick = ready(*args)
    # --config sends it the long way, through click
    assert ready(*args, "--config", tmp_path / "config/config.toml") == quick
    code = (
        "import sys; from sealdex.cli.main import main\n"
        f"code = main({args!r})\nprint(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    # -S -E: what a site or its .pth files import is not ours
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n" + code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, quick.out)
    assert ran.stderr.strip() == "[]"


def test_the_quick_way_leaves_what_is_unusual_to_click(run: Run) -> None:
    assert "Usage:" in run("list", "--help").out
    assert run("list", "extra").code == 3
    assert run("list", "--jsn").code == 2
    assert run("path").code == 2
    assert run("path", "a/b", "c/d").code == 2
    assert run("list", "--store").code == 2
