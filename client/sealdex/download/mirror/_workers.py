"""Does something with each of many files, several at once in threads, and collects what couldn't be had."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from queue import Queue

from sealdex.download.mirror.contents import MirrorFile
from sealdex.errors import UnavailableError

MOST_FAILURES = 100
"""Files that can't be had after which a run ends."""


def each_of(files: Iterable[MirrorFile], do: Callable[[MirrorFile], object], threads: int) -> list[tuple[str, str]]:
    """Do something with each file, several at once, and return key and reason of those that couldn't be had.

    The files are taken as they are needed, so there may be any number of them.

    Raises:
        SealdexError: what ``do`` raises and isn't an `UnavailableError`; the first of them, once the others ended.
    """
    queue: Queue[MirrorFile | None] = Queue(threads * 2)
    failed: list[tuple[str, str]] = []
    broken: list[BaseException] = []

    is_over = threading.Event()

    def work() -> None:
        while (file := queue.get()) is not None:
            if is_over.is_set() or broken or len(failed) > MOST_FAILURES:
                continue
            try:
                do(file)
            except UnavailableError as error:
                failed.append((file.key, error.message))
            except BaseException as error:  # noqa: BLE001  # raised again below, in the thread that asked
                broken.append(error)

    workers = [threading.Thread(target=work, name=f"mirror-{n}", daemon=True) for n in range(threads)]
    for worker in workers:
        worker.start()
    try:
        for file in files:
            if broken or len(failed) > MOST_FAILURES:
                break
            queue.put(file)
    except BaseException:
        is_over.set()  # nobody wants what is still waiting: the user has interrupted it, or the list broke off
        raise
    finally:
        for _ in workers:
            queue.put(None)
        for worker in workers:
            worker.join()
    if broken:
        raise broken[0]
    return failed


__all__ = ["MOST_FAILURES", "each_of"]
