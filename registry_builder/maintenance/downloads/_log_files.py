"""Access logs as files: folders, gzip, lines of bounded length, and every problem with its file and line.

A problem never repeats what stands in a line: it may hold addresses, and names of private plugins.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO

from registry_builder.maintenance.downloads._log_lines import AGENT, Answer, Reader, reader_for
from sealdex.errors import NotFoundError

_MAX_LINE = 64 * 1024
_MAX_TOLD = 20  # of one file
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2"}


@dataclass(frozen=True)
class LogProblem:
    """What can't be read of a log.

    Attributes:
        file: as it was named, or below the folder that was.
        line: from 1; 0 for the file as a whole.
    """

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


@dataclass
class LogFile:
    """One log: iterate it for the answers to our client, each with the bytes of its line.

    Attributes:
        newest: later days are problems: one wrong clock would push all others out of the last days.
        problems: filled while it is iterated.
    """

    path: Path
    newest: date
    problems: list[LogProblem] = field(default_factory=list)
    _more: int = 0

    def __iter__(self) -> Iterator[tuple[Answer, bytes]]:
        try:
            with self.path.open("rb") as raw:
                head = raw.read(4)
                raw.seek(0)
                if (refused := _refused(head)) is not None:
                    self._problem(0, refused)
                elif head.startswith(_GZIP):
                    with gzip.GzipFile(fileobj=raw) as stream:
                        yield from self._answers(stream)  # type: ignore[arg-type]  # it reads as a file does
                else:
                    yield from self._answers(raw)
        except OSError as error:
            self._problem(0, f"can't be read: {error.strerror or error}")
        if self._more:
            self.problems.append(LogProblem(self.path, 0, f"has {self._more} further lines that can't be read"))

    def _answers(self, stream: BinaryIO) -> Iterator[tuple[Answer, bytes]]:
        reader: Reader | None = None
        for number, line in self._lines(stream):
            if reader is not None and AGENT not in line and not line.startswith(b"#"):
                continue  # not our client's, whatever it is
            text = line.decode("utf-8", "replace").removeprefix("\ufeff")
            try:
                reader = reader or reader_for(text)
                answer = self._dated(reader(text))
            except ValueError as error:
                self._problem(number, f"{'the line ' if reader else ''}{error}")
                if reader is None:
                    return
                continue
            if answer is not None:
                yield answer, line

    def _dated(self, answer: Answer | None) -> Answer | None:
        if answer is not None and answer.day > self.newest:
            raise ValueError(f"is of {answer.day}, which is in the future")
        return answer

    def _lines(self, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of each line that isn't empty."""
        number = 0
        try:
            while line := stream.readline(_MAX_LINE):
                number += 1
                if len(line) == _MAX_LINE and not line.endswith(b"\n"):
                    self._problem(number, f"the line has more than {_MAX_LINE} bytes")
                    while (rest := stream.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                elif line := line.strip(b"\r\n"):
                    yield number, line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            cut = isinstance(error, EOFError)
            self._problem(number + 1, "the gzip file ends in the middle" if cut else "the gzip file is damaged")

    def _problem(self, line: int, message: str) -> None:
        if len(self.problems) < _MAX_TOLD:
            self.problems.append(LogProblem(self.path, line, message))
        else:
            self._more += 1


def _refused(head: bytes) -> str | None:
    if head == _PARQUET:
        return "is in Parquet: have CloudFront write JSON, W3C or plain text"
    for start, name in _OTHER_ENCODINGS.items():
        if head.startswith(start):
            return f"is in {name}: convert it to UTF-8, plain or gzipped"
    return None


def log_files(paths: Iterable[Path], newest: date) -> list[LogFile]:
    """Return the logs of files and folders, the latter with all within, sorted; each file once.

    Raises:
        NotFoundError: a path doesn't exist, or a folder has no file.
    """
    found: dict[Path, LogFile] = {}
    for path in paths:
        within = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        if not path.exists() or not within:
            raise NotFoundError(
                f"there is no log {'in ' if path.is_dir() else ''}{path}",
                subject=str(path),
                untouched="nothing was counted",
            )
        for each in within:
            found.setdefault(each.resolve(), LogFile(each, newest))
    return list(found.values())


__all__ = ["LogFile", "LogProblem", "log_files"]
