"""
Real redis-server processes: started, watched, stopped, and never left behind.
"""

import os
import signal
import socket
import sys
from pathlib import Path

import anyio
import pytest

from chimera_s1.adapters.redis.embedded import EmbeddedRedis
from chimera_s1.adapters.redis.server_process import ServerProcess, end_leftover
from chimera_s1.domain.errors import ConfigurationError, PublisherUnavailableError

OWNER = """
import sys, anyio
from pathlib import Path
from chimera_s1.adapters.redis.embedded import EmbeddedRedis

async def main():
    async with EmbeddedRedis(Path(sys.argv[1]), binary=Path(sys.argv[2])) as embedded:
        print(embedded.nodes[0].pid, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_one_node_serves_every_slot_and_ends_with_the_block(
    redis_binary: Path, tmp_path: Path
) -> None:
    """
    Writable when the block begins, gone when it ends.
    """
    async with EmbeddedRedis(tmp_path / "new" / "state", binary=redis_binary) as embedded:
        (node,) = embedded.nodes
        pid = node.pid
        assert pid is not None
        assert embedded.addresses == (node.address,)
        info = await node.ask("CLUSTER INFO")
        assert (info["cluster_state"], info["cluster_slots_ok"]) == ("ok", "16384")
        assert await node.ask("SET", "k", "v")

    assert not alive(pid)
    assert node.pid is None


async def test_replicas_follow_masters_in_turn(redis_binary: Path, tmp_path: Path) -> None:
    """
    Masters share the slots; each replica is linked and every node knows them all.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary, masters=3, replicas=3) as embedded:
        roles = [(await node.ask("INFO"))["role"] for node in embedded.nodes]
        replica_ports = [(await node.ask("INFO"))["slave0"]["port"] for node in embedded.nodes[:3]]
        known = [len(await node.ask("CLUSTER NODES")) for node in embedded.nodes]

    assert roles == ["master"] * 3 + ["slave"] * 3
    assert replica_ports == [node.address.port for node in embedded.nodes[3:]]
    assert known == [6] * 6


async def test_ports_leave_room_for_the_cluster_bus(redis_binary: Path, tmp_path: Path) -> None:
    """
    Chosen ports and their bus ports stay below those that outgoing connections take.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as embedded:
        ports = [address.port for address in embedded.addresses]

    assert len(set(ports)) == 3
    assert all(10_240 <= port < 22_768 for port in ports)


async def test_a_named_port_is_used(redis_binary: Path, tmp_path: Path) -> None:
    """
    S1_REDIS_EMBEDDED_PORT means this port.
    """
    async with EmbeddedRedis(tmp_path / "a", binary=redis_binary) as chosen:
        port = chosen.addresses[0].port

    async with EmbeddedRedis(tmp_path / "b", binary=redis_binary, port=port) as embedded:
        assert embedded.addresses[0].port == port


@pytest.mark.parametrize("beyond", [60_000, None])
async def test_a_port_that_cannot_be_used_is_a_matter_of_settings(
    redis_binary: Path, tmp_path: Path, beyond: int | None
) -> None:
    """
    Taken by somebody else, or without room for the bus port.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = beyond or taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            async with EmbeddedRedis(tmp_path, binary=redis_binary, port=port):
                pytest.fail("the port was not free")


async def test_a_directory_that_cannot_be_written_is_a_matter_of_settings(
    redis_binary: Path, tmp_path: Path
) -> None:
    """
    A file stands where the directory should be (permissions do not stop root, this does).
    """
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="make the directory writable or name another"):
        async with EmbeddedRedis(tmp_path / "file" / "state", binary=redis_binary):
            pytest.fail("there is no such directory")


async def test_a_directory_has_one_owner(redis_binary: Path, tmp_path: Path) -> None:
    """
    A second service with the same state directory leaves the first one's server alone.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as first:
        pid = first.nodes[0].pid
        with pytest.raises(ConfigurationError, match="another process"):
            async with EmbeddedRedis(tmp_path, binary=redis_binary):
                pytest.fail("two owners")
        assert first.nodes[0].pid == pid
        assert await first.nodes[0].ask("PING")


async def test_a_server_that_does_not_start_says_why(tmp_path: Path, redis_binary: Path) -> None:
    """
    The error holds the server's last words and the path of its log.
    """
    with pytest.raises(PublisherUnavailableError) as caught:
        async with EmbeddedRedis(tmp_path, binary=redis_binary, options=("--no-such-option", "1")):
            pytest.fail("the server knows no such option")

    log = tmp_path / "node-0" / "redis.log"
    last_line = [line for line in log.read_text().splitlines() if line.strip()][-1]
    assert last_line in str(caught.value)
    assert str(log) in str(caught.value)


async def test_a_server_that_dies_is_named(redis_binary: Path, tmp_path: Path) -> None:
    """
    SIGKILL, as by the kernel when memory runs out.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary, masters=3) as embedded:
        victim = embedded.nodes[1]
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(victim.kill)
                with pytest.raises(PublisherUnavailableError) as caught:
                    await embedded.watch()

        assert str(victim.address) in str(caught.value)
        assert "SIGKILL" in str(caught.value)


async def test_a_server_that_is_stopped_is_no_surprise(redis_binary: Path, tmp_path: Path) -> None:
    """
    `watch` ends without an error when every server was stopped on purpose.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(embedded.watch)
                await embedded.nodes[0].stop()


async def test_a_hanging_server_is_stopped_too(redis_binary: Path, tmp_path: Path) -> None:
    """
    A process that was stopped by SIGSTOP does not hear SIGTERM before it is woken.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        pid = embedded.nodes[0].pid
        assert pid is not None
        embedded.nodes[0].pause()

    assert not alive(pid)


@pytest.mark.parametrize("hanging", [False, True])
async def test_the_server_of_a_killed_owner_is_ended_by_the_next(
    redis_binary: Path, tmp_path: Path, hanging: bool
) -> None:
    """
    An owner killed by SIGKILL cannot clean up; who takes over its directory does.
    """
    owner = [sys.executable, "-c", OWNER, str(tmp_path), str(redis_binary)]
    async with await anyio.open_process(owner, stderr=None) as process:
        assert process.stdout is not None
        with anyio.fail_after(20):
            leftover = int(await process.stdout.receive())
        process.kill()
    assert alive(leftover)
    if hanging:
        os.kill(leftover, signal.SIGSTOP)

    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        assert not alive(leftover)
        assert await embedded.nodes[0].ask("PING")


async def test_a_stranger_with_a_reused_process_id_is_left_alone(tmp_path: Path) -> None:
    """
    A process id file may outlive its process; its number may be anybody's by now.
    """
    async with await anyio.open_process(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], cwd=tmp_path
    ) as stranger:
        (tmp_path / "redis.pid").write_text(f"{stranger.pid}\n")

        assert await end_leftover(tmp_path) is None
        assert alive(stranger.pid)
        assert not (tmp_path / "redis.pid").exists()
        stranger.kill()


@pytest.mark.parametrize("content", [None, "", "not a number"])
async def test_a_broken_process_id_file_is_no_obstacle(tmp_path: Path, content: str | None) -> None:
    """
    A crash may leave an empty file.
    """
    if content is not None:
        (tmp_path / "redis.pid").write_text(content)

    assert await end_leftover(tmp_path) is None


async def test_a_node_keeps_its_place_over_a_restart(redis_binary: Path, tmp_path: Path) -> None:
    """
    Killed and started again on the same port, it serves the same slots.
    """
    async with EmbeddedRedis(tmp_path, binary=redis_binary) as embedded:
        node: ServerProcess = embedded.nodes[0]
        identity = await node.ask("CLUSTER", "MYID")
        await node.kill()
        assert node.pid is None
        await node.start()

        assert await node.ask("CLUSTER", "MYID") == identity
        assert (await node.ask("CLUSTER INFO"))["cluster_slots_assigned"] == "16384"
