"""Collect what a new entry is judged by."""

from collections.abc import Callable
from decimal import Decimal

from chimera_s1.app.capabilities.execution.account_picture import AccountPicture
from chimera_s1.app.capabilities.execution.check_account import CheckAccount
from chimera_s1.app.capabilities.execution.read_account import AccountUnreadError
from chimera_s1.domain.execution.entries.admission import AdmissionFacts, EntryLimits, TopOfBook
from chimera_s1.domain.execution.entries.specs import EntrySpec, FuturesEntrySpec
from chimera_s1.domain.execution.execution_state import ExecutionState
from chimera_s1.domain.execution.order_request import OrderFamily
from chimera_s1.domain.execution.position_check import (
    ONE_WAY_SIDE,
    KnownPosition,
    PositionKey,
)
from chimera_s1.domain.identifiers import InstrumentId, Venue
from chimera_s1.domain.money import decimal_text
from chimera_s1.domain.ports.clock import Clock
from chimera_s1.domain.ports.current_quotes import CurrentQuotes
from chimera_s1.domain.ports.risk_limits_reader import RiskLimitsReader
from chimera_s1.domain.ports.spec_reader import SpecReader


class CollectFacts:
    """Reads memory.

    Args:
        account: Its picture, and what was read of its set-up.
        now_ms: The exchange's clock where it is known, epoch ms.
    """

    def __init__(
        self,
        state: ExecutionState,
        *,
        specs: SpecReader,
        quotes: CurrentQuotes,
        risk: RiskLimitsReader | None,
        account: tuple[AccountPicture, CheckAccount],
        limits: EntryLimits,
        clock: Clock,
        now_ms: Callable[[EntrySpec], int],
    ) -> None:
        self._state = state
        self._specs = specs
        self._quotes = quotes
        self._risk = risk
        self._picture, self._check = account
        self._limits = limits
        self._clock = clock
        self._now_ms = now_ms

    def of(self, spec: EntrySpec) -> AdmissionFacts:
        """Raises:
        AccountUnreadError: The venue or the position mode was not read yet.
        """
        instrument = spec.instrument
        if instrument.venue not in self._picture.read_ms:
            raise AccountUnreadError(
                f"the account was not read yet on {instrument.venue.value}; see reconciliation in "
                "/health"
            )
        configuration = self._check.configuration
        hedge_mode = configuration.hedge_mode if configuration is not None else None
        if hedge_mode is None and isinstance(spec, FuturesEntrySpec):
            raise AccountUnreadError(
                "the position mode of the account was not read yet; see account in /health"
            )
        return AdmissionFacts(
            instrument=self._specs.spec(instrument),
            limits=self._limits,
            used_today=self._state.entries.accepted_usdt(self._now_ms(spec)),
            book=self._book(instrument),
            risk=self._risk.limits(instrument) if self._risk is not None else None,
            hedge_mode=bool(hedge_mode),
            position_qty=self._position_qty(spec),
            open_entries=tuple(
                entry.spec
                for entry in self._state.entries.open_entries()
                if entry.spec.instrument == instrument
            ),
            conditional_orders=sum(
                row.family is OrderFamily.PERP_ALGO for row in self._picture.open_orders(Venue.PERP)
            ),
            agreement_refusal=self._state.agreement.refusal_of(spec.symbol),
        )

    def _book(self, instrument: InstrumentId) -> TopOfBook | None:
        quote = self._quotes.newest(instrument)
        if quote is None:
            return None
        return TopOfBook(
            bid=Decimal(decimal_text(quote.bid)),
            ask=Decimal(decimal_text(quote.ask)),
            spread_bps=quote.spread_bps,
            depth_usdt=quote.top1_usdt,
            age_ms=max(0, self._clock.now_ms() - quote.received_ms),
        )

    def _position_qty(self, spec: EntrySpec) -> Decimal:
        if not isinstance(spec, FuturesEntrySpec):
            return Decimal(0)
        side = ONE_WAY_SIDE if spec.position_side is None else spec.position_side.value
        key = PositionKey(spec.symbol, side)
        return self._state.positions.positions.get(key, KnownPosition()).qty
