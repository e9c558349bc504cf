"""READMEs: Markdown by `markdown-it-py`, sanitised by `nh3`. Nothing from an author runs, styles or loads anything.

Three layers, each enough alone against script: only tags and attributes of the lists below survive the sanitiser;
links have one of three schemes; and the pages' Content-Security-Policy forbids inline scripts and foreign resources.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from html import escape, unescape
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import quote, unquote

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from registry_builder.site._code_blocks import CodeBlocks
from registry_builder.site._readme_rewrite import ShownImage, image_sources, rewritten, with_sound_links
from registry_builder.site._words import ENGLISH_WORDS, N_, Words
from sealdex.text import clean

MAX_README_BYTES = 1024 * 1024

_ID_PREFIX = "readme-"
_DEEPEST = 6
_FIRST_LEVEL = 3  # the page has the plugin's name as h1 and "README" as h2

_ALERTS = (N_("Note"), N_("Tip"), N_("Important"), N_("Warning"), N_("Caution"))
_CLASSES = {
    "div": ("markdown-alert", *(f"markdown-alert-{name.lower()}" for name in _ALERTS)),
    "p": ("markdown-alert-title",),
    "li": ("task-list-item",),
}
_TAGS = frozenset({
    "a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h3", "h4", "h5",
    "h6", "hr", "i", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub",
    "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "var",
})  # fmt: skip
_ATTRIBUTES = {
    "*": {"id"},
    "a": {"href", "title"},
    "abbr": {"title"},
    "details": {"open"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}  # fmt: skip
_WITH_CONTENT = frozenset({"script", "style", "title", "textarea", "iframe", "noscript", "svg", "math", "template"})
_SCHEMES = frozenset({"http", "https", "mailto"})
_ABSOLUTE = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
# RFC 3986, in ASCII. The library for this, linkify-it-py, takes half a minute for 100 KB of "://".
_ADDRESS = re.compile(r"(?<![\w/])https?://[A-Za-z0-9][A-Za-z0-9._~:/?#@!$&'()*+,;=%-]{0,2000}")
_HTML_LINK = re.compile(r"<(?P<end>/?)a[\s>]", re.IGNORECASE)
_PLACE = re.compile(r'<[a-z0-9]+(?:\s+[a-z-]+="[^"]*")*?\s+id="([^"]*)"')
_HEADING = re.compile(r'<h([34])[^>]*? id="([^"]+)"[^>]*>(.*?)</h\1>', re.DOTALL)
_EMPTY_CLASS = re.compile(r'(<[a-z0-9]+(?:\s+[a-z-]+="[^"]*")*?)\s+class=""')
_ANY_TAG = re.compile(r"<[^>]*>")
_SHOWN = ("src", "alt", "width", "height", "loading")
_WITH_HTML = frozenset({"html_block", "html_inline", "image"})
_MAX_ID = 200
_NOT_SLUG = re.compile(r"[^\w-]+")


def render_readme(
    source: bytes,
    name: str,
    *,
    words: Words = ENGLISH_WORDS,
    images: Mapping[str, ShownImage] | None = None,
    prefix: str = _ID_PREFIX,
) -> Markup:
    """Return the HTML of a README, safe to include in a page; its headings start at ``h3``.

    A first heading that is only the plugin's ``name`` is left out: the page has it already.

    Images become links to them, or text inside a link: the policy loads nothing from elsewhere, to protect
    readers' privacy. Relative links have no target here and become plain text; links
    to a place in the README (a heading, ``<a name>``, an id) lead there.

    Args:
        source: Markdown: CommonMark with GitHub's tables, task lists, alerts and footnotes.
        name: the plugin's name.
        words: what is said beside the author's own text.
        images: addresses of images to what the page shows instead; others become links.
        prefix: of the ids, so that none is the page's own; of several texts on a page each needs another.
    """
    text = source[:MAX_README_BYTES].decode("utf-8-sig", errors="replace").replace("\0", "\ufffd")
    parser = _parser(footnotes="[^" in text)
    tokens = parser.parse(text)
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[1].content.strip().lower() == name.lower():
        del tokens[:3]
    slugs: dict[str, int] = {}
    _adjust(tokens, slugs)
    blocks = CodeBlocks(source)
    _say_alerts(tokens, words)
    _write_tasks(tokens)
    for token in tokens:
        if token.type == "fence":
            blocks.take(token)
    html = parser.renderer.render(tokens, parser.options, {})
    if any(token.type in _WITH_HTML for token in _all(tokens)):
        html = rewritten(_first_pass(html), lambda text: _slug(text, slugs), images or {}, words)
    places = {unescape(place) for place in _PLACE.findall(html)}
    html = nh3.clean(
        html,
        tags={*_TAGS, "img"} if images else set(_TAGS),
        attributes={tag: set(names) for tag, names in {**_ATTRIBUTES, "img": _SHOWN}.items()},
        clean_content_tags=set(_WITH_CONTENT),
        url_schemes=set(_SCHEMES),
        link_rel="nofollow noopener noreferrer",
        attribute_filter=_Attributes(places, prefix, frozenset(image.source for image in (images or {}).values())),
        allowed_classes={tag: set(names) for tag, names in _CLASSES.items()},
    )
    html = _EMPTY_CLASS.sub(r"\1", with_sound_links(html))
    # a wide table or code block scrolls by itself, also with the keyboard
    table_label, code_label = escape(words.say("Table")), escape(words.say("this code"))
    table = f'<div class="scroll" tabindex="0" role="group" aria-label="{table_label}"><table>'
    html = html.replace("<table>", table).replace("</table>", "</table></div>")
    html = html.replace("<pre>", f'<div class="code" data-copy="{code_label}"><pre tabindex="0">')
    html = html.replace("</pre>", "</pre></div>")
    return Markup(blocks.put(html))  # noqa: S704  # sanitised above; the colours are of this program's making


def image_addresses(source: bytes) -> tuple[str, ...]:
    """Return the addresses of a README's images, in their order, as `render_readme` looks for them."""
    text = source[:MAX_README_BYTES].decode("utf-8-sig", errors="replace").replace("\0", "\ufffd")
    parser = _parser(footnotes="[^" in text)
    tokens = parser.parse(text)
    if not any(token.type in _WITH_HTML for token in _all(tokens)):
        return ()
    return image_sources(_first_pass(parser.renderer.render(tokens, parser.options, {})))


class Heading(NamedTuple):
    """A line of a README's table of contents: its level below the page's own, its place in a URL, its text."""

    level: int
    place: str
    text: str


def headings_of(html: Markup) -> tuple[Heading, ...]:
    """Return the headings of what `render_readme` made, down to the second level."""
    found = [
        Heading(int(level) - _FIRST_LEVEL, quote(unescape(place), safe=""), unescape(_ANY_TAG.sub("", text)).strip())
        for level, place, text in _HEADING.findall(html)
    ]
    return tuple(each for each in found if each.text)


@lru_cache(maxsize=2)
def _parser(*, footnotes: bool) -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": True, "tasklists": True, "alerts": True})
    made.enable(["table", "strikethrough"])
    if footnotes:
        from mdit_py_plugins.footnote import footnote_plugin  # noqa: PLC0415  # few READMEs have any

        made.use(footnote_plugin)
    return made


def _say_alerts(tokens: list[Token], words: Words) -> None:
    """Put the titles of alerts, which the parser has in English, into the page's words."""
    for token, following in pairwise(tokens):
        if token.type == "alert_title_open" and following.children:
            following.children[0].content = words.say(following.content)


def _write_tasks(tokens: list[Token]) -> None:
    """Write the boxes of a task list as text: nobody can tick them here."""
    for at, token in enumerate(tokens):
        if token.type == "list_item_open" and "checked" in token.meta:
            box = "\u2611 " if token.meta.pop("checked") else "\u2610 "
            inline = next((each for each in tokens[at : at + 3] if each.type == "inline"), None)
            if inline is not None:
                inline.children = [Token("text", "", 0, content=box), *(inline.children or [])]


def _first_pass(html: str) -> str:
    """Return HTML nested as a browser would read it, and still with images and the names of anchors."""
    attributes = {tag: set(names) for tag, names in _ATTRIBUTES.items()}
    attributes |= {"a": {"href", "title", "name"}, "img": {"src", "alt", "width", "height"}}
    attributes |= {"input": {"type", "checked", "disabled"}}
    return nh3.clean(
        html,
        tags={*_TAGS, "img", "input", "h1", "h2"},
        attributes=attributes,
        clean_content_tags=set(_WITH_CONTENT),
        url_schemes=set(_SCHEMES),
        link_rel=None,
        allowed_classes={tag: set(names) for tag, names in _CLASSES.items()},
    )


class _Attributes:
    """Decides about each attribute: only web URLs, and only places in the README itself.

    Args:
        places: ids as the author wrote them.
        prefix: what each of them gets, so that none is the page's own or a script's.
        images: what ``img`` may load.
    """

    def __init__(self, places: Collection[str], prefix: str, images: Collection[str]) -> None:
        self._places = places
        self._prefix = prefix
        self._images = images
        self._used: set[str] = set()

    def __call__(self, tag: str, name: str, value: str) -> str | None:
        if tag == "img" and name == "src":
            return value if value in self._images else None
        if tag == "a" and name == "href":
            if value.startswith("#"):
                return self._link_to(unquote(value[1:]))
            return value if _ABSOLUTE.match(value) else None
        if name == "id":
            if not value or len(value) > _MAX_ID or value in self._used or any(c.isspace() for c in value):
                return None
            self._used.add(value)
            return self._prefix + value
        return value

    def _link_to(self, place: str) -> str | None:
        for candidate in (place, place.lower(), place.removeprefix("user-content-")):
            if candidate in self._places:
                return f"#{self._prefix}{quote(candidate, safe='')}"
        return None


def _all(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from token.children or ()


def _adjust(tokens: list[Token], seen: dict[str, int]) -> None:
    """Shift headings below the page's own without leaving a level out, and name them; ``seen`` counts the names."""
    open_levels: list[int] = []
    for token, following in zip(tokens, [*tokens[1:], None], strict=False):
        if token.type == "heading_open" and following is not None:
            level = int(token.tag[1])
            while open_levels and open_levels[-1] >= level:
                open_levels.pop()
            open_levels.append(level)
            slug = _slug("".join(c.content for c in following.children or () if c.type != "html_inline"), seen)
            if slug:
                token.attrSet("id", slug)
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(_DEEPEST, _FIRST_LEVEL - 1 + len(open_levels))}"
        if token.children:
            token.children = _with_addresses(token.children)


def _slug(text: str, seen: dict[str, int]) -> str:
    slug = _NOT_SLUG.sub("", clean(text).strip().lower().replace(" ", "-"))
    count = seen.get(slug, 0)
    seen[slug] = count + 1
    return f"{slug}-{count}" if slug and count else slug


def _with_addresses(children: list[Token]) -> list[Token]:
    """Turn bare URLs in the text into links, as GitHub and others do."""
    changed: list[Token] = []
    in_link = 0
    for child in children:
        in_link += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type == "html_inline" and (tag := _HTML_LINK.match(child.content)):
            in_link += -1 if tag["end"] else 1
        if child.type != "text" or in_link or "://" not in child.content:
            changed.append(child)
            continue
        end = 0
        for found in _ADDRESS.finditer(child.content):
            url = _without_punctuation(found.group())
            changed.append(Token("text", "", 0, content=child.content[end : found.start()]))
            changed += [
                Token("link_open", "a", 1, attrs={"href": url}),
                Token("text", "", 0, content=url),
                Token("link_close", "a", -1),
            ]
            end = found.start() + len(url)
        changed.append(Token("text", "", 0, content=child.content[end:]))
    return changed


def _without_punctuation(url: str) -> str:
    """Leave final punctuation to the sentence, and a closing bracket that was opened before the URL."""
    while url[-1] in ".,:;!?'*_~" or (url[-1] == ")" and url.count(")") > url.count("(")):
        url = url[:-1]
    return url
