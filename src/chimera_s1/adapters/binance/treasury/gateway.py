"""The treasury's gateway to Binance, in both modes.

The wallet's transfer carries no id of ours: sending it twice moves money twice. The sub-account's
transfer carries one, but needs the key of a master account.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar, assert_never

import msgspec
from msgspec import Struct

from chimera_s1.adapters.binance import income, spot_account
from chimera_s1.adapters.binance.endpoints import Endpoints
from chimera_s1.adapters.binance.http.client import HttpClient, HttpTimeouts
from chimera_s1.adapters.binance.http.http_adapter import HttpAdapter
from chimera_s1.adapters.binance.http.signed_request import BinanceSignedRequest
from chimera_s1.adapters.binance.http.signing import (
    Credentials,
    ExchangeClock,
    Parameters,
    Signer,
)
from chimera_s1.adapters.binance.http.weight_budget import WeightBudget
from chimera_s1.adapters.binance.treasury import (
    income_requests,
    key_permissions,
    request_calls,
    subaccount_requests,
    system_status,
    wallet_requests,
)
from chimera_s1.adapters.binance.treasury.paged_history import HistoryPage, read_movements
from chimera_s1.adapters.binance.treasury.transfer_sender import TransferSender
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.operations.request_budget import RequestCall
from chimera_s1.domain.ports.exchange_status import ExchangeStatus
from chimera_s1.domain.ports.key_permissions import KeyPermissions
from chimera_s1.domain.ports.treasury_gateway import (
    SignedTransfer,
    SubmissionReply,
    TransferSubmission,
    no_obstacle,
)
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import Direction
from chimera_s1.domain.treasury.reconciliation import ExecutionWindow, IncomeRow, Movement

_T = TypeVar("_T")


class GatewayConfig(Struct, frozen=True, kw_only=True):
    """Attributes:
        endpoints: Of both venues; the wallet API is on the spot host.

    exchange_ms: The time that reads are signed with.

    budgets: Of both hosts, shared with all other clients.

    timeouts: Of a transfer.
    """

    endpoints: Mapping[Venue, Endpoints]
    credentials: Credentials
    exchange_ms: ExchangeClock
    budgets: Mapping[Venue, WeightBudget]
    timeouts: HttpTimeouts = HttpTimeouts()


class BinanceTreasuryGateway(HttpAdapter):
    """The part that both modes share."""

    def __init__(
        self, config: GatewayConfig, path: str, call: RequestCall, mode: TreasuryMode
    ) -> None:
        """A transfer is posted to *path* and spends what *call* says."""
        self.mode = mode
        super().__init__(HttpClient(config.endpoints, config.budgets))
        self._signer = Signer(config.credentials, config.exchange_ms)
        self._exchange_ms = config.exchange_ms
        self._sender = TransferSender(
            self._client, lambda: self._signer, path, call, config.timeouts
        )

    def use_key(self, credentials: Credentials) -> None:
        """From now on; what was signed before is sent with the key that signed it."""
        self._signer = Signer(credentials, self._exchange_ms)

    async def submit(
        self, signed: SignedTransfer, obstacle: Callable[[], str] = no_obstacle
    ) -> SubmissionReply:
        return await self._sender.submit(signed, obstacle)

    async def read_income(self, window: ExecutionWindow) -> tuple[IncomeRow, ...]:
        return await income_requests.read_income(self._read_income_rows, window)

    async def key_permissions(self) -> KeyPermissions:
        path, kind = key_permissions.PATH, key_permissions.ApiRestrictions
        return key_permissions.parse_restrictions(
            await self._get(Venue.SPOT, path, (), kind, request_calls.KEY_PERMISSIONS), self.mode
        )

    async def account_uid(self) -> str:
        account = await self._get(
            Venue.SPOT,
            spot_account.PATH,
            spot_account.PARAMETERS,
            spot_account.SpotAccount,
            request_calls.ACCOUNT,
        )
        return str(account.uid)

    async def exchange_status(self) -> ExchangeStatus:
        path, kind = system_status.PATH, system_status.SystemStatus
        return system_status.parse_status(
            await self._client.get(Venue.SPOT, path, (), kind, call=request_calls.SYSTEM_STATUS)
        )

    async def _read_income_rows(self, window_part: ExecutionWindow) -> tuple[msgspec.Raw, ...]:
        parameters = income.page_parameters(
            income_requests.INCOME_TYPE, window_part.start, window_part.end
        )
        kind = tuple[msgspec.Raw, ...]
        return await self._get(Venue.PERP, income.PATH, parameters, kind, request_calls.INCOME)

    async def _get(
        self, venue: Venue, path: str, parameters: Parameters, kind: type[_T], call: RequestCall
    ) -> _T:
        return await self._client.get(venue, path, parameters, kind, call=call, signer=self._signer)


class BinanceWalletGateway(BinanceTreasuryGateway):
    """Implements `domain.ports.treasury_gateway.TreasuryGateway` for mode `wallet`,
    `domain.ports.key_permissions.KeyPermissionsReader`,
    `domain.ports.account_reader.AccountReader` and
    `domain.ports.exchange_status.ExchangeStatusReader`.
    """

    def __init__(self, config: GatewayConfig) -> None:
        super().__init__(
            config, wallet_requests.PATH, request_calls.WALLET_TRANSFER, TreasuryMode.WALLET
        )

    def sign(self, order: TransferSubmission) -> BinanceSignedRequest:
        """Make the request for *order*; its id is not in it."""
        return self._sender.sign(wallet_requests.order_parameters(order))

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        return await read_movements(partial(self._read_page, direction), window)

    async def _read_page(
        self, direction: Direction, window_part: ExecutionWindow, page: int
    ) -> HistoryPage:
        parameters = wallet_requests.history_parameters(direction, window_part, page)
        path, kind = wallet_requests.PATH, wallet_requests.WalletHistoryPage
        return wallet_requests.parse_page(
            await self._get(Venue.SPOT, path, parameters, kind, request_calls.HISTORY), direction
        )


class BinanceSubaccountGateway(BinanceTreasuryGateway):
    """Implements `domain.ports.treasury_gateway.TreasuryGateway` for mode `subaccount`,
    `domain.ports.key_permissions.KeyPermissionsReader`,
    `domain.ports.account_reader.AccountReader` and
    `domain.ports.exchange_status.ExchangeStatusReader`.
    """

    def __init__(self, config: GatewayConfig) -> None:
        super().__init__(
            config,
            subaccount_requests.PATH,
            request_calls.SUBACCOUNT_TRANSFER,
            TreasuryMode.SUBACCOUNT,
        )

    def sign(self, order: TransferSubmission) -> BinanceSignedRequest:
        """Make the request for *order*, its id included."""
        return self._sender.sign(subaccount_requests.order_parameters(order))

    async def read_movements(
        self, direction: Direction, window: ExecutionWindow
    ) -> tuple[Movement, ...]:
        return await read_movements(partial(self._read_page, direction), window)

    async def _read_page(
        self, direction: Direction, window_part: ExecutionWindow, page: int
    ) -> HistoryPage:
        parameters = subaccount_requests.history_parameters(window_part, page)
        path, kind = subaccount_requests.PATH, subaccount_requests.SubaccountHistoryPage
        return subaccount_requests.parse_page(
            await self._get(Venue.SPOT, path, parameters, kind, request_calls.HISTORY), direction
        )


def make_gateway(
    mode: TreasuryMode, config: GatewayConfig
) -> BinanceWalletGateway | BinanceSubaccountGateway:
    match mode:
        case TreasuryMode.WALLET:
            return BinanceWalletGateway(config)
        case TreasuryMode.SUBACCOUNT:
            return BinanceSubaccountGateway(config)
        case _:
            assert_never(mode)
