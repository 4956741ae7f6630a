"""A Binance gateway in front of a server that answers with any bytes."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpTimeouts
from chimera_s1.adapters.binance.http.signing import Credentials, Secret
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget, weight_budgets
from chimera_s1.adapters.binance.treasury.gateway import BinanceWalletGateway, GatewayConfig
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.treasury_gateway import SubmissionReply, TransferSubmission
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow
from tests.contract.raw_http_server import RawHttpServer, ScriptedReply, http_reply, raw_http_server
from tests.fakes.manual_clock import ManualClock
from tests.time_limits import TIMEOUT_S

KEY = "k" * 31 + "K" * 33
SECRET = "s" * 31 + "S" * 33
SIGNED_AT = 1_772_655_374_000
ORDER = TransferSubmission(
    direction=Direction.SPOT_TO_FUT,
    amount=Decimal("25.00000117"),
    client_id="s1-abc-1",
    signed_at=SIGNED_AT,
    recv_window_ms=5_000,
)
WINDOW = ExecutionWindow(SIGNED_AT, SIGNED_AT + 1_000)
ACCEPTED_REPLY = ScriptedReply(http_reply(200, b'{"tranId":13526853623}'))
EMPTY_HISTORY_REPLY = ScriptedReply(http_reply(200, b'{"total":0,"rows":[]}'), after_reply="next")
HTML_BODY = b"<html><h1>Bad Gateway</h1></html>"
QUICK_TIMEOUTS = HttpTimeouts(connect_s=5.0, total_s=0.3)


@asynccontextmanager
async def connected_gateway(
    url: str,
    budgets: dict[Venue, WeightBudget] | None = None,
    timeouts: HttpTimeouts = HttpTimeouts(),  # noqa: B008 (frozen)
) -> AsyncIterator[BinanceWalletGateway]:
    account = GatewayConfig(
        endpoints={venue: Endpoints(url, "") for venue in Venue},
        credentials=Credentials(Secret(KEY), Secret(SECRET)),
        exchange_ms=lambda: SIGNED_AT + 0.4,
        budgets=budgets or weight_budgets(ManualClock()),
        timeouts=timeouts,
    )
    with anyio.fail_after(TIMEOUT_S):
        async with BinanceWalletGateway(account) as gateway:
            yield gateway


async def submit_and_classify(
    script: ScriptedReply,
    timeouts: HttpTimeouts = HttpTimeouts(),  # noqa: B008
) -> SubmissionReply:
    """The reply to one transfer; the server proves that it received exactly one request."""
    async with (
        raw_http_server(script) as server,
        connected_gateway(server.url, timeouts=timeouts) as gateway,
    ):
        outcome = await gateway.submit(gateway.sign(ORDER))
        assert_one_request(server)
        return outcome


def assert_one_request(server: RawHttpServer) -> None:
    assert (server.connections_accepted, len(server.requests), server.fragments) == (1, 1, [])


def signature_of(signed: bytes) -> bytes:
    return hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest().encode()
