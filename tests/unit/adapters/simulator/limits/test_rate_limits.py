"""What is counted for whom, in which window; clients that ignore 429 are banned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.limit_reply import LimitReply
from chimera_s1.adapters.simulator.limits.rate_limits import (
    ADDRESSES_MAX,
    OTHER_ADDRESSES,
    RateLimits,
    UseReport,
)
from chimera_s1.adapters.simulator.limits.rules import Bucket, Server, charges
from chimera_s1.adapters.simulator.limits.windows import AnyWindow

SECOND, MINUTE = 1_000, 60_000
LIMIT = 100
ONE, OTHER = "127.0.0.1", "127.0.0.2"


class Exchange:
    """Limits of LIMIT each, and the wall time, 15 s after the begin of a minute."""

    def __init__(self) -> None:
        self.ms = 20_000 * MINUTE + 15_000
        limits = dict.fromkeys(Bucket, LIMIT)
        self.limits = RateLimits(ScaledClock(lambda: self.ms), limits)

    def spend(
        self, weight: int, bucket: Bucket = Bucket.FUTURES_WEIGHT, address: str = ONE
    ) -> LimitReply | None:
        return self.limits.spend(charges(bucket, weight), address)

    def status(
        self, weight: int, bucket: Bucket = Bucket.FUTURES_WEIGHT, address: str = ONE
    ) -> int:
        reply = self.spend(weight, bucket, address)
        return 200 if reply is None else reply.status

    def headers(self, bucket: Bucket, address: str = ONE) -> dict[str, str]:
        return self.limits.headers(charges(bucket, 1), address)

    def uses(self, bucket: Bucket = Bucket.FUTURES_WEIGHT) -> list[UseReport]:
        return list(self.limits.uses(bucket))


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


def test_weight_beyond_the_limit_is_429_until_the_next_minute(exchange: Exchange) -> None:
    assert exchange.spend(LIMIT) is None
    refused = exchange.spend(1)
    exchange.ms += 45 * SECOND

    assert refused is not None
    assert (refused.status, refused.headers) == (429, {"Retry-After": "45"})
    assert f"current limit is {LIMIT} request weight per 1 MINUTE" in refused.message
    assert exchange.spend(1) is None
    assert exchange.headers(Bucket.FUTURES_WEIGHT)["X-MBX-USED-WEIGHT-1M"] == "1"


def test_funding_requests_are_counted_in_any_five_minutes(exchange: Exchange) -> None:
    """Not in windows that begin on the clock: 60 before and 60 after such a begin are too many."""
    exchange.ms += 4 * MINUTE
    assert exchange.status(60, Bucket.FUTURES_FUNDING) == 200
    exchange.ms += 2 * MINUTE
    refused = exchange.spend(60, Bucket.FUTURES_FUNDING)
    exchange.ms += 3 * MINUTE

    assert refused is not None
    assert (refused.status, refused.headers) == (429, {"Retry-After": "180"})
    assert f"current limit is {LIMIT} requests per 5 MINUTE" in refused.message
    assert exchange.status(40, Bucket.FUTURES_FUNDING) == 200


def test_funding_requests_have_no_weight_and_show_that_of_others(exchange: Exchange) -> None:
    exchange.spend(7)
    exchange.spend(1, Bucket.FUTURES_FUNDING)

    assert exchange.headers(Bucket.FUTURES_FUNDING) == {
        "X-MBX-USED-WEIGHT": "7",
        "X-MBX-USED-WEIGHT-1M": "7",
    }
    assert [use.counted for use in exchange.uses(Bucket.FUTURES_FUNDING)] == [1]


def test_a_spot_request_is_one_raw_request_whatever_its_weight(exchange: Exchange) -> None:
    statuses = [exchange.status(0, Bucket.SPOT_WEIGHT) for _ in range(LIMIT + 1)]

    assert statuses == [200] * LIMIT + [429]
    assert [use.passed for use in exchange.uses(Bucket.SPOT_RAW)] == [1]


def test_each_address_has_its_own_limit_and_the_account_one(exchange: Exchange) -> None:
    used = {
        bucket: [exchange.status(LIMIT, bucket, address) for address in (ONE, OTHER)]
        for bucket in (Bucket.SAPI_IP, Bucket.SAPI_UID)
    }

    assert used == {Bucket.SAPI_IP: [200, 200], Bucket.SAPI_UID: [200, 429]}
    (use,) = exchange.uses(Bucket.SAPI_UID)
    assert (use.address, use.used) == ("account", 2 * LIMIT)


def test_a_client_that_ignores_429_is_banned_from_its_server(exchange: Exchange) -> None:
    """From all of it, and no other address with it; not from the other servers."""
    exchange.limits.refusals_before_ban = 3
    exchange.spend(LIMIT, Bucket.SAPI_IP)
    statuses = [exchange.status(1, Bucket.SAPI_IP) for _ in range(4)]
    banned = exchange.spend(1, Bucket.SPOT_WEIGHT)
    exchange.ms += 2 * MINUTE - 1
    last = exchange.status(1, Bucket.SPOT_WEIGHT)
    others = [
        exchange.status(1, Bucket.SPOT_WEIGHT, OTHER),
        exchange.status(1, Bucket.FUTURES_WEIGHT),
        exchange.status(1, Bucket.SPOT_DIALS),
    ]
    exchange.ms += 1

    assert statuses == [429, 429, 429, 418]
    assert banned is not None
    assert (banned.status, banned.headers) == (418, {"Retry-After": "120"})
    assert f"IP banned until {exchange.ms}. " in banned.message
    assert (last, others) == (418, [200, 200, 200])
    assert exchange.status(1, Bucket.SPOT_WEIGHT) == 200


def test_bans_grow_from_two_minutes_to_three_days(exchange: Exchange) -> None:
    exchange.limits.refusals_before_ban = 0
    durations = []
    for _ in range(14):
        exchange.spend(LIMIT)
        banned = exchange.spend(1)
        assert banned is not None
        durations.append(int(banned.headers["Retry-After"]))
        exchange.ms += durations[-1] * SECOND

    assert durations[:4] == [120, 240, 480, 960]
    assert durations[-2:] == [259_200, 259_200]
    ((server, address, conduct),) = exchange.limits.offenders()
    assert (server, address, conduct.bans) == (Server.PERP_REST, ONE, 14)


def test_refusals_of_several_minutes_are_no_ban(exchange: Exchange) -> None:
    statuses = []
    for _ in range(5):
        exchange.spend(LIMIT)
        statuses += [exchange.status(1) for _ in range(5)]
        exchange.ms += MINUTE

    assert set(statuses) == {429}


def test_the_highest_use_of_a_window_and_what_passed_are_kept(exchange: Exchange) -> None:
    for weight in (30, 60, 20):
        exchange.spend(weight)
    exchange.ms += MINUTE
    exchange.spend(5)

    assert exchange.uses() == [UseReport(ONE, used=5, counted=115, highest=110, passed=1)]
    exchange.limits.forget()
    assert exchange.uses() == []


def test_a_limit_may_change_at_any_time(exchange: Exchange) -> None:
    exchange.spend(LIMIT)
    exchange.limits.change({Bucket.FUTURES_WEIGHT: LIMIT + 5})

    assert [exchange.status(weight) for weight in (5, 1)] == [200, 429]
    assert exchange.limits.limit(Bucket.FUTURES_WEIGHT) == LIMIT + 5


def test_addresses_beyond_the_bound_are_counted_together(exchange: Exchange) -> None:
    for number in range(ADDRESSES_MAX + 2):
        exchange.spend(1, address=f"10.0.{number // 256}.{number % 256}")

    uses = exchange.uses()
    assert len(uses) == ADDRESSES_MAX + 1
    assert (uses[-1].address, uses[-1].used) == (OTHER_ADDRESSES, 2)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=40))
def test_any_window_holds_what_was_counted_within_it(steps: list[tuple[int, int]]) -> None:
    window, at, now = AnyWindow(100), [], 0
    for pause, amount in steps:
        now += pause
        window.add(amount, now)
        at.append((now, amount))
        within = sum(amount for ms, amount in at if now - 100 < ms <= now)

        assert window.used(now) == within
        free_ms = now + window.free_in_ms(5, now)
        assert sum(amount for ms, amount in at if free_ms - 100 < ms) <= 5
        assert within <= 5 or sum(amount for ms, amount in at if free_ms - 101 < ms) > 5


def test_new_orders_count_in_two_windows_of_the_account_and_have_no_weight() -> None:
    ms = [20_000 * MINUTE + 8 * SECOND]
    limits = RateLimits(ScaledClock(lambda: ms[0]), {Bucket.FUTURES_ORDERS_1M: 301})
    order = charges(Bucket.FUTURES_ORDERS_10S, 1)

    accepted = [limits.spend(order, ONE) for _ in range(300)]
    refused = limits.spend(order, OTHER)
    headers = limits.headers(order, OTHER)
    ms[0] += 2 * SECOND
    refused_by_minute = limits.spend(order, ONE)

    assert accepted == [None] * 300
    assert refused is not None
    assert (refused.status, refused.code, refused.headers) == (429, -1015, {"Retry-After": "2"})
    assert refused.message == "Too many new orders; current limit is 300 orders per 10 SECOND."
    assert headers == {
        "X-MBX-USED-WEIGHT": "0",
        "X-MBX-USED-WEIGHT-1M": "0",
        "X-MBX-ORDER-COUNT-10S": "301",
        "X-MBX-ORDER-COUNT-1M": "301",
    }
    assert refused_by_minute is not None
    assert refused_by_minute.headers == {"Retry-After": "50"}
