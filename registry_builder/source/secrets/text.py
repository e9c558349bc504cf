"""Secrets in the content of files: private keys, and tokens with the prefixes of their issuers. Pure.

Only what is a secret beyond doubt by its form: a release can't be withdrawn, and nobody is there to
interpret entropy. docs/decisions/0026-secrets-are-not-published.md says why this list is our own.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_SCANNED_BYTES = 4 * 1024 * 1024
"""Only so many bytes from the start of a file are searched: larger files are data."""

_BINARY_HEAD = 8000  # as git recognises binary files: a NUL in the first 8,000 bytes
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WINDOW = 4096
_SHOWN = 4


class Secret(NamedTuple):
    """One secret: its kind, the line on which it begins (from 1), and its first characters, the rest omitted."""

    kind: str
    line: int
    shown: str


# A file is a stranger's: each pattern has one way at most to match what it has matched before, and no two of one kind
# look through the same bytes. Else a short text could take years.
_KEY = b"-----BEGIN "
_KEY_LINE = re.compile(rb"(?:\\[rn]|\s)*((?:(?!\\[rn])[^\r\n])+)")
_KEY_HEADER = re.compile(rb"[A-Za-z-]+: ")
_KEY_BODY = re.compile(rb"(?:^|\s)[A-Za-z0-9+/]{20}")
_AWS_SECRET = rb"[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])"
_GITLAB = (b"glpat-", b"gldt-", b"glrt-", b"glcbt-", b"glptt-", b"glft-", b"glsoat-", b"gloas-", b"glagent-")

# Kind, prefix, and the pattern of the rest. All prefixes are searched for first, at once.
_LIST: list[tuple[str, bytes, bytes]] = [
    ("a private key", _KEY, rb"[A-Z0-9 ]{0,20}PRIVATE KEY(?: BLOCK)?-----"),
    ("a PuTTY private key", b"PuTTY-User-Key-File-", rb"\d: (?:(?!PuTTY-)[\s\S]){0,3900}?Private-Lines: \d"),
    ("an age private key", b"AGE-SECRET-KEY-1", rb"[0-9A-Z]{58}"),
    ("a private JSON Web Key", b'"kty"', rb'\s*:\s*"(?:RSA|EC|OKP)"(?:(?!"kty")[^{}]){0,3900}"d"\s*:\s*"[\w-]{32,}"'),
    ("an AWS access key", b"AKIA", rb"[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("an AWS session key", b"ASIA", rb"[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ("an AWS secret key", b"aws_secret_access_key", _AWS_SECRET),
    ("an AWS secret key", b"AWS_SECRET_ACCESS_KEY", _AWS_SECRET),
    *(("a GitHub token", b"gh%c_" % c, rb"[A-Za-z0-9]{36,255}(?![A-Za-z0-9])") for c in b"pousr"),
    ("a GitHub token", b"github_pat_", rb"[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    *(("a GitLab token", name, rb"[A-Za-z0-9_-]{20,}") for name in _GITLAB),
    ("an npm token", b"npm_", rb"[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("a token of a package registry", b":_authToken", rb"\s*=\s*[\"']?[A-Za-z0-9_./+=-]{16,}"),
    ("a PyPI token", b"pypi-AgE", rb"[A-Za-z0-9_-]{50,}"),
    ("a Slack token", b"xox", rb"[abeoprs]-(?:[0-9]+-)+[A-Za-z0-9-]{10,}"),
    ("a Slack token", b"xapp-", rb"[0-9]-[A-Z0-9]+-[0-9]+-[a-z0-9]{20,}"),
    ("a Slack webhook", b"//hooks.slack.com/services/", rb"T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,}"),
    ("a Stripe key", b"sk_live_", rb"[A-Za-z0-9]{20,}"),
    ("a Stripe key", b"rk_live_", rb"[A-Za-z0-9]{20,}"),
    ("a Google API key", b"AIza", rb"[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("a Google client secret", b"GOCSPX-", rb"[A-Za-z0-9_-]{28}"),
    # except for the well-known key of the storage emulator
    ("an Azure storage key", b"AccountKey=", rb"(?!Eby8vdM02xNOcqF)[A-Za-z0-9+/]{86}=="),
    ("a SendGrid key", b"SG.", rb"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("a Twilio key", b"SK", rb"[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("an OpenAI key", b"sk-", rb"[A-Za-z0-9_-]{10,100}T3BlbkFJ[A-Za-z0-9_-]{10,100}"),
    ("an Anthropic key", b"sk-ant-", rb"[a-z0-9]+-[A-Za-z0-9_-]{80,}"),
    ("a Hugging Face token", b"hf_", rb"[A-Za-z0-9]{34}(?![A-Za-z0-9])"),
    ("a DigitalOcean token", b"dop_v1_", rb"[0-9a-f]{64}"),
    ("a Docker Hub token", b"dckr_pat_", rb"[A-Za-z0-9_-]{27}"),
    ("a Vault token", b"hvs.", rb"[A-Za-z0-9_-]{60,}"),
    ("a kubeconfig's client key", b"client-key-data", rb"\"?\s*:\s*\"?[A-Za-z0-9+/=]{40,}"),
    ("a container registry's login", b'"auths"', rb'\s*:\s*\{[^{}]{0,500}\{[^{}]{0,500}"auth"\s*:\s*"[\w+/=]{8,}"'),
]
_TOKENS = {begins: (kind, re.compile(rb"(?<![A-Za-z0-9_])" + re.escape(begins) + rest)) for kind, begins, rest in _LIST}
_BEGINNINGS = re.compile(b"|".join(map(re.escape, sorted(_TOKENS, key=len, reverse=True))))
_EXAMPLE = re.compile(rb"EXAMPLE|XXXXX|xxxxx|0{16}|1234567890")


def is_scanned(data: bytes) -> bool:
    """Return whether a file is text: as git decides it, or in UTF-16 with its mark, as PowerShell writes files."""
    return b"\0" not in data[:_BINARY_HEAD] or data.startswith(_UTF16_MARKS)


def secrets_in(data: bytes, *, limit: int = 3) -> list[Secret]:
    """Return the first secrets of a text.

    Args:
        data: its bytes, as far as they are to be searched.
        limit: how many at most.
    """
    if data.startswith(_UTF16_MARKS):
        data = data.decode("utf-16", "replace").encode(errors="replace")
    found: list[Secret] = []
    seen: set[str] = set()
    for secret in _secrets(data):
        if secret.shown not in seen:
            found.append(secret)
            seen.add(secret.shown)
        if len(found) == limit:
            break
    return found


def _secrets(data: bytes) -> Iterator[Secret]:
    for begin in _BEGINNINGS.finditer(data):
        kind, pattern = _TOKENS[begin.group()]
        match = pattern.match(data, begin.start(), begin.start() + _WINDOW)
        if match is None:
            continue
        text = match.group()
        if begin.group() == _KEY:
            window = begin.start() + _WINDOW
            following = data.find(_KEY, match.end(), window)
            if not _has_key(data, match.end(), window if following < 0 else following):
                continue
            shown = text.split(b"-----")[1].decode("ascii", "replace")
        elif _EXAMPLE.search(text):
            continue  # documentation, as AWS writes it: AKIAIOSFODNN7EXAMPLE
        else:
            shown = text[: len(begin.group()) + _SHOWN].decode("ascii", "replace")
        yield Secret(kind, data.count(b"\n", 0, begin.start()) + 1, f"{shown}...")


def _has_key(data: bytes, start: int, end: int) -> bool:
    """Return whether the first line between two places that isn't a header (``Version: 1``) begins as a key does.

    Line breaks may be written as in JSON, or have become blanks.
    """
    while (line := _KEY_LINE.match(data, start, end)) is not None:
        header = _KEY_HEADER.match(line[1])
        if _KEY_BODY.search(line[1], header.end()) if header is not None else _KEY_BODY.match(line[1]):
            return True
        if header is None:
            return False
        start = line.end()
    return False


__all__ = ["MAX_SCANNED_BYTES", "Secret", "is_scanned", "secrets_in"]
