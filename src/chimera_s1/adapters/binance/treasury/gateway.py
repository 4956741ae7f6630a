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
from chimera_s1.adapters.binance.http.options import ExchangeClock, HttpTimeouts, create_ssl_context
from chimera_s1.adapters.binance.http.signed_reader import SignedReader
from chimera_s1.adapters.binance.http.signing import Credentials, Signer
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.adapters.binance.treasury import (
    income_requests,
    subaccount_requests,
    wallet_requests,
)
from chimera_s1.adapters.binance.treasury.key_permissions import read_key_permissions
from chimera_s1.adapters.binance.treasury.paged_history import HistoryPage, read_movements
from chimera_s1.adapters.binance.treasury.transfer_sender import (
    BinanceSignedTransfer,
    TransferSender,
)
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.key_permissions import KeyPermissions
from chimera_s1.domain.ports.treasury_gateway import (
    SignedTransfer,
    SubmissionReply,
    TransferSubmission,
)
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, IncomeRow, Movement

SOCKET_TIMEOUT_S = 10.0


class GatewayConfig(Struct, frozen=True, kw_only=True):
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
    timeouts: HttpTimeouts = HttpTimeouts()


class _GatewayClients:
    """The connections of one gateway: reads of both hosts, and the post to one address."""

    def __init__(self, config: GatewayConfig, path: str) -> None:
        authorities = create_ssl_context()
        signer = Signer(config.credentials)
        self._client = httpx2.AsyncClient(
            verify=authorities, timeout=SOCKET_TIMEOUT_S, follow_redirects=False, trust_env=False
        )
        self.spot = self._make_reader(config, signer, Venue.SPOT)
        self.futures = self._make_reader(config, signer, Venue.PERP)
        self.sender = _make_sender(config, signer, path, authorities)

    def _make_reader(self, config: GatewayConfig, signer: Signer, venue: Venue) -> SignedReader:
        base_url = config.endpoints[venue].rest_url
        budget = config.budgets[venue]
        return SignedReader(self._client, base_url, signer, budget, config.exchange_ms)

    async def close(self) -> None:
        await self._client.aclose()


class _BinanceGateway:
    """What both modes have in common."""

    def __init__(self, config: GatewayConfig, path: str, mode: TreasuryMode) -> None:
        self._clients = _GatewayClients(config, path)
        self._mode = mode

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._clients.close()

    @property
    def mode(self) -> TreasuryMode:
        """Which transfer is used."""
        return self._mode

    async def submit(self, signed: SignedTransfer) -> SubmissionReply:
        """Send *signed* once, on a connection of its own.

        Raises:
            RuntimeError: It was submitted before.
        """
        return await self._clients.sender.submit(signed)

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        """The futures account's side of the transfers in *window*."""
        return await income_requests.read_income(self._income_rows, window)

    async def key_permissions(self) -> KeyPermissions:
        """What the key may do now."""
        return await read_key_permissions(self._clients.spot, self._mode)

    async def _income_rows(
        self, window_part: ExecutionWindow
    ) -> tuple[income_requests.IncomeReplyRow, ...]:
        parameters = income_requests.income_parameters(window_part)
        return await self._clients.futures.get(
            income_requests.PATH, parameters, tuple[income_requests.IncomeReplyRow, ...]
        )


class BinanceWalletGateway(_BinanceGateway):
    """Implements `domain.ports.treasury_gateway.TreasuryGateway` for mode `wallet`, and
    `domain.ports.key_permissions.KeyPermissionsReader`.
    """

    def __init__(self, config: GatewayConfig) -> None:
        super().__init__(config, wallet_requests.PATH, TreasuryMode.WALLET)

    def sign(self, order: TransferSubmission) -> BinanceSignedTransfer:
        """Make the request for *order*; its id is not in it."""
        return self._clients.sender.sign(wallet_requests.order_parameters(order))

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        """Every movement of *direction* in *window*."""
        return await read_movements(partial(self._page, direction), window)

    async def _page(
        self, direction: Direction, window_part: ExecutionWindow, page: int
    ) -> HistoryPage:
        parameters = wallet_requests.history_parameters(direction, window_part, page)
        path, kind = wallet_requests.PATH, wallet_requests.WalletHistoryPage
        return wallet_requests.parse_page(
            await self._clients.spot.get(path, parameters, kind), direction
        )


class BinanceSubaccountGateway(_BinanceGateway):
    """Implements `domain.ports.treasury_gateway.TreasuryGateway` for mode `subaccount`, and
    `domain.ports.key_permissions.KeyPermissionsReader`.
    """

    def __init__(self, config: GatewayConfig) -> None:
        super().__init__(config, subaccount_requests.PATH, TreasuryMode.SUBACCOUNT)

    def sign(self, order: TransferSubmission) -> BinanceSignedTransfer:
        """Make the request for *order*, its id included."""
        return self._clients.sender.sign(subaccount_requests.order_parameters(order))

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        """Every movement of *direction* in *window*, with our ids."""
        return await read_movements(partial(self._page, direction), window)

    async def _page(
        self, direction: Direction, window_part: ExecutionWindow, page: int
    ) -> HistoryPage:
        parameters = subaccount_requests.history_parameters(window_part, page)
        path, kind = subaccount_requests.PATH, subaccount_requests.SubaccountHistoryPage
        return subaccount_requests.parse_page(
            await self._clients.spot.get(path, parameters, kind), direction
        )


def make_gateway(
    mode: TreasuryMode, config: GatewayConfig
) -> BinanceWalletGateway | BinanceSubaccountGateway:
    """The one that is configured."""
    match mode:
        case TreasuryMode.WALLET:
            return BinanceWalletGateway(config)
        case TreasuryMode.SUBACCOUNT:
            return BinanceSubaccountGateway(config)
        case _:
            assert_never(mode)


def _make_sender(
    config: GatewayConfig, signer: Signer, path: str, ssl_context: ssl.SSLContext
) -> TransferSender:
    return TransferSender(
        config.endpoints[Venue.SPOT].rest_url + path,
        signer,
        config.budgets[Venue.SPOT],
        timeouts=config.timeouts,
        ssl_context=ssl_context,
    )
