"""What goes on around the orders of the busy hour: prices, clock, listen key, Redis."""

import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tests.contract.signed_client import Account
from tests.order_site import OrderSite
from tests.order_traffic import Instrument

MOVE_MS = 2_000
MOVE_BPS = 90
MATCHING_MS = 45_000
EACH_TIMES = 3
STEPS_MS = (-7_000, 7_000, -4_000)
STEP_LASTS_MS = 30_000
REDIS_PAUSED_MS = (20_000, 60_000, 20_000)
KEY_VALID_MS = 3_600_000


class Disturbances:
    """Counts in *happened* what it has done."""

    def __init__(
        self,
        site: OrderSite,
        chance: random.Random,
        instruments: Sequence[Instrument],
        happened: Counter[str],
    ) -> None:
        self._site = site
        self._sim = site.sim
        self._clock = site.clock
        self._chance = chance
        self._instruments = instruments
        self._happened = happened
        self._gap_ms = 0.0

    def tasks(self, duration_ms: float) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """What does each of them three times in *duration_ms*, or until it is cancelled."""
        self._gap_ms = duration_ms / (EACH_TIMES + 2)
        return (
            self._move_prices,
            self._change_matching,
            self._step_clock,
            self._expire_listen_keys,
            self._pause_redis,
        )

    async def _move_prices(self) -> None:
        while True:
            await self._clock.sleep_ms(MOVE_MS)
            chosen = self._chance.choice(self._instruments)
            move = self._chance.randint(-MOVE_BPS, MOVE_BPS)
            body = {"venue": chosen.venue, "symbol": chosen.symbol, "move_bps": move}
            await self._sim.control("POST", "/sim/price", body)

    async def _change_matching(self) -> None:
        while True:
            body = {
                "query_lag_ms": self._chance.choice([0, 0, 500, 1500, 3000]),
                "gtx_expires": self._chance.random() < 0.5,
                "algo_event_first": self._chance.random() < 0.5,
                "child_takes_client_id": self._chance.random() < 0.5,
                "pays_in_bnb": self._chance.random() < 0.3,
                "liquidity": self._chance.choice(["1", "1", "0.05"]),
            }
            await self._sim.control("POST", "/sim/matching", body)
            self._happened["queries lag"] += bool(body["query_lag_ms"])
            await self._clock.sleep_ms(MATCHING_MS)

    async def _step_clock(self) -> None:
        """The exchange's clock against ours: requests get -1021 until the step is measured."""
        for step_ms in STEPS_MS:
            await self._clock.sleep_ms(self._gap_ms)
            fault = {"on": "clock", "do": f"offset:{step_ms}"}
            _, armed = await self._sim.control("POST", "/sim/faults", fault)
            await self._clock.sleep_ms(STEP_LASTS_MS)
            await self._sim.control("DELETE", f"/sim/faults/{armed['id']}")
            self._happened["the exchange's clock steps"] += 1

    async def _expire_listen_keys(self) -> None:
        """Another program opens the key again, and it is valid for a millisecond."""
        account = Account(self._site.others, clock=self._clock)
        for _ in range(EACH_TIMES):
            await self._clock.sleep_ms(self._gap_ms)
            await self._sim.control("POST", "/sim/user-streams", {"validity_ms": 1})
            status, _ = await account.send("POST", "/fapi/v1/listenKey")
            await self._sim.control("POST", "/sim/user-streams", {"validity_ms": KEY_VALID_MS})
            self._happened["listen key expired"] += status == 200

    async def _pause_redis(self) -> None:
        for paused_ms in REDIS_PAUSED_MS:
            await self._clock.sleep_ms(self._gap_ms)
            self._site.redis.pause()
            try:
                await self._clock.sleep_ms(paused_ms)
            finally:
                self._site.redis.resume()
            self._happened["Redis hangs"] += 1
