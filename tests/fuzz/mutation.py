"""Changes bytes in ways that break readers: the same changes for the same seed, wherever and whenever it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

_NUMBERS = (b"0", b"-1", b"255", b"65536", b"4294967295", b"9223372036854775808", b"1e999", b"0.1", b"9" * 4400)
_ODD = (
    b"\x00",
    b"\xff",
    b"\xfe\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x92\xa9",
    b"\r",
    b"\x1b[31m",
)
_DEEP = (b"[" * 200_000, b'{"a":' * 50_000, b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900)


def mutations(seeds: Sequence[bytes], tokens: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield ``count`` mutants of the seeds, one to four changes each, after the seeds and a few bytes of nothing."""
    yield from seeds
    yield from (b"", b"\x00", b"\xff\xfe", b"null", b"[]", b"{}", b'""', b"0", *_DEEP)
    random = Random(seed)  # noqa: S311  # the same mutants each time
    for _ in range(count):
        data = random.choice(seeds)
        for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
            data = random.choice(_CHANGES)(data, tokens, random)
        yield data


def _at(data: bytes, random: Random) -> int:
    return random.randrange(len(data) + 1)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = _at(data, random)
    return start, min(len(data), start + random.choice((1, 1, 2, 4, 16, 64)))


def _flip(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]


def _cut(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    return data[: _at(data, random)]


def _delete(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _double(data: bytes, _: Sequence[bytes], random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:end] + data[start:end] * random.choice((1, 2, 50)) + data[end:]


def _insert(data: bytes, tokens: Sequence[bytes], random: Random) -> bytes:
    at = _at(data, random)
    return data[:at] + random.choice((*tokens, *_ODD, *_NUMBERS)) + data[at:]


def _replace(data: bytes, tokens: Sequence[bytes], random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + random.choice((*tokens, *_ODD, *_NUMBERS)) + data[end:]


def _replace_value(data: bytes, tokens: Sequence[bytes], random: Random) -> bytes:
    """Put something else where a value stands in JSON, YAML, TOML or a header field."""
    after = [i + 1 for i, byte in enumerate(data) if byte in b":=,["]
    if not after:
        return _replace(data, tokens, random)
    start = random.choice(after)
    end = min((i for i in (data.find(c, start) for c in (b",", b"}", b"]", b"\n")) if i >= 0), default=len(data))
    new = random.choice((b"null", b"true", b"[]", b"{}", b'""', b'"\xff"', *_NUMBERS, *_DEEP[2:], *_ODD))
    return data[:start] + new + data[end:]


def _number(data: bytes, tokens: Sequence[bytes], random: Random) -> bytes:
    digits = [i for i, byte in enumerate(data) if byte in b"0123456789"]
    if not digits:
        return _flip(data, tokens, random)
    at = random.choice(digits)
    return data[:at] + random.choice(_NUMBERS) + data[at + 1 :]


def _word(data: bytes, tokens: Sequence[bytes], random: Random) -> bytes:
    """Set two or four bytes to a number at a border, as binary formats have them."""
    if len(data) < 5:
        return _insert(data, tokens, random)
    at, size = random.randrange(len(data) - 4), random.choice((2, 4))
    new = random.choice((0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)) & ((1 << 8 * size) - 1)
    return data[:at] + new.to_bytes(size, "little") + data[at + size :]


_CHANGES: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _flip, _cut, _delete, _double, _insert, _replace, _replace_value, _replace_value, _number, _word,
)  # fmt: skip
