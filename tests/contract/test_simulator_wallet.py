"""Transfers, signatures, permissions, limits and the control plane of the wallets."""

import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import TaskGroup

from chimera_s1.adapters.simulator.config import SimulatorConfig
from chimera_s1.adapters.simulator.limits.rules import RULES, Bucket
from chimera_s1.adapters.simulator.rest.wallet import TRANSFER_WEIGHT
from tests.contract.signed_client import TRANSFER, UNIVERSAL, Account, trader
from tests.processes import simulator_process
from tests.simulator_client import simulator_client

DAY_MS = 86_400_000
TOO_OLD = "Timestamp for this request is outside of the recvWindow."
TOO_EARLY = "Timestamp for this request was 1000ms ahead of the server's time."
OUT, BACK = "MAIN_UMFUTURE", "UMFUTURE_MAIN"


@pytest.fixture
async def account(tasks: TaskGroup) -> AsyncIterator[Account]:
    async with trader(tasks) as client:
        yield client


async def test_a_transfer_appears_in_history_income_and_balances(account: Account) -> None:
    status, reply = await account.transfer(OUT, "25.00000117")
    _, books = await account.sim.control("GET", "/sim/transfers")
    _, spot = await account.get("/api/v3/account")
    _, futures = await account.get("/fapi/v3/balance")
    rows, income = await account.rows(OUT), await account.income()

    assert (status, list(reply)) == (200, ["tranId"])
    assert [row["tranId"] for row in rows] == [reply["tranId"]]
    assert (rows[0]["amount"], rows[0]["status"]) == ("25.00000117", "CONFIRMED")
    assert [row["income"] for row in income] == ["25.00000117"]
    assert spot["balances"] == [{"asset": "USDT", "free": "9974.99999883", "locked": "0.00000000"}]
    assert futures[0]["maxWithdrawAmount"] == "10025.00000117"
    assert await account.balances() == ["9974.99999883", "10025.00000117", "0"]
    (moved,) = books["transfers"]
    assert moved == {
        **moved,
        "tranId": reply["tranId"],
        "type": OUT,
        "asset": "USDT",
        "amount": "25.00000117",
        "executed_at": rows[0]["timestamp"],
    }


async def test_coins_pairs_and_fees_need_the_key_and_cost_their_weight(account: Account) -> None:
    weights = {
        "/sapi/v1/capital/config/getall": 10,
        "/sapi/v1/asset/tradeFee": 1,
        "/sapi/v1/margin/allPairs": 1,
        "/sapi/v1/margin/isolated/allPairs": 10,
    }
    await account.sim.control("POST", "/sim/clock", {"rate": 0.0001})
    used, stranger = 0, Account(account.sim, key="")
    for path, weight in weights.items():
        status, rows = await account.get(path)
        used += weight
        assert status == 200
        assert rows
        assert account.headers["X-SAPI-USED-IP-WEIGHT-1M"] == str(used)
        refused = await stranger.get(path)
        used += weight
        assert (refused[0], refused[1]["code"]) == (401, -2014)


async def test_margin_pairs_need_a_key_and_no_signature(account: Account) -> None:
    unsigned = await account.send("GET", "/sapi/v1/margin/allPairs", "symbol=BTCUSDT")
    coins = await account.send("GET", "/sapi/v1/capital/config/getall")

    assert (unsigned[0], [row["symbol"] for row in unsigned[1]]) == (200, ["BTCUSDT"])
    assert (coins[0], coins[1]["code"]) == (400, -1102)


async def test_a_timestamp_may_be_in_microseconds_under_api_only(account: Account) -> None:
    now_us = account.now_ms * 1000
    spot = await account.get("/api/v3/account", timestamp=now_us)
    late = await account.get("/api/v3/account", timestamp=now_us - 10_000_000)
    sapi = await account.get("/sapi/v1/account/apiRestrictions", timestamp=now_us)
    decimals = await account.get("/api/v3/account", recvWindow="5000.125")
    whole_only = await account.get("/sapi/v1/account/apiRestrictions", recvWindow="5000.125")

    assert spot[0] == decimals[0] == 200
    assert whole_only[1]["code"] == -1100
    assert (late[1]["code"], sapi[1]["code"]) == (-1021, -1021)


async def test_the_futures_account_shows_the_balance_and_no_position(account: Account) -> None:
    await account.transfer(OUT, "25")
    _, newer = await account.get("/fapi/v3/account")
    _, older = await account.get("/fapi/v2/account")
    _, balance = await account.get("/fapi/v2/balance")

    assert newer["totalWalletBalance"] == older["totalWalletBalance"] == "10025.00000000"
    assert newer["assets"][0]["maxWithdrawAmount"] == balance[0]["maxWithdrawAmount"]
    assert newer["positions"] == []
    assert {position["positionAmt"] for position in older["positions"]} == {"0"}


async def test_a_request_sent_twice_moves_money_twice(account: Account) -> None:
    again = account.signed(type=BACK, asset="USDT", amount="1")
    replies = [await account.send("POST", TRANSFER, again) for _ in range(2)]

    assert [status for status, _ in replies] == [200, 200]
    assert await account.moved() == ["1", "1"]
    rows = await account.rows(BACK)
    assert {row["tranId"] for row in rows} == {reply["tranId"] for _, reply in replies}
    assert {row["amount"] for row in rows} == {"1", "1.00000000"}
    assert [row["income"] for row in await account.income()] == ["-1.00000000"] * 2


async def test_query_and_body_are_signed_together(account: Account) -> None:
    query, body = "type=MAIN_UMFUTURE", f"asset=USDT&amount=1&timestamp={account.now_ms}"
    joined = account.signature(query + "&" + body)

    good = await account.send(
        "POST", TRANSFER, query, f"{body}&signature={account.signature(query + body)}"
    )
    bad = await account.send("POST", TRANSFER, query, f"{body}&signature={joined}")

    assert (good[0], bad[1]["code"]) == (200, -1022)
    assert await account.moved() == ["1"]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"type": ""}, -1102),
        ({"type": "main"}, -1100),
        ({"type": "MAIN_MOON"}, -1130),
        ({"type": "MAIN_FUNDING"}, -5010),
        ({"asset": ""}, -1102),
        ({"asset": "BTC"}, -5013),
        ({"amount": ""}, -1102),
        ({"amount": "1e3"}, -1100),
        ({"amount": "-1"}, -1100),
        ({"amount": "0.0"}, -1130),
        ({"amount": "0.000000001"}, -1111),
        ({"amount": "10000.00000001"}, -5013),
        ({"recvWindow": "60001"}, -1131),
        ({"timestamp": ""}, -1102),
        ({"timestamp": "soon"}, -1100),
        ({"timestamp": "1"}, -1021),
    ],
)
async def test_an_invalid_transfer_is_refused(
    account: Account, changed: dict[str, str], code: int
) -> None:
    parameters = {"type": OUT, "asset": "USDT", "amount": "1", **changed}

    status, reply = await account.send("POST", TRANSFER, account.signed(**parameters))

    assert (status, reply["code"]) == (400, code)
    assert await account.moved() == []


async def test_a_request_not_signed_with_the_known_key_is_refused(account: Account) -> None:
    known, replies = account.key, []
    for key in ("", "not a key", "SomebodyElse", known):
        account.key = key
        account.secret = "another"
        replies.append(await account.transfer())

    codes = [(status, reply["code"]) for status, reply in replies]
    assert codes == [(401, -2014), (401, -2014), (401, -2015), (400, -1022)]
    assert await account.moved() == []


async def test_timestamps_are_checked_against_the_exchange_clock(account: Account) -> None:
    for account.offset_ms, text in (
        (-6_000, TOO_OLD),
        (61_000, TOO_EARLY),
    ):
        assert await account.transfer() == (400, {"code": -1021, "msg": text})
    await account.sim.control("POST", "/sim/clock", {"offset_ms": 61_000})

    assert (await account.transfer())[0] == 200


async def test_the_time_is_checked_again_before_execution(account: Account) -> None:
    """The first gets too old while it waits, the second is from the future, the third is valid."""
    await account.sim.arm(f"POST {TRANSFER}", "delay:700", times=3)
    replies: dict[str, tuple[int, Any]] = {}

    async def send(amount: str, **more: int) -> None:
        replies[amount] = await account.transfer(OUT, amount, **more)

    async with anyio.create_task_group() as group:
        group.start_soon(partial(send, "1", recvWindow=500))
        group.start_soon(partial(send, "2", timestamp=account.now_ms + 1_500))
        group.start_soon(send, "3")

    texts = [replies[amount][1].get("msg") for amount in ("1", "2", "3")]
    assert texts == [TOO_OLD, TOO_EARLY, None]
    assert await account.sim.fired() == [3]
    assert await account.moved() == ["3"]


async def test_the_permissions_of_the_key_are_enforced(account: Account) -> None:
    await account.set(permissions={"universal_transfer": False, "reading": False})

    transfer, history = await account.transfer(), await account.get(TRANSFER, type=OUT)
    _, shown = await account.get("/sapi/v1/account/apiRestrictions")
    view = await account.set(permissions={"universal_transfer": True})

    assert [transfer[0], transfer[1]["code"]] == [401, -2015]
    assert [history[0], history[1]["code"]] == [401, -2015]
    assert (shown["permitsUniversalTransfer"], shown["enableReading"]) == (False, False)
    assert shown["enableInternalTransfer"] is True
    assert view["permissions"] == {
        "reading": False,
        "universal_transfer": True,
        "internal_transfer": True,
        "withdrawals": False,
        "futures": True,
        "spot_trading": True,
        "ip_restrict": False,
    }
    assert (await account.transfer())[0] == 200


async def test_transfers_have_a_weight_limit_per_account(tasks: TaskGroup) -> None:
    """600 transfers a minute (here 20), then 429, then 418, which bans the address from all."""
    config = SimulatorConfig(symbols=1, limits={Bucket.SAPI_UID: 20 * TRANSFER_WEIGHT})
    async with trader(tasks, config) as account:
        await account.transfer()
        used = account.headers["X-SAPI-USED-UID-WEIGHT-1M"]
        replies = [await account.send("POST", TRANSFER) for _ in range(29)]
        refused = [status for status, reply in replies if reply["code"] == -1003]
        await account.rows(OUT)

        assert (used, account.headers["X-SAPI-USED-IP-WEIGHT-1M"]) == ("300", "1")
        assert RULES[Bucket.SAPI_UID].limit // TRANSFER_WEIGHT == 600
        assert "X-SAPI-USED-UID-WEIGHT-1M" not in account.headers
        assert refused == [429] * 10
        status, _ = await account.transfer()
        assert (status, await account.moved()) == (418, ["25"])
        assert 0 < int(account.headers["Retry-After"]) <= 120
        assert (await account.get(TRANSFER, type=OUT))[0] == 418


async def test_money_can_be_moved_on_the_web_site(account: Account) -> None:
    await account.set(balances={"spot": "50"})
    wanted = {"type": OUT, "amount": "25.5"}
    status, moved = await account.sim.control("POST", "/sim/wallet/transfers", wanted)
    poor, _ = await account.sim.control("POST", "/sim/wallet/transfers", wanted)

    assert (status, moved["origin"], poor) == (201, "web", 400)
    assert [row["tranId"] for row in await account.rows(OUT)] == [moved["tranId"]]
    assert await account.balances() == ["24.5", "10025.5", "0"]


async def test_a_client_id_is_accepted_once_in_seven_days(account: Account) -> None:
    wanted = {
        "fromAccountType": "SPOT",
        "toAccountType": "USDT_FUTURE",
        "asset": "USDT",
        "amount": "3",
        "clientTranId": "one-of-ours",
    }

    async def post(**changed: Any) -> tuple[int, Any]:
        body = account.signed(**{**wanted, **changed})
        return await account.send("POST", UNIVERSAL, body=body)

    first, again = await post(), await post(amount="4")
    long = await post(clientTranId="x" * 64)
    elsewhere = await post(clientTranId="b", toAccountType="MARGIN")
    _, found = await account.get(UNIVERSAL, clientTranId="one-of-ours")
    _, none = await account.get(UNIVERSAL, clientTranId="another")
    await account.move_clock(7 * DAY_MS + 1_000)
    later = await post()

    assert first[1] == {**first[1], "clientTranId": "one-of-ours"}
    assert [reply[1]["code"] for reply in (again, long, elsewhere)] == [-4115, -4114, -5010]
    assert (none["totalCount"], found["totalCount"]) == (0, 1)
    assert found["result"][0] == {
        **found["result"][0],
        "tranId": first[1]["tranId"],
        "amount": "3",
        "status": "SUCCESS",
        "toAccountType": "USDT_FUTURE",
    }
    assert (later[0], await account.moved()) == (200, ["3", "3"])
    assert await account.rows(OUT, startTime=1) == []


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/sim/wallet", {"lag": 1}, "history_lag_ms"),
        ("/sim/wallet", {"pending_ends": "PENDING"}, "is not a final status"),
        ("/sim/wallet", {"balances": {"spot": "-1"}}, "at most 8 decimals"),
        ("/sim/wallet", {"balances": {"spot": "NaN"}}, "is not an amount"),
        ("/sim/wallet/transfers", {"type": "UP", "amount": 1}, "MAIN_UMFUTURE or"),
        ("/sim/wallet/transfers", {"type": OUT, "amount": "0"}, "0 cannot be moved"),
    ],
)
async def test_an_invalid_wallet_request_is_refused_with_the_allowed_values(
    account: Account, path: str, body: dict[str, Any], named: str
) -> None:
    status, answer = await account.sim.control("POST", path, body)

    assert status == 400
    assert named in answer["error"]


async def test_the_journal_survives_a_kill_of_the_simulator(tmp_path: Path) -> None:
    books = tmp_path / "books.jsonl"
    options = ("--spot-usdt", "5", "--books", str(books), "--api-key", "Mine1", "--symbols", "1")
    async with (
        simulator_process(*options, "--api-secret", "of mine") as process,
        simulator_client(process.ready) as sim,
    ):
        account = Account(sim, "Mine1", "of mine")
        _, moved = await account.transfer(OUT, "5")
        refused = await account.transfer(OUT, "1")
        await process.stop(signal.SIGKILL)

    assert (process.ready["api_key"], process.ready["api_secret"]) == ("Mine1", "***")
    assert refused[1]["code"] == -5013
    (line,) = books.read_bytes().splitlines()
    assert msgspec.json.decode(line)["tranId"] == moved["tranId"]
