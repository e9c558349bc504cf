"""Texts of strangers over which a pattern could take years: each is judged at once."""

from __future__ import annotations

import itertools
import json
import re
import resource
import subprocess
import sys

from sealdex.model.release import _OCI_RE  # its language is compared with what it was

_KEY = f"-----BEGIN PRIVATE {'KEY'}-----"
_MAX_CPU_S = 120  # a second would do; without an end it is years

_PROGRAM = """
import json, sys
from registry_builder.source.release_template import IMAGE_PATTERN
from registry_builder.source.secrets.text import secrets_in
from sealdex.download.locations import _IMAGE
from sealdex.model.release import _OCI_RE
import re
texts, images = json.load(sys.stdin)
for text in texts:
    assert secrets_in(text.encode()) == []
for image in images:
    assert not (_OCI_RE.fullmatch(f"oci:{image}") or _IMAGE.fullmatch(image) or re.search(IMAGE_PATTERN, image))
print("done")
"""


def test_attack_no_text_of_a_stranger_takes_years() -> None:
    """Writes a short file into a pull request, or an address into a release, that a pattern tries in every way."""
    texts = [
        f"{_KEY}\n" + "a: " * 1000 + "!",
        f"{_KEY}\n" + "a:   \n\n" * 500 + "!",
        f"{_KEY}a: " * 30_000,
        (f"{_KEY}\n" + "a: \n" * 1000) * 200,
        '"kty":"RSA",' * 80_000,
        "PuTTY-User-Key-File-2: " * 40_000,
    ]
    images = ["a" + "_" * 200, "a_" + "_a" * 200, "a" + ".__" * 200]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{_PROGRAM}"],
        input=json.dumps([texts, images]),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S)),
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


_PAGE = """
import sys
from registry_builder.site._readme_html import render_readme
html = render_readme(sys.stdin.buffer.read(), "x")
print(html.count("<pre"))
"""
_WORST = {
    "c": "a" + "\n" * 60_000,
    "csharp": "_\n" * 30_000,
    "java": "\n" * 60_000,
    "make": "_" * 60_000,
    "sh": "<<" + "_" * 60_000,
}
"""What lexers of Pygments take time over that grows with the square of its length: 47 seconds for 20,000 characters."""


def test_attack_no_code_in_a_readme_takes_hours_to_colour() -> None:
    """Writes sixty blocks of code into a README, each as long as is coloured and one much longer."""
    sizes = [60_000, 20_000, 8_000, *[2_000] * 9]
    blocks = [(language, code[: size - 10]) for language, code in _WORST.items() for size in sizes]
    text = "".join(f"```{language}\n{code}{number}\n```\n\n" for number, (language, code) in enumerate(blocks))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{_PAGE}"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (_MAX_CPU_S, _MAX_CPU_S)),
    )
    assert (done.returncode, done.stdout) == (0, f"{len(blocks)}\n"), done.stderr


def test_the_pattern_of_images_matches_what_it_did() -> None:
    before = re.compile(r"oci:[a-z0-9]+([._:/-][a-z0-9_]+)*@sha256:(?P<digest>[0-9a-f]{64})")
    digest = "0" * 64
    matched = 0
    for length in range(1, 8):
        for letters in itertools.product("a_./", repeat=length):
            text = f"oci:{''.join(letters)}@sha256:{digest}"
            assert bool(_OCI_RE.fullmatch(text)) == bool(before.fullmatch(text)), text
            matched += bool(before.fullmatch(text))
    assert matched
