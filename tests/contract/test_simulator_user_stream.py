"""The spot user stream: the WebSocket API of the simulator, its events and their faults."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientConnectionError, WSMsgType

from tests.contract.signed_client import TRANSFER, Account
from tests.processes import simulator_process
from tests.simulator_client import SimulatorClient, simulator_client
from tests.spot_user_stream import UserStream, now_ms, opened, subscribed

UNKNOWN = "Unknown error, please check your request or try again later."


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with simulator_process("--symbols", "3") as process:
        yield process.ready


@pytest.fixture
async def sim(urls: dict[str, str]) -> AsyncIterator[SimulatorClient]:
    async with simulator_client(urls) as client:
        yield client
        await client.control("DELETE", "/sim/faults")


async def move(sim: SimulatorClient, amount: str) -> None:
    await sim.control("POST", "/sim/wallet/transfers", {"type": "MAIN_UMFUTURE", "amount": amount})


async def arm(sim: SimulatorClient, do: str, on: str = "user:spot:balanceUpdate") -> None:
    await sim.control("POST", "/sim/faults", {"on": on, "do": do})


async def fired(sim: SimulatorClient) -> list[int]:
    _, armed = await sim.control("GET", "/sim/faults")
    return [each["fired"] for each in armed["faults"]]


async def deltas(stream: UserStream, count: int) -> list[str]:
    return [(await stream.receive())["event"]["d"] for _ in range(count)]


async def test_a_transfer_reaches_the_subscriber_as_a_balance_update(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    async with subscribed(sim, urls) as stream:
        await move(sim, "25")
        message = await stream.receive()

    assert message["subscriptionId"] == 0
    assert list(message["event"]) == ["e", "E", "a", "d", "T"]
    assert (message["event"]["e"], message["event"]["a"]) == ("balanceUpdate", "USDT")
    assert message["event"]["d"] == "-25.00000000"


async def test_the_signed_payload_is_raw_text_sorted_by_name(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    async with opened(urls) as stream:
        reply = await stream.subscribe(await now_ms(sim), recvWindow=5000, label="币安 & +")
        again = await stream.subscribe(await now_ms(sim))

    assert reply == {"id": "u1", "status": 200, "result": {"subscriptionId": 0}}
    assert (again["status"], again["error"]["code"]) == (400, -2035)


async def test_requests_that_are_wrong_are_refused_with_binance_codes(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    now, key = await now_ms(sim), urls["api_key"]
    async with opened(urls) as stream:
        late = await stream.subscribe(now - 60_000)
        forged = await stream.call(
            "userDataStream.subscribe.signature", apiKey=key, timestamp=now, signature="00"
        )
        stranger = await stream.call(
            "userDataStream.subscribe.signature", apiKey="x", timestamp=now, signature="00"
        )
        logon = await stream.call("session.logon", apiKey=key, timestamp=now, signature="00")
        unsubscribed = await stream.call("userDataStream.unsubscribe")
        unknown = await stream.call("userDataStream.start", apiKey=key)
    _, status = await sim.control("GET", "/sim/status")

    assert (late["status"], late["error"]["code"]) == (400, -1021)
    assert (forged["status"], forged["error"]["code"]) == (400, -1022)
    assert (stranger["status"], stranger["error"]["code"]) == (401, -2015)
    assert [each["error"]["code"] for each in (logon, unsubscribed, unknown)] == [
        -4056,
        -2036,
        -1020,
    ]
    missing = [each["name"] for each in status["not_simulated"]["asked"]]
    assert missing == ["userDataStream.start"]


async def test_events_are_dropped_repeated_and_swapped(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    async with subscribed(sim, urls) as stream:
        for do in ("gap", "duplicate", "reorder"):
            await arm(sim, do)
        for amount in ("1", "2", "3", "4"):
            await move(sim, amount)
        received = await deltas(stream, 4)

    assert received == [f"-{n}.00000000" for n in (2, 2, 4, 3)]
    assert await fired(sim) == [1, 1, 1]


async def test_a_delayed_event_is_overtaken_by_the_next(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    async with subscribed(sim, urls) as stream:
        await arm(sim, "delay:300")
        await move(sim, "1")
        await move(sim, "2")
        received = await deltas(stream, 2)

    assert received == ["-2.00000000", "-1.00000000"]


async def test_a_request_without_a_result_is_executed_later_than_its_window(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    account = Account(sim)
    async with subscribed(sim, urls) as stream:
        await arm(sim, "unavailable-then-execute:300", f"POST {TRANSFER}")
        status, body = await account.transfer(amount="51", recvWindow=100)
        _, before = await sim.control("GET", "/sim/transfers")
        await arm(sim, "drop-then-execute:300", f"POST {TRANSFER}")
        with pytest.raises(ClientConnectionError):
            await account.transfer(amount="52", recvWindow=100)
        received = await deltas(stream, 2)

    assert (status, body["msg"]) == (503, UNKNOWN)
    assert "51" not in [each["amount"] for each in before["transfers"]]
    assert received == ["-51.00000000", "-52.00000000"]
    assert await fired(sim) == [1, 1]


async def test_a_silent_connection_answers_and_delivers_nothing(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    async with subscribed(sim, urls) as silent:
        await arm(sim, "silent", "user:spot")
        while await fired(sim) != [1]:
            await silent.call("ping")
        async with subscribed(sim, urls) as stream:
            await move(sim, "1")
            assert await deltas(stream, 1) == ["-1.00000000"]
        # What comes next on the silent connection is a reply, not the event.
        assert (await silent.call("ping"))["status"] == 200


async def test_an_ended_subscription_says_so_and_a_new_one_delivers(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    async with subscribed(sim, urls) as stream:
        await arm(sim, "end-subscription", "user:spot")
        ended = await stream.receive()
        again = await stream.subscribe(await now_ms(sim))

    assert ended["event"]["e"] == "eventStreamTerminated"
    assert again["result"] == {"subscriptionId": 1}


async def test_a_shutdown_is_announced_without_a_subscription_id_and_closes(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    async with subscribed(sim, urls) as stream:
        await arm(sim, "shutdown", "user:spot")
        notice = await stream.receive()
        assert await stream.receive_type() in {WSMsgType.CLOSE, WSMsgType.CLOSED}

    assert list(notice) == ["event"]
    assert notice["event"]["e"] == "serverShutdown"


async def test_a_used_up_limit_says_when_to_come_again_as_a_time(
    sim: SimulatorClient, urls: dict[str, str]
) -> None:
    await sim.control("POST", "/sim/limits", {"limits": {"spot.weight": 1}})
    try:
        async with opened(urls) as stream:
            reply = await stream.call("ping")
    finally:
        await sim.control("POST", "/sim/limits", {"limits": {"spot.weight": 6000}})
        await sim.control("DELETE", "/sim/limits")

    assert (reply["status"], reply["error"]["code"]) == (429, -1003)
    data = reply["error"]["data"]
    assert 0 < data["retryAfter"] - data["serverTime"] <= 60_000
