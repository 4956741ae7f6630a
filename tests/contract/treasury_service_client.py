"""A client of a running treasury service, and the tokens that it has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx2
import psutil

from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from tests.contract.service_process import Service
from tests.time_limits import TIMEOUT_S

TRANSFER = "/xchg/treasury/transfer"
_LOOK_AGAIN_S = 0.02
UNDECIDED = {202, 503}
"""Replies while it is not known what becomes of a transfer, or whether one may be sent."""

TRADER_TOKEN, _TRADER = make_token(
    "trader",
    b"t" * 32,
    actor="treasury-bot",
    scopes=[Scope.TREASURY_TRANSFER, Scope.READ],
    created_at=0,
)
OTHER_TOKEN, _OTHER = make_token(
    "other", b"o" * 32, actor="other-bot", scopes=[Scope.TREASURY_TRANSFER], created_at=0
)
READER_TOKEN, _READER = make_token(
    "reader", b"r" * 32, actor="dashboard", scopes=[Scope.READ], created_at=0
)
HALTER_TOKEN, _HALTER = make_token(
    "halter", b"h" * 32, actor="on-call", scopes=[Scope.MODE_HALT, Scope.READ], created_at=0
)
TOKENS = [_TRADER, _OTHER, _READER, _HALTER]


class TreasuryServiceClient:
    """A running service, and a client that may ask it for everything."""

    def __init__(self, service: Service, http: httpx2.AsyncClient) -> None:
        self.service = service
        self.http = http

    async def transfer(
        self, key: str, amount: Any = "10", *, back: bool = False, token: str = TRADER_TOKEN
    ) -> httpx2.Response:
        """Ask for a transfer from spot to futures, or *back*."""
        source, target = ("FUT", "SPOT") if back else ("SPOT", "FUT")
        body = {"from": source, "to": target, "amount_usdt": amount}
        headers = {"Idempotency-Key": key, "Authorization": f"Bearer {token}"}
        return await self.http.post(TRANSFER, json=body, headers=headers)

    async def transferred(
        self, key: str, amount: Any = "10", *, back: bool = False, token: str = TRADER_TOKEN
    ) -> dict[str, Any]:
        """Ask for it until it has a result: on a busy machine it is pending for longer than a
        request waits.
        """
        with anyio.fail_after(TIMEOUT_S):
            while True:
                reply = await self.transfer(key, amount, back=back, token=token)
                if reply.status_code not in UNDECIDED:
                    assert reply.status_code == 200, reply.text
                    body: dict[str, Any] = reply.json()
                    return body

    @asynccontextmanager
    async def transfer_in_background(
        self, key: str, amount: Any = "10", *, back: bool = False
    ) -> AsyncIterator[list[httpx2.Response]]:
        """Ask for it during the block; after it, the reply is in the list if one came."""
        replies: list[httpx2.Response] = []

        async def ask() -> None:
            with suppress(httpx2.HTTPError):
                replies.append(await self.transfer(key, amount, back=back))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            yield replies

    async def read_transfer(self, key: str) -> dict[str, Any]:
        """`GET /xchg/treasury/transfer/<key>`."""
        reply = await self.read(f"transfer/{key}")
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    async def read(self, path: str, token: str = READER_TOKEN) -> httpx2.Response:
        """A GET below `/xchg/treasury`."""
        headers = {"Authorization": f"Bearer {token}"}
        return await self.http.get(f"/xchg/treasury/{path}", headers=headers)

    async def read_treasury_health(self) -> dict[str, Any]:
        """The component of `/health`."""
        components: list[dict[str, Any]] = (await self.http.get("/health")).json()["components"]
        return next(each for each in components if each["name"] == "treasury")

    async def kill(self) -> None:
        """SIGKILL; returns when the process has ended."""
        self.service.process.kill()
        await self.service.ended()

    async def wait_until_stopped(self) -> None:
        """Wait until a signal has made it stand still."""
        process = psutil.Process(self.service.process.pid)  # no child of ours
        with anyio.fail_after(TIMEOUT_S):
            while process.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 (another process)
                await anyio.sleep(_LOOK_AGAIN_S)
