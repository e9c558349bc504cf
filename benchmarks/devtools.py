"""A Chromium of which nothing is asked but what is wanted: Playwright's own keeps up to 200 MB of what a page fetches.

It is spoken to over a pipe, as ``--remote-debugging-pipe`` has it: JSON with a NUL behind it, in and out.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from benchmarks.renderer import FLAGS, Memory, chromium, renderer_memory

_READINGS = 4
_SETTLED_S = 1.0
_AT_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""Starts the browser, which reads from 3 and writes to 4."""


class BarePage:
    """The only page of a browser."""

    def __init__(self, into: BinaryIO, out: BinaryIO) -> None:
        self._into, self._out = into, out
        self._calls = 0
        [self._target] = [
            each for each in self._call("Target.getTargets")["targetInfos"] if each["type"] == "page"
        ]  # the one that every browser starts with
        attached = self._call("Target.attachToTarget", targetId=self._target["targetId"], flatten=True)
        self._session: str = attached["sessionId"]

    def open(self, address: str) -> None:
        """Go to an address."""
        self._call("Page.navigate", session=self._session, url=address)

    def wait_for(self, expression: str, timeout_s: float) -> None:
        """Wait until an expression is true.

        Raises:
            TimeoutError: it wasn't in that time.
        """
        until = time.monotonic() + timeout_s
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > until:
                raise TimeoutError(f"not within {timeout_s:g} s: {expression}")
            time.sleep(0.1)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, of a promise what it becomes."""
        said = self._call(
            "Runtime.evaluate", session=self._session, expression=expression, returnByValue=True, awaitPromise=True
        )
        return said["result"].get("value")

    def memory(self) -> Memory:
        """Return the memory of the page's renderer, its workers' included, after a collection of garbage."""
        readings = []
        for _ in range(_READINGS):
            self._call("HeapProfiler.collectGarbage", session=self._session)
            time.sleep(_SETTLED_S)
            readings.append(max(renderer_memory(process) for process in self._renderers()))
        return min(readings)  # what was freed is given back a little later

    def cpu_s(self) -> float:
        """Return the seconds of CPU that the page's renderer has had."""
        return max(self._renderers().values())

    def _renderers(self) -> dict[int, float]:
        processes = self._call("SystemInfo.getProcessInfo")["processInfo"]
        return {each["id"]: each["cpuTime"] for each in processes if each["type"] == "renderer"}

    def _call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._calls += 1
        asked = {"id": self._calls, "method": method, "params": parameters}
        if session is not None:
            asked["sessionId"] = session
        self._into.write(json.dumps(asked).encode() + b"\0")
        self._into.flush()
        while (said := json.loads(self._read())).get("id") != self._calls:
            pass  # an event
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']['message']}")
        result: dict[str, Any] = said["result"]
        return result

    def _read(self) -> bytes:
        made = bytearray()
        while (byte := self._out.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser ended")
            made += byte
        return bytes(made)


@contextlib.contextmanager
def bare_page() -> Iterator[BarePage]:
    """Run a browser with one empty page."""
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (in_read, out_write)]  # beyond 3 and 4
    os.close(in_read)
    os.close(out_write)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [chromium(), *FLAGS, "--headless", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        wrapped = [sys.executable, "-c", _AT_3_AND_4, *map(str, theirs), *command, "about:blank"]
        process = subprocess.Popen(wrapped, pass_fds=theirs, stderr=subprocess.DEVNULL)
        for each in theirs:
            os.close(each)
        try:
            with os.fdopen(in_write, "wb") as into, os.fdopen(out_read, "rb") as out:
                yield BarePage(into, out)
        finally:
            process.terminate()
            process.wait()
