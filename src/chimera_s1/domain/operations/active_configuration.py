"""The configuration that S10 publishes: revisions of thresholds and instruments.

A snapshot is taken as a whole or not at all. Its revision decides about order: an older one than
the one in force is refused, and so is a revision that has changed its content.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import InstrumentId, Venue, parse_symbol

REV_MAX = 2**53 - 1
"""JSON numbers are exact up to here."""

THRESHOLD_MAX = 1e15
"""Of either threshold: far above all USDT there is."""

INSTRUMENTS_MAX = 10_000
"""Several times what Binance lists."""

PROBLEMS_SHOWN = 5
_VALUE_CHARS_MAX = 40
_SHOWN_BITS_MAX = 128
QUOTE_ASSET = "USDT"


class Thresholds(Struct, frozen=True):
    """Limits of one instrument; None is no limit.

    Attributes:
        spread_bp_limit: Largest spread to trade at, basis points.
        depth_top1_usdt_min: Smallest amount at the top of the book to trade at, USDT.
    """

    spread_bp_limit: float | None = None
    depth_top1_usdt_min: float | None = None


class ConfiguredInstrument(Struct, frozen=True):
    """An instrument of a snapshot; the defaults are filled in."""

    instrument: InstrumentId
    thresholds: Thresholds


class Snapshot(Struct, frozen=True):
    """A valid revision; *instruments* are sorted and each is named once.

    Attributes:
        defaults: The thresholds of instruments that the snapshot does not name.
    """

    rev: int
    defaults: Thresholds
    instruments: tuple[ConfiguredInstrument, ...]


class RiskLimits(Struct, frozen=True, kw_only=True):
    """The thresholds of an instrument, and the revision that set them; units as `Thresholds`."""

    rev: int
    spread_bp_limit: float | None = None
    depth_top1_usdt_min: float | None = None


class ThresholdsDraft(Struct, frozen=True):
    """As received, unchecked; None where missing."""

    spread_bp_limit: object = None
    depth_top1_usdt_min: object = None


class InstrumentDraft(Struct, frozen=True):
    """As received, unchecked; *where* names the row: `instruments[3]`."""

    where: str
    venue: object
    symbol: object
    thresholds: ThresholdsDraft


class SnapshotDraft(Struct, frozen=True):
    """A snapshot as received, unchecked.

    Attributes:
        problems: What is wrong with its form, found while it was read.
        unknown_fields: Fields that this version does not know, each once: `instruments[].note`.
    """

    rev: object
    defaults: ThresholdsDraft
    instruments: tuple[InstrumentDraft, ...]
    problems: tuple[str, ...] = ()
    unknown_fields: tuple[str, ...] = ()


class RefusalReason(StrEnum):
    """Why a snapshot is not taken; the value is a label of metrics and in `config.refused`."""

    INVALID = "invalid"
    OLDER = "older"
    ALTERED = "altered"


class Refusal(Struct, frozen=True):
    """A snapshot that was not taken.

    Attributes:
        rev: Its revision; None where it has no valid one.
        text: All problems, or the first of them and their number.
    """

    reason: RefusalReason
    rev: int | None
    text: str


def judge(draft: SnapshotDraft, in_force: Snapshot | None, *, selects: bool) -> Snapshot | Refusal:
    """*draft* as a snapshot that may replace *in_force* (or equals it), or why it may not.

    With *selects*, its instruments are the symbols to serve (`S1_SYMBOLS=s10`).
    """
    rev = _read_rev(draft.rev)
    problems = list(draft.problems)
    if rev is None:
        problems.append(f"rev is {_shown(draft.rev)}; expected a whole number from 0 to {REV_MAX}")
    defaults, found = _read_thresholds(draft.defaults, "defaults")
    problems += found
    rows, found = _read_rows(draft.instruments, defaults)
    problems += found
    if selects:
        problems += selection_problems(rows)
    if problems or rev is None:
        return Refusal(RefusalReason.INVALID, rev, _joined(problems))
    snapshot = Snapshot(rev, defaults, tuple(rows[each] for each in sorted(rows)))
    return _order_refusal(snapshot, in_force) or snapshot


def selection_problems(instruments: Mapping[InstrumentId, object]) -> list[str]:
    """Why *instruments* cannot be the symbols to serve; empty if they can."""
    if not instruments:
        return ["instruments is empty, and S1_SYMBOLS=s10 would publish nothing"]
    # Binance names a dated contract BTCUSDT_261225.
    return [
        f"{each} is not quoted in {QUOTE_ASSET}, so its top1_usdt would be wrong"
        for each in sorted(instruments)
        if not each.symbol.partition("_")[0].endswith(QUOTE_ASSET)
    ]


def limits_by_instrument(snapshot: Snapshot) -> dict[InstrumentId, RiskLimits]:
    """For lookup; instruments that are not in it have `default_limits`."""
    return {row.instrument: _limits(row.thresholds, snapshot.rev) for row in snapshot.instruments}


def default_limits(snapshot: Snapshot) -> RiskLimits:
    return _limits(snapshot.defaults, snapshot.rev)


def _limits(thresholds: Thresholds, rev: int) -> RiskLimits:
    return RiskLimits(
        rev=rev,
        spread_bp_limit=thresholds.spread_bp_limit,
        depth_top1_usdt_min=thresholds.depth_top1_usdt_min,
    )


def _order_refusal(offered: Snapshot, in_force: Snapshot | None) -> Refusal | None:
    if in_force is None or offered.rev > in_force.rev:
        return None
    if offered.rev < in_force.rev:
        text = f"rev {offered.rev} is older than rev {in_force.rev}, which is in force"
        return Refusal(RefusalReason.OLDER, offered.rev, text)
    if offered == in_force:
        return None
    text = f"rev {offered.rev} has changed its content; a change needs a higher rev"
    return Refusal(RefusalReason.ALTERED, offered.rev, text)


def _read_rev(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= REV_MAX else None


def _read_rows(
    drafts: tuple[InstrumentDraft, ...], defaults: Thresholds
) -> tuple[dict[InstrumentId, ConfiguredInstrument], list[str]]:
    rows: dict[InstrumentId, ConfiguredInstrument] = {}
    problems: list[str] = []
    if len(drafts) > INSTRUMENTS_MAX:
        problems.append(f"{len(drafts)} instruments; at most {INSTRUMENTS_MAX} are taken")
    for draft in drafts[:INSTRUMENTS_MAX]:
        try:
            instrument = _read_instrument(draft)
        except InvalidValueError as error:
            problems.append(f"{draft.where}: {error}")
            continue
        own, found = _read_thresholds(draft.thresholds, f"{draft.where} {instrument}")
        problems += found
        if instrument in rows:
            problems.append(f"{draft.where}: {instrument} is named twice")
        rows[instrument] = ConfiguredInstrument(instrument, _filled_in(own, defaults))
    return rows, problems


def _read_instrument(draft: InstrumentDraft) -> InstrumentId:
    venues = tuple(Venue)
    if not isinstance(draft.venue, str) or draft.venue not in venues:
        raise InvalidValueError(f"venue is {_shown(draft.venue)}; expected {' or '.join(venues)}")
    if not isinstance(draft.symbol, str):
        raise InvalidValueError(f"symbol is {_shown(draft.symbol)}; expected a text like BTCUSDT")
    return InstrumentId(Venue(draft.venue), parse_symbol(draft.symbol))


def _read_thresholds(draft: ThresholdsDraft, where: str) -> tuple[Thresholds, list[str]]:
    problems: list[str] = []

    def read(name: str, value: object) -> float | None:
        if value is None:
            return None
        # Exact types: a bool is an int, a text may be in another unit. NaN fails the comparison.
        if (type(value) is int or type(value) is float) and 0 <= value <= THRESHOLD_MAX:
            return float(value) + 0.0  # -0.0 becomes 0.0: a store may not keep its sign
        problems.append(
            f"{where}: {name} is {_shown(value)}; expected null or 0 to {THRESHOLD_MAX:g}"
        )
        return None

    thresholds = Thresholds(
        spread_bp_limit=read("spread_bp_limit", draft.spread_bp_limit),
        depth_top1_usdt_min=read("depth_top1_usdt_min", draft.depth_top1_usdt_min),
    )
    return thresholds, problems


def _filled_in(own: Thresholds, defaults: Thresholds) -> Thresholds:
    spread, depth = own.spread_bp_limit, own.depth_top1_usdt_min
    return Thresholds(
        spread_bp_limit=defaults.spread_bp_limit if spread is None else spread,
        depth_top1_usdt_min=defaults.depth_top1_usdt_min if depth is None else depth,
    )


def _shown(value: object) -> str:
    if value is None:
        return "missing or null"
    if type(value) is int and value.bit_length() > _SHOWN_BITS_MAX:
        return f"a number of {value.bit_length()} bits"
    text = repr(value)
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}..."


def _joined(problems: list[str]) -> str:
    left = len(problems) - PROBLEMS_SHOWN
    more = [f"and {left} more"] if left > 0 else []
    return "; ".join([*problems[:PROBLEMS_SHOWN], *more])
