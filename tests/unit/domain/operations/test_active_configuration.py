import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.operations.active_configuration import (
    INSTRUMENTS_MAX,
    InstrumentDraft,
    Refusal,
    RefusalReason,
    RiskLimits,
    Snapshot,
    SnapshotDraft,
    ThresholdsDraft,
    default_limits,
    judge,
    limits_by_instrument,
)

NONE = ThresholdsDraft()
DEFAULTS = ThresholdsDraft(10, 5000)
BTC = InstrumentId.parse("perp/BTCUSDT")


def row(
    name: str = "perp/BTCUSDT", spread: object = None, depth: object = None, index: int = 0
) -> InstrumentDraft:
    venue, _, symbol = name.partition("/")
    where = f"instruments[{index}]"
    return InstrumentDraft(where, venue, symbol, ThresholdsDraft(spread, depth))


def draft(
    rev: object, *rows: InstrumentDraft, defaults: ThresholdsDraft = DEFAULTS
) -> SnapshotDraft:
    return SnapshotDraft(rev, defaults, rows)


def accepted(given: SnapshotDraft, in_force: Snapshot | None = None) -> Snapshot:
    judged = judge(given, in_force, selects=False)
    assert isinstance(judged, Snapshot), judged
    return judged


def refused(
    given: SnapshotDraft, in_force: Snapshot | None = None, *, selects: bool = False
) -> Refusal:
    judged = judge(given, in_force, selects=selects)
    assert isinstance(judged, Refusal), judged
    return judged


def test_defaults_fill_in_what_an_instrument_leaves_out() -> None:
    snapshot = accepted(draft(3, row(spread=5), row("spot/ETHUSDT", depth=0, index=1)))

    assert limits_by_instrument(snapshot) == {
        BTC: RiskLimits(rev=3, spread_bp_limit=5.0, depth_top1_usdt_min=5000.0),
        InstrumentId.parse("spot/ETHUSDT"): RiskLimits(
            rev=3, spread_bp_limit=10.0, depth_top1_usdt_min=0.0
        ),
    }
    assert default_limits(snapshot) == RiskLimits(
        rev=3, spread_bp_limit=10.0, depth_top1_usdt_min=5000.0
    )


def test_a_threshold_that_nothing_sets_is_no_limit() -> None:
    snapshot = accepted(draft(3, row(), defaults=NONE))

    assert limits_by_instrument(snapshot)[BTC] == RiskLimits(
        rev=3, spread_bp_limit=None, depth_top1_usdt_min=None
    )


def test_a_negative_zero_is_zero() -> None:
    """Its text, and so the hash of an instrument, is that of 0."""
    [read] = accepted(draft(3, row(spread=-0.0))).instruments

    assert str(read.thresholds.spread_bp_limit) == "0.0"


def test_the_order_of_rows_does_not_matter() -> None:
    one, other = row("perp/BTCUSDT"), row("perp/ETHUSDT")

    assert accepted(draft(1, one, other)) == accepted(draft(1, other, one))


@pytest.mark.parametrize("rev", [None, "12", -1, 1.0, True, 2**53, [1]])
def test_a_rev_that_is_no_whole_number_from_0_is_refused(rev: object) -> None:
    refusal = refused(draft(rev))

    assert (refusal.reason, refusal.rev) == (RefusalReason.INVALID, None)
    assert "rev is" in refusal.text


@pytest.mark.parametrize(
    "value", [-0.5, "5", True, float("nan"), float("inf"), [5], {"bp": 5}, 10**400, 1.1e15]
)
@pytest.mark.parametrize("field", ["spread_bp_limit", "depth_top1_usdt_min"])
def test_a_threshold_that_is_no_number_from_0_is_refused(field: str, value: object) -> None:
    wrong = ThresholdsDraft(**{field: value})

    assert (
        f"instruments[0] perp/BTCUSDT: {field} is "
        in refused(draft(3, InstrumentDraft("instruments[0]", "perp", "BTCUSDT", wrong))).text
    )
    assert f"defaults: {field} is " in refused(draft(3, defaults=wrong)).text


@pytest.mark.parametrize(
    ("venue", "symbol", "problem"),
    [
        (None, "BTCUSDT", "venue is missing or null; expected spot or perp"),
        ("okx", "BTCUSDT", "venue is 'okx'"),
        (["perp"], "BTCUSDT", "venue is ['perp']"),
        ("perp", None, "symbol is missing or null"),
        ("perp", 7, "symbol is 7"),
        ("perp", "BTC/USDT", "is not a symbol"),
        ("perp", "", "is not a symbol"),
    ],
)
def test_a_row_without_an_instrument_is_refused(
    venue: object, symbol: object, problem: str
) -> None:
    text = refused(draft(3, InstrumentDraft("instruments[0]", venue, symbol, NONE))).text

    assert text.startswith("instruments[0]: ")
    assert problem in text


def test_one_bad_row_refuses_the_whole_snapshot_and_all_problems_are_named() -> None:
    refusal = refused(
        SnapshotDraft(
            7,
            ThresholdsDraft(-1),
            (row(spread=5), row("perp/ETHUSDT", spread=-5, index=1), row(index=2)),
            problems=("instruments[3] is a number, not an object",),
        )
    )

    assert refusal == Refusal(
        RefusalReason.INVALID,
        7,
        "instruments[3] is a number, not an object; "
        "defaults: spread_bp_limit is -1; expected null or 0 to 1e+15; "
        "instruments[1] perp/ETHUSDT: spread_bp_limit is -5; expected null or 0 to 1e+15; "
        "instruments[2]: perp/BTCUSDT is named twice",
    )


def test_of_many_problems_the_first_are_shown_and_the_rest_counted() -> None:
    rows = [row(f"perp/S{index}USDT", spread=-1, index=index) for index in range(40)]

    text = refused(draft(3, *rows)).text
    assert text.count("spread_bp_limit is -1") == 5
    assert text.endswith("; and 35 more")


def test_a_value_is_shown_shortened() -> None:
    for value in ("9" * 10_000, 10**10_000):
        assert len(refused(draft(value)).text) < 200


def test_more_instruments_than_the_bound_are_refused() -> None:
    rows = [row(f"perp/S{index}USDT") for index in range(INSTRUMENTS_MAX + 1)]

    assert f"at most {INSTRUMENTS_MAX} are taken" in refused(draft(3, *rows)).text


def test_an_older_rev_is_refused() -> None:
    in_force = accepted(draft(12, row()))

    refusal = refused(draft(11, row(spread=1)), in_force)
    assert (refusal.reason, refusal.rev) == (RefusalReason.OLDER, 11)
    assert refusal.text == "rev 11 is older than rev 12, which is in force"


def test_a_rev_that_has_changed_its_content_is_refused() -> None:
    in_force = accepted(draft(12, row(spread=5)))

    assert refused(draft(12, row(spread=6)), in_force).reason is RefusalReason.ALTERED
    assert accepted(draft(12, row(spread=5)), in_force) == in_force


@given(
    revs=st.lists(st.integers(0, 20), max_size=20),
    spreads=st.lists(st.sampled_from([1, 2, -1]), min_size=20, max_size=20),
)
def test_the_rev_in_force_never_goes_back(revs: list[int], spreads: list[int]) -> None:
    in_force: Snapshot | None = None
    for rev, spread in zip(revs, spreads, strict=False):
        judged = judge(draft(rev, row(spread=spread)), in_force, selects=False)
        if isinstance(judged, Snapshot):
            assert spread > 0
            assert in_force is None or judged.rev > in_force.rev or judged == in_force
            in_force = judged


def test_symbols_to_serve_are_quoted_in_usdt_and_not_none() -> None:
    assert "S1_SYMBOLS=s10" in refused(draft(3), selects=True).text
    assert accepted(draft(3)).instruments == ()
    foreign = draft(3, row("spot/BTCUSDC"), row("perp/BTCUSDT_261225", index=1))
    assert refused(foreign, selects=True).text.startswith("spot/BTCUSDC is not quoted in USDT")
    assert len(accepted(foreign).instruments) == 2
