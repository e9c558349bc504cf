"""A plugin's page in the order in which people decide, and a README as its author meant it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.private_sigstore import PrivateSigstore, statement, workflow
from support.site_pages import Publish, pages_of
from support.source_trees import Tree

from registry_builder.authoring.lifecycle import attest
from registry_builder.site._code_blocks import coloured
from registry_builder.site._drawings import charts, timeline
from registry_builder.site._neighbours import dependency_drawing
from registry_builder.site._provenance import provenance_of
from registry_builder.site._readme_html import headings_of, render_readme
from registry_builder.site.plugin_view import LinkedPlugin
from sealdex.model.ids import PluginId
from sealdex.model.index import FilePin, IndexDocument, ReleaseEntry
from sealdex.model.plugin import Evaluation

PIN = FilePin(1, "0" * 64)


def event(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, "at": "2026-11-21T12:00:00Z", "by": "ann", **fields}


def release(version: str, day: str | None, **metrics: float) -> ReleaseEntry:
    evaluations = (Evaluation(at="2026-11-21T12:00:00Z", by="ann", metrics=metrics, dataset="coco"),) if metrics else ()
    return ReleaseEntry(version, PIN, released_at=day and f"{day}T12:00:00Z", evaluations=evaluations)


def document(*releases: ReleaseEntry) -> IndexDocument:
    return IndexDocument(format=1, namespace="acme", name="slack", type="notify", summary="s", releases=releases)


def test_the_page_has_its_parts_in_the_order_in_which_people_decide(tree: Tree, run: Publish, site: Path) -> None:
    tree.release("acme/slack", "1.1.0", changelog="- **new**", released_at="2026-11-22T12:00:00Z")
    tree.release("acme/slack", "1.2.0", released_at="2026-11-23T12:00:00Z", dependencies={"acme/base": "^1.0"})
    measured = [event("evaluate", version=v, metrics={"top1": 0.5 + n / 10}) for n, v in enumerate(("1.1.0", "1.2.0"))]
    tree.status("acme/slack", *measured)
    assert run().warnings == []
    page = (site / "acme/slack/index.html").read_text()
    parts = re.findall(r'<h2 id="([a-z]+)">', page)
    assert parts[: parts.index("evaluations") + 1] == [
        "install", "signed", "readme", "changes", "releases", "evaluations"
    ]  # fmt: skip
    head = page[page.index("<h1>") : page.index('<div class="columns">')]
    assert '<time datetime="2026-11-23T12:00:00Z">23 November 2026</time>' in head
    assert "<li>MIT</li>" in head
    assert "any system" in head
    assert 'data-last-year="2026-11-21 2026-11-22 2026-11-23" hidden' in head or "data-last-year=" in head
    assert "<strong>new</strong>" in page
    assert page.count('class="drawing"') == 2  # releases over time, one metric; and what it needs
    assert 'class="drawing graph"' in page
    assert 'href="../../acme/slack/"' in (site / "acme/base/index.html").read_text()


def test_nothing_of_today_stands_on_a_page(tree: Tree, run: Publish, site: Path) -> None:
    """Scripts fill it in: a page is the same bytes on every day."""
    run()
    shown = pages_of(site)["acme/slack/index.html"]
    for name in ("data-last-year", "data-checked"):
        places = [attributes for _, attributes in shown.elements if name in attributes]
        assert [("hidden" in attributes) for attributes in places] == [True], name


def test_the_home_page_says_what_is_new_and_what_others_build_on(tree: Tree, run: Publish, site: Path) -> None:
    for number in range(8):
        tree.plugin(f"new/tool-{number}")
        tree.release(f"new/tool-{number}", "1.0.0", released_at=f"2026-11-{number + 1:02d}T12:00:00Z")
    tree.release("new/tool-0", "1.1.0", released_at="2026-11-30T12:00:00Z")  # recent, and not new
    run()
    page = (site / "index.html").read_text()
    new = re.search(r'<h2 id="new">.*?</section>', page, re.DOTALL)
    used = re.search(r'<h2 id="used">.*?</section>', page, re.DOTALL)
    assert new is not None
    assert used is not None
    assert "tool-7" in new[0]
    assert "tool-0" not in new[0]
    assert re.findall(r"acme/</span>(\w+)</a> <span class=\"quiet\">([^<]*)", used[0]) == [
        ("base", "needed by 1 plugin")
    ]


def test_lists_say_where_their_pages_begin_in_one_document(tree: Tree, run: Publish, site: Path) -> None:
    for number in range(120):
        tree.plugin(f"many/plugin-{number:03d}", keywords=[f"word-{number}"])
    run()
    whole = json.loads((site / "namespaces/many/index.json").read_bytes())
    assert whole["total"] == 120
    assert len(whole["pages"]) > 1
    for page in whole["pages"]:
        text = (site / page["page"] / "index.html").read_text()
        name = page["first"].partition("/")[2]
        assert text.index(f"</span>{name}</a>") == text.index("</span>plugin-"), page
    second = json.loads((site / whole["pages"][1]["page"] / "index.json").read_bytes())
    assert "total" not in second  # or each plugin more would rewrite them all
    names = json.loads((site / "docs/keywords.json").read_bytes())
    assert names["total"] == 122  # chat and core besides
    assert names["counts"]["core"] == 2
    assert [(site / page["page"] / "index.html").is_file() for page in names["pages"]] == [True] * len(names["pages"])


def test_a_readme_has_what_other_hosts_render() -> None:
    html = render_readme(
        b"> [!WARNING]\n> Mind *it*\n\n- [x] done\n- [ ] open\n\nText[^a]\n\n[^a]: The note\n\n"
        b"```python\nprint('<a>')\n```\n\n```mermaid\nx\n```\n",
        "slack",
    )
    assert '<div class="markdown-alert markdown-alert-warning">\n<p class="markdown-alert-title">Warning</p>' in html
    assert '<li class="task-list-item">\u2611 done</li>' in html
    assert '<li class="task-list-item">\u2610 open</li>' in html
    assert 'href="#readme-fn1" id="readme-fnref1"' in html
    assert '<li id="readme-fn1">' in html
    assert '<span class="h-nb">print</span>' in html
    assert "&lt;a&gt;" in html
    assert '<pre tabindex="0"><code>x\n</code></pre>' in html
    assert html.count('data-copy="this code"') == 2


@pytest.mark.parametrize(
    "code",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</code></pre><h1>x</h1>", "&lt;b&gt; &amp;"],
)
@pytest.mark.parametrize("language", ["python", "html", "bash", "json", "js", "c++"])
def test_attack_coloured_code_is_text(language: str, code: str) -> None:
    # Attack: what an author writes as code goes round the sanitiser. All of it must stay text.
    assert set(re.findall(r"<[^>]*>", coloured(code, language))) <= set(
        re.findall(r'<span class="h-\w+">|</span>', coloured(code, language))
    )
    html = render_readme(f"```{language}\n{code}\n```\n".encode(), "x")
    assert set(re.findall(r"<(\w+)", html)) <= {"div", "pre", "code", "span"}


@pytest.mark.parametrize(("language", "most"), [("python", 8_000), ("bash", 2_000)])
def test_code_is_coloured_up_to_a_length_and_shown_beyond_it(language: str, most: int) -> None:
    code = "if true\n" * (most // 8)
    for text, is_coloured in ((code, True), (f"{code}#", False)):
        html = render_readme(f"```{language}\n{text}".encode(), "x")
        assert ('class="h-' in html) == is_coloured
        assert re.sub(r"<[^>]+>", "", html).strip() == text.strip()


def test_many_blocks_are_coloured_as_far_as_a_text_may_take() -> None:
    block = "```sh\necho one\n```\n\n"
    assert render_readme((block * 160).encode(), "x").count('"h-nb"') == 150
    assert render_readme((block * 160).encode(), "x").count("echo") == 160


def test_attack_a_placeholder_of_code_can_not_be_written() -> None:
    # Attack: the author writes the placeholder of a block, to have spans put into an attribute or elsewhere.
    source = "```python\nx = 1\n```\n"
    for known in (b"code blocks\n", b"code blocks\n" + source.encode(), b""):
        mark = f"{hashlib.sha256(known).hexdigest()}0000"
        html = render_readme(f'{mark} <abbr title="{mark}">t</abbr>\n\n{source}'.encode(), "x")
        assert html.count('class="h-') == 3
        assert f'<p>{mark} <abbr title="{mark}">t</abbr></p>' in html


def test_a_readmes_contents_lead_to_its_headings() -> None:
    html = render_readme("# t\n\n## 安装 `x`\n\n### Two & three\n\n#### Deep\n\n<h2>In HTML</h2>\n".encode(), "t")
    found = headings_of(html)
    assert [(each.level, each.text) for each in found] == [(0, "安装 x"), (1, "Two & three"), (0, "In HTML")]
    assert found[0].place == "readme-%E5%AE%89%E8%A3%85-x"


def test_releases_are_drawn_at_their_distances_in_time() -> None:
    drawn = timeline(
        document(release("1.2.0", "2026-01-31"), release("1.1.0", "2026-01-11"), release("1.0.0", "2026-01-01"))
    )
    assert drawn is not None
    assert [(point.version, point.x) for point in drawn.points] == [("1.0.0", 6), ("1.1.0", 102), ("1.2.0", 294)]
    assert (drawn.first, drawn.last) == ("2026-01-01", "2026-01-31")
    few = document(release("1.1.0", None), release("1.0.0", "2026-01-01"))
    assert timeline(few) is None
    assert timeline(document(*(release(f"1.{n}.0", "2026-01-01") for n in range(3)))) is None


def test_evaluations_are_drawn_where_releases_share_metric_and_data() -> None:
    found = charts(
        document(release("1.2.0", None, top1=0.8, f1=1), release("1.1.0", None), release("1.0.0", None, top1=0.6))
    )
    assert [(chart.metric, chart.low, chart.high, len(chart.points)) for chart in found] == [("top1", "0.6", "0.8", 2)]
    assert found[0].line == "6,90 294,6"  # the higher the value, the further up
    flat = charts(document(release("1.1.0", None, top1=1), release("1.0.0", None, top1=1)))
    assert flat[0].line == "6,48 294,48"


def test_neighbours_are_drawn_up_to_a_number() -> None:
    many = [LinkedPlugin(f"acme/tool-{n}", None) for n in range(20)]
    drawn = dependency_drawing("acme/slack", many, [LinkedPlugin("b/" + "x" * 60, None)])
    assert drawn is not None
    assert [box.more for box in drawn.boxes if box.more] == [12]
    assert len(drawn.lines) == 10
    assert max(len(box.text) for box in drawn.boxes) == 30
    assert (drawn.plugin.x, drawn.width) == (300, 820)
    assert dependency_drawing("acme/slack", [], []) is None


def test_a_side_without_neighbours_takes_no_room() -> None:
    needed = dependency_drawing("acme/slack", [], [LinkedPlugin("acme/suite", None)])
    needing = dependency_drawing("acme/slack", [LinkedPlugin("acme/base", None)], [])
    assert needed is not None
    assert needing is not None
    assert (needed.plugin.x, needed.boxes[0].x, needed.width) == (0, 270, 520)
    assert (needing.plugin.x, needing.width) == (300, 520)


COMMIT = "0123456789abcdef0123456789abcdef01234567"
_ACCEPTED = """
[attestations]
trusted_root = "trusted_root.json"
[[attestations.accept]]
namespaces = ["acme"]
identity = "https://github.com/{team}/*"
issuer = "https://token.actions.githubusercontent.com"
"""


@pytest.mark.parametrize("team", ["acme", "others"], ids=["accepted", "of a signer who isn't accepted"])
def test_provenance_is_verified_by_the_registrys_policy_alone(tree: Tree, run: Publish, site: Path, team: str) -> None:
    """A bundle that really verifies, with the real library; what differs is whom the registry accepts."""
    sigstore = PrivateSigstore()
    source = ("https://github.com/acme/slack", COMMIT)
    artifact = (tree.root / "plugins/acme/slack/dist/slack-1.0.0.bin").read_bytes()
    digest = hashlib.sha256(artifact).hexdigest()
    path = tree.root.parent / "slack.sigstore.json"
    path.write_bytes(sigstore.attest(workflow("acme/slack"), statement(digest), source=source))
    sigstore.trusted_root(tree.root / "trusted_root.json")
    with (tree.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write(_ACCEPTED.format(team="acme"))
    assert attest(tree.root, PluginId("acme", "slack"), "1.0.0", path, by="kim").event is not None
    run()
    if team == "others":  # later the registry accepts others: what is published stays, and is no longer verified
        said = tree.root / "registry.toml"
        said.write_text(said.read_text().replace("github.com/acme/*", "github.com/others/*"))
        assert run().warnings == []
    for key in ("acme/slack/index.html", "acme/slack/1.0.0/index.html"):
        page = (site / key).read_text()
        trust = page[page.index('<h2 id="signed">') :]
        shown = "verified" if team == "acme" else "not verified here"
        assert re.search(rf'Provenance <span class="tag {"good" if team == "acme" else ""}">{shown}</span>', trust)
        assert f'<a href="{source[0]}" rel="nofollow noopener noreferrer">github.com/acme/slack</a>' in trust
        assert f'<a href="{source[0]}/commit/{COMMIT}" rel="nofollow noopener noreferrer"><code>{COMMIT[:12]}' in trust
        assert f"signed by {workflow('acme/slack')}" in trust


def test_provenance_is_what_the_signers_certificate_says() -> None:
    sigstore = PrivateSigstore()
    bundle = sigstore.sign(workflow("acme/slack"), b"the artifact")
    found = provenance_of(bundle)
    assert found is not None
    assert found.identity == workflow("acme/slack")
    assert not found.verified
    for hostile in (
        b"{}",
        b"[]",
        b'{"verificationMaterial": {"certificate": {"rawBytes": "AAAA"}}}',
        b"\xff",
        b'{"verificationMaterial": 7}',
    ):
        assert provenance_of(hostile) is None
