"""Bytes that aren't text, or nest deep, are wrong documents and no crash, once for all readers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sealdex.config.toml_reader import toml_values
from sealdex.errors import ConfigError
from sealdex.lockfile.lock_file import parse_lock
from sealdex.model.decode import DocumentError, decode_as, read_json, read_wire
from sealdex.model.foreign_json import json_values
from sealdex.model.index import IndexDocument
from sealdex.runtime.services.state import ServiceFolder
from sealdex.store.layout import Store

HEAD = b'{"format":1,"namespace":"acme","name":"slack","type":"t","summary":"s","releases":[],"other":'
NOT_TEXT = b'"\xff\xfe"}'
DEEP = b"[" * 100_000 + b"]" * 100_000 + b"}"
LONG = b"9" * 5000 + b"}"


@pytest.mark.parametrize(
    "odd", [NOT_TEXT, DEEP, LONG, b'"\\ud800"}', b"{"], ids=["bytes", "deep", "long", "half", "cut"]
)
def test_a_signed_document_of_odd_bytes_is_no_document_or_is_read(odd: bytes) -> None:
    """Older and newer builders write fields that this one doesn't know; what is in them must not crash it."""
    try:
        read = read_wire(HEAD + odd, IndexDocument, newest_format=1, what="it").name
    except DocumentError as error:
        read = "slack" if error.problems else ""
    assert read == "slack"
    with pytest.raises(DocumentError):
        read_wire(HEAD.replace(b'"s"', odd[:-1]) + b"1", IndexDocument, newest_format=1, what="it")


@pytest.mark.parametrize("odd", [NOT_TEXT, DEEP])
def test_a_document_of_odd_bytes_is_told_as_that(odd: bytes) -> None:
    with pytest.raises(DocumentError):
        read_wire(HEAD + odd, dict, newest_format=1, what="it")
    with pytest.raises(DocumentError):
        read_json(HEAD + odd, dict)
    with pytest.raises(msgspec.DecodeError):
        decode_as(HEAD + odd, dict)
    with pytest.raises(ValueError):  # noqa: PT011  # its words are the decoder's
        json_values(HEAD + odd)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a = " + "{a=" * 5000, "[" + "a." * 5000])
def test_toml_that_nests_deep_or_counts_far_is_not_valid(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # its words are the parser's
        toml_values(text)
    with pytest.raises(ConfigError, match="not valid TOML"):
        parse_lock(text)


@pytest.mark.parametrize(
    "state", ['{"since": []}', '{"started_at": "never"}', '{"grace": "x"}', "[" * 100_000, '{"pid": true}', "\x00"]
)
def test_a_state_of_a_service_that_makes_no_sense_is_none(tmp_path: Path, state: str) -> None:
    folder = ServiceFolder(Store(tmp_path), ("acme", "slack"))
    folder.path.mkdir(parents=True)
    whole = '{"plugin": "acme/slack", "version": "1.0.0", "state": "stopped", "supervisor": 1, '
    (folder.path / "state.json").write_text(whole + state[1:] if state.startswith("{") else state)
    assert folder.read() is None
