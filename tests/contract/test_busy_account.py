"""Some busy seconds of an account: afterwards, the service knows all that the exchange does."""

import random
from pathlib import Path

import anyio

from tests.foreign_orders import ForeignTrader
from tests.order_site import OrderSite, open_site
from tests.order_traffic import Instrument, OrderMaker, read_instruments, read_quote

SYMBOLS = ("BTCUSDT", "ETHUSDT")
EACH = 30
FAULTS = (
    ("POST /api/v3/order", "execute-then-drop"),
    ("POST /api/v3/order", "drop-before"),
    ("POST /fapi/v1/order", "unavailable-then-execute:500"),
    ("DELETE /api/v3/order", "execute-then-unavailable"),
    ("user:spot", "gap"),
    ("user:spot", "duplicate"),
    ("user:perp", "gap"),
    ("user:perp", "reorder"),
)
SETTLE_S = 60.0


async def test_every_order_and_trade_is_known_and_published_once(tmp_path: Path) -> None:
    """Ours and foreign ones of every kind, with losses at both sides."""
    chance = random.Random(1)
    async with open_site(tmp_path, ",".join(SYMBOLS), rate="100") as site:
        await site.give_spot("BTC", "ETH")
        async with site.serving(",".join(SYMBOLS)):
            await site.known()
            instruments = await read_instruments(site.others, SYMBOLS)
            for on, do in FAULTS:
                await site.sim.arm(on, do)
            traffic = Traffic(site, instruments, chance)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(traffic.place_ours)
                tasks.start_soon(traffic.place_foreign)
            fired = await site.sim.fired()
            await site.sim.control("DELETE", "/sim/faults")
            found, answer = await site.settled(SETTLE_S)
    assert found.lines == []
    assert answer["agrees"], answer
    assert all(fired), list(zip(FAULTS, fired, strict=True))
    assert len(site.sent) == EACH
    assert found.books.trades


class Traffic:
    def __init__(
        self, site: OrderSite, instruments: list[Instrument], chance: random.Random
    ) -> None:
        self._site = site
        self._instruments = instruments
        self._chance = chance
        self._maker = OrderMaker(chance)

    async def place_ours(self) -> None:
        for number in range(EACH):
            venue, kind = self._maker.next_venue_of_ours()
            instrument = self._instrument(venue)
            quote = await read_quote(self._site.others, instrument)
            request = self._maker.ours(kind, instrument, quote)
            await self._site.place(request)
            if number % 3 == 0:
                await self._site.cancel(request.client_id)

    async def place_foreign(self) -> None:
        trader = ForeignTrader(self._site.others)
        for number in range(EACH):
            venue, kind = self._maker.next_venue_of_others()
            instrument = self._instrument(venue)
            quote = await read_quote(self._site.others, instrument)
            await trader.place_by_web(
                self._maker.foreign(kind, instrument, quote, f"web-{number % 7}")
            )

    def _instrument(self, venue: str) -> Instrument:
        return self._chance.choice([each for each in self._instruments if each.venue == venue])
