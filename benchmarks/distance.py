"""A server that is far away: a proxy on loopback that hands on every byte some milliseconds late, in both directions.

It holds back nothing else: what it has received waits until its time has come and goes out then, however much there is of it,
as on a long line that is wide enough. `python -m benchmarks.distance PORT MILLISECONDS` prints the port it listens on, and ends
with its standard input.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 256 * 1024
_MOST_WAITING = 512  # pieces on the line in one direction


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, seconds: float) -> None:
    """Hand on what comes from `source`, each piece `seconds` after it came; then its end."""
    loop = asyncio.get_running_loop()
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MOST_WAITING)

    async def arrive() -> None:
        while piece := await source.read(_PIECE):
            await line.put((loop.time() + seconds, piece))
        await line.put((loop.time() + seconds, b""))

    arriving = asyncio.ensure_future(arrive())
    try:
        while True:
            due, piece = await line.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not piece:
                break
            target.write(piece)
            await target.drain()
        target.write_eof()
    finally:
        arriving.cancel()


def _at_once(writer: asyncio.StreamWriter) -> None:
    """No waiting for more to send: the delay is the line's alone."""
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def _serve(port: int, one_way: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", port, limit=_PIECE)
        for one in (writer, to_there):
            _at_once(one)
        with suppress(ConnectionError):
            await asyncio.gather(_carry(reader, to_there, one_way), _carry(there, writer, one_way), return_exceptions=True)
        for one in (writer, to_there):
            one.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_PIECE)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def away(port: int, milliseconds: float) -> Iterator[int]:
    """The port at which the server on `port` can be reached `milliseconds` of round trip away, for the block."""
    command = [sys.executable, "-m", "benchmarks.distance", str(port), str(milliseconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 2000))
