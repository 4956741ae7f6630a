"""The jobs of funding over an exchange in memory, on virtual time."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from chimera_s1.adapters.memory.cursor_store import MemoryCursorStore
from chimera_s1.adapters.memory.job_runs import MemoryJobRuns
from chimera_s1.app.capabilities.funding.complete_amounts import CompleteAmounts
from chimera_s1.app.capabilities.funding.complete_history import CompleteHistory
from chimera_s1.app.capabilities.funding.complete_rates import CompleteRates
from chimera_s1.app.capabilities.funding.exchange_time import ExchangeTime
from chimera_s1.app.capabilities.funding.find_gaps import FindGaps
from chimera_s1.app.capabilities.funding.refused_records import RefusedRecords
from chimera_s1.app.capabilities.funding.run_backfills import RunBackfills
from chimera_s1.app.capabilities.funding.run_completions import RunCompletions
from chimera_s1.app.capabilities.funding.settle_funding import SettleFunding
from chimera_s1.domain.errors import ChimeraError, ExchangeUnavailableError
from chimera_s1.domain.funding.settlement import REGULAR, Settlement, SettlementKey
from chimera_s1.domain.funding.settlement_times import ContractFacts
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS
from chimera_s1.domain.ports.funding_source import Candle, IncomePage, NoPrice, RatePage
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.funding_store import FakeFundingStore
from tests.virtual_time import LoopClock

PAGE_ROWS = 1_000
OFF_MS = 7
"""Settlements are this much after their full hour."""


class ExchangeOfClock:
    """Implements `domain.ports.funding_source.FundingSource`: each contract has settled for ever.

    Attributes:
        lag_ms: From a settlement to its publication.
        read_ms: The time of each read.
        page_rows: Of a full page.
        account_name: Whose income is read, which is none; without it, there is no key.
        withheld: Contracts whose settlements are not published.
        failures: Raised by the next reads, in order.
        income_failures: Likewise, by reads of income.
        fail_after: After so many reads the next one fails; None does not.
        requests: By kind of read.
    """

    def __init__(self, clock: LoopClock, hours: Mapping[Symbol, int]) -> None:
        """*hours* is the interval of each contract."""
        self._clock = clock
        self._hours = hours
        self.lag_ms = 0
        self.read_ms = 100.0
        self.page_rows = PAGE_ROWS
        self.account_name: str | None = None
        self.withheld: set[Symbol] = set()
        self.failures: list[ChimeraError] = []
        self.income_failures: list[ChimeraError] = []
        self.fail_after: int | None = None
        self.requests: Counter[str] = Counter()

    async def rates(self, start: int, end: int, symbol: Symbol | None = None) -> RatePage:
        self.requests["rates" if symbol is None else "rates of one"] += 1
        await self._reply()
        end = min(end, self._clock.now_ms() - self.lag_ms)
        rows: list[Settlement] = []
        hour = start // HOUR_MS * HOUR_MS
        while hour + OFF_MS <= end and len(rows) < self.page_rows:
            if hour + OFF_MS >= start:
                rows += self._settled(hour, symbol)
            hour += HOUR_MS
        page = tuple(rows[: self.page_rows])
        return RatePage(page, (), is_full=len(page) == self.page_rows)

    async def account(self) -> str | None:
        return self.account_name

    async def income(self, start: int, end: int, rate_type: str) -> IncomePage:
        assert self.account_name, f"no key for {rate_type} from {start} to {end}"
        self.requests["income"] += 1
        await self._reply()
        if self.income_failures:
            raise self.income_failures.pop(0)
        return IncomePage(self.account_name, (), (), is_full=False)

    async def usdt_price(self, asset: str, time: int) -> Candle | NoPrice:
        raise AssertionError(f"without income there is no {asset} of {time} to convert")

    async def _reply(self) -> None:
        await self._clock.sleep_ms(self.read_ms)
        if self.failures:
            raise self.failures.pop(0)
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                raise ExchangeUnavailableError("failed by this test")

    def _settled(self, hour: int, only: Symbol | None) -> list[Settlement]:
        return [
            Settlement(SettlementKey(hour + OFF_MS, symbol, REGULAR), Decimal("0.0001"), None)
            for symbol, hours in self._hours.items()
            if hour % (hours * HOUR_MS) == 0
            and only in {None, symbol}
            and symbol not in self.withheld
        ]


class Estimates:
    """Implements `domain.ports.estimate_reader.EstimateReader`: the stream has the clock's time."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock

    def last_estimate(self, symbol: Symbol, funding_time: int) -> str:
        del symbol, funding_time
        return "0.0002"

    @property
    def exchange_ms(self) -> int:
        return self._clock.now_ms()


class FundingRig:
    """Attributes:
    delays: From a settlement to its stored rate, ms.
    reported: Operational events about records that the store refuses.
    """

    def __init__(
        self,
        hours: Mapping[str, int],
        *,
        history_days: int = 30,
        exchange: type[ExchangeOfClock] = ExchangeOfClock,
    ) -> None:
        self.clock = LoopClock()
        intervals = {Symbol(symbol): hours for symbol, hours in hours.items()}
        self.exchange = exchange(self.clock, intervals)
        self.store = FakeFundingStore()
        self.cursors = MemoryCursorStore()
        self.runs = MemoryJobRuns()
        self.delays: list[float] = []
        self.reported: list[tuple[str, EventDetail]] = []
        self._contracts = {
            symbol: ContractFacts(interval_h=hours) for symbol, hours in intervals.items()
        }
        self._history_days = history_days
        self.open()

    def open(self) -> None:
        """The process starts: only stores are kept."""
        estimates = Estimates(self.clock)
        self.time = time = ExchangeTime(estimates, lambda: float(self.clock.now_ms()))
        refused = RefusedRecords(lambda kind, detail: self.reported.append((kind, detail)))
        rates = CompleteRates(
            self.exchange,
            self.store,
            exchange_ms=time.now_ms,
            contracts=lambda: self._contracts,
            last_estimate=estimates.last_estimate,
            on_dispute=lambda _: None,
            on_refused=refused.take,
        )
        amounts = CompleteAmounts(
            self.exchange,
            self.store,
            exchange_ms=time.now_ms,
            on_dispute=lambda _: None,
            on_refused=refused.take,
        )
        self.history = history = CompleteHistory(rates, amounts, refused)
        self.settle = SettleFunding(
            history,
            self.store,
            exchange=time,
            clock=self.clock,
            draw=lambda: 0.0,
            observe_delay=self.delays.append,
        )
        self.find_gaps = FindGaps(
            self.store,
            contracts=lambda: self._contracts,
            exchange_ms=time.now_ms,
            history_days=self._history_days,
            clock=self.clock,
        )
        self.completions = RunCompletions(
            history, self.store, self.find_gaps, exchange=time, history_days=self._history_days
        )
        self.backfills = RunBackfills(
            history,
            self.store,
            cursors=self.cursors,
            runs=self.runs,
            exchange=time,
            clock=self.clock,
            history_days=self._history_days,
            new_id=lambda: f"request {self.clock.now_ms()}",
        )

    def settled(self, hour: int) -> list[SettlementKey]:
        return sorted(key for key in self.store.records if key.funding_time == hour + OFF_MS)
