"""An instance that takes entries, behind the web application; everything is in memory."""

from typing import Any

import httpx2

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from tests.contract.treasury_api_client import UNLIMITED
from tests.contract.web_parts import WebParts
from tests.entry_harness import EntryInstance
from tests.execution_harness import ExecutionHarness
from tests.fakes.token_store import MemoryTokenStore

TRADER, TRADER_RECORD = make_token(
    "trader1", b"a" * 32, actor="s4", scopes=(Scope.ORDERS_TRADE, Scope.READ), created_at=0
)
READER, READER_RECORD = make_token(
    "reader1", b"b" * 32, actor="watch", scopes=(Scope.READ,), created_at=0
)
FUTURES = "/xchg/futures/entries"
SPOT = "/xchg/spot/entries"
BODY = {
    "client_order_id": "s4-1",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "qty": "2",
    "limit_price": "100",
    "timeout_ms": 10_000,
    "stop_price": 90,
}
SPOT_BODY = {
    "entry_id": "s4-2",
    "symbol": "BTCUSDT",
    "side": "BUY",
    "qty": "2",
    "tp_price": "110",
    "sl_trigger_price": "90",
}


class Desk:
    """One instance behind the web application."""

    def __init__(self) -> None:
        self.world = ExecutionHarness()
        self.instance = EntryInstance(self.world)
        tokens = MemoryTokenStore([TRADER_RECORD, READER_RECORD])
        self.parts = WebParts(
            tokens=tokens, entries=self.instance.use_cases, limit=UNLIMITED, only={"account"}
        )

    async def post(
        self, path: str, body: dict[str, Any] | None = None, token: str = TRADER, **headers: str
    ) -> httpx2.Response:
        async with self.parts.client() as client:
            client.headers["Authorization"] = f"Bearer {token}"
            return await client.post(path, json=body, headers=headers)

    async def get(self, path: str) -> Any:
        async with self.parts.client() as client:
            client.headers["Authorization"] = f"Bearer {READER}"
            return (await client.get(path)).json()
