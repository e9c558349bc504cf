"""Starts Firefox for Playwright, and answers for it what the extended support release doesn't know yet.

    python firefox_relay.py FIREFOX ARGUMENT...

Playwright drives a released Firefox over WebDriver BiDi, and asks for media features (light or dark) with each new
context. Firefox ESR 153 calls that an unknown command, and Playwright gives up. Here such an answer becomes one of
success: the page stays in the theme that the profile's preferences say. Everything else passes unchanged.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys

UNKNOWN_TO_ESR = b"emulation.setMediaFeaturesOverride"
_LISTENING = re.compile(rb"(WebDriver BiDi listening on ws://127\.0\.0\.1:)(\d+)")


async def frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the payload of a WebSocket frame of a server, which masks none."""
    head = await reader.readexactly(2)
    length = head[1] & 0x7F
    if length >= 126:
        more = await reader.readexactly(2 if length == 126 else 8)
        length = int.from_bytes(more, "big")
        head += more
    return head, await reader.readexactly(length)


def answered(head: bytes, payload: bytes) -> bytes:
    """Return the frame to pass on: the refusal of an unknown command becomes its success."""
    if UNKNOWN_TO_ESR not in payload or b'"unknown command"' not in payload:
        return head + payload
    number = json.loads(payload)["id"]
    said = json.dumps({"type": "success", "id": number, "result": {}}).encode()
    return bytes([head[0], len(said)]) + said  # shorter than 126 bytes


async def upwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass on what Playwright says; Firefox wants its own port in the handshake."""
    handshake = await reader.readuntil(b"\r\n\r\n")
    writer.write(re.sub(rb"(?i)(\r\nhost: *127\.0\.0\.1:)\d+", rb"\g<1>%d" % port, handshake))
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def downwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what Firefox says."""
    writer.write(await reader.readuntil(b"\r\n\r\n"))
    try:
        while True:
            writer.write(answered(*await frame(reader)))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(command: list[str]) -> int:
    """Run Firefox until it ends; return what it returned."""
    firefox = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, firefox.terminate)
    assert firefox.stderr is not None
    ports: list[int] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_firefox, to_firefox = await asyncio.open_connection("127.0.0.1", ports[0])
        await asyncio.gather(upwards(reader, to_firefox, ports[0]), downwards(from_firefox, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    own = server.sockets[0].getsockname()[1]
    async for line in firefox.stderr:
        found = _LISTENING.search(line)
        if found is not None:
            ports.append(int(found[2]))
        sys.stderr.buffer.write(_LISTENING.sub(rb"\g<1>%d" % own, line))
        sys.stderr.buffer.flush()
    return await firefox.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
