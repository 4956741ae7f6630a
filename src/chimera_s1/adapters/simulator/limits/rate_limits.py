"""Counts what each address uses of the exchange's limits, and refuses what is beyond them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from chimera_s1.adapters.simulator.clock import ScaledClock
from chimera_s1.adapters.simulator.limits.bans import REFUSALS_BEFORE_BAN, Conduct
from chimera_s1.adapters.simulator.limits.limit_reply import (
    TOO_MANY_ORDERS,
    LimitReply,
    banned,
    refused,
)
from chimera_s1.adapters.simulator.limits.rules import (
    ORDERS,
    RULES,
    Bucket,
    Charge,
    LimitRule,
    Server,
)
from chimera_s1.adapters.simulator.limits.windows import AnyWindow, Window, WindowOnTheMinute

ADDRESSES_MAX = 1_000
OTHER_ADDRESSES = "others"
"""All addresses beyond the first ADDRESSES_MAX are counted as one."""

ACCOUNT = "account"
"""There is one account."""

_MINUTE_MS = 60_000


class Use:
    """What one address, or the account, uses of one bucket.

    Attributes:
        counted: Since the start.
        highest: The most that was used in any window.
        passed: How often something was counted that went beyond the limit.
    """

    def __init__(self, rule: LimitRule) -> None:
        kind = WindowOnTheMinute if rule.on_the_minute else AnyWindow
        self.window: Window = kind(rule.window_ms)
        self.counted = self.highest = self.passed = 0

    def add(self, amount: int, now_ms: int, limit: int) -> bool:
        """True if more than *limit* is used now."""
        self.window.add(amount, now_ms)
        used = self.window.used(now_ms)
        self.counted += amount
        self.highest = max(self.highest, used)
        self.passed += used > limit
        return used > limit


class UseReport(Struct, frozen=True):
    address: str
    used: int
    counted: int
    highest: int
    passed: int


class RateLimits:
    """For all servers of the exchange.

    Attributes:
        refusals_before_ban: Replies 429 to one address within a minute; the next one is a ban.
    """

    def __init__(self, clock: ScaledClock, limits: Mapping[Bucket, int]) -> None:
        self._clock = clock
        self._limits = {bucket: rule.limit for bucket, rule in RULES.items()} | dict(limits)
        self.refusals_before_ban = REFUSALS_BEFORE_BAN
        self._addresses: set[str] = set()
        self._uses: dict[tuple[Bucket, str], Use] = {}
        self._conduct: defaultdict[tuple[Server, str], Conduct] = defaultdict(Conduct)

    def limit(self, bucket: Bucket) -> int:
        return self._limits[bucket]

    def change(self, limits: Mapping[Bucket, int]) -> None:
        """Use *limits* from now on; what was counted stays."""
        self._limits |= limits

    def forget(self) -> None:
        """Everything that was counted, and all bans; the limits stay."""
        self._addresses.clear()
        self._uses.clear()
        self._conduct.clear()

    def spend(self, charges: Iterable[Charge], address: str) -> LimitReply | None:
        """Count a request or a dial of *address*; None if it may be answered."""
        now_ms, address = self._clock.now_ms(), self._known(address)
        charges = tuple(charges)
        conduct = self._conduct[RULES[charges[0].bucket].server, address]
        if now_ms < conduct.banned_until_ms:
            conduct.while_banned += 1
            return _ban(conduct, now_ms)
        passed = [each.bucket for each in charges if self._add(each, address, now_ms)]
        if not passed:
            return None
        if conduct.refuse(now_ms, self.refusals_before_ban):
            return _ban(conduct, now_ms)
        return self._refusal(passed[0], address, now_ms)

    def add(self, charges: Iterable[Charge], address: str) -> None:
        """Count what is known only after a request was executed; refuses nothing."""
        now_ms, address = self._clock.now_ms(), self._known(address)
        for each in charges:
            self._add(each, address, now_ms)

    def give_back(self, charges: Iterable[Charge], address: str = ACCOUNT) -> None:
        """Take *charges* out of the windows of now, as far as they have them."""
        now_ms = self._clock.now_ms()
        for each in charges:
            window = self._use(each.bucket, address).window
            window.add(-min(each.amount, window.used(now_ms)), now_ms)

    def used(self, bucket: Bucket) -> int:
        """Of a *bucket* that is counted for the account."""
        return self._use(bucket, ACCOUNT).window.used(self._clock.now_ms())

    def headers(self, charges: Iterable[Charge], address: str) -> dict[str, str]:
        """What replies say of the buckets that a request of *address* is counted in."""
        now_ms, address = self._clock.now_ms(), self._known(address)
        return {
            name: str(self._use(each.bucket, address).window.used(now_ms))
            for each in charges
            for name in RULES[each.bucket].headers
        }

    def uses(self, bucket: Bucket) -> Iterator[UseReport]:
        """Of every address that *bucket* has counted."""
        now_ms = self._clock.now_ms()
        for (counted_in, address), use in self._uses.items():
            if counted_in is bucket:
                used = use.window.used(now_ms)
                yield UseReport(address, used, use.counted, use.highest, use.passed)

    def offenders(self) -> Iterator[tuple[Server, str, Conduct]]:
        """Addresses that were refused."""
        for (server, address), conduct in self._conduct.items():
            if conduct.refusals or conduct.bans:
                yield server, address, conduct

    def _known(self, address: str) -> str:
        if address not in self._addresses:
            if len(self._addresses) >= ADDRESSES_MAX:
                return OTHER_ADDRESSES
            self._addresses.add(address)
        return address

    def _use(self, bucket: Bucket, address: str) -> Use:
        rule = RULES[bucket]
        key = (bucket, ACCOUNT if rule.per_account else address)
        if key not in self._uses:
            self._uses[key] = Use(rule)
        return self._uses[key]

    def _add(self, charge: Charge, address: str, now_ms: int) -> bool:
        use = self._use(charge.bucket, address)
        return use.add(charge.amount, now_ms, self._limits[charge.bucket])

    def _refusal(self, bucket: Bucket, address: str, now_ms: int) -> LimitReply:
        rule, limit = RULES[bucket], self._limits[bucket]
        left_ms = self._use(bucket, address).window.free_in_ms(limit, now_ms)
        if rule.unit == ORDERS:
            window = f"{rule.window_ms // 1000} SECOND"
            text = f"Too many new orders; current limit is {limit} orders per {window}."
            return refused(text, _seconds(left_ms), TOO_MANY_ORDERS)
        text = (
            f"Too much {rule.unit} used; current limit is {limit} {rule.unit} per "
            f"{rule.window_ms // _MINUTE_MS} MINUTE. Please use WebSocket Streams for live "
            "updates to avoid polling the API."
        )
        return refused(text, _seconds(left_ms))


def _ban(conduct: Conduct, now_ms: int) -> LimitReply:
    return banned(conduct.banned_until_ms, _seconds(conduct.banned_until_ms - now_ms))


def _seconds(duration_ms: int) -> int:
    """Rounded up."""
    return -(-duration_ms // 1000)
