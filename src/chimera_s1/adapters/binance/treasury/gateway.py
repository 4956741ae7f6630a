"""The treasury's way to Binance, in both modes.

The wallet's transfer knows no id of ours; sending it twice moves money twice. The sub-account's
transfer carries one, but needs a master account's key.
"""

import ssl
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Self, assert_never

import httpx2
from msgspec import Struct

from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.options import Deadlines, ExchangeClock, trusted_authorities
from chimera_s1.adapters.binance.http.signed_reader import SignedReads
from chimera_s1.adapters.binance.http.signing import Credentials, Signer
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.adapters.binance.treasury import (
    income_requests,
    subaccount_requests,
    wallet_requests,
)
from chimera_s1.adapters.binance.treasury.key_permissions import read_key_permissions
from chimera_s1.adapters.binance.treasury.paged_history import Page, read_movements
from chimera_s1.adapters.binance.treasury.transfer_sender import BinanceSignedTransfer, TransferPost
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.key_permissions import KeyPermissions
from chimera_s1.domain.ports.treasury_gateway import Reply, SignedTransfer, TransferOrder
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import IncomeRow, Movement, Window

READ_TIMEOUT_S = 10.0


class Account(Struct, frozen=True, kw_only=True):
    """What a gateway talks to, and as whom.

    Attributes:
        endpoints: Of both venues; the wallets are asked for on the spot host.

        exchange_ms: What time reads are signed with.

        budgets: Of both hosts, shared with all others who ask them.
    """

    endpoints: Mapping[Venue, Endpoints]
    credentials: Credentials
    exchange_ms: ExchangeClock
    budgets: Mapping[Venue, WeightBudget]
    deadlines: Deadlines = Deadlines()


class _Lines:
    """The connections of one gateway: reads of both hosts, and the post to one address."""

    def __init__(self, account: Account, path: str) -> None:
        authorities = trusted_authorities()
        signer = Signer(account.credentials)
        self._client = httpx2.AsyncClient(
            verify=authorities, timeout=READ_TIMEOUT_S, follow_redirects=False, trust_env=False
        )
        self.spot = self._reads(account, signer, Venue.SPOT)
        self.futures = self._reads(account, signer, Venue.PERP)
        self.post = _post(account, signer, path, authorities)

    def _reads(self, account: Account, signer: Signer, venue: Venue) -> SignedReads:
        base_url = account.endpoints[venue].rest_url
        budget = account.budgets[venue]
        return SignedReads(self._client, base_url, signer, budget, account.exchange_ms)

    async def close(self) -> None:
        await self._client.aclose()


class _Gateway:
    """What both modes have in common."""

    def __init__(self, account: Account, path: str, mode: TreasuryMode) -> None:
        self._lines = _Lines(account, path)
        self._mode = mode

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._lines.close()

    @property
    def mode(self) -> TreasuryMode:
        """Which transfer is used."""
        return self._mode

    async def submit(self, signed: SignedTransfer) -> Reply:
        """Send *signed* once, on a connection of its own.

        Raises:
            RuntimeError: It was submitted before.
        """
        return await self._lines.post.submit(signed)

    async def income(self, window: Window) -> tuple[IncomeRow, ...]:
        """The futures account's side of the transfers in *window*."""
        return await income_requests.read_income(self._income_rows, window)

    async def key_permissions(self) -> KeyPermissions:
        """What the key may do now."""
        return await read_key_permissions(self._lines.spot, self._mode)

    async def _income_rows(self, span: Window) -> tuple[income_requests.Row, ...]:
        parameters = income_requests.parameters_of(span)
        return await self._lines.futures.get(
            income_requests.PATH, parameters, tuple[income_requests.Row, ...]
        )


class BinanceTreasuryGateway(_Gateway):
    """Implements `domain.ports.treasury_gateway.TreasuryGateway` for mode `wallet`, and
    `domain.ports.key_permissions.KeyPermissionsReader`.
    """

    def __init__(self, account: Account) -> None:
        super().__init__(account, wallet_requests.PATH, TreasuryMode.WALLET)

    def sign(self, order: TransferOrder) -> BinanceSignedTransfer:
        """Make the request for *order*; its id is not in it."""
        return self._lines.post.sign(wallet_requests.order_parameters(order))

    async def movements(self, direction: Direction, window: Window) -> tuple[Movement, ...]:
        """Every movement of *direction* in *window*."""
        return await read_movements(partial(self._page, direction), window)

    async def _page(self, direction: Direction, span: Window, page: int) -> Page:
        parameters = wallet_requests.history_parameters(direction, span, page)
        path, kind = wallet_requests.PATH, wallet_requests.Answer
        return wallet_requests.page_of(
            await self._lines.spot.get(path, parameters, kind), direction
        )


class BinanceSubaccountGateway(_Gateway):
    """Implements `domain.ports.treasury_gateway.TreasuryGateway` for mode `subaccount`, and
    `domain.ports.key_permissions.KeyPermissionsReader`.
    """

    def __init__(self, account: Account) -> None:
        super().__init__(account, subaccount_requests.PATH, TreasuryMode.SUBACCOUNT)

    def sign(self, order: TransferOrder) -> BinanceSignedTransfer:
        """Make the request for *order*, its id included."""
        return self._lines.post.sign(subaccount_requests.order_parameters(order))

    async def movements(self, direction: Direction, window: Window) -> tuple[Movement, ...]:
        """Every movement of *direction* in *window*, with our ids."""
        return await read_movements(partial(self._page, direction), window)

    async def _page(self, direction: Direction, span: Window, page: int) -> Page:
        parameters = subaccount_requests.history_parameters(span, page)
        path, kind = subaccount_requests.PATH, subaccount_requests.Answer
        return subaccount_requests.page_of(
            await self._lines.spot.get(path, parameters, kind), direction
        )


def gateway_for(
    mode: TreasuryMode, account: Account
) -> BinanceTreasuryGateway | BinanceSubaccountGateway:
    """The one that is configured."""
    match mode:
        case TreasuryMode.WALLET:
            return BinanceTreasuryGateway(account)
        case TreasuryMode.SUBACCOUNT:
            return BinanceSubaccountGateway(account)
        case _:
            assert_never(mode)


def _post(account: Account, signer: Signer, path: str, authorities: ssl.SSLContext) -> TransferPost:
    return TransferPost(
        account.endpoints[Venue.SPOT].rest_url + path,
        signer,
        account.budgets[Venue.SPOT],
        deadlines=account.deadlines,
        authorities=authorities,
    )
