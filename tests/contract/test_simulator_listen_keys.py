"""The futures user stream of the simulator: listenKeys, and the connections that name them."""

from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
import pytest
from aiohttp import WSServerHandshakeError
from binance_common.configuration import ConfigurationRestAPI
from msgspec import Struct

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient
from chimera_s1.adapters.binance.http.listen_key import ListenKeyMethod
from chimera_s1.adapters.binance.http.request_limits import futures_weight
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.simulator.config import DEMO_KEY, SimulatorConfig
from chimera_s1.adapters.simulator.streams.listen_keys import VALIDITY_MS
from chimera_s1.domain.errors import ExchangeRefusedError
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall
from tests.contract.binance_sdks import futures_sdk
from tests.contract.signed_client import Account, running_simulator
from tests.fakes.manual_clock import ManualClock
from tests.simulator_client import StreamConnection, simulator_client

LISTEN_KEY = "/fapi/v1/listenKey"
UNKNOWN_KEY = "f" * 64
UNKNOWN = {"code": -1125, "msg": "This listenKey does not exist."}


@pytest.fixture(scope="module")
async def urls() -> AsyncIterator[dict[str, str]]:
    async with running_simulator(SimulatorConfig(symbols=1)) as urls:
        yield urls


@pytest.fixture
async def account(urls: dict[str, str]) -> AsyncIterator[Account]:
    """Without a valid key, and with the clock and the switches as at the start."""
    async with simulator_client(urls) as sim:
        account = Account(sim)
        await account.move_clock(0)
        await sim.control(
            "POST", "/sim/user-streams", {"without_events": "all", "path_form": "all"}
        )
        await sim.control("DELETE", "/sim/faults")
        await account.send("DELETE", LISTEN_KEY)
        yield account


class ListenKeyReply(Struct):
    listenKey: str = ""  # noqa: N815 (Binance's name)


async def test_the_http_client_makes_prolongs_and_ends_a_key(
    account: Account, urls: dict[str, str]
) -> None:
    call = RequestCall("test", Priority.MONEY, futures_weight(1))
    endpoints = {Venue.PERP: Endpoints(urls["perp_rest_url"], "")}
    signer = Signer(Credentials(Secret(DEMO_KEY.key), Secret(DEMO_KEY.secret)), lambda: 0.0)
    async with HttpClient(endpoints, weight_budgets(ManualClock())) as client:

        async def ask(method: ListenKeyMethod) -> str:
            reply = await client.call_listen_key(method, ListenKeyReply, call=call, signer=signer)
            return reply.listenKey

        key = await ask(ListenKeyMethod.POST)
        assert key == await opened_key(account)
        assert await ask(ListenKeyMethod.PUT) == key
        assert await ask(ListenKeyMethod.DELETE) == ""
        with pytest.raises(ExchangeRefusedError, match=r"PUT .*/fapi/v1/listenKey: .*-1125"):
            await ask(ListenKeyMethod.PUT)


async def opened_key(account: Account) -> str:
    status, body = await account.send("POST", LISTEN_KEY)
    assert status == 200, body
    return str(body["listenKey"])


async def is_silent(wire: StreamConnection) -> bool:
    """Whether nothing came before the reply to a message sent now."""
    _, before = await wire.request("LIST_SUBSCRIPTIONS")
    return before == []


async def test_a_key_is_opened_extended_and_closed(account: Account) -> None:
    refused = await account.send("PUT", LISTEN_KEY)
    key = await opened_key(account)

    assert refused == (400, UNKNOWN)
    assert await opened_key(account) == key
    assert await account.send("PUT", LISTEN_KEY) == (200, {"listenKey": key})
    assert await account.send("DELETE", LISTEN_KEY) == (200, {})
    assert await account.send("DELETE", LISTEN_KEY) == (400, UNKNOWN)
    assert await opened_key(account) != key


async def test_a_key_needs_an_api_key_with_permission_for_futures(account: Account) -> None:
    stranger = Account(account.sim, key="another")
    unknown = await stranger.send("POST", LISTEN_KEY)
    await account.set(permissions={"futures": False})
    forbidden = await account.send("POST", LISTEN_KEY)
    await account.set(permissions={"futures": True})

    assert (unknown[0], unknown[1]["code"]) == (401, -2015)
    assert (forbidden[0], forbidden[1]["code"]) == (401, -2015)


async def test_a_keep_alive_that_fails_is_a_fault_of_the_request(account: Account) -> None:
    await opened_key(account)
    await account.sim.arm(f"PUT {LISTEN_KEY}", "code:-1125")

    assert await account.send("PUT", LISTEN_KEY) == (400, UNKNOWN)
    assert await account.sim.fired() == [1]


@pytest.mark.parametrize(
    ("form", "combined"),
    [
        ("/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE/listenKeyExpired", False),
        ("/private/stream?listenKey={key}&events=listenKeyExpired", True),
        ("/private/ws?listenKey={key}", False),
        ("/private/ws/{key}", False),
    ],
)
async def test_an_expired_key_is_announced_and_then_silent(
    account: Account, form: str, combined: bool
) -> None:
    key = await opened_key(account)
    async with account.sim.connect("perp", form.format(key=key)) as wire:
        assert await is_silent(wire)
        await account.move_clock(VALIDITY_MS)
        message = await wire.receive_message()
        event = message["data"] if combined else message
        assert await is_silent(wire)
        refused = await account.send("PUT", LISTEN_KEY)

    assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
    assert event["E"].isdecimal()
    assert not combined or message["stream"] == key
    assert refused == (400, UNKNOWN)


async def test_a_subscribed_key_delivers(account: Account) -> None:
    key = await opened_key(account)
    async with account.sim.connect("perp", "/private/ws") as wire:
        await wire.request("SUBSCRIBE", [key])
        listed, _ = await wire.request("LIST_SUBSCRIPTIONS")
        await account.move_clock(VALIDITY_MS)
        event = await wire.receive_message()

    assert listed["result"] == [key]
    assert event["e"] == "listenKeyExpired"


@pytest.mark.parametrize(
    ("form", "switches"),
    [
        ("/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE", {}),
        ("/private/ws?listenKey={key}", {"without_events": "nothing"}),
        ("/private/ws/{key}", {"path_form": "nothing"}),
        ("/ws/{key}", {}),
        (f"/private/ws?listenKey={UNKNOWN_KEY}&events=listenKeyExpired", {}),
    ],
)
async def test_a_connection_that_gets_nothing_stays_open(
    account: Account, form: str, switches: dict[str, str]
) -> None:
    """A second connection shows that the event was sent."""
    key = await opened_key(account)
    await account.sim.control("POST", "/sim/user-streams", switches)
    witness = f"/private/ws?listenKey={key}&events=listenKeyExpired"
    async with (
        account.sim.connect("perp", form.format(key=key)) as wire,
        account.sim.connect("perp", witness) as other,
    ):
        await account.move_clock(VALIDITY_MS)
        event = await other.receive_message()
        silent = await is_silent(wire)

    assert event["e"] == "listenKeyExpired"
    assert silent


@pytest.mark.parametrize(("do", "received"), [("gap", 0), ("duplicate", 2), ("delay:1", 1)])
async def test_faults_act_on_events(account: Account, do: str, received: int) -> None:
    """A second event, of the next key, shows what became of the first."""
    await account.sim.control("POST", "/sim/user-streams", {"validity_ms": 60_000})
    async with account.sim.connect("perp", "/private/ws") as wire:
        await account.sim.arm("user:perp:listenKeyExpired", do)
        keys, events = [], []
        for expiries in (1, 2):
            keys.append(await opened_key(account))
            _, before = await wire.request("SUBSCRIBE", keys[-1:])
            events += before
            await account.move_clock(expiries * 60_000)
        while len(events) <= received:
            events.append(await wire.receive_message())

    assert sorted(each["listenKey"] for each in events) == sorted([keys[0]] * received + keys[1:])
    assert await account.sim.fired() == [1]


async def test_a_silent_connection_answers_and_delivers_nothing(account: Account) -> None:
    key = await opened_key(account)
    form = f"/private/ws?listenKey={key}&events=listenKeyExpired"
    async with account.sim.connect("perp", form) as silent:
        await account.sim.arm("user:perp", "silent")
        while await account.sim.fired() != [1]:
            pass  # connections get their faults every 20 ms
        async with account.sim.connect("perp", form) as other:
            await account.move_clock(VALIDITY_MS)
            event = await other.receive_message()
        assert await is_silent(silent)

    assert event["e"] == "listenKeyExpired"


async def test_a_fault_refuses_connections_for_the_user_stream_only(account: Account) -> None:
    await account.sim.arm("user:perp", "refuse:503")
    async with account.sim.connect("perp", "/public/ws"):
        fired_by_public = await account.sim.fired()
    with pytest.raises(WSServerHandshakeError) as refused:
        async with account.sim.connect("perp", "/private/ws"):
            pass

    assert (fired_by_public, refused.value.status) == ([0], 503)


async def test_a_wrong_switch_is_refused(account: Account) -> None:
    status, body = await account.sim.control(
        "POST", "/sim/user-streams", {"without_events": "some"}
    )

    assert status == 400
    assert "all or nothing" in body["error"]


async def test_the_official_sdk_opens_extends_and_closes_a_key(account: Account) -> None:
    configuration = ConfigurationRestAPI(
        api_key=DEMO_KEY.key,
        api_secret=DEMO_KEY.secret,
        base_path=account.sim.urls["perp_rest_url"],
    )
    sdk = futures_sdk(config_rest_api=configuration).rest_api

    started = (await anyio.to_thread.run_sync(sdk.start_user_data_stream)).data()
    kept = (await anyio.to_thread.run_sync(sdk.keepalive_user_data_stream)).data()
    await anyio.to_thread.run_sync(sdk.close_user_data_stream)

    assert started.listen_key == kept.listen_key
    assert await account.send("PUT", LISTEN_KEY) == (400, UNKNOWN)
