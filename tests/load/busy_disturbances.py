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
CLOCK_STEPS = ((0.10, -7_000), (0.32, 7_000), (0.54, -4_000))
"""When, as a share of the whole time, and ms."""

STEP_LASTS_MS = 30_000
KEYS_EXPIRE = (0.15, 0.37, 0.59)
REDIS_PAUSES = ((0.18, 20_000), (0.40, 60_000), (0.62, 20_000))
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
        self._began_ms = self._duration_ms = 0.0

    def tasks(self, duration_ms: float) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """They take *duration_ms* from now on, or go on until they are cancelled."""
        self._began_ms, self._duration_ms = self._clock.monotonic_ms(), duration_ms
        return (
            self._move_prices,
            self._change_matching,
            self._step_clock,
            self._expire_listen_keys,
            self._pause_redis,
        )

    async def _sleep_until(self, share: float) -> None:
        due_ms = self._began_ms + share * self._duration_ms
        await self._clock.sleep_ms(due_ms - self._clock.monotonic_ms())

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
        for share, step_ms in CLOCK_STEPS:
            await self._sleep_until(share)
            fault = {"on": "clock", "do": f"offset:{step_ms}"}
            _, armed = await self._sim.control("POST", "/sim/faults", fault)
            await self._clock.sleep_ms(STEP_LASTS_MS)
            await self._sim.control("DELETE", f"/sim/faults/{armed['id']}")
            self._happened["the exchange's clock steps"] += 1

    async def _expire_listen_keys(self) -> None:
        """Another program opens the key again, and it is valid for a millisecond."""
        account = Account(self._site.others, clock=self._clock)
        for share in KEYS_EXPIRE:
            await self._sleep_until(share)
            await self._sim.control("POST", "/sim/user-streams", {"validity_ms": 1})
            status, _ = await account.send("POST", "/fapi/v1/listenKey")
            await self._sim.control("POST", "/sim/user-streams", {"validity_ms": KEY_VALID_MS})
            self._happened["listen key expired"] += status == 200

    async def _pause_redis(self) -> None:
        for share, paused_ms in REDIS_PAUSES:
            await self._sleep_until(share)
            self._site.redis.pause()
            try:
                await self._clock.sleep_ms(paused_ms)
            finally:
                self._site.redis.resume()
            self._happened["Redis hangs"] += 1
