"""A network in a box: HTTPS in front of a local server, every byte late by half a round trip.

    client ⇄ the wire (bytes wait here, both ways) ⇄ TLS ends here ⇄ the server, plain HTTP

The wire knows nothing of TLS, so a handshake pays its round trips as it would on a real network,
and so does opening a connection. Usage: relay.py PORT CERTIFICATE KEY SECONDS; PORT is the
server's on 127.0.0.1, SECONDS the time of one way. Prints the port it listens on.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Awaitable, Callable, Optional

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_CHUNK = 65536


class Relay:
    """Takes connections and passes them on to a port of this machine, bytes late by `delay`."""

    def __init__(self, port: int, delay: float = 0.0) -> None:
        self.port = port
        self.delay = delay

    async def serve(self, context: Optional[ssl.SSLContext] = None) -> asyncio.AbstractServer:
        """Listen on a free port, with TLS if there is a CONTEXT."""
        return await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=context)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client's connect() returns at once, on loopback. On a network it would after a round
        # trip: so what it says first is taken as said that much later.
        connected = asyncio.get_running_loop().time() + 2 * self.delay
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(
            self._pass_on(reader, there_writer, connected), self._pass_on(there_reader, writer)
        )

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, not_before: float = 0.0
    ) -> None:
        """Pass on all that comes, in order, each piece late by the delay."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                if not data:
                    return
                writer.write(data)
                await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            data = b"?"
            while data:
                data = await reader.read(_CHUNK)
                under_way.put_nowait((max(loop.time(), not_before) + self.delay, data))
            await delivering
        except OSError:  # the peer has gone; so does the other side
            delivering.cancel()
        finally:
            writer.close()


def _port(server: asyncio.AbstractServer) -> int:
    assert isinstance(server, asyncio.Server)
    return int(server.sockets[0].getsockname()[1])


async def _main(port: int, certificate: str, key: str, delay: float) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    terminator = await Relay(port).serve(context)
    wire = await Relay(_port(terminator), delay).serve()
    print(_port(wire), flush=True)
    await wire.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])))
