"""A transfer under every fault: whether it was executed, and what its sender sees."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from anyio.abc import TaskGroup

from tests.contract.signed_client import TRANSFER, UNIVERSAL, Account, trader

ON = f"POST {TRANSFER}"
UNKNOWN = "Unknown error, please check your request or try again later."
INTERNAL = "Internal error; unable to process your request. Please try again."


@pytest.fixture
async def account(tasks: TaskGroup) -> AsyncIterator[Account]:
    async with trader(tasks) as client:
        yield client


@pytest.mark.parametrize(
    ("do", "status", "code", "message"),
    [
        ("unavailable:unknown", 503, None, UNKNOWN),
        ("unavailable:service", 503, None, "Service Unavailable."),
        ("unavailable:internal", 503, -1001, INTERNAL),
        ("unavailable:throttled", 503, -1008, "Request throttled by system-level protection."),
        ("code:-1000", 500, -1000, "An unknown error occurred"),
        ("code:-1006", 500, -1006, "An unexpected response was received"),
        ("code:-1007", 408, -1007, "Timeout waiting for response from backend server."),
        ("code:-5012", 400, -5012, "Asset transfer is in pending."),
    ],
)
@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
async def test_an_error_does_not_show_whether_the_transfer_was_executed(
    account: Account, do: str, status: int, code: int | None, message: str, *, executed: bool
) -> None:
    await account.sim.arm(ON, f"execute-then-{do}" if executed else do)

    seen, reply = await account.transfer()

    assert (seen, reply.get("code")) == (status, code)
    assert reply["msg"].startswith(message)
    assert await account.moved() == (["25"] if executed else [])
    assert await account.sim.fired() == [1]


@pytest.mark.parametrize(
    ("do", "executed"),
    [("drop-before", False), ("execute-then-drop", True), ("body:truncated", True)],
)
async def test_a_lost_reply_does_not_show_whether_the_transfer_was_executed(
    account: Account, do: str, *, executed: bool
) -> None:
    await account.sim.arm(ON, do)

    with pytest.raises((aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)):
        await account.transfer()

    assert await account.moved() == (["25"] if executed else [])
    assert await account.sim.fired() == [1]


@pytest.mark.parametrize(
    ("do", "status", "executed"),
    [
        ("status:502", 502, False),
        ("execute-then-status:502", 502, True),
        ("status:429", 429, False),
        ("body:html", 200, True),
        ("body:empty", 200, True),
    ],
)
async def test_a_gateway_reply_does_not_show_whether_the_transfer_was_executed(
    account: Account, do: str, status: int, *, executed: bool
) -> None:
    await account.sim.arm(ON, do)
    body = account.signed(type="MAIN_UMFUTURE", asset="USDT", amount="25")

    async with account.sim.session.post(
        account.sim.urls["spot_rest_url"] + TRANSFER,
        data=body,
        headers={"X-MBX-APIKEY": account.key},
    ) as reply:
        assert (reply.status, b"tranId" in await reply.read()) == (status, False)

    assert await account.moved() == (["25"] if executed else [])
    assert await account.sim.fired() == [1]


async def test_a_delayed_reply_follows_the_execution(account: Account) -> None:
    """The reply is delayed, not the request: a delayed request would have been too old."""
    await account.sim.arm(ON, "execute-then-delay:1200")

    status, _ = await account.transfer(recvWindow=1_000)

    assert (status, await account.moved()) == (200, ["25"])
    assert await account.sim.fired() == [1]


async def test_a_transfer_with_a_lost_reply_appears_late_in_the_history(account: Account) -> None:
    """No reply and at first no trace, yet the transfer is executed later."""
    await account.set(execution_delay_ms=20_000, history_lag_ms=30_000)
    await account.sim.arm(ON, "execute-then-drop")
    with pytest.raises(aiohttp.ClientConnectionError):
        await account.transfer()
    before = (await account.moved(), await account.rows("MAIN_UMFUTURE"))
    await account.move_clock(55_000)

    assert before == ([], [])
    assert len(await account.rows("MAIN_UMFUTURE")) == 1
    assert await account.moved() == ["25"]


@pytest.mark.parametrize(
    ("on", "path", "parameters"),
    [
        (f"GET {TRANSFER}", TRANSFER, {"type": "MAIN_UMFUTURE"}),
        ("GET /fapi/v1/income", "/fapi/v1/income", {"incomeType": "TRANSFER"}),
        ("GET /fapi/v3/balance", "/fapi/v3/balance", {}),
        ("GET /api/v3/account", "/api/v3/account", {}),
        (f"GET {UNIVERSAL}", UNIVERSAL, {}),
        ("rest:spot", "/sapi/v1/account/apiRestrictions", {}),
    ],
)
async def test_signed_reads_can_fail(
    account: Account, on: str, path: str, parameters: dict[str, str]
) -> None:
    await account.sim.arm(on, "unavailable:service")

    first, _ = await account.get(path, **parameters)
    second, _ = await account.get(path, **parameters)

    assert (first, second) == (503, 200)
    assert await account.sim.fired() == [1]
