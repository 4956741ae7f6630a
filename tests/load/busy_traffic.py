"""The orders of the busy hour, ours and those of others, evenly over its time."""

import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup

from tests.foreign_orders import ForeignTrader
from tests.order_site import OrderSite
from tests.order_traffic import Instrument, OrderMaker, Quote, read_quote

CANCEL_SHARE = 0.5
CANCEL_AFTER_MS = (0, 20_000)
AT_ONCE_MAX = 40
QUOTE_AGE_MAX_MS = 2_000.0
KILLED = "the service ended meanwhile"


class BusyTraffic:
    """Attributes:
    placed: Requests so far, `ours` and `foreign`.
    results: How requests ended.
    """

    def __init__(
        self, site: OrderSite, chance: random.Random, instruments: list[Instrument], *, hedged: bool
    ) -> None:
        self.placed: Counter[str] = Counter()
        self.results: Counter[str] = Counter()
        self._site = site
        self._clock = site.clock
        self._chance = chance
        self._maker = OrderMaker(chance, hedged=hedged)
        self._instruments = instruments
        self._others = ForeignTrader(site.others, site.clock)
        self._quotes: dict[Instrument, Quote] = {}
        self._read_ms: dict[Instrument, float] = {}
        self._limit = anyio.CapacityLimiter(AT_ONCE_MAX)

    async def run(self, orders: int, duration_ms: float, over: anyio.Event) -> None:
        """Place *orders* in *duration_ms*, half of them foreign, and go on until it is *over*."""
        gap_ms = 2 * duration_ms / orders
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._repeat, tasks, self._place_ours, gap_ms, over)
            tasks.start_soon(self._repeat, tasks, self._place_foreign, gap_ms, over)

    async def _repeat(
        self,
        tasks: TaskGroup,
        place: Callable[[], Coroutine[Any, Any, None]],
        gap_ms: float,
        over: anyio.Event,
    ) -> None:
        async def limited() -> None:
            async with self._limit:
                await place()

        due_ms = self._clock.monotonic_ms()
        while not over.is_set():
            tasks.start_soon(limited)
            due_ms += self._chance.expovariate(1 / gap_ms)
            await self._clock.sleep_ms(due_ms - self._clock.monotonic_ms())

    async def _place_ours(self) -> None:
        await self._site.served()
        self.placed["ours"] += 1
        venue, kind = self._maker.next_venue_of_ours()
        instrument = self._instrument(venue)
        request = self._maker.ours(kind, instrument, await self._quote(instrument))
        result = await self._site.place(request)
        if result is None:
            self.results[KILLED] += 1
            return
        name = result.reply or result.error.partition(":")[0]
        self.results[f"{name}, -1021" if "-1021" in result.text else name] += 1
        if self._chance.random() < CANCEL_SHARE and "Refused" not in result.reply:
            await self._clock.sleep_ms(self._chance.uniform(*CANCEL_AFTER_MS))
            await self._cancel(request.client_id)

    async def _cancel(self, client_id: str) -> None:
        result = await self._site.cancel(client_id)
        if result is None:
            name = KILLED
        else:
            name = result.reply or result.error.partition(":")[0] or "had ended"
        self.results[f"cancel: {name}"] += 1

    async def _place_foreign(self) -> None:
        self.placed["foreign"] += 1
        number = self.placed["foreign"]
        venue, kind = self._maker.next_venue_of_others()
        instrument = self._instrument(venue)
        quote = await self._quote(instrument)
        body = self._maker.foreign(kind, instrument, quote, _foreign_id(number))
        by_web = number % 2 == 0
        place = self._others.place_by_web if by_web else self._others.place_by_api
        done = await place(body)
        source, end = "web" if by_web else "API", "placed" if done else "refused"
        self.results[f"foreign, {source}: {end}"] += 1

    async def _quote(self, instrument: Instrument) -> Quote:
        """Not read for each order, for the limit of request weight."""
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._read_ms.get(instrument, 0.0) > QUOTE_AGE_MAX_MS:
            self._read_ms[instrument] = now_ms
            self._quotes[instrument] = await read_quote(self._site.others, instrument)
        if instrument not in self._quotes:  # another task is reading the first one
            self._quotes[instrument] = await read_quote(self._site.others, instrument)
        return self._quotes[instrument]

    def _instrument(self, venue: str) -> Instrument:
        return self._chance.choice([each for each in self._instruments if each.venue == venue])


def _foreign_id(number: int) -> str:
    """Ids are used again, some have our prefix, some are left to the exchange."""
    match number % 5:
        case 0:
            return f"web-{number % 40}"
        case 1:
            return ""
        case 2:
            return f"s4-{number}"
        case 3:
            return f"s1-lost-{number}" if number % 20 == 3 else f"x-{number}"
        case _:
            return f"autoclose-{number}"
