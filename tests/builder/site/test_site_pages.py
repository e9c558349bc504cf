"""The pages themselves: what authors write stays text, links lead somewhere, feeds and badges are well formed."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from support.site_pages import Document, Publish, dead_links, pages_of, parsed
from support.source_trees import Tree

from registry_builder.site import urls
from registry_builder.site._format import format_selector
from registry_builder.site._offline_verifier import offline_verifier
from registry_builder.site._readme_html import render_readme
from registry_builder.site._schema_table import setting_rows
from registry_builder.site.page_context import POLICY
from registry_builder.site.templates import Templates
from registry_builder.source.config import SiteSection
from sealdex.errors import ConfigError, SealdexError

ATOM = "{http://www.w3.org/2005/Atom}"
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}</title></style>"
LOADING = {"script", "style", "iframe", "object", "embed", "base", "form", "svg", "math", "link", "meta", "video"}

# One line a trick; each alone must leave nothing that runs, styles, loads or covers the page.
TRICKS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=https://attacker.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "![x](https://attacker.example/pixel.png)",
    "<svg/onload=alert(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='//attacker.example/'>x</a>",
    "<a href='../../index.html'>x</a>",
    "[x](javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:alert(1))",
    "<javascript:alert(1)>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<style>*{display:none}</style>",
    "<p class='notice stop' id='main'>x</p>",
    "<link rel=stylesheet href=https://attacker.example/x.css>",
    "<meta http-equiv=refresh content='0;url=https://attacker.example/'>",
    "<base href=https://attacker.example/>",
    "<form action=https://attacker.example/><input name=q><button>x</button></form>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<details ontoggle=alert(1) open><summary>x</summary></details>",
    '```"><script>alert(1)</script>\nx\n```',
    "</div></section></main><h1>Another page</h1>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "# <img src=x onerror=alert(1)>",
    "<a id=x></a><a id=x name=y href='javascript:alert(1)'>x</a>",
    "<a name=body></a><p id=readme></p><p id='main'></p><p id=readme-x></p>",
    "<img name=body id=cookie src='https://attacker.example/pixel.png'>",
    "<a href='https://x.example'><img src='javascript:alert(1)' alt='<script>alert(1)</script>'></a>",
    "<img alt='\"><script>alert(1)</script>' src='https://x.example/\"onclick=alert(1)'>",
    "<h1 id='a\"onclick=alert(1)'>x</h1><h2 onclick=alert(1)>y</h2>",
    "<a name='\"><svg onload=alert(1)>'></a>",
    "<a href='#main'>x</a><a href='#readme'>x</a><a href='#'>x</a>",
]
ALLOWED_ATTRIBUTES = {
    "href", "title", "open", "id", "start", "colspan", "rowspan", "rel", "tabindex", "role", "aria-label", "class",
    "data-copy",
}  # fmt: skip


OWN_CLASSES = {"scroll", "code"}


def xml(path: Path) -> ET.Element:
    return ET.parse(path).getroot()  # noqa: S314  # our own pages, just built


def check_harmless(document: Document) -> None:
    places = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(places) == len({*places})
    for tag, attributes in document.elements:
        assert "name" not in attributes  # by which a form or document could be made to answer
        assert tag not in LOADING | {"img", "input", "button", "main", "section", "h1", "h2"}, tag
        assert set(attributes) <= ALLOWED_ATTRIBUTES, attributes
        assert set((attributes.get("class") or "").split()) <= OWN_CLASSES
        assert (attributes.get("id") or "readme-").startswith("readme-")
        assert re.match(r"https?://|mailto:|#readme-", attributes.get("href") or "#readme-"), attributes


@pytest.mark.parametrize("trick", TRICKS)
def test_a_readme_can_neither_run_nor_style_nor_load(trick: str) -> None:
    # Attack: an author writes what a browser would act on. What is left is text, links and structure.
    document = parsed(render_readme(f"Before\n\n{trick}\n\nAfter".encode(), "slack").encode())
    check_harmless(document)
    assert "Before" in document.text


@given(st.lists(st.sampled_from(TRICKS) | st.text(max_size=20), max_size=6))
def test_no_combination_of_tricks_makes_a_readme_harmful(parts: list[str]) -> None:
    for glue in ("\n\n", "\n", ""):
        check_harmless(parsed(render_readme(glue.join(parts).encode("utf-8", "replace"), "slack").encode()))


@pytest.mark.parametrize(
    ("markdown", "links"),
    [
        ("See https://x.example/a?b=1&c=2.", {"https://x.example/a?b=1&c=2": "https://x.example/a?b=1&c=2"}),
        ("(https://x.example/A_(b)), then", {"https://x.example/A_(b)": "https://x.example/A_(b)"}),
        ("**http://x.example**", {"http://x.example": "http://x.example"}),
        ("[text](https://x.example)", {"https://x.example": "text"}),
        ("[https://said.example](https://x.example)", {"https://x.example": "https://said.example"}),
        ('<a href="https://x.example">https://said.example</a>', {"https://x.example": "https://said.example"}),
        ("`https://x.example` www.x.example ftp://x.example javascript:alert(1) //x.example https://", {}),
        ('https://x.example/"onclick="alert(1)', {"https://x.example/": "https://x.example/"}),
    ],
)
def test_an_address_in_a_readme_is_a_link(markdown: str, links: dict[str, str]) -> None:
    html = render_readme(markdown.encode(), "slack")
    found = dict(re.findall(r'<a href="([^"]*)"[^>]*>(.*?)</a>', unescape(html)))
    assert found == links


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        # an image in a link, in every way to write it, is its text; the link stays
        ("<a href='https://x.example'><img src='https://y.example/b.svg' alt='build'></a>", '<a href="https://x.example">build</a>'),
        ("<a href='https://x.example'>\n\n![build](https://y.example/b.svg)\n\n</a>", '<a href="https://x.example">\n<p>build</p>\n</a>'),
        ("<a href='https://x.example'>![build](https://y.example/b.svg)</a>", '<a href="https://x.example">build</a>'),
        ("[![build](https://y.example/b.svg)](https://x.example)", '<a href="https://x.example">build</a>'),
        # one outside of a link is a link to it
        ("<img src='https://y.example/b.svg' alt='build'>", '<a href="https://y.example/b.svg">build</a>'),
        ("<p><img src='https://y.example/b.svg'></p>", '<p><a href="https://y.example/b.svg">image</a></p>'),
        ("<img src='logo.png' alt='Logo'> x", "<a>Logo</a> x"),
        ("<picture><source srcset='x'><img src='https://y.example/l.png' alt='Logo'></picture>", ">Logo</a>"),
        # nothing is an empty link
        ("<a href='https://x.example'><svg></svg></a>x", "<p>x</p>"),
        ("[](https://x.example)x", "<p>x</p>"),
        # places to link to
        ("<a name='top'></a>\n\n[up](#top)", '<a href="#readme-top">up</a>'),
        ("<a name='top'></a>\n\n[up](#top)", '<a id="readme-top"></a>'),
        ("<a name='top' href='#top'></a>", '<a id="readme-top"></a>'),
        ("<div id='usage'>u</div>\n\n[use](#usage)", '<div id="readme-usage">u</div>'),
        ("<h1 align='center'>The tool</h1>\n\n[t](#the-tool)", '<h3 id="readme-the-tool">The tool</h3>'),
        ("<h2 id='own'>The tool</h2>\n\n[t](#own)", '<a href="#readme-own">t</a>'),
        ("## Getting Started\n\n[g](#Getting-Started)", '<a href="#readme-getting-started">g</a>'),
        ("## 安装\n\n[安装](#安装)", '<a href="#readme-%E5%AE%89%E8%A3%85">安装</a>'),
        ("## Use\n\n## Use\n\n[second](#use-1)", '<a href="#readme-use-1">second</a>'),
        ("[nowhere](#gone)", "<a>nowhere</a>"),
    ],
)  # fmt: skip
def test_images_and_places_of_a_readme_are_kept_as_text_and_links(markdown: str, html: str) -> None:
    made = render_readme(markdown.encode(), "slack").replace(' rel="nofollow noopener noreferrer"', "")
    assert html in made
    assert re.search(r"<a href[^>]*>\s*</a>", made) is None


def test_a_readme_says_what_it_says() -> None:
    html = render_readme(b"# Slack\n\nA *word*, a [link](https://x.example/a?b=1&c=2), `code`.\n\n#### Deep\n", "slack")
    assert html == (
        '<p>A <em>word</em>, a <a href="https://x.example/a?b=1&amp;c=2" rel="nofollow noopener noreferrer">link</a>, '
        "<code>code</code>.</p>\n"
        '<h3 id="readme-deep">Deep</h3>\n'
    )


@pytest.mark.parametrize(
    ("selector", "tags", "words"),
    [
        ({}, (), "any environment"),
        ({"match_labels": {"os": "darwin", "arch": "arm64"}}, (), "macOS on arm64"),
        ({"match_labels": {"os": "linux"}}, ("cuda-11.8", "jetpack-5"), "Linux, with cuda-11.8 and jetpack-5"),
        ({}, ("cuda-11.8",), "any environment with cuda-11.8"),
        ({"match_labels": 7}, ("cuda-11.8",), "conditions that this version can't describe, with cuda-11.8"),
    ],
)
def test_a_condition_reads_as_a_sentence_goes_on(selector: dict[str, Any], tags: tuple[str, ...], words: str) -> None:
    assert format_selector(selector, tags) == words


def hostile(tree: Tree) -> None:
    """Put what a browser would act on into every field that takes text."""
    tree.plugin(
        "acme/evil",
        readme="\n\n".join(TRICKS),
        summary=EVIL[:200],
        description=EVIL,
        license=EVIL[:60],
        owners=[{"name": EVIL[:100], "email": EVIL[:100], "github": "a/../../b"}],
        homepage="https://x.example/\"onmouseover='alert(1)'",
        links={EVIL[:60]: "https://x.example/<script>"},
    )
    schema = {"type": "object", "properties": {EVIL: {"description": EVIL, "default": EVIL, "enum": [EVIL]}}}
    tree.release(
        "acme/evil",
        "1.0.0",
        description=EVIL,
        changelog=EVIL,
        caveats=EVIL,
        authors=[EVIL],
        license=EVIL,
        entry_point=EVIL,
        runtime={"kind": "python", "requires": {EVIL: EVIL}},
        config_schema=schema,
        params_schema=schema,
        default_config={EVIL: EVIL},
        models=[{"model_id": EVIL, "path": "models/x", "model_type": "tts", "version": EVIL}],
        service={"command": [EVIL], "env": {EVIL: EVIL}, "health_check": {"endpoint": f"/{EVIL}"}},
    )
    why = {"at": "2026-11-21T12:00:00Z", "by": EVIL[:200], "why": EVIL}
    tree.status("acme/evil", {"action": "yank", "version": "1.0.0", **why}, {"action": "deprecate", "use": EVIL, **why})


def test_what_authors_write_is_text_on_every_page(tree: Tree, run: Publish, site: Path) -> None:
    # Attack: who may publish one plugin puts script, markup and template code into every field of it, to act as the
    # site on other people's machines. It must stand there as text, on its own pages, in lists, feeds and badges.
    hostile(tree)
    publisher_validates = run  # the fixture lints new releases too: these are right, however odd
    assert publisher_validates().warnings == []
    for key, document in pages_of(site).items():
        if key == urls.OFFLINE_VERIFIER:  # the same for all registries, whatever authors write; its style is its own
            assert (site / key).read_bytes() == offline_verifier()
            continue
        assert not [tag for tag, _ in document.elements if tag in {"style", "iframe", "object", "embed", "base"}]
        # drawings are the page's own: what authors write keeps no class
        assert all("drawing" in (a.get("class") or "") for tag, a in document.elements if tag == "svg"), key
        for tag, attributes in document.elements:
            assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcdoc"}], key
            assert not re.match(r"\s*(javascript|data|vbscript):", attributes.get("href") or "", re.IGNORECASE), key
            if tag == "script":
                assert re.search(r"assets/[\w-]+\.[0-9a-f]{12}\.js$", attributes["src"] or ""), key
            if tag in {"img", "link"} and attributes.get("rel") not in {"canonical", "alternate"}:
                assert "://" not in (attributes.get("src") or attributes.get("href") or ""), key
        assert "49" not in re.findall(r"\b49\b", document.text)
        policies = [a["content"] for t, a in document.elements if a.get("http-equiv") == "Content-Security-Policy"]
        assert policies == [POLICY], key
    assert "alert(1)" in pages_of(site)["acme/evil/1.0.0/index.html"].text
    for path in [*site.rglob("*.svg"), *site.rglob("feed.xml")]:
        names = {element.tag.rpartition("}")[2] for element in xml(path).iter()}
        assert not names & {"script", "foreignObject", "img"}, path


def test_every_link_of_the_site_leads_to_a_file(tree: Tree, run: Publish, site: Path) -> None:
    hostile(tree)
    tree.plugin("acme/index.html", keywords=["c.plus+plus"])  # a name that is a file of the site
    tree.release("acme/index.html", "1.0.0+build.5")
    tree.plugin("acme/index.json")
    tree.plugin("acme/feed.xml", readme="# Top\n\n[to the top](#top)\n")
    tree.release("acme/feed.xml", "1.0.0-rc.1")
    for number in range(150):
        tree.plugin(f"many/plugin-{number}", keywords=["many", f"word-{number}"])
    assert run().warnings == []
    assert len(pages_of(site)) > 300
    assert dead_links(site) == []


def test_pages_are_told_from_each_other_and_have_one_heading(tree: Tree, run: Publish, site: Path) -> None:
    run()
    titles: dict[str, str] = {}
    for key, document in pages_of(site).items():
        assert [tag for tag, _ in document.elements].count("h1") == 1, key
        title = re.search(r"<title>(.*?)</title>", (site / key).read_text())
        assert title, key
        assert titles.setdefault(title[1], key) == key
        ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), key


def with_address(tree: Tree) -> None:
    path = tree.root / "registry.toml"
    old = 'storage = "folder:../published/public"'
    path.write_text(path.read_text().replace(old, f'{old}\nurl = "https://plugins.example/a/"'))


@pytest.mark.parametrize("address", [False, True])
def test_feeds_are_atom(tree: Tree, run: Publish, site: Path, *, address: bool) -> None:
    if address:
        with_address(tree)
    tree.release("acme/slack", "1.1.0", released_at="2026-11-22T12:00:00Z")
    why = {"at": "2026-11-21T12:00:00Z", "by": "ann", "why": "leaks"}
    tree.status("acme/slack", {"action": "yank", "version": "1.0.0", **why})
    run()
    ids: set[str | None] = set()
    feeds = sorted(path.relative_to(site).as_posix() for path in site.rglob("feed.xml"))
    assert feeds == [
        "acme/base/feed.xml", "acme/slack/feed.xml", "feed.xml", "namespaces/acme/feed.xml", "namespaces/team/feed.xml",
        "team/mail/feed.xml",
    ]  # fmt: skip
    for key in feeds:
        feed = xml(site / key)
        assert feed.tag == f"{ATOM}feed"
        for element in (feed, *feed.findall(f"{ATOM}entry")):
            for name in ("id", "title", "updated"):
                assert element.findtext(f"{ATOM}{name}"), (key, name)
            assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", element.findtext(f"{ATOM}id") or "")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", element.findtext(f"{ATOM}updated") or "")
            links = [link.get("href") or "" for link in element.findall(f"{ATOM}link")]
            assert all(link.startswith("https://plugins.example/a/") == address for link in links)
        assert feed.findtext(f"{ATOM}author/{ATOM}name")
        own = feed.findtext(f"{ATOM}id")
        assert own not in ids
        ids.add(own)
    entries = [entry.findtext(f"{ATOM}title") for entry in xml(site / "feed.xml").iter(f"{ATOM}entry")]
    assert entries[0] == "acme/slack 1.1.0"
    assert "acme/slack 1.0.0" not in entries


def test_the_sitemap_names_the_pages_by_their_whole_address(tree: Tree, run: Publish, site: Path) -> None:
    with_address(tree)
    run()
    spaces = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}
    index = xml(site / "sitemap.xml")
    base = "https://plugins.example/a/"
    parts = [loc.text or "" for loc in index.iterfind("s:sitemap/s:loc", spaces)]
    found = {
        loc.text or "" for part in parts for loc in xml(site / part.removeprefix(base)).iterfind("s:url/s:loc", spaces)
    }
    assert {f"{base}acme/slack/", base, f"{base}types/notify/"} <= found
    for loc in found:
        path = loc.removeprefix(base)
        assert (site / path / "index.html" if path.endswith("/") or not path else site / path).is_file()
    assert "Sitemap: https://plugins.example/a/sitemap.xml" in (site / "robots.txt").read_text()
    canonical = '<link rel="canonical" href="https://plugins.example/a/acme/slack/">'
    assert canonical in (site / "acme/slack/index.html").read_text()
    assert 'href="/a/assets/site.' in (site / "404.html").read_text()


def test_badges_say_version_and_platforms(tree: Tree, run: Publish, site: Path) -> None:
    run()
    for name, value in (("version", "1.0.0"), ("platforms", "any")):
        badge = xml(site / f"acme/slack/{name}.svg")
        assert badge.get("aria-label") == f"{name}: {value}"


def event(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, "at": "2026-11-21T12:00:00Z", "by": "ann", **fields}


def test_page_and_badge_show_the_release_that_install_takes(tree: Tree, run: Publish, site: Path) -> None:
    tree.release("acme/slack", "2.0.0-rc.1", channel="stable")
    run()
    page = (site / "acme/slack/index.html").read_text()
    assert '<span class="version">1.0.0</span></h1>' in page
    assert "2.0.0-rc.1" in page  # among the releases
    assert xml(site / "acme/slack/version.svg").get("aria-label") == "version: 1.0.0"


def test_a_plugin_whose_releases_are_all_yanked_says_so_and_offers_nothing(
    tree: Tree, run: Publish, site: Path
) -> None:
    tree.status("team/mail", event("yank", version="0.1.0", why="It leaks"))
    run()
    page = pages_of(site)["team/mail/index.html"].text
    assert "All releases are yanked" in page
    assert "It leaks" in page
    assert "sealdex install team/mail" not in page
    assert "version: yanked" in (site / "team/mail/version.svg").read_text()
    assert "Yanked" in pages_of(site)["team/mail/0.1.0/index.html"].text


def test_a_deprecated_plugin_names_its_successor_with_a_link(tree: Tree, run: Publish, site: Path) -> None:
    tree.status("team/mail", event("deprecate", why="Too old", use="acme/slack"))
    run()
    page = (site / "team/mail/index.html").read_text()
    assert 'Deprecated: use this instead: <a href="../../acme/slack/">acme/slack</a>' in page
    assert "Too old" in page
    assert "sealdex install team/mail" in page  # discouraged, not forbidden


def test_an_evaluation_stands_on_plugin_and_release(tree: Tree, run: Publish, site: Path) -> None:
    measured = event("evaluate", version="1.0.0", metrics={"accuracy": 0.93125}, dataset="corpus-7")
    tree.status("acme/slack", measured)
    run()
    for key in ("acme/slack/index.html", "acme/slack/1.0.0/index.html"):
        text = pages_of(site)[key].text
        assert "accuracy 0.93125" in text
        assert "corpus-7" in text


def test_settings_become_rows_children_after_their_parent() -> None:
    schema = {
        "required": ["port"],
        "properties": {
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "log": {"type": "object", "properties": {"level": {"enum": ["info", "debug"], "default": "info"}}},
            "hosts": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        },
    }
    rows = setting_rows(schema, {"port": 8080, "log": {"level": "debug"}})
    assert [(row.path, row.kind, row.default, row.required) for row in rows] == [
        ("port", "integer", "8080", True),
        ("log", "object", None, False),
        ("log.level", "one of", '"debug"', False),
        ("hosts", "list of object", None, False),
        ("hosts[].name", "string", None, False),
    ]
    assert rows[0].limits == ("at least 1", "at most 65535")


def test_a_schema_that_never_ends_has_an_end_on_the_page() -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"properties": {"a": deep, "b": {}}}
    assert len(setting_rows(deep)) < 30
    assert len(setting_rows({"properties": {str(number): {} for number in range(5000)}})) == 300


def test_templates_of_a_pull_request_can_lay_out_and_nothing_else(tree: Tree) -> None:
    # Attack: a contributor's template reaches through Python objects for the publisher's keys or files. The sandbox
    # refuses, and the message names the template.
    (tree.root / "site").mkdir()
    for source in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ to.__globals__ }}",
        "{{ site.__class__.__init__.__globals__ }}",
        "{% include '../../../etc/passwd' %}",
    ):
        (tree.root / "site/robots.txt.j2").write_text(source)
        with pytest.raises(SealdexError, match=r"robots\.txt\.j2"):
            Templates(tree.root, SiteSection()).render("robots.txt.j2", "robots.txt", {"site": object()})


def test_a_template_is_compiled_once_and_again_when_it_changes(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_ = Environment.compile

    def counted(self: Environment, source: str, *place: Any) -> Any:
        compiled.append(source)
        return compile_(self, source, *place)

    monkeypatch.setattr(Environment, "compile", counted)
    (tree.root / "site").mkdir()
    own = tree.root / "site/robots.txt.j2"
    for source, times in (("one {{ page }}", 1), ("one {{ page }}", 1), ("two {{ page }}", 2)):
        own.write_text(source)
        page = Templates(tree.root, SiteSection()).render("robots.txt.j2", "robots.txt", {})
        assert page.decode() == source.replace("{{ page }}", "robots.txt")
        assert len(compiled) == times
    own.unlink()
    own.symlink_to("/etc/hostname")  # what was compiled is no way past the gate
    with pytest.raises(SealdexError, match=r"robots\.txt\.j2"):
        Templates(tree.root, SiteSection()).render("robots.txt.j2", "robots.txt", {})


def test_name_logo_colours_and_links_come_from_registry_toml(tree: Tree, run: Publish, site: Path) -> None:
    path = tree.root / "registry.toml"
    section = '[site]\ntitle = "Shop"\nlogo = "logo.svg"\naccent = "#114477"\n'
    section += 'links = {Chat = "https://chat.example/", Bad = "javascript:alert(1)"}\n'
    path.write_text(path.read_text() + section)
    with pytest.raises(ConfigError, match="logo"):
        Templates(tree.root, SiteSection(logo="logo.svg"))
    (tree.root / "site").mkdir()
    (tree.root / "site/logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    run()
    page = (site / "acme/slack/index.html").read_text()
    assert "<span>Shop</span>" in page
    assert re.search(r'<img src="\.\./\.\./assets/logo\.[0-9a-f]{12}\.svg"', page)
    assert '<a href="https://chat.example/" rel="noopener noreferrer">Chat</a>' in page
    assert "Bad" not in page  # no address of the web becomes no link
    theme = next((site / "assets").glob("theme.*.css"))
    assert ":root { --accent: #114477; }" in theme.read_text()
    assert f'<link rel="stylesheet" href="../../assets/{theme.name}">' in page


def test_pages_load_no_style_sheet_that_says_nothing(tree: Tree, run: Publish, site: Path) -> None:
    run()
    assert list((site / "assets").glob("theme.*")) == []
    page = (site / "acme/slack/index.html").read_text()
    assert re.findall(r'<link rel="stylesheet" href="([^"]*)">', page) == [
        f"../../assets/{path.name}" for path in (site / "assets").glob("site.*.css")
    ]
