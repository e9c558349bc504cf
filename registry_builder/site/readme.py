"""READMEs: Markdown by `markdown-it-py`, sanitised by `nh3`. Nothing an author writes runs, styles or loads anything.

Three layers, each enough alone against script: only tags and attributes of the lists below survive the sanitiser;
links have one of three schemes; and the pages' Content-Security-Policy lets nothing inline run, nothing foreign load.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from sealdex.cli.output import clean

MAX_README_BYTES = 1024 * 1024

_ID_PREFIX = "readme-"
_DEEPEST = 6
_FIRST_LEVEL = 3  # the page has the plugin's name as h1 and "README" as h2

_TAGS = frozenset({
    "a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "h3", "h4", "h5",
    "h6", "hr", "i", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub",
    "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "var",
})  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "details": {"open"},
    "h3": {"id"}, "h4": {"id"}, "h5": {"id"}, "h6": {"id"},
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
_NOT_SLUG = re.compile(r"[^\w-]+")


def render_readme(source: bytes, name: str) -> Markup:
    """Return the HTML of a README, safe to stand in a page; its headings start at ``h3``.

    A first heading that only says the plugin's ``name`` is left out: the page says it already.

    Images become links to them: the policy loads nothing from elsewhere, and a reader's address is nobody's business.
    Relative links have nothing to point at here and become plain text.
    """
    tokens = _parser().parse(source[:MAX_README_BYTES].decode("utf-8", errors="replace").replace("\0", "\ufffd"))
    if len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[1].content.strip().lower() == name.lower():
        del tokens[:3]
    _adjust(tokens)
    parser = _parser()
    html = nh3.clean(
        parser.renderer.render(tokens, parser.options, {}),
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        clean_content_tags=set(_WITH_CONTENT),
        url_schemes=set(_SCHEMES),
        link_rel="nofollow noopener noreferrer",
        attribute_filter=_attribute,
    )
    html = html.replace('<a rel="nofollow noopener noreferrer">', "<a>")  # links whose address was refused
    # a wide table or code block scrolls by itself, also with the keyboard
    html = html.replace("<table>", '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>')
    html = html.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
    return Markup(html)  # noqa: S704  # sanitised two lines above


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def _attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "a" and name == "href":
        if value.startswith("#"):
            return f"#{_ID_PREFIX}{value[1:]}" if len(value) > 1 else None
        return value if _ABSOLUTE.match(value) else None
    if name == "id":
        return value if value.startswith(_ID_PREFIX) else None
    return value


def _adjust(tokens: list[Token]) -> None:
    """Shift headings below the page's own without leaving a level out, name them, and turn images into links."""
    open_levels: list[int] = []
    seen: dict[str, int] = {}
    for token, following in zip(tokens, [*tokens[1:], None], strict=False):
        if token.type == "heading_open" and following is not None:
            level = int(token.tag[1])
            while open_levels and open_levels[-1] >= level:
                open_levels.pop()
            open_levels.append(level)
            slug = _slug("".join(child.content for child in following.children or ()), seen)
            if slug:
                token.attrSet("id", _ID_PREFIX + slug)
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(_DEEPEST, _FIRST_LEVEL - 1 + len(open_levels))}"
        if token.children:
            token.children = _with_addresses(_without_images(token.children))


def _slug(text: str, seen: dict[str, int]) -> str:
    slug = _NOT_SLUG.sub("", clean(text).strip().lower().replace(" ", "-"))
    count = seen.get(slug, 0)
    seen[slug] = count + 1
    return f"{slug}-{count}" if slug and count else slug


def _without_images(children: list[Token]) -> list[Token]:
    changed: list[Token] = []
    in_link = 0
    for child in children:
        in_link += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type != "image":
            changed.append(child)
            continue
        text = Token("text", "", 0, content=child.content or "image")
        if in_link:
            changed.append(text)  # a link inside a link is none
            continue
        attrs: dict[str, Any] = {"href": child.attrs.get("src", "")}
        changed += [Token("link_open", "a", 1, attrs=attrs), text, Token("link_close", "a", -1)]
    return changed


def _with_addresses(children: list[Token]) -> list[Token]:
    """Make links of addresses that stand in the text as they are, as GitHub and others do."""
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
    """Leave to the sentence what ends it, and a bracket that was opened before the address."""
    while url[-1] in ".,:;!?'*_~" or (url[-1] == ")" and url.count(")") > url.count("(")):
        url = url[:-1]
    return url
