"""Connections to Redis that a server does not let close."""

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from chimera_s1.adapters.redis.cluster_connections import PlainConnection
from tests.time_limits import TIMEOUT_S

UNSENT = bytes(50_000_000)
"""More than the buffers of a socket hold."""


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_connection_that_cannot_be_closed_in_time_is_aborted(cancelled: bool) -> None:
    """The server does not read what is still to be sent."""
    streams: list[SocketStream] = []
    accepted = anyio.Event()

    async def accept(stream: SocketStream) -> None:
        streams.append(stream)
        accepted.set()
        await anyio.sleep_forever()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, accept)
        port = listener.extra(SocketAttribute.local_port)
        connection = PlainConnection(
            host="127.0.0.1", port=port, socket_connect_timeout=TIMEOUT_S if cancelled else 0.05
        )
        await connection._connect()  # type: ignore[no-untyped-call]  # redis-py's own
        await accepted.wait()
        writer = connection._writer
        assert writer is not None
        writer.write(UNSENT)
        with anyio.move_on_after(0.05 if cancelled else TIMEOUT_S) as closing:
            await connection.disconnect()
        assert closing.cancelled_caught is cancelled
        assert not connection.is_connected
        assert writer.transport.get_write_buffer_size() == 0
        tasks.cancel_scope.cancel()
    for stream in streams:
        await stream.aclose()
