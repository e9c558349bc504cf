"""Lint: each rule with the text a person reads, immutability of what is published, and inputs made to hurt."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from support.authoring import SHA, Bare, errors, local_artifact, url_artifact, warnings, zip_of

from registry_builder.compile.manifest import manifest_bytes, pin
from registry_builder.source.lint.schemas import SchemaChecks
from registry_builder.source.lint.tree import license_problem, lint_tree
from registry_builder.source.load import load_tree
from sealdex.model.ids import PluginId
from sealdex.model.index import IndexDocument, ReleaseEntry
from sealdex.model.release import Release

SLACK = PluginId("acme", "slack")


@pytest.fixture
def tree(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "registry")


def published(tree: Bare, *plugins: PluginId) -> dict[PluginId, IndexDocument]:
    """The index documents of the tree as it is now, as if it had been published."""
    loaded = tree.load().plugins
    return {
        plugin: IndexDocument(
            format=1,
            namespace=plugin.namespace,
            name=plugin.name,
            type="notify",
            summary="Says something",
            releases=tuple(
                ReleaseEntry(version=version, manifest=pin(manifest_bytes(plugin, release)))
                for version, release in loaded[plugin].releases.items()
            ),
        )
        for plugin in plugins or loaded
    }


def test_a_right_tree_has_no_problems(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0", dependencies={"acme/base": "^1.2"})
    tree.plugin("acme/base", type="HAL_DRIVER")  # the seeds' spelling
    tree.release("acme/base", "1.3.0")
    assert tree.lint() == []


def test_problems_of_loading_and_of_lint_come_together_sorted(tree: Bare) -> None:
    tree.plugin("acme/slack", type="notifi")
    tree.write("plugins/acme/slack/releases/1.0.0.json", "{")
    tree.release("acme/slack", "1.1.0", dependencies={"acme/gone": "*"}, service={"command": []})
    problems = tree.lint()
    assert len(errors(problems)) == 4
    assert problems == sorted(problems)


# --- the plugin ------------------------------------------------------------------------------------------------------


def test_unknown_type_gets_the_nearest_name(tree: Bare) -> None:
    tree.plugin("acme/slack", type="notfy")
    tree.plugin("acme/odd", type="zzz")
    odd, slack = errors(tree.lint())
    assert "did you mean 'notify'?" in slack
    assert "types are acr-algorithm, application-suite" in odd


def test_the_registry_may_add_types(tmp_path: Path) -> None:
    tree = Bare(tmp_path / "r", config=[("types = []", 'types = ["SHADER_PACK"]')])
    tree.plugin("acme/slack", type="shader-pack")
    assert errors(tree.lint()) == []


@pytest.mark.parametrize("strict", [False, True])
def test_missing_licence_and_readme_are_as_the_policy_says(tmp_path: Path, *, strict: bool) -> None:
    config = [
        ("require_license = false", "require_license = true"),
        ("require_readme = false", "require_readme = true"),
    ]
    tree = Bare(tmp_path / "r", config=config if strict else [])
    tree.plugin("acme/slack", license=None)
    (tree.root / "plugins/acme/slack/README.md").unlink()
    problems = tree.lint()
    found, other = (errors(problems), warnings(problems)) if strict else (warnings(problems), errors(problems))
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in found] == ["README.md", "plugin.yaml"]
    assert other == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("MIT", None),
        ("MIT OR Apache-2.0", None),
        ("GPL-2.0-only WITH Classpath-exception-2.0", None),
        ("LicenseRef-Acme", None),
        ("mit", "must be written 'MIT'"),
        ("Apache 2.0", "not an SPDX expression"),
        ("MIT AND", "not an SPDX expression"),
        ("(((((", "not an SPDX expression"),
    ],
)
def test_licences_are_spdx(expression: str, message: str | None) -> None:
    problem = license_problem(expression)
    assert problem is None if message is None else message in (problem or "")


def test_a_realm_must_be_configured(tree: Bare) -> None:
    tree.plugin("acme/slack", realm="pubic")
    (error,) = errors(tree.lint())
    assert "'pubic' is not in registry.toml; did you mean 'public'?" in error


def test_status_speaks_of_releases_and_plugins_that_exist(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.2.0")
    tree.write("plugins/acme/slack/releases/1.3.0.json", "{")
    base = {"at": "2026-11-21T12:00:00Z", "by": "ann"}
    events: list[dict[str, Any]] = [
        {**base, "action": "yank", "version": "1.2.1"},
        {**base, "action": "yank", "version": "1.3.0"},  # there, if broken: said once is enough
        {**base, "action": "yank"},
        {**base, "action": "deprecate", "use": "acme/slack"},
        {**base, "action": "deprecate", "use": "acme/new"},
    ]
    tree.write("plugins/acme/slack/status.json", {"events": events})
    problems = [p for p in tree.lint() if p.file.endswith("status.json")]
    assert [(p.where, p.severity) for p in problems] == [
        ("events[0].version", "error"),
        ("events[2].version", "error"),
        ("events[3].use", "error"),
        ("events[4].use", "warning"),
    ]
    assert "did you mean 1.2.0?" in problems[0].message


# --- dependencies ----------------------------------------------------------------------------------------------------


def test_dependencies_exist_and_some_release_fits(tree: Bare) -> None:
    for name in ("slack", "driver", "empty", "early", "yanked"):
        tree.plugin(f"acme/{name}")
    tree.release(
        "acme/slack",
        "1.0.0",
        dependencies={
            "acme/drivr": "*",
            "acme/driver": "^2",
            "acme/empty": "*",
            "acme/early": "*",
            "acme/yanked": "*",
            "other/driver": ">=1 <",
        },
    )
    tree.release("acme/driver", "1.4.0")
    tree.release("acme/early", "1.0.0-rc.1")
    tree.release("acme/yanked", "1.0.0")
    yank = {"action": "yank", "at": "2026-11-21T12:00:00Z", "by": "ann", "version": "1.0.0"}
    tree.write("plugins/acme/yanked/status.json", {"events": [yank]})
    problems = tree.lint()
    text = "\n".join(errors(problems))
    assert "there is no plugin acme/drivr in this registry; did you mean 'acme/driver'?" in text
    assert "no release of acme/driver is in '^2'; its releases are 1.4.0" in text
    assert "no release of acme/empty is in '*'; it has no release yet" in text
    assert "other/driver" in text
    assert len(errors(problems)) == 4
    assert "only pre-releases of acme/early" in "\n".join(warnings(problems))
    assert "only yanked releases of acme/yanked" in "\n".join(warnings(problems))


def test_a_dependency_that_did_not_load_is_not_called_missing(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0", dependencies={"acme/base": "*"})
    tree.write("plugins/acme/base/plugin.yaml", "{")
    assert all("there is no plugin" not in error for error in errors(tree.lint()))


def test_a_partial_tree_does_not_judge_what_it_does_not_see(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0", dependencies={"acme/base": "*"})
    assert lint_tree(load_tree(tree.root, only=[SLACK])) == []


def test_a_public_plugin_may_not_need_a_private_one(tmp_path: Path) -> None:
    tree = Bare(tmp_path / "r", config=[("[roles.root]", '[realms.team]\nstorage = "folder:team"\n\n[roles.root]')])
    tree.plugin("acme/open")
    tree.release("acme/open", "1.0.0", dependencies={"acme/secret": "*"})
    tree.plugin("acme/secret", realm="team")
    tree.release("acme/secret", "1.0.0", dependencies={"acme/base": "*"})  # the other way round is fine
    tree.plugin("acme/base")
    tree.release("acme/base", "1.0.0")
    (error,) = errors(tree.lint())
    assert "releases/1.0.0.json" in error
    assert "names a plugin of another realm, which readers of realm 'public' may not read" in error
    assert "acme/secret" not in error


def test_a_cycle_is_shown_as_a_chain(tree: Bare) -> None:
    for name, needed in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")):
        tree.plugin(f"acme/{name}")
        tree.release(f"acme/{name}", "1.0.0", dependencies={f"acme/{needed}": "*"})
    (error,) = errors(tree.lint())
    assert "acme/a 1.0.0 -> acme/b 1.0.0 -> acme/c 1.0.0 -> acme/a 1.0.0" in error


def test_a_release_that_needs_itself_is_a_cycle(tree: Bare) -> None:
    tree.plugin("acme/a")
    tree.release("acme/a", "1.0.0", dependencies={"acme/a": "^1"})
    (error,) = errors(tree.lint())
    assert "acme/a 1.0.0 -> acme/a 1.0.0" in error


def test_old_releases_may_have_needed_each_other_the_other_way_round(tree: Bare) -> None:
    tree.plugin("acme/a")
    tree.plugin("acme/b")
    tree.release("acme/a", "1.0.0", dependencies={"acme/b": "^1"})
    tree.release("acme/b", "1.0.0")
    tree.release("acme/b", "2.0.0", dependencies={"acme/a": "^1"})
    assert errors(tree.lint()) == []


def test_yanking_is_the_way_out_of_a_cycle(tree: Bare) -> None:
    for name, needed in (("a", "b"), ("b", "a")):
        tree.plugin(f"acme/{name}")
        tree.release(f"acme/{name}", "1.0.0", dependencies={f"acme/{needed}": "*"})
        tree.release(f"acme/{name}", "1.1.0")
    assert len(errors(tree.lint())) == 1
    yank = {"action": "yank", "at": "2026-11-21T12:00:00Z", "by": "ann", "version": "1.0.0"}
    tree.write("plugins/acme/a/status.json", {"events": [yank]})
    assert errors(tree.lint()) == []


# --- schemas ---------------------------------------------------------------------------------------------------------


def schema_errors(tree: Bare, **fields: Any) -> list[str]:
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0", **fields)
    return errors(tree.lint())


def test_schemas_are_schemas(tree: Bare) -> None:
    found = schema_errors(
        tree,
        config_schema={"properties": {"a": {"type": "strin"}}},
        params_schema={"properties": {"b": {"pattern": "("}}},
    )
    assert any("config_schema.properties.a.type: is not a valid JSON Schema" in error for error in found)
    assert any("params_schema.properties.b.pattern: is not a valid JSON Schema" in error for error in found)


def test_a_default_satisfies_its_schema_where_it_says_something(tree: Bare) -> None:
    schema = {
        "type": "object",
        "properties": {"url": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["url"],
        "anyOf": [{"required": ["n"]}, {"required": ["url"]}],
        "minProperties": 1,
        "additionalProperties": False,
    }
    assert schema_errors(tree, config_schema=schema, default_config={}) == []
    assert schema_errors(tree, config_schema=schema, default_config={"n": 1}) == []
    found = schema_errors(tree, config_schema=schema, default_config={"n": "1", "m": 1})
    assert len(found) == 2
    assert any("default_config.n: doesn't satisfy config_schema: '1' is not of type 'integer'" in e for e in found)


def test_another_dialect_is_read_as_itself(tree: Bare) -> None:
    draft7 = {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {}, "type": "object"}
    assert schema_errors(tree, config_schema=draft7) == []
    assert "dialect" in schema_errors(tree, config_schema={"$schema": "https://example.com/mine"})[0]


LAUGHS: dict[str, Any] = {
    "$defs": {
        **{f"l{i}": {"allOf": [{"$ref": f"#/$defs/l{i + 1}"}] * 10} for i in range(12)},
        "l12": {"type": "object"},
    },
    "$ref": "#/$defs/l0",
}
HOSTILE_SCHEMAS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"properties": {"a": {"pattern": "(a+)+$"}}}, {"a": "a" * 60 + "!"}),
    ({"patternProperties": {"(a+)+$": True}}, {"a" * 60 + "!": 1}),
    (LAUGHS, {}),
]


@pytest.mark.parametrize(("schema", "default"), HOSTILE_SCHEMAS, ids=["pattern", "names", "laughs"])
def test_attack_a_schema_does_not_hang_the_run(schema: dict[str, Any], default: dict[str, Any]) -> None:
    """Attacker: opens a pull request. Change: a schema whose check takes exponential time. Refusal: the process that
    checks is ended and the schema named; the schemas after it are still checked.
    """
    checks = SchemaChecks(seconds=0.5)
    checks.add("before", Release(version="1.0.0", config_schema={"type": 1}))
    checks.add("hostile", Release(version="1.0.0", config_schema=schema, default_config=default))
    checks.add("after", Release(version="1.0.0", config_schema={"type": 2}))
    found = list(checks.problems())
    assert [file for file, _, _ in found] == ["before", "hostile", "after"]
    assert "takes more than 0.5 s" in found[1][2]


def test_a_schema_that_refers_to_itself_without_end(tree: Bare) -> None:
    assert (
        "contains an endless reference to itself"
        in schema_errors(tree, config_schema={"$ref": "#"}, default_config={})[0]
    )


def test_attack_a_schema_fetches_nothing(tree: Bare) -> None:
    """Attacker: opens a pull request. Change: a `$ref` to a server that only the machine which publishes can reach.
    Refusal: the reference is named as foreign; no request is made.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/schema.json"
        found = schema_errors(tree, config_schema={"$ref": address}, default_config={"a": 1})
        server.shutdown()
    assert "only references inside it work" in found[0]
    assert asked == []


def test_attack_the_schema_check_imports_nothing_from_the_current_folder(
    tree: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attacker: opens a pull request. Change: a `jsonschema.py` at the top of the tree, where validate runs. Refusal:
    it isn't imported.
    """
    for module in ("jsonschema", "json", "registry_builder", "faulthandler"):
        tree.write(f"{module}.py", "open('taken', 'w')\nraise SystemExit\n")
    monkeypatch.chdir(tree.root)
    monkeypatch.setenv("PYTHONPATH", str(tree.root))
    assert len(schema_errors(tree, config_schema={"type": 1})) == 1
    assert not (tree.root / "taken").exists()


# --- published releases ----------------------------------------------------------------------------------------------


def test_a_published_release_may_be_reformatted_but_not_changed(tree: Bare) -> None:
    tree.plugin("acme/slack")
    path = tree.release("acme/slack", "1.0.0", description="old")
    before = published(tree)
    path.write_text(path.read_text().replace(", ", ",\n   "))
    assert tree.lint(published=before) == []
    path.write_text(path.read_text().replace("old", "new"))
    (error,) = errors(tree.lint(published=before))
    assert "differs from acme/slack 1.0.0 as published" in error


def test_a_published_release_that_is_gone_is_warned_of(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.plugin("acme/mail")
    tree.release("acme/slack", "1.0.0")
    path = tree.release("acme/slack", "1.1.0")
    before = published(tree)
    path.unlink()
    for file in sorted((tree.root / "plugins/acme/mail").iterdir()):
        file.unlink()
    (tree.root / "plugins/acme/mail").rmdir()
    found = warnings(tree.lint(published=before))
    assert any(
        "plugins/acme/slack/releases/1.1.0.json: is published but missing from the source tree" in w for w in found
    )
    assert any("plugins/acme/mail: is published but missing from the source tree" in w for w in found)
    assert len(found) == 2


def test_what_is_published_needs_no_local_artifact_any_more(tree: Bare) -> None:
    tree.plugin("acme/slack")
    artifact = local_artifact(tree.root, "plugins/acme/slack/dist/1.0.0/a.zip", zip_of("a"))
    tree.release("acme/slack", "1.0.0", artifacts=[artifact])
    before = published(tree)
    (tree.root / artifact["source"]).unlink()
    assert errors(tree.lint(published=before)) == []
    (error,) = errors(tree.lint())
    assert "file 'plugins/acme/slack/dist/1.0.0/a.zip' does not exist" in error


# --- artifacts -------------------------------------------------------------------------------------------------------


def artifact_errors(tree: Bare, artifact: dict[str, Any]) -> list[str]:
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0", artifacts=[artifact])
    return errors(tree.lint())


def test_local_artifacts_have_their_size_and_digest(tree: Bare) -> None:
    artifact = local_artifact(tree.root, "dist/a.bin", b"12345")
    assert artifact_errors(tree, artifact) == []
    assert "artifacts[0].size: is 4, but 'dist/a.bin' has 5 bytes" in artifact_errors(tree, {**artifact, "size": 4})[0]
    assert "artifacts[0].sha256" in artifact_errors(tree, {**artifact, "sha256": SHA})[0]
    assert artifact_errors(tree, {**artifact, "sha256": SHA})[0].count(hashlib.sha256(b"12345").hexdigest()) == 1


def test_check_artifacts_can_be_left_to_others(tree: Bare) -> None:
    tree.plugin("acme/slack")
    tree.release("acme/slack", "1.0.0", artifacts=[{"source": "gone.zip", "sha256": SHA, "size": 1}])
    assert tree.lint(check_artifacts=False) == []


def test_artifacts_are_no_larger_than_the_registry_allows(tmp_path: Path) -> None:
    tree = Bare(tmp_path / "r", config=[("max_artifact_size = 2147483648", "max_artifact_size = 10")])
    (error,) = artifact_errors(tree, url_artifact(size=11))
    assert "artifacts[0].size: is 11 bytes, but at most 10 are allowed" in error


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
@pytest.mark.parametrize("way", ["file", "folder", "dots"])
def test_attack_an_artifact_does_not_come_from_outside_the_tree(tree: Bare, way: str) -> None:
    """Attacker: opens a pull request. Change: an artifact whose path leads to a file of the machine that publishes, to
    have it uploaded. Refusal: an error that doesn't tell size or digest of that file.
    """
    secret = tree.root.parent / "secrets" / "id"
    secret.parent.mkdir()
    secret.write_bytes(b"private")
    digest = hashlib.sha256(b"private").hexdigest()
    source = {"file": "dist/a.bin", "folder": "dist/secrets/id", "dots": "../secrets/id"}[way]
    (tree.root / "dist").mkdir()
    if way == "file":
        (tree.root / "dist/a.bin").symlink_to(secret)
    elif way == "folder":
        (tree.root / "dist/secrets").symlink_to(secret.parent)
    found = artifact_errors(tree, {"source": source, "sha256": SHA, "size": 9})
    assert len(found) == 1
    assert "leaves the source tree" in found[0] or "must not contain '..'" in found[0]
    assert digest not in found[0]
    assert "7 bytes" not in found[0]


def test_a_new_archive_can_be_unpacked_and_has_what_the_manifest_names(tree: Bare) -> None:
    artifact = local_artifact(tree.root, "dist/a.zip", zip_of("tool", "LICENSE"))
    assert artifact_errors(tree, {**artifact, "bin": "tool", "files": [{"from": "tool"}]}) == []
    found = artifact_errors(tree, {**artifact, "bin": "tol"})
    assert found[0].startswith("plugins/acme/slack/releases/1.0.0.json: artifacts[0].bin: ")
    found = artifact_errors(tree, {**artifact, "files": [{"from": "docs/*", "to": "docs"}]})
    assert "artifacts[0].files" in found[0]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:evil", "nul", "a\\b"])
def test_attack_an_archive_that_would_escape_is_refused_before_it_is_published(tree: Bare, name: str) -> None:
    """Attacker: opens a pull request. Change: an archive with an entry that leaves its folder. Refusal: an error that
    names the entry; nothing is unpacked.
    """
    artifact = local_artifact(tree.root, "dist/a.zip", zip_of("fine", name))
    (error,) = artifact_errors(tree, artifact)
    assert "would be refused by every client" in error
    assert not (tree.root.parent / "evil").exists()


def test_an_archive_that_is_none_is_said_to_be_none(tree: Bare) -> None:
    artifact = local_artifact(tree.root, "dist/a.tar.gz", b"no archive")
    (error,) = artifact_errors(tree, artifact)
    assert "is not a readable tar.gz" in error
