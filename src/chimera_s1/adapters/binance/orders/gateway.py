"""Orders of one account at Binance: spot orders and lists, futures orders and algo orders."""

from collections.abc import Callable, Iterable
from typing import NoReturn

import anyio
import msgspec
from msgspec import Raw

from chimera_s1.adapters.binance.account_key import KeySource
from chimera_s1.adapters.binance.http.client import (
    HttpClient,
    HttpTimeouts,
    UnknownOrderError,
)
from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.adapters.binance.http.signing import Signer
from chimera_s1.adapters.binance.orders import perp_rows, request_calls, spot_rows
from chimera_s1.adapters.binance.orders.order_parameters import PATHS, find_parameters
from chimera_s1.adapters.binance.orders.order_sender import (
    OrderSender,
    SignedCancel,
    SignedPlacement,
)
from chimera_s1.domain.errors import (
    ExchangeRefusedError,
    ExchangeUnavailableError,
    InvalidValueError,
)
from chimera_s1.domain.execution.order_request import (
    OrderFamily,
    OrderRef,
    OrderRequest,
    family_of,
)
from chimera_s1.domain.execution.reports import OrderListReport, OrderReport
from chimera_s1.domain.identifiers import Venue
from chimera_s1.domain.ports.order_gateway import (
    CancelReply,
    OrderFound,
    OrderNotFound,
    OrderReply,
    SignedRequest,
)

_READERS: dict[OrderFamily, Callable[[Raw], OrderReport | OrderListReport]] = {
    OrderFamily.SPOT_ORDER: spot_rows.read_order,
    OrderFamily.SPOT_LIST: spot_rows.read_list,
    OrderFamily.PERP_ORDER: perp_rows.read_order,
    OrderFamily.PERP_ALGO: perp_rows.read_algo,
}


async def require_signer(key: KeySource, venue: Venue) -> Signer:
    """For requests to *venue*.

    Raises:
    ExchangeUnavailableError: The key's account is not known yet.
    ExchangeRefusedError: There is no key, or the exchange refuses it.
    """
    account_key = await key()
    if account_key is None:
        raise ExchangeRefusedError("no exchange key; set S1_BINANCE_KEY and S1_BINANCE_SECRET")
    return account_key.signer_for(venue)


class BinanceOrderGateway:
    """Implements `domain.ports.order_gateway.OrderGateway`.

    Args:
        client: The caller closes it; shared with other readers of the same account.
        timeouts: Of a request that is sent once.
    """

    def __init__(
        self,
        client: HttpClient,
        key: KeySource,
        timeouts: HttpTimeouts = HttpTimeouts(),  # noqa: B008 (frozen)
    ) -> None:
        self._client = client
        self._key = key
        self._sender = OrderSender(client, timeouts)

    async def keep_ready(self, venues: Iterable[Venue], count: int) -> NoReturn:
        """Keep *count* connections to each of *venues* open for orders, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for venue in venues:
                tasks.start_soon(self._client.keep_ready, venue, count)
        raise AssertionError("connections are kept ready until this is cancelled")

    async def sign_order(self, request: OrderRequest) -> SignedPlacement:
        signer = await require_signer(self._key, family_of(request).venue)
        return self._sender.sign_order(request, signer, signer.timestamp_ms())

    async def sign_cancel(self, ref: OrderRef) -> SignedCancel:
        signer = await require_signer(self._key, ref.family.venue)
        return self._sender.sign_cancel(ref, signer, signer.timestamp_ms())

    async def send_order(self, signed: SignedRequest, obstacle: Callable[[], str]) -> OrderReply:
        return await self._sender.send_order(signed, obstacle)

    async def send_cancel(self, signed: SignedRequest, obstacle: Callable[[], str]) -> CancelReply:
        return await self._sender.send_cancel(signed, obstacle)

    async def find(self, ref: OrderRef) -> OrderFound | OrderNotFound:
        signer = await require_signer(self._key, ref.family.venue)
        try:
            report = await self._read(ref, signer)
        except UnknownOrderError as error:
            return OrderNotFound(message=str(error))
        if isinstance(report, OrderReport):
            return OrderFound(reports=(report,))
        return OrderFound(reports=(report, *await self._legs(report, signer)))

    async def _legs(self, order_list: OrderListReport, signer: Signer) -> list[OrderReport]:
        """Those that can be read already: queries lag behind the exchange."""
        legs: list[OrderReport] = []
        for leg in order_list.legs:
            ref = OrderRef(
                family=OrderFamily.SPOT_ORDER,
                symbol=order_list.symbol,
                client_id=leg.client_id,
                exchange_id=leg.exchange_id,
            )
            try:
                report = await self._read(ref, signer)
            except UnknownOrderError:
                continue
            assert isinstance(report, OrderReport)
            legs.append(report)
        return legs

    async def _read(self, ref: OrderRef, signer: Signer) -> OrderReport | OrderListReport:
        path, venue = PATHS[ref.family], ref.family.venue
        parameters = tuple(find_parameters(ref))
        row = await self._client.get(
            venue, path, parameters, Raw, call=request_calls.FIND[venue], signer=signer
        )
        try:
            return _READERS[ref.family](row)
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
            InvalidValueError,
        ) as error:
            text = sanitize(str(error))
            raise ExchangeUnavailableError(f"GET {path}: unexpected reply body: {text}") from error
