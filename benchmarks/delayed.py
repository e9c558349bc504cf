"""A TCP proxy on loopback that lets every byte arrive late, as a far server's do; in a process of its own.

    python -m benchmarks.delayed PORT SECONDS

Half of a round trip goes by in each direction, and one whole before a connection is of use. Bytes that are sent one
after the other without waiting wait together.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

_CHUNK = 1 << 16


@contextlib.contextmanager
def delayed(url: str, round_trip_s: float) -> Iterator[str]:
    """Yield an address that answers as ``url`` does, a round trip later."""
    command = [sys.executable, "-m", "benchmarks.delayed", str(urlsplit(url).port), str(round_trip_s)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the proxy has no output")
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


async def _serve(port: int, round_trip_s: float) -> None:
    async def connected(near: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        far, onward = await asyncio.open_connection("127.0.0.1", port)
        ready = time.monotonic() + round_trip_s  # the handshake of TCP
        await asyncio.gather(
            _carry(near, onward, round_trip_s / 2, ready), _carry(far, answer, round_trip_s / 2, ready)
        )

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, delay_s: float, ready: float) -> None:
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                target.close()
                return
            target.write(data)
            await target.drain()

    writing = asyncio.create_task(write())
    with contextlib.suppress(OSError):
        data = b"-"
        while data:
            data = await source.read(_CHUNK)
            waiting.put_nowait((max(time.monotonic(), ready) + delay_s, data))
        await writing


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
