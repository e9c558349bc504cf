"""Documents: strict for people, lenient for clients, every problem named; schemas and examples held to the code."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import REPOSITORY

from sealdex.errors import FormatTooNewError
from sealdex.model.catalog import CatalogShard
from sealdex.model.decode import DocumentError, encode_json, encode_pretty, read_json, read_wire
from sealdex.model.environment import Environment
from sealdex.model.index import IndexDocument, choose_artifact
from sealdex.model.plugin import Plugin, PluginStatus, StatusEvent, fold_status, status_problems
from sealdex.model.release import PublishedManifest, Release, published_manifest, release_problems
from sealdex.model.schema import DOCUMENTS, json_schema

DOCS = REPOSITORY / "docs"
SHA = "a" * 64


def release(**fields: Any) -> bytes:
    return json.dumps({"version": "1.2.0", **fields}).encode()


def artifact(**fields: Any) -> dict[str, Any]:
    return {"source": "dist/a.zip", "sha256": SHA, "size": 3, **fields}


def problems_of(data: bytes, kind: type = Release) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read_json(data, kind)
    return [str(p) for p in caught.value.problems]


def test_every_problem_is_named_at_once_with_its_path_and_what_to_write() -> None:
    found = problems_of(
        json.dumps(
            {
                "version": "v1.2",
                "entrypoint": "x",
                "artifacts": [
                    artifact(size="3"),
                    artifact(sha256="zz", selector={"match_expressions": [{"key": "os", "operator": "Inn"}]}),
                    {"source": "b.zip", "selector": {"matchLabels": {}}},
                ],
                "dependencies": {"a/b": 3},
            }
        ).encode()
    )
    text = "\n".join(found)
    assert len(found) == 8
    assert "entrypoint: is not a known field; did you mean 'entry_point'?" in found
    assert "version: must be a semantic version such as 1.2.3" in text
    assert "artifacts[0].size: must be a whole number at least 0, not '3'" in text
    assert "artifacts[1].sha256: must be a SHA-256 digest" in text
    assert "artifacts[1].selector.match_expressions[0].operator: must be one of In, NotIn, Exists" in text
    assert "artifacts[2].selector.matchLabels: is not a known field; did you mean 'match_labels'?" in found
    assert "artifacts[2].sha256: is missing: write a SHA-256 digest" in text
    assert 'dependencies["a/b"]: must be' in text


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 5000, b'{"version": "1.0.0"} x'])
def test_what_is_no_document_is_refused_clearly(data: bytes) -> None:
    assert problems_of(data)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["version", "artifacts", "selector", "sha256", "source", "models", "service", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_release_or_a_named_refusal(values: Any) -> None:
    data = json.dumps(values).encode()
    try:
        document = read_json(data, Release)
    except DocumentError as error:
        refusal = error
    else:
        assert read_json(encode_json(document), Release) == document
        return
    assert refusal.problems
    assert all(p.message for p in refusal.problems)


@pytest.mark.parametrize(
    ("fields", "place", "says"),
    [
        ({"artifacts": [artifact(source="/etc/passwd")]}, "artifacts[0].source", "must be relative"),
        ({"artifacts": [artifact(source="../x.zip")]}, "artifacts[0].source", "'..'"),
        ({"artifacts": [artifact(source="C:x.zip")]}, "artifacts[0].source", "must be relative"),
        ({"artifacts": [artifact(source="a\\b.zip")]}, "artifacts[0].source", "forward slashes"),
        ({"artifacts": [artifact(size=None)]}, "artifacts[0].size", "is missing"),
        ({"artifacts": [artifact(source="ftp://h/x.zip")]}, "artifacts[0].source", "scheme 'ftp'"),
        ({"artifacts": [artifact(source="https://me:pw@h/x.zip")]}, "artifacts[0].source", "user name or password"),
        ({"artifacts": [artifact(source="https://h/a b.zip")]}, "artifacts[0].source", "white space"),
        ({"artifacts": [artifact(source="https://h/.zip")]}, "artifacts[0].source", "set `file`"),
        ({"artifacts": [artifact(file="manifest.json")]}, "artifacts[0].file", "full manifest"),
        ({"artifacts": [artifact(file="nul.zip")]}, "artifacts[0].file", "Windows"),
        ({"artifacts": [artifact(source="oci:h/x:latest")]}, "artifacts[0].source", "with a digest"),
        ({"artifacts": [artifact(source="oci:h/x@sha256:" + "b" * 64)]}, "artifacts[0].sha256", "same digest"),
        ({"artifacts": [artifact(bin="../../sh")]}, "artifacts[0].bin", "'..'"),
        ({"artifacts": [artifact(files=[{"from": "*", "to": "../x"}])]}, "artifacts[0].files[0].to", "'..'"),
        ({"artifacts": [artifact(), artifact()]}, "artifacts[1].selector", "any environment"),
        (
            {"artifacts": [artifact(), artifact(source="b.zip", selector={"match_labels": {"os": "linux"}})]},
            "artifacts[1].selector",
            "both match os=linux",
        ),
        ({"dependencies": {"slack": "^1"}}, 'dependencies["slack"]', "namespace/name"),
        ({"dependencies": {"a/b": ">>1"}}, 'dependencies["a/b"]', "write for example"),
        ({"models": [{"model_id": "m", "path": "/m"}]}, "models[0].path", "must be relative"),
        ({"service": {"command": []}}, "service.command", "is empty"),
    ],
)
def test_rules_beyond_the_types(fields: dict[str, Any], place: str, says: str) -> None:
    found = [message for where, message in release_problems(read_json(release(**fields), Release)) if where == place]
    assert any(says in message for message in found), found


def test_artifacts_with_different_tags_may_overlap_and_order_decides() -> None:
    parsed = read_json(
        release(artifacts=[artifact(tags=["cuda-12.1"]), artifact(source="cpu.zip", sha256="b" * 64)]), Release
    )
    assert list(release_problems(parsed)) == []


def test_a_newer_format_is_refused_with_the_advice_to_upgrade() -> None:
    with pytest.raises(FormatTooNewError) as caught:
        read_wire(b'{"format": 2, "anything": []}', IndexDocument, newest_format=1, what="index of acme/slack")
    assert "upgrade" in (caught.value.hint or "")


def test_clients_ignore_what_they_do_not_know_at_every_depth() -> None:
    document = {
        "format": 1,
        "namespace": "acme",
        "name": "slack",
        "version": "1.0.0",
        "new_field": 1,
        "artifacts": [{**artifact(), "new": {"a": 1}}],
        "service": {"command": ["x"], "health_check": {"endpoint": "/h", "newer": True}},
    }
    manifest = read_wire(json.dumps(document).encode(), PublishedManifest, newest_format=1, what="manifest")
    assert manifest.artifacts[0].sha256 == SHA
    assert manifest.service is not None
    with pytest.raises(DocumentError):
        read_wire(b'{"format": 1, "namespace": "../x"}', IndexDocument, newest_format=1, what="index")


@pytest.mark.parametrize("name", ["../../x", "a/b", ".hidden", "a\n", "", "x" * 201, "a\\b"])
def test_a_signed_index_document_still_cannot_name_a_file_outside_its_folder(name: str) -> None:
    document = {
        "format": 1, "namespace": "acme", "name": "slack", "type": "notify", "summary": "s",
        "releases": [{
            "version": "1.0.0", "manifest": {"size": 1, "sha256": SHA},
            "artifacts": [{"file": name, "sha256": SHA, "format": "zip"}],
        }],
    }  # fmt: skip
    with pytest.raises(DocumentError):
        read_wire(json.dumps(document).encode(), IndexDocument, newest_format=1, what="index")


def test_choosing_takes_the_first_that_fits_and_says_why_not() -> None:
    entry = {
        "version": "1.0.0", "manifest": {"size": 1, "sha256": SHA},
        "artifacts": [
            {"file": "gpu.zip", "sha256": SHA, "format": "zip", "tags": ["cuda-12.1"]},
            {"file": "linux.zip", "sha256": SHA, "format": "zip", "selector": {"match_labels": {"os": "linux"}}},
        ],
    }  # fmt: skip
    document = {"format": 1, "namespace": "a", "name": "b", "type": "t", "summary": "s", "releases": [entry]}
    index = read_wire(json.dumps(document).encode(), IndexDocument, newest_format=1, what="index")
    chosen, reasons = choose_artifact(index.releases[0], Environment(labels={"os": "linux"}))
    assert chosen is not None
    assert (chosen.file, [str(each) for each in reasons]) == ("linux.zip", ["needs tag cuda-12.1"])
    nothing, reasons = choose_artifact(index.releases[0], Environment(labels={"os": "plan9"}))
    assert nothing is None
    assert [str(each) for each in reasons] == ["needs tag cuda-12.1", "needs os=linux, here os=plan9"]
    assert [each.missing_tags for each in reasons] == [("cuda-12.1",), ()]


def test_events_add_up_in_order() -> None:
    def event(action: str, **fields: Any) -> StatusEvent:
        return msgspec.convert({"action": action, "at": "2026-11-21T12:00:00Z", "by": "ann", **fields}, StatusEvent)

    folded = fold_status((
        event("yank", version="1.0.0", why="broken"),
        event("yank", version="1.1.0"),
        event("unyank", version="1.1.0"),
        event("promote", version="1.2.0", channel="beta"),
        event("promote", version="1.2.0", channel="lts"),
        event("demote", version="1.2.0", channel="beta"),
        event("deprecate", use="acme/new", why="moved"),
    ))  # fmt: skip
    assert list(folded.yanked) == ["1.0.0"]
    assert folded.channels == {"1.2.0": ("lts",)}
    assert folded.deprecated is not None
    assert folded.deprecated.use == "acme/new"
    incomplete = PluginStatus(events=(event("yank"), event("promote", version="1.0.0"), event("deprecate", use="x")))
    assert [place for place, _ in status_problems(incomplete)] == [
        "events[0].version", "events[1].channel", "events[2].use",
    ]  # fmt: skip


def test_the_published_manifest_is_deterministic_and_leaves_the_schema_line_out() -> None:
    one = read_json(release(**{"$schema": "x", "default_config": {"b": 1, "a": 2}}), Release)
    two = read_json(release(default_config={"a": 2, "b": 1}), Release)
    encoded = [encode_json(published_manifest("acme", "slack", r)) for r in (one, two)]
    assert encoded[0] == encoded[1]
    assert b"schema" not in encoded[0]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_published_schemas_are_those_of_the_code(name: str) -> None:
    assert (DOCS / "schema" / f"{name}.schema.json").read_bytes() == encode_pretty(json_schema(name)), (
        "run: make schema"
    )
    jsonschema.Draft202012Validator.check_schema(json_schema(name))


def test_the_examples_of_the_specification_are_documents() -> None:
    kinds: list[type] = [IndexDocument, CatalogShard, PublishedManifest]
    names = ["index", "catalogue", "manifest"]
    examples = re.findall(r"```json\n(.*?)```", (DOCS / "format.md").read_text(), re.DOTALL)
    assert len(examples) == len(kinds)
    for example, kind, name in zip(examples, kinds, names, strict=True):
        document: Any = read_wire(example.encode(), kind, newest_format=1, what=name)
        assert json.loads(encode_json(document)) == json.loads(example), "a field of the example is unknown"
        jsonschema.validate(json.loads(example), json_schema(name))


def test_the_schema_and_the_code_refuse_the_same_typos() -> None:
    validator = jsonschema.Draft202012Validator(json_schema("plugin"))
    good = {"type": "notify", "summary": "s", "keywords": ["chat"]}
    assert validator.is_valid(good)
    read_json(json.dumps(good).encode(), Plugin)
    for bad in ({**good, "licence": "MIT"}, {**good, "summary": ""}, {"type": "notify"}, {**good, "keywords": ["A"]}):
        assert not validator.is_valid(bad)
        assert problems_of(json.dumps(bad).encode(), Plugin)
