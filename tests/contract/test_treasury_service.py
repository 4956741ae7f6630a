"""Money moves once although processes are killed: a real service, exchange, Redis and ledger."""

import os
import signal
from pathlib import Path

from tests.contract.service_process import redis_at
from tests.contract.treasury_service import POST, TreasuryDeployment

PAUSED = """
import os, signal
from chimera_s1.__main__ import main
from chimera_s1.adapters.binance.treasury.gateway import BinanceTreasuryGateway

submit = BinanceTreasuryGateway.submit
pauses = [signal.SIGSTOP]

async def submit_late(self, *arguments):
    if pauses:
        os.kill(os.getpid(), pauses.pop())
    return await submit(self, *arguments)

BinanceTreasuryGateway.submit = submit_late
main()
"""


async def test_a_transfer_moves_money_once_through_lost_replies_and_kill_9(
    site: TreasuryDeployment,
) -> None:
    """The whole promise, from the first 200 to the last event on `ops:events`."""
    spot, futures = await site.balances()
    async with site.serving() as desk:
        first = await desk.transfer("t1", "25")
        assert "Idempotent-Replayed" not in first.headers
        done = await desk.transferred("t1", "25")
        assert done["result"] == "OK"
        assert await site.balances() == [spot - 25, futures + 25]
        await desk.service.logged("transfer t1: accepted: 25 USDT")

        again = await desk.transfer("t1", "25")
        assert (again.status_code, again.json()) == (200, done)
        assert again.headers["Idempotent-Replayed"] == "true"

        await site.sim.arm(POST, "execute-then-drop")
        lost = await desk.transfer("t2", "26")
        assert (lost.status_code, lost.json()["result"]) == (202, "PENDING")
        await site.event("transfer.completed", "t2")
        assert await site.sim.fired() == [1]
        found = await desk.transfer("t2", "26")
        assert (found.status_code, found.json()["result"]) == (200, "OK")

        await site.sim.arm(POST, "execute-then-delay:60000")
        async with desk.transfer_in_background("t3", "27", back=True) as replies:
            await site.fired(2)
            await desk.kill()
        assert replies == []

    async with site.serving() as desk:
        await site.event("transfer.completed", "t3")
        after = await desk.transfer("t3", "27", back=True)
        assert (after.status_code, after.json()["result"]) == (200, "OK")
        await site.wait_until_idle()
        assert await desk.service.stop() == 0

    assert await site.moved() == ["SPOT 25", "SPOT 26", "FUT 27"]
    assert await site.balances() == [spot - 24, futures + 24]
    assert await site.violations() == []


async def test_a_maintenance_of_the_exchange_stops_what_is_not_sent_yet(
    site: TreasuryDeployment,
) -> None:
    """It is noticed at the first transfer that the exchange does not execute."""
    try:
        async with site.serving() as desk:
            await site.sim.control("POST", "/sim/wallet", {"maintenance": True})
            into_it = await desk.transfer("m1", "31")
            assert (into_it.status_code, into_it.json()["result"]) == (202, "PENDING")
            await desk.service.logged(
                "the exchange is in maintenance (status 1 system_maintenance)"
            )

            await site.sim.arm(POST, "delay:1")
            refused = await desk.transfer("m2", "32")
            assert (refused.status_code, refused.json()["code"]) == (503, "exchange_maintenance")
            health = await desk.read_treasury_health()
            assert health["level"] == "ORANGE"
            assert "in maintenance (status 1 system_maintenance)" in health["detail"]
    finally:
        await site.sim.control("POST", "/sim/wallet", {"maintenance": False})

    assert await site.sim.fired() == [0]
    assert await site.moved() == []


async def test_row_64_the_kill_switch_stops_what_is_not_sent_yet(site: TreasuryDeployment) -> None:
    """New requests get 503, accepted ones keep waiting, and uncertain ones are reconciled."""
    async with site.serving() as desk, redis_at(site.node.address.port) as redis:
        await site.sim.control("POST", "/sim/wallet", {"history_lag_ms": 3_600_000})
        await site.sim.arm(POST, "execute-then-drop")
        assert (await desk.transfer("k1", "31")).status_code == 202
        async with desk.transfer_in_background("k2", "31"):
            await site.event("transfer.requested", "k2")
            await redis.set("kill_switch", "on")
            await desk.service.logged("the kill switch is ON")

            refused = await desk.transfer("k3", "33")
            assert (refused.status_code, refused.json()["code"]) == (503, "kill_switch")
            await site.sim.control("POST", "/sim/wallet", {"history_lag_ms": 0})
            await site.event("transfer.completed", "k1")
            assert (await desk.read_transfer("k2"))["phase"] == "requested"
            assert await site.moved() == ["SPOT 31"]

            await redis.delete("kill_switch")
            await site.event("transfer.completed", "k2")
        assert (await desk.transferred("k3", "33"))["result"] == "OK"
        await site.wait_until_idle()

    assert await site.sim.fired() == [1]
    assert await site.moved() == ["SPOT 31", "SPOT 31", "SPOT 33"]
    assert await site.violations() == []


async def test_row_66_sigterm_waits_for_a_pending_reply(
    site: TreasuryDeployment,
) -> None:
    """The client gets its reply, exit code 0; events not yet on `ops:events` are relayed by the
    next process.
    """
    await site.sim.arm(POST, "execute-then-delay:700")
    async with site.serving() as desk:
        async with desk.transfer_in_background("s1", "41") as replies:
            await site.fired()
            assert await desk.service.stop() == 0
        assert [(each.status_code, each.json()["result"]) for each in replies] == [(200, "OK")]

    async with site.serving():
        await site.wait_until_idle()

    assert await site.moved() == ["SPOT 41"]
    assert await site.violations() == []


async def test_row_25_late_request_is_refused_by_the_exchange(
    site: TreasuryDeployment, tmp_path: Path
) -> None:
    """The process is paused between the start event and the sending, while the exchange's clock
    runs.
    """
    entry = tmp_path / "paused.py"
    entry.write_text(PAUSED)
    async with site.serving(interpreter=[str(entry)]) as desk:
        async with desk.transfer_in_background("p1", "51"):
            await desk.wait_until_stopped()
            assert await site.moved() == []
            await site.sim.control("POST", "/sim/clock", {"offset_ms": 7_000})
            os.kill(desk.service.process.pid, signal.SIGCONT)
            late = await site.event("submission.not_executed", "p1")
            await site.sim.control("POST", "/sim/clock", {"offset_ms": 0})
        await site.event("transfer.completed", "p1")
        assert (await desk.read_transfer("p1"))["attempts"] >= 2
        await site.wait_until_idle()

    assert "-1021" in late["cause"]
    assert await site.moved() == ["SPOT 51"]
    assert await site.violations() == []
