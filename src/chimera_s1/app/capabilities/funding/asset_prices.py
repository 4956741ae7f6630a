"""What assets were worth in USDT, each asked for once a minute of the past."""

from typing import assert_never

from chimera_s1.domain.errors import ExchangeRefusedError, ExchangeUnavailableError
from chimera_s1.domain.funding.record import Conversion
from chimera_s1.domain.operations.schedule import MINUTE_MS
from chimera_s1.domain.ports.funding_source import Candle, FundingSource, NoPrice


class AssetPrices:
    """The prices of one run.

    Args:
        now_ms: The exchange's time; a minute that lasts has no price yet.

    Attributes:
        requests: Sent so far.
        without_market: Assets that nothing is asked for any more.
        problem: Why no price is asked for any more; empty while they are.
    """

    def __init__(self, source: FundingSource, now_ms: int) -> None:
        self.requests = 0
        self.without_market: set[str] = set()
        self.problem = ""
        self._source = source
        self._now_ms = now_ms
        self._known: dict[tuple[str, int], Conversion | None] = {}

    async def find(self, asset: str, time: int) -> Conversion | None:
        """None where the price is not known, which a later run may change."""
        opened = time - time % MINUTE_MS
        if self.problem or asset in self.without_market or opened + MINUTE_MS > self._now_ms:
            return None
        if (asset, opened) not in self._known:
            self._known[asset, opened] = await self._ask(asset, opened)
        return self._known[asset, opened]

    async def _ask(self, asset: str, opened: int) -> Conversion | None:
        self.requests += 1
        try:
            price = await self._source.usdt_price(asset, opened)
        except (ExchangeUnavailableError, ExchangeRefusedError) as error:
            self.problem = f"the price of {asset} cannot be read: {error}"
            return None
        match price:
            case Candle():
                return Conversion(asset, price.close, price.opened)
            case NoPrice.NO_MARKET:
                self.without_market.add(asset)
                return None
            case NoPrice.NO_CANDLE:
                return None
            case _:
                assert_never(price)
