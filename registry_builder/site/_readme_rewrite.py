"""Rewrites a README's HTML before the final sanitising: images, anchors, headings. Pure, on text.

The input comes from a first pass of the sanitiser, so tags are lower case and values are in double quotes. The
output is not safe by itself: the last pass of the sanitiser decides what survives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape, unescape
from typing import NamedTuple

from registry_builder.site._words import Words

_ATTRIBUTES = r'((?:\s+[a-z][a-z-]*="[^"]*")*)\s*'
_TAG = re.compile(rf"<(/?)(a|img|h[1-6]){_ATTRIBUTES}>")
_ATTRIBUTE = re.compile(r'([a-z][a-z-]*)="([^"]*)"')
_HEADING = re.compile(rf"<(h[3-6]){_ATTRIBUTES}>(.*?)</\1>", re.DOTALL)
_ANY_TAG = re.compile(r"<[^>]*>")
_LINK = re.compile(rf"<a{_ATTRIBUTES}>")
_EMPTY_LINK = re.compile(rf"<a{_ATTRIBUTES}>(\s*)</a>")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_PAGE_HEADINGS = {"h1": "h3", "h2": "h3"}  # the page has an h1 and an h2 of its own


class ShownImage(NamedTuple):
    """An image that a page shows: its address there, and its size in pixels."""

    source: str
    width: int
    height: int


def image_sources(html: str) -> tuple[str, ...]:
    """Return the addresses of all images, in their order, each once."""
    found = (dict(_ATTRIBUTE.findall(match[3])) for match in _TAG.finditer(html) if match[2] == "img")
    return tuple(dict.fromkeys(unescape(each["src"]) for each in found if each.get("src")))


def rewritten(html: str, slug_of: Callable[[str], str], images: Mapping[str, ShownImage], words: Words) -> str:
    """Turn images into text or links, ``<a name>`` into ids, HTML headings into levels that the page allows.

    Args:
        html: sanitised once, with ``img`` and ``name`` of ``a`` still in it.
        slug_of: returns the id of a heading by its text; an empty one for none.
        images: addresses of images to what the page shows instead.
        words: what is said beside the author's own text.
    """
    in_link = False

    def tag(match: re.Match[str]) -> str:
        nonlocal in_link
        end, name, attributes = match[1], match[2], dict(_ATTRIBUTE.findall(match[3]))
        if name == "img":
            text = attributes.get("alt", "").strip() or escape(words.say("image"))
            source = attributes.get("src", "")
            if (own := images.get(unescape(source))) is not None:
                # within a link the text is all that says where it leads
                return _image(own, attributes, text if in_link else attributes.get("alt", "").strip())
            return text if in_link or not source else f'<a href="{source}">{text}</a>'
        if name != "a":
            return f"<{end}{_PAGE_HEADINGS.get(name, name)}{match[3]}>"
        if end:
            in_link = False
            return "</a>"
        if "name" in attributes:
            attributes.setdefault("id", attributes.pop("name"))
        in_link = "href" in attributes
        return f"<a{_text(attributes)}>"

    def heading(match: re.Match[str]) -> str:
        attributes = dict(_ATTRIBUTE.findall(match[2]))
        if not attributes.get("id") and (slug := slug_of(unescape(_ANY_TAG.sub("", match[3])))):
            attributes["id"] = escape(slug)
        return f"<{match[1]}{_text(attributes)}>{match[3]}</{match[1]}>"

    return _HEADING.sub(heading, _TAG.sub(tag, html))


def _image(image: ShownImage, attributes: Mapping[str, str], text: str) -> str:
    """Return an image with its size, or the one that the author states, in the image's own proportions."""
    width, height = image.width, image.height
    if (stated := _pixels(attributes.get("width"))) is not None:
        width, height = stated, max(1, round(height * stated / width))
    elif (stated := _pixels(attributes.get("height"))) is not None:
        width, height = max(1, round(width * stated / height)), stated
    size = f'width="{width}" height="{height}"'
    return f'<img src="{escape(image.source)}" alt="{text}" {size} loading="lazy">'


def _pixels(text: str | None) -> int | None:
    number = (text or "").removesuffix("px")
    return int(number) if _NUMBER.fullmatch(number) else None


def with_sound_links(html: str) -> str:
    """Tidy links after the last pass: remove link attributes without a URL, and links without text.

    A link without text can't be seen or named; one that is a link target stays as that.
    """

    def without_relation(match: re.Match[str]) -> str:
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        if "href" not in attributes:
            attributes.pop("rel", None)
        return f"<a{_text(attributes)}>"

    def without_text(match: re.Match[str]) -> str:
        place = dict(_ATTRIBUTE.findall(match[1])).get("id")
        return (f'<a id="{place}"></a>' if place else "") + match[2]

    return _EMPTY_LINK.sub(without_text, _LINK.sub(without_relation, html))


def _text(attributes: dict[str, str]) -> str:
    return "".join(f' {name}="{value}"' for name, value in attributes.items())


__all__ = ["ShownImage", "image_sources", "rewritten", "with_sound_links"]
