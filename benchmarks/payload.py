"""Makes the content of a large package: about 3,000 files, a mix of what compresses and what doesn't; no randomness.

Modelled on a model with its code: a good third of the bytes are text, which shrinks to less than half; the rest is
like weights and doesn't shrink. A few files hold most of the bytes, the median one has a few dozen KiB.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

FILES = 3_000
_TEXT_SHARE = 0.3
_TEXT_BLOCK_BYTES = 16 * 1024
_TEXT_BLOCKS = 256  # further apart than deflate's window of 32 KiB, so that repeats aren't found
_SKEW = 1.9  # standard deviation of the logarithm of file sizes
_LARGEST_SHARE = 0.05
_WRITE_BYTES = 1 << 20


def write_payload(folder: Path, total_bytes: int, files: int = FILES) -> None:
    """Write ``files`` files of ``total_bytes`` together below ``folder``; the same arguments give the same bytes."""
    random_ = random.Random(f"payload {total_bytes} {files}")
    blocks = [_text_block(random_) for _ in range(_TEXT_BLOCKS)]
    for number, size in enumerate(file_sizes(total_bytes, files)):
        is_text = random_.random() < _TEXT_SHARE
        path = folder / f"part-{number % 40:02d}" / f"{number:04d}.{'txt' if is_text else 'bin'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for piece in _text(random_, blocks, size) if is_text else _noise(random_, size):
                file.write(piece)


def write_files(folder: Path, files: int, file_bytes: int) -> None:
    """Write a few files of one size that don't compress; the same arguments give the same bytes."""
    folder.mkdir(parents=True)
    random_ = random.Random(f"files {files} {file_bytes}")
    for number in range(files):
        (folder / f"{number:02d}.bin").write_bytes(random_.randbytes(file_bytes))


def file_sizes(total_bytes: int, files: int) -> list[int]:
    """Return log-normal file sizes that add up to ``total_bytes``."""
    random_ = random.Random(f"sizes {total_bytes} {files}")
    weights = [random_.lognormvariate(0, _SKEW) for _ in range(files)]
    limit = sum(weights) * _LARGEST_SHARE
    weights = [min(weight, limit) for weight in weights]
    whole = sum(weights)
    sizes = [int(total_bytes * weight / whole) for weight in weights]
    sizes[0] += total_bytes - sum(sizes)
    return sizes


def _noise(random_: random.Random, size: int) -> Iterator[bytes]:
    for start in range(0, size, _WRITE_BYTES):
        yield random_.randbytes(min(_WRITE_BYTES, size - start))


def _text(random_: random.Random, blocks: list[bytes], size: int) -> Iterator[bytes]:
    for start in range(0, size, _TEXT_BLOCK_BYTES):
        yield random_.choice(blocks)[: size - start]


def _text_block(random_: random.Random) -> bytes:
    words = [f"{random_.getrandbits(random_.choice((8, 12, 20))):x}" for _ in range(400)]
    text = " ".join(random_.choices(words, k=_TEXT_BLOCK_BYTES // 2))
    return text.encode()[:_TEXT_BLOCK_BYTES]
