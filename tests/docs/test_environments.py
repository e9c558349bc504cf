"""docs/publishing.md sets each variable and secret where the workflows read it: in the same environment of GitHub's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from support.authoring import builder
from support.places import REPOSITORY

GUIDE = (REPOSITORY / "docs" / "publishing.md").read_text(encoding="utf-8")
Place = tuple[str, str, str]  # environment, variable or secret, name

_READ = re.compile(r"\b(vars|secrets)\.([A-Z][A-Z0-9_]*)")
_SET = re.compile(r'gh (variable|secret) set ([A-Z][A-Z0-9_]*)(?: --env ("\$name"|[\w-]+))?')
_LOOP = re.compile(r"for name in ([\w -]+); do\n(.*?)\n *done", re.DOTALL)


def read_by_workflows(tree: Path) -> set[Place]:
    found: set[Place] = set()
    for path in (tree / ".github/workflows").glob("*.yml"):
        if path.name == "release-plugin.yml":
            continue  # its secret is the caller's
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            for kind, name in _READ.findall(str(job)):
                assert "environment" in job, f"{path.name} reads {name} in a job without an environment"
                found.add((job["environment"], "variable" if kind == "vars" else "secret", name))
    return found


def set_by_guide(text: str) -> set[Place]:
    found: set[Place] = set()
    for names, body in _LOOP.findall(text):
        for kind, name, place in _SET.findall(body):
            if place == '"$name"':
                found |= {(environment, kind, name) for environment in names.split()}
    return found | {(place, kind, name) for kind, name, place in _SET.findall(text) if place != '"$name"'}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("registry") / "tree"
    assert builder("init", tree, "--storage", "s3://acme-plugins/public?region=us-east-1") == 0
    with (tree / "registry.toml").open("a", encoding="utf-8") as config:
        config.write('\n[realms.team]\nstorage = "s3://acme-team/team?region=us-east-1"\n')
    assert builder("init", tree, "--github") == 0
    return tree


def test_the_guide_sets_what_the_workflows_read_where_they_read_it(registry: Path) -> None:
    read = read_by_workflows(registry)
    of_public = {place for place in read if not place[0].endswith("-team")}
    author = {("", "secret", "REGISTRY_TOKEN")}
    assert set_by_guide(GUIDE) == of_public | author
    assert {place[0] for place in of_public} == {"publish", "refresh", "sign"}


def test_another_realm_has_the_same_in_environments_of_its_own(registry: Path) -> None:
    """The guide says so: publish-NAME and refresh-NAME, and validate-NAME with the same two variables."""
    read = read_by_workflows(registry)
    for task in ("publish", "refresh"):
        assert {place[1:] for place in read if place[0] == f"{task}-team"} == {
            place[1:] for place in read if place[0] == task
        }
    assert {place for place in read if place[0] == "validate-team"} == {
        ("validate-team", "variable", name) for name in ("SEALDEX_AWS_ROLE", "SEALDEX_AWS_REGION")
    }
    assert "the environment `validate-NAME`" in GUIDE


def test_what_stands_elsewhere_would_be_found() -> None:
    text = (
        'gh variable set X --env publish\nfor name in a b; do\n  gh secret set Y --env "$name"\ndone\ngh secret set Z\n'
    )
    assert set_by_guide(text) == {
        ("publish", "variable", "X"),
        ("a", "secret", "Y"),
        ("b", "secret", "Y"),
        ("", "secret", "Z"),
    }
