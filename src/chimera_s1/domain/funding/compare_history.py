"""What a complete read of a window changes in the stored history."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias, assert_never

from msgspec import Struct, structs

from chimera_s1.domain.canonical import canonical_hash
from chimera_s1.domain.funding.history_pages import HistoryBatch
from chimera_s1.domain.funding.record import FundingDispute, FundingRecord
from chimera_s1.domain.funding.settlement import Settlement, SettlementKey
from chimera_s1.domain.funding.settlement_times import full_hour, is_regular
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.money import exact_text
from chimera_s1.domain.operations.schedule import HOUR_MS

_Field: TypeAlias = Literal["rate", "mark_price", "funding_time"]


class HourOfContract(NamedTuple):
    """A contract has one regular settlement in a full hour."""

    symbol: Symbol
    hour: int

    @property
    def end(self) -> int:
        """The last ms whose settlement belongs to it."""
        return self.hour + HOUR_MS // 2 - 1


class DerivedFacts(Struct, frozen=True, gc=False):
    """What is known of a settlement from elsewhere; None where it is not."""

    interval_h: int | None = None
    rate_est: Decimal | None = None


def content_hash(settlement: Settlement) -> str:
    """SHA-256 of what the exchange says of a settlement, hex."""
    funding_time, symbol, rate_type = settlement.key
    return canonical_hash(
        {
            "symbol": symbol,
            "funding_time": funding_time,
            "rate_type": rate_type,
            "rate": settlement.rate,
            "mark_price": settlement.mark_price,
        }
    )


def new_record(row: Settlement, derived: DerivedFacts, now_ms: int) -> FundingRecord:
    return FundingRecord(
        key=row.key,
        rate=row.rate,
        mark_price=row.mark_price,
        interval_h=derived.interval_h,
        rate_est=derived.rate_est,
        content_hash=content_hash(row),
        first_seen_at=now_ms,
    )


def completed(
    record: FundingRecord, row: Settlement, derived: DerivedFacts
) -> FundingRecord | None:
    """The next version of *record* with what became known; None if nothing did.

    The interval is derived, so a better one replaces it: a settlement that was published late
    changes the interval of the one after it.
    """
    mark_price = row.mark_price if record.mark_price is None else record.mark_price
    rate_est = derived.rate_est if record.rate_est is None else record.rate_est
    interval_h = derived.interval_h or record.interval_h
    known = (record.mark_price, record.rate_est, record.interval_h)
    if known == (mark_price, rate_est, interval_h):
        return None
    return structs.replace(
        record,
        mark_price=mark_price,
        rate_est=rate_est,
        interval_h=interval_h,
        content_hash=content_hash(Settlement(record.key, record.rate, mark_price)),
        version=record.version + 1,
    )


def contradictions(record: FundingRecord, row: Settlement, now_ms: int) -> Iterator[FundingDispute]:
    """The fields of *record* that *row* contradicts; a mark price left out contradicts nothing."""
    if row.rate != record.rate:
        yield _dispute(record, row, "rate", now_ms)
    if None not in {row.mark_price, record.mark_price} and row.mark_price != record.mark_price:
        yield _dispute(record, row, "mark_price", now_ms)
    if row.key.funding_time != record.key.funding_time:
        yield _dispute(record, row, "funding_time", now_ms)


class UnfinishedHours(Struct, frozen=True):
    """What earlier batches of a window have shown of hours that go on in the next one.

    Attributes:
        since: Start of the window, epoch ms.
        keys: Published regular settlements.
        unproven, asked: As in `HistoryBatch`.
    """

    since: int
    keys: frozenset[SettlementKey] = frozenset()
    unproven: frozenset[Symbol] | None = frozenset()
    asked: frozenset[Symbol] | None = None


class HistoryComparison:
    """Compares a batch with the stored records around it, which come slice by slice.

    Args:
        batch: What was read.
        earlier: Of the batch before.
        derived: Of a row.
        final_until: A stored row up to this time that is not published any more is disputed. A
            later one may only not have reached the exchange's replica that answered.
        now_ms: For what is new.

    Attributes:
        withdrawn: Stored records that the batch should have and has not. A reply may have been cut
            short, so another read must say the same before they are disputed.
    """

    def __init__(
        self,
        batch: HistoryBatch,
        earlier: UnfinishedHours,
        *,
        derived: Callable[[Settlement], DerivedFacts],
        final_until: int,
        now_ms: int,
    ) -> None:
        self._batch = batch
        self._derived = derived
        self._final_until = min(final_until, batch.complete_to)
        self._now_ms = now_ms
        self._rows: dict[SettlementKey, list[Settlement]] = {}
        for row in batch.rows:
            self._rows.setdefault(row.key, []).append(row)
        self._unproven = _union(batch.unproven, earlier.unproven)
        self._asked = tuple(each for each in (batch.asked, earlier.asked) if each is not None)
        self._earlier = earlier
        self._hours = {_hour(key) for key in (*earlier.keys, *self._rows) if is_regular(key)}
        self._taken: dict[HourOfContract, FundingRecord] = {}
        self._matched: set[SettlementKey] = set()
        self.withdrawn: list[FundingRecord] = []

    @property
    def unfinished(self) -> UnfinishedHours:
        """For the next batch of the window."""
        keys = (key for key in (*self._earlier.keys, *self._rows) if is_regular(key))
        left = frozenset(key for key in keys if _hour(key).end > self._batch.end)
        if full_hour(self._batch.start) != full_hour(self._batch.end):
            return UnfinishedHours(
                self._earlier.since, left, self._batch.unproven, self._batch.asked
            )
        # The hour began before this batch.
        asked = frozenset.intersection(*self._asked) if self._asked else None
        return UnfinishedHours(self._earlier.since, left, self._unproven, asked)

    def take(
        self, stored: Iterable[FundingRecord]
    ) -> tuple[list[FundingRecord], list[FundingDispute]]:
        """New versions of *stored* records, and what contradicts them."""
        versions: list[FundingRecord] = []
        disputes: list[FundingDispute] = []
        for record in stored:
            if is_regular(record.key):
                self._taken[_hour(record.key)] = record
            rows = self._rows.get(record.key)
            if rows is None:
                self.withdrawn += [record] if self._is_withdrawn(record) else []
                continue
            self._matched.add(record.key)
            version = completed(record, rows[0], self._derived(rows[0]))
            versions += [] if version is None else [version]
            disputes += _all_contradictions(record, rows, self._now_ms)
        return versions, disputes

    def conclude(self) -> tuple[list[FundingRecord], list[FundingDispute]]:
        """What is new, after all stored records were taken, and what contradicts that."""
        records: list[FundingRecord] = []
        disputes: list[FundingDispute] = []
        for key, rows in self._rows.items():
            if key in self._matched:
                continue
            other = self._taken.get(_hour(key)) if is_regular(key) else None
            if other is not None:
                disputes += _all_contradictions(other, rows, self._now_ms)
                continue
            record = new_record(rows[0], self._derived(rows[0]), self._now_ms)
            records.append(record)
            if is_regular(key):
                self._taken[_hour(key)] = record
            disputes += _all_contradictions(record, rows[1:], self._now_ms)
        return records, disputes

    def _is_withdrawn(self, record: FundingRecord) -> bool:
        """Not if the exchange now has it at another time of its hour: see `conclude`."""
        time, symbol, _ = record.key
        of_regular = is_regular(record.key)
        hour = _hour(record.key)
        # A regular one is judged when its whole hour has been read.
        judged_at = hour.end if of_regular else time
        is_read = self._earlier.since <= time and judged_at <= self._batch.end
        if not is_read or judged_at < self._batch.start or time > self._final_until:
            return False
        if record.key in self._earlier.keys or (of_regular and hour in self._hours):
            return False
        if any(symbol not in asked for asked in self._asked):
            return False
        return self._unproven is not None and symbol not in self._unproven


def _union(
    one: frozenset[Symbol] | None, other: frozenset[Symbol] | None
) -> frozenset[Symbol] | None:
    return None if one is None or other is None else one | other


def withdrawal(record: FundingRecord, now_ms: int) -> FundingDispute:
    """The exchange no longer has *record*."""
    return FundingDispute(
        key=record.key,
        field="funding_time",
        stored=str(record.key.funding_time),
        found="",
        content_hash=record.content_hash,
        found_at=now_ms,
    )


def _all_contradictions(
    record: FundingRecord, rows: Sequence[Settlement], now_ms: int
) -> list[FundingDispute]:
    return [each for row in rows for each in contradictions(record, row, now_ms)]


def _hour(key: SettlementKey) -> HourOfContract:
    return HourOfContract(key.symbol, full_hour(key.funding_time))


def _dispute(record: FundingRecord, row: Settlement, field: _Field, now_ms: int) -> FundingDispute:
    stored, found = (_text(each, field) for each in (record, row))
    return FundingDispute(
        key=record.key,
        field=field,
        stored=stored,
        found=found,
        content_hash=content_hash(row),
        found_at=now_ms,
    )


def _text(each: FundingRecord | Settlement, field: _Field) -> str:
    match field:
        case "rate":
            return exact_text(each.rate)
        case "mark_price":
            return "" if each.mark_price is None else exact_text(each.mark_price)
        case "funding_time":
            return str(each.key.funding_time)
        case _:
            assert_never(field)
