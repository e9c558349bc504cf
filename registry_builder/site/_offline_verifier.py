"""``verify.html``: the form that verifies a plugin in a browser, with its scripts, in one file that can be saved.

It is made of this program's own files alone, so that its digest is the same for all registries of a version;
docs/site.md states it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re

from registry_builder.site.templates import own_folder

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; connect-src https: http://127.0.0.1:* http://localhost:*; img-src data:; style-src 'sha256-{style_digest}'; script-src 'sha256-{script_digest}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Verify a plugin</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
<h1>Verify a plugin</h1>
<p>Checks the chain of signatures of a registry, from a root that you trust to the index document of a plugin, with this file's script
and the registry's files. The registry must allow other origins to read it (CORS). It remembers nothing, so it doesn't notice a
state that is older than one seen before and hasn't expired; <code>sealdex</code> does.</p>
<form data-verify hidden>
<p><label for="address">Address of the registry</label> <input id="address" name="address" type="url" required></p>
<p><label for="plugin">Plugin</label> <input id="plugin" name="plugin" required autocomplete="off" spellcheck="false" placeholder="acme/slack"></p>
<p><label for="fingerprint">Fingerprint of the root, from the registry's owners</label> <input id="fingerprint" name="fingerprint" autocomplete="off" spellcheck="false"></p>
<p><label for="file">or the root as a file</label> <input id="file" name="file" type="file" accept=".json"></p>
<p><label for="root">or as text</label> <textarea id="root" name="root" rows="3" spellcheck="false"></textarea></p>
<p><button type="submit">Verify</button></p>
<output aria-live="polite"></output>
</form>
<noscript><p>This file needs JavaScript.</p></noscript>
</main>
<script type="module">{script}</script>
</body>
</html>
"""  # noqa: E501  # a page
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;margin:2rem auto;max-width:44rem;padding:0 1rem;"
    "background:Canvas;color:CanvasText}"
    "label{display:block}input:not([type=file]),textarea{width:100%;font:inherit;box-sizing:border-box}"
    "output{display:block;overflow-wrap:anywhere}output[data-state]{border-left:4px solid;padding:.5rem 1rem}"
)


@functools.lru_cache(maxsize=1)
def offline_verifier() -> bytes:
    """Return the page."""
    assets = own_folder() / "assets"
    chain, words, form = ((assets / name).read_text(encoding="utf-8") for name in ("chain.js", "words.js", "verify.js"))
    chain = re.sub(r"^export ", "", chain, flags=re.MULTILINE)
    script = f"\n{chain}\nglobalThis.sealdexChain = {{ verifyPlugin, sha256 }};\n{words}\n{form}"
    page = _PAGE.format(style=_STYLE, style_digest=_digest(_STYLE), script=script, script_digest=_digest(script))
    return page.encode()


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


__all__ = ["offline_verifier"]
