"""What happens to releases later: one event each, who and why with it, seen by clients; the same again is nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.builder_cli import call, document
from support.source_trees import Tree
from support.stock_client import StockClient

from registry_builder.authoring.lifecycle import attest, evaluate, promote, yank
from registry_builder.authoring.status_file import Report, committer
from registry_builder.publication.checks import InvalidReleasesError
from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.source.lint.tree import lint_tree
from registry_builder.storage.folder import FolderStorage
from sealdex import Client, NotFoundError, VerificationError
from sealdex.config.config import Config, ConfigDocument, RegistrySection
from sealdex.errors import ConfigError, SealdexError, UsageError
from sealdex.model.catalog import CatalogRow
from sealdex.model.ids import PluginId
from sealdex.model.index import ReleaseEntry
from sealdex.resolve.search import Query

SLACK, MAIL = PluginId("acme", "slack"), PluginId("acme", "mail")
BY = ("--by", "Kim <kim@example.org>")


def test_who_makes_an_event_is_whom_git_s_variables_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        for field in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{field}", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    with pytest.raises(UsageError, match=r"git has no user\.name"):
        committer(tmp_path)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ann")
    assert committer(tmp_path) == "Ann"
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ann@example.org")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Kim")
    assert committer(tmp_path) == "Kim <ann@example.org>"
    monkeypatch.setenv("PATH", "")
    assert committer(tmp_path) == "Kim <ann@example.org>"  # git isn't needed


def run(tree: Tree) -> PublishResult:
    return publish_realm(open_publisher(tree.load(), "public"))


def stock(tree: Tree) -> StockClient:
    root = (tree.root / "trust/public/1.root.json").read_bytes()
    return StockClient(FolderStorage(tree.root.parent / "published/public"), root)


def entry(tree: Tree, plugin: str, version: str) -> ReleaseEntry:
    index = stock(tree).index(plugin)
    assert index is not None
    found = index.release(version)
    assert found is not None
    return found


def row(tree: Tree, plugin: str) -> CatalogRow:
    return next(hit.row for hit in client(tree).search(Query()) if str(hit.row.id) == plugin)


def client(tree: Tree) -> Client:
    base = tree.root.parent
    section = RegistrySection(
        url=(base / "published/public").as_uri(), root=str(tree.root / "trust/public/1.root.json")
    )
    return Client(Config(base / "config.toml", base / "store", ConfigDocument(registries={"acme": section})))


def events(tree: Tree, plugin: str) -> list[dict[str, Any]]:
    files = sorted((tree.root / "plugins" / plugin / "status").glob("*.json"))
    return [json.loads(file.read_bytes()) for file in files]


@pytest.fixture
def live(tree: Tree) -> Tree:
    tree.release("acme/slack", "1.1.0-rc.1", channel="beta")
    run(tree)
    return tree


def test_each_mark_is_an_event_that_clients_see_and_that_another_takes_back(
    live: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    root = live.root
    assert call(root, "yank", "acme/slack@1.0.0", "--why", "leaks", *BY) == 0
    assert call(root, "promote", "acme/slack@1.1.0-rc.1", "--channel", "stable", *BY) == 0
    assert call(root, "deprecate", "acme/mail", "--use", "acme/slack", "--why", "one is enough", *BY) == 0
    run(live)
    marked = entry(live, "acme/slack", "1.0.0").yanked
    assert marked is not None
    assert (marked.by, marked.why) == ("Kim <kim@example.org>", "leaks")
    assert entry(live, "acme/slack", "1.1.0-rc.1").channels == ("beta", "stable")
    # 1.0.0 is yanked, so of stable there is nothing but the pre-release
    assert row(live, "acme/slack").latest == "1.1.0-rc.1"
    assert (row(live, "acme/mail").deprecated, row(live, "acme/mail").use) == ("one is enough", "acme/slack")
    assert call(root, "unyank", "acme/slack@1.0.0", *BY) == 0
    assert call(root, "demote", "acme/slack@1.1.0-rc.1", "--channel", "stable", *BY) == 0
    assert call(root, "undeprecate", "acme/mail", *BY) == 0
    run(live)
    assert entry(live, "acme/slack", "1.0.0").yanked is None
    assert entry(live, "acme/slack", "1.1.0-rc.1").channels == ("beta",)
    assert row(live, "acme/slack").latest == "1.0.0"
    assert row(live, "acme/mail").deprecated is None
    # history keeps all of it
    assert [event["action"] for event in events(live, "acme/slack")] == ["yank", "promote", "unyank", "demote"]
    assert [event["action"] for event in events(live, "acme/mail")] == ["deprecate", "undeprecate"]


def test_the_same_again_writes_nothing_and_another_reason_does(live: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    first = document(live.root, capsys, "yank", "acme/slack@1.0.0", "--why", "leaks", *BY)
    assert first["written"]
    again = document(live.root, capsys, "yank", "acme/slack@1.0.0", "--by", "someone else")
    assert not again["written"]
    assert "already yanked, by Kim" in again["note"]
    assert document(live.root, capsys, "yank", "acme/slack@1.0.0", "--why", "and worse", *BY)["written"]
    for same in (
        ("unyank", "acme/slack@1.1.0-rc.1"),
        ("promote", "acme/slack@1.0.0", "--channel", "stable"),
        ("demote", "acme/slack@1.0.0", "--channel", "nightly"),
        ("undeprecate", "acme/mail"),
    ):
        assert not document(live.root, capsys, *same, *BY)["written"]
    assert len(events(live, "acme/slack")) == 2


def test_a_name_that_is_not_there_gets_the_nearest_and_nothing_is_written(
    live: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    for args, meant in (
        (("yank", "acme/slakc@1.0.0"), "acme/slack"),
        (("yank", "acme/slack@1.0.1"), "1.0.0"),
        (("deprecate", "acme/mail", "--use", "acme/slck"), "acme/slack"),
    ):
        assert call(live.root, *args, *BY) == 3
        said = capsys.readouterr().err
        assert meant in said
        assert "no event was written" in said
    assert call(live.root, "yank", "acme/slack", *BY) == 2
    assert "@1.2.0" in capsys.readouterr().err
    assert call(live.root, "deprecate", "acme/mail", "--use", "acme/mail", *BY) == 2
    assert call(live.root, "demote", "acme/slack@1.0.0", "--channel", "stable", *BY) == 2
    assert "yank" in capsys.readouterr().err
    assert not list(live.root.glob("plugins/*/*/status.json"))


def test_who_is_asked_of_git(live: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("GIT_CONFIG_GLOBAL", os.devnull), ("GIT_CONFIG_SYSTEM", os.devnull), ("GIT_DIR", os.devnull)):
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="author of this event is not known"):
        yank(live.root, SLACK, "1.0.0")
    for number, (key, value) in enumerate((("user.name", "Kim"), ("user.email", "kim@example.org"))):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    monkeypatch.delenv("GIT_DIR")
    change = yank(live.root, SLACK, "1.0.0")
    assert change.event is not None
    assert change.event.by == "Kim <kim@example.org>"


def test_a_damaged_status_is_left_alone(live: Tree) -> None:
    path = live.root / "plugins/acme/slack/status.json"
    path.write_text('{"events": [{"action": "yonk"}]}')
    with pytest.raises(ConfigError, match="events"):
        yank(live.root, SLACK, "1.0.0", by="kim")
    assert path.read_text() == '{"events": [{"action": "yonk"}]}'


# --- evaluations ------------------------------------------------------------------------------------------------------


def report_file(folder: Path, **fields: Any) -> Path:
    path = folder / "report.json"
    path.write_text(json.dumps({"metrics": {"top1": 0.83, "latency-ms": 12}, "dataset": "imagenet-val", **fields}))
    return path


def test_an_evaluation_is_published_pinned_shown_and_searched(live: Tree, tmp_path: Path) -> None:
    report = report_file(tmp_path, evaluator="bench-7")
    evaluate(live.root, SLACK, "1.0.0", Report(path=report), by="kim")
    assert not lint_errors(live)
    before = run(live).plan
    assert [upload.key for upload in before.attachments] == ["plugins/acme/slack/1.0.0/report.json"]
    found = entry(live, "acme/slack", "1.0.0")
    assert found.evaluations[0].metrics == {"top1": 0.83, "latency-ms": 12}
    assert (found.evaluations[0].dataset, found.evaluations[0].evaluator) == ("imagenet-val", "bench-7")
    assert [a.kind for a in found.attachments] == ["evaluation"]
    assert row(live, "acme/slack").metrics == {"top1": 0.83, "latency-ms": 12}
    one = client(live)
    assert one.attachment("acme/slack", "1.0.0", "report.json") == report.read_bytes()
    found_by = [str(hit.row.id) for hit in one.search(Query(min_metrics={"top1": 0.8}))]
    assert found_by == ["acme/slack"]
    assert one.search(Query(min_metrics={"top1": 0.9})) == []
    assert one.search(Query(max_metrics={"latency-ms": 10})) == []
    assert not run(live).committed


def test_an_evaluation_again_is_nothing_and_a_second_report_has_its_own_name(live: Tree, tmp_path: Path) -> None:
    report = report_file(tmp_path)
    assert evaluate(live.root, SLACK, "1.0.0", Report(path=report), by="kim").event is not None
    assert evaluate(live.root, SLACK, "1.0.0", Report(path=report), by="another").event is None
    report_file(tmp_path, dataset="imagenet-v2")
    second = evaluate(live.root, SLACK, "1.0.0", Report(path=report), by="kim").event
    assert second is not None
    assert second.name == f"report-{hashlib.sha256(report.read_bytes()).hexdigest()[:12]}.json"
    run(live)
    found = entry(live, "acme/slack", "1.0.0")
    assert [each.dataset for each in found.evaluations] == ["imagenet-val", "imagenet-v2"]
    assert len(found.attachments) == 2


def test_a_report_elsewhere_is_pinned_and_not_copied(live: Tree) -> None:
    with pytest.raises(UsageError, match="SHA-256"):
        evaluate(live.root, SLACK, "1.0.0", Report(url="https://ci.example/r.json"), metrics={"top1": 1}, by="kim")
    report = Report(url="https://ci.example/7/r.json", sha256="a" * 64, size=7)
    evaluate(live.root, SLACK, "1.0.0", report, metrics={"top1": 1}, by="kim")
    assert run(live).plan.attachments == ()
    attached = entry(live, "acme/slack", "1.0.0").attachments[0]
    assert (attached.name, attached.url, attached.size) == ("r.json", "https://ci.example/7/r.json", 7)


def test_an_evaluation_without_metrics_is_refused(
    live: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"%PDF")
    assert call(live.root, "evaluate", "acme/slack@1.0.0", path, *BY) == 2
    assert "--metric" in capsys.readouterr().err
    assert call(live.root, "evaluate", "acme/slack@1.0.0", path, "--metric", "top1=nan", *BY) == 2
    assert call(live.root, "evaluate", "acme/slack@1.0.0", path, "--metric", "top1=0.5", *BY) == 0
    assert (live.root / "plugins/acme/slack/attachments/1.0.0/report.pdf").read_bytes() == b"%PDF"


def test_a_yanked_release_takes_its_metrics_out_of_search(live: Tree, tmp_path: Path) -> None:
    evaluate(live.root, SLACK, "1.0.0", Report(path=report_file(tmp_path)), by="kim")
    yank(live.root, SLACK, "1.0.0", by="kim")
    run(live)
    assert row(live, "acme/slack").metrics == {}


# --- attestations -----------------------------------------------------------------------------------------------------


def digest_of(tree: Tree) -> str:
    manifest = json.loads((tree.root / "plugins/acme/slack/releases/1.0.0.json").read_bytes())
    return str(manifest["artifacts"][0]["sha256"])


def statement(digest: str, **fields: Any) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "slack", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
        **fields,
    }


CYCLONEDX = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": "slack",
    "documentNamespace": "https://example.org/slack",
    "dataLicense": "CC0-1.0",
    "creationInfo": {"created": "2026-11-21T12:00:00Z", "creators": ["Tool: test"]},
}


def written(folder: Path, name: str, value: object) -> Path:
    path = folder / name
    path.write_text(json.dumps(value))
    return path


def test_attestations_are_known_by_content_and_pinned(live: Tree, tmp_path: Path) -> None:
    for name, value, kind in (
        ("slack.cdx.json", CYCLONEDX, "cyclonedx"),
        ("slack.spdx.json", SPDX, "spdx"),
        ("provenance.json", statement(digest_of(live)), "in-toto"),
    ):
        event = attest(live.root, SLACK, "1.0.0", written(tmp_path, name, value), by="kim").event
        assert event is not None
        assert event.kind == kind
    assert attest(live.root, SLACK, "1.0.0", tmp_path / "slack.cdx.json", by="kim").event is None
    run(live)
    found = entry(live, "acme/slack", "1.0.0").attachments
    assert [(a.name, a.kind) for a in found] == [
        ("slack.cdx.json", "cyclonedx"),
        ("slack.spdx.json", "spdx"),
        ("provenance.json", "in-toto"),
    ]
    held = client(live).attachment("acme/slack", "1.0.0", "provenance.json")
    assert json.loads(held)["subject"][0]["digest"]["sha256"] == digest_of(live)
    with pytest.raises(NotFoundError, match=r"it has slack\.cdx\.json"):
        client(live).attachment("acme/slack", "1.0.0", "none.json")


def test_an_attestation_about_something_else_is_refused(live: Tree, tmp_path: Path) -> None:
    """Attacker: an author who wants another artifact's good provenance to stand beside this release."""
    stolen = written(tmp_path, "provenance.json", statement("b" * 64))
    with pytest.raises(ConfigError, match="does not name an artifact of this release"):
        attest(live.root, SLACK, "1.0.0", stolen, by="kim")
    assert not (live.root / "plugins/acme/slack/attachments").exists()
    assert not (live.root / "plugins/acme/slack/status.json").exists()


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"bomFormat": "CycloneDX"}, "specVersion"),
        ({"spdxVersion": "SPDX-2.3"}, "documentNamespace"),
        ({"_type": "https://in-toto.io/Statement/v1"}, "predicateType"),
        ({"payloadType": "application/vnd.in-toto+json", "payload": "!!"}, "signatures"),
        ({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}, "verificationMaterial"),
    ],
)
def test_what_only_looks_like_an_attestation_is_refused(
    live: Tree, tmp_path: Path, value: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        attest(live.root, SLACK, "1.0.0", written(tmp_path, "a.json", value), by="kim")


def test_what_is_of_no_known_kind_needs_its_kind(live: Tree, tmp_path: Path) -> None:
    path = written(tmp_path, "notes.json", {"hello": 1})
    with pytest.raises(UsageError, match="--kind"):
        raise_with_hint(lambda: attest(live.root, SLACK, "1.0.0", path, by="kim"))
    assert attest(live.root, SLACK, "1.0.0", path, kind="notes", by="kim").event is not None


def raise_with_hint(call_it: Any) -> None:
    try:
        call_it()
    except SealdexError as error:
        raise type(error)(f"{error.message} {error.hint}") from error


def test_an_attachment_never_takes_the_name_of_the_manifest_or_an_artifact(live: Tree, tmp_path: Path) -> None:
    """Attacker: an author who would have a client read an SBOM where it expects the release's own files."""
    for name in ("manifest.json", "slack-1.0.0.bin"):
        event = attest(live.root, SLACK, "1.0.0", written(tmp_path, name, CYCLONEDX), by="kim").event
        assert event is not None
        assert event.name != name


def test_a_changed_or_linked_attachment_stops_the_publish(live: Tree, tmp_path: Path) -> None:
    """Attacker: a pull request whose attachment is a link to a file of the machine that publishes."""
    attest(live.root, SLACK, "1.0.0", written(tmp_path, "a.json", CYCLONEDX), by="kim")
    path = live.root / "plugins/acme/slack/attachments/1.0.0/a.json"
    path.unlink()
    path.symlink_to(tmp_path / "a.json")  # the right bytes, in the wrong place
    with pytest.raises(InvalidReleasesError, match="link that leaves"):
        run(live)
    assert any("link that leaves" in problem for problem in lint_errors(live))
    path.unlink()
    path.write_text("{}")
    with pytest.raises(InvalidReleasesError, match="is not the file"):
        run(live)
    path.unlink()
    with pytest.raises(InvalidReleasesError, match="can't be read"):
        run(live)
    assert entry(live, "acme/slack", "1.0.0").attachments == ()


def test_a_published_attachment_that_was_changed_is_refused(live: Tree, tmp_path: Path) -> None:
    """Attacker: writes to the bucket. The client gets nothing but what the index pins."""
    attest(live.root, SLACK, "1.0.0", written(tmp_path, "a.json", CYCLONEDX), by="kim")
    run(live)
    key = live.root.parent / "published/public/plugins/acme/slack/1.0.0/a.json"
    key.write_bytes(key.read_bytes().replace(b"1.6", b"1.5"))
    with pytest.raises(VerificationError):
        client(live).attachment("acme/slack", "1.0.0", "a.json")


def lint_errors(tree: Tree) -> list[str]:
    return [str(problem) for problem in lint_tree(tree.load()) if problem.severity == "error"]


def test_what_was_attached_stays_when_the_plugin_leaves_the_tree(live: Tree, tmp_path: Path) -> None:
    attest(live.root, SLACK, "1.0.0", written(tmp_path, "a.json", CYCLONEDX), by="kim")
    promote(live.root, SLACK, "1.0.0", "lts", by="kim")
    run(live)
    (live.root / "plugins/acme/slack/releases/1.0.0.json").unlink()
    (live.root / "plugins/acme/slack/status.json").unlink()
    shutil.rmtree(live.root / "plugins/acme/slack/status")
    run(live)
    assert [a.name for a in entry(live, "acme/slack", "1.0.0").attachments] == ["a.json"]
